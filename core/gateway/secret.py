"""Secrets of gateway.toml: references to where they are, followed once, with a repr that hides the value."""

from __future__ import annotations

import hmac
import os
import re
from pathlib import Path
from typing import Any

FORWARD = "forward"
"""``api_key = "forward"`` passes the caller's own key on."""

REFERENCES = '{ env = "NAME" } or { file = "path" }'
MAX_SECRET_BYTES = 1024 * 1024

_VARIABLE = re.compile(r"[A-Za-z_][A-Za-z0-9_]*\Z")
# What a provider's key looks like: put in the place of a path by mistake, it must not come back in a message.
_LIKE_A_KEY = re.compile(r"(sk|pk|rk|gsk|xai|hf|r8|nvapi|csk|fw)[-_]|AIza|eyJ|Bearer |-----|[^/.]{32,}\Z")


class Secret:
    """A secret; ``source`` says where it came from: ``env:NAME``, ``file:PATH`` or ``plain``."""

    __slots__ = ("source", "value")

    def __init__(self, value: str, source: str = "plain") -> None:
        self.value = value
        self.source = source

    def __repr__(self) -> str:
        return f"Secret({self.source})"

    def __eq__(self, other: object) -> bool:
        return isinstance(other, Secret) and hmac.compare_digest(other.value.encode(), self.value.encode())

    def __hash__(self) -> int:
        return hash(self.value)


class HeaderValue(Secret):
    """The value of a header that the TOML sets: plain text as a rule, a reference where it is a secret."""

    __slots__ = ()


class UnreadableSecret(Exception):
    """A secret that cannot be had; the text says why, and never holds what may be the secret itself."""


def read_secret(value: Any, folder: Path) -> Secret:
    """Follow a reference; raises UnreadableSecret.

    A file's path is relative to ``folder``; the line break at its end is no part of the secret.
    """
    if isinstance(value, str):
        if not value.strip():
            raise UnreadableSecret(f"is empty; expected {REFERENCES}")
        return Secret(value)
    if not isinstance(value, dict) or len(value) != 1 or not value.keys() <= {"env", "file"}:
        raise UnreadableSecret(f"expected {REFERENCES}")
    ((how, name),) = value.items()
    if not isinstance(name, str) or not name:
        raise UnreadableSecret(f"expected {REFERENCES}")
    return _from_environment(name) if how == "env" else _from_file(name, folder)


def _from_environment(name: str) -> Secret:
    if not _VARIABLE.match(name):
        raise UnreadableSecret("env takes the name of a variable (letters, digits and _), not the secret itself")
    value = os.environ.get(name)
    if value is None:
        raise UnreadableSecret(f"the environment variable {name} is not set; export it before the start")
    if not value.strip():
        raise UnreadableSecret(f"the environment variable {name} is empty; set it to the secret")
    return Secret(value.rstrip("\r\n"), f"env:{name}")


def _from_file(name: str, folder: Path) -> Secret:
    if _LIKE_A_KEY.match(name):
        raise UnreadableSecret("file takes a path, not the secret itself")
    try:
        with (folder / name).open("rb") as file:
            raw = file.read(MAX_SECRET_BYTES + 1)
        text = raw.decode()
    except FileNotFoundError:
        raise UnreadableSecret(f"there is no file {name}; paths are relative to the configuration's folder") from None
    except OSError as error:
        raise UnreadableSecret(f"the file {name} cannot be read: {error.strerror}") from None
    except UnicodeDecodeError:
        raise UnreadableSecret(f"the file {name} is not UTF-8 text") from None
    except ValueError:  # a NUL in it
        raise UnreadableSecret("file takes a path") from None
    if len(raw) > MAX_SECRET_BYTES:
        raise UnreadableSecret(f"the file {name} is larger than 1 MiB, which no secret is")
    if not text.strip():
        raise UnreadableSecret(f"the file {name} is empty; write the secret into it")
    return Secret(text.rstrip("\r\n"), f"file:{name}")
