"""Appends to a file that others may rotate, or to standard output."""

from __future__ import annotations

import os
from pathlib import Path

STDOUT = 1


class LineFile:
    """A file opened for appending; None for the path means standard output. Not for use by two threads at once."""

    def __init__(self, path: Path | None) -> None:
        self.path = path
        self._fd: int | None = None
        self._identity: tuple[int, int] | None = None

    def open(self) -> None:
        """Open the file, made if absent; raises OSError."""
        if self.path is None:
            return
        self.close()
        self._fd = os.open(self.path, os.O_WRONLY | os.O_APPEND | os.O_CREAT | os.O_CLOEXEC, 0o640)
        status = os.fstat(self._fd)
        self._identity = status.st_dev, status.st_ino

    def write(self, data: bytes) -> bytes:
        """Append; returns what did not fit. Raises OSError if nothing could be written.

        Looks first whether the path still leads to the open file, and opens it anew if not.
        """
        if self.path is not None and self._moved():
            self.open()
        fd = STDOUT if self._fd is None else self._fd
        return data[os.write(fd, data) :]

    def close(self) -> None:
        """Close the file; standard output stays open."""
        if self._fd is not None:
            os.close(self._fd)
            self._fd = None

    def _moved(self) -> bool:
        assert self.path is not None
        if self._fd is None:
            return True
        try:
            status = self.path.stat()
        except FileNotFoundError:
            return True
        return (status.st_dev, status.st_ino) != self._identity
