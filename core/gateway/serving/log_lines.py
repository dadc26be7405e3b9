"""Log lines on stderr: ``2026-01-01T00:00:00Z level message``, for people and for journald alike."""

from __future__ import annotations

import logging
import sys
import time


class LineFormatter(logging.Formatter):
    """Plain lines in UTC. ``origin`` stands before the message, to tell the workers apart."""

    def __init__(self, origin: str = "") -> None:
        super().__init__()
        self.origin = f"{origin}: " if origin else ""

    def formatMessage(self, record: logging.LogRecord) -> str:  # noqa: N802  # logging's name
        """Make the first line; a traceback follows below it."""
        return f"{record.asctime} {record.levelname.lower()} {self.origin}{record.message}"

    def formatTime(self, record: logging.LogRecord, datefmt: str | None = None) -> str:  # noqa: N802  # logging's name
        """Make the time: UTC, whole seconds."""
        return time.strftime("%Y-%m-%dT%H:%M:%SZ", time.gmtime(record.created))

    def usesTime(self) -> bool:  # noqa: N802  # logging's name
        """Say that ``asctime`` is wanted."""
        return True


def log_to_stderr(origin: str = "") -> None:
    """Send every logger's lines from info on to stderr, unless the program has set up logging by itself."""
    root = logging.getLogger()
    if root.handlers:
        return
    handler = logging.StreamHandler(sys.stderr)
    handler.setFormatter(LineFormatter(origin))
    root.addHandler(handler)
    root.setLevel(logging.INFO)
