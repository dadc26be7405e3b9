"""A plugin that keeps finished calls, for tests that read their books."""

from __future__ import annotations

import time
from pathlib import Path
from typing import Any

from gateway.call import Call

TABLE = '[plugins.seen]\nuse = "./seen.py:Seen"\n'
_PLUGIN = '''
"""Remembers what became of calls."""
from gateway import hookimpl
from gateway.plugin import Plugin


class Seen(Plugin):
    """Remembers what became of calls."""

    stage = "observe"
    calls = []

    @hookimpl
    def on_complete(self, call, reply):
        self.calls.append(call)
'''


def write_plugin(folder: Path) -> None:
    """Put the plugin that ``TABLE`` names beside the TOML."""
    (folder / "seen.py").write_text(_PLUGIN)


def finished(gateway: Any) -> Call:
    """The call that has ended last; each is given once."""
    plugin = next(record.plugin for record in gateway.app.current.records if record.name == "seen")
    end = time.monotonic() + 3
    while not plugin.calls and time.monotonic() < end:
        time.sleep(0.01)
    call: Call = plugin.calls.pop()
    return call
