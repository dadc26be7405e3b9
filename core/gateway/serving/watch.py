"""Notice that a file has changed, by asking for its state now and then: it works on every file system and mount."""

from __future__ import annotations

from collections.abc import Iterable
from pathlib import Path

from gateway.serving.document import digest

PERIOD = 0.5  # seconds between two looks

State = tuple[int, int, int]


class Watch:
    """A set of files. Symbolic links are followed, for a ConfigMap is updated by swapping one."""

    def __init__(self, paths: Iterable[Path]) -> None:
        self._paths: list[Path] = []
        self._states: dict[Path, State | None] = {}
        self._seen: dict[Path, State | None] = {}
        self._digests: dict[Path, bytes] = {}
        self.follow(paths)

    def follow(self, paths: Iterable[Path]) -> None:
        """Watch these files instead; what is known of those that stay is kept."""
        self._paths = list(dict.fromkeys(paths))
        self._states = self._seen = self._look() | {p: s for p, s in self._states.items() if p in self._paths}
        self._digests = {path: self._digests.get(path) or digest(path) for path in self._paths}

    def mark(self) -> None:
        """Take the files as they are now for known: they are about to be read."""
        self._states = self._seen = self._look()
        self._digests = {path: digest(path) for path in self._paths}

    def changed(self) -> bool:
        """Whether the bytes differ from those of the last time; asked once a period.

        A change counts when two looks in a row agree, so that a file is not read while it is being written.
        """
        states = self._look()
        settled, self._seen = states == self._seen, states
        if states == self._states or not settled:
            return False
        before = self._digests
        self.mark()
        return self._digests != before

    def _look(self) -> dict[Path, State | None]:
        return {path: _state(path) for path in self._paths}


def _state(path: Path) -> State | None:
    try:
        stat = path.stat()
    except OSError:
        return None
    return stat.st_mtime_ns, stat.st_size, stat.st_ino
