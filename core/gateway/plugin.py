"""What every plugin is: a Config, a stage, and ``@hookimpl`` methods."""

from __future__ import annotations

from pathlib import Path
from typing import Any, ClassVar, Literal

import msgspec

Stage = Literal["auth", "limit", "cache", "guard", "route", "provider", "observe"]
STAGES: tuple[Stage, ...] = ("auth", "limit", "cache", "guard", "route", "provider", "observe")


class PluginConfig(msgspec.Struct, frozen=True, forbid_unknown_fields=True, kw_only=True):
    """The base of a plugin's Config: frozen, and strict so that a typing mistake in TOML is an error."""


class PluginContext(msgspec.Struct, frozen=True, kw_only=True):
    """What a plugin is told about its place: its table's ``name``, its ``use``, and the TOML's ``folder``.

    Relative paths of a plugin's settings are relative to ``folder``. ``workers`` is how many processes share the load.
    """

    name: str
    use: str
    folder: Path = Path()
    workers: int = 1


class Plugin:
    """The base of every plugin. Construction does no I/O: connections are opened in the ``startup`` hook."""

    stage: ClassVar[Stage] = "guard"
    Config: ClassVar[type[msgspec.Struct]] = PluginConfig
    strategies: ClassVar[tuple[str, ...]] = ()
    """The ``strategy`` words of ``[models.*]`` that this plugin's ``route`` answers."""

    def __init__(self, config: Any, context: PluginContext) -> None:
        self.config = config
        self.context = context
        self.name = context.name

    def warnings(self) -> list[str]:
        """What ``gateway check`` should say about these settings although they are valid."""
        return []
