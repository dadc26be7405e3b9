"""Writes the heads of requests to a provider, and refuses what would not be one header each."""

from __future__ import annotations

import re
from typing import TYPE_CHECKING, Final
from urllib.parse import SplitResult, unquote, urlsplit

from gateway.errors import ConfigError, InvalidRequest

if TYPE_CHECKING:
    from gateway.upstream import UpstreamRequest

_TOKEN = re.compile(r"[!#$%&'*+.^_`|~0-9A-Za-z-]+")
_PATH = re.compile(r"/[!\"$-~]*|")
_FORBIDDEN = re.compile(r"[\x00-\x08\x0b\x0c\x0e-\x1f\x7f]")
"""Control characters but tab; carriage returns and line feeds are counted instead."""
_DOTS: Final = frozenset({".", ".."})
_OURS: Final = frozenset(
    {"connection", "content-length", "expect", "host", "keep-alive", "proxy-connection", "te", "trailer"}
    | {"transfer-encoding", "upgrade"}
)
"""Framing and the connection are this side's business; a second content-length would be request smuggling."""
_DEFAULT_PORTS: Final = {"http": 80, "https": 443}
_BODY_METHODS: Final = frozenset({"POST", "PUT", "PATCH"})
_MOST_REMEMBERED: Final = 512
"""Paths can hold model names that callers choose, so what is remembered of them is bounded."""


class HeadWriter:
    """The heads of requests to one base URL. ``where`` names the place in messages: host, and port if unusual."""

    def __init__(self, base_url: str) -> None:
        place = _split(base_url)
        self.scheme = place.scheme
        self.host = _ascii_host(base_url, place)
        self.port = place.port or _DEFAULT_PORTS[place.scheme]
        name = f"[{self.host}]" if ":" in self.host else self.host
        self.where = name if self.port == _DEFAULT_PORTS[place.scheme] else f"{name}:{self.port}"
        self._prefix = place.path.rstrip("/")
        self._starts: dict[tuple[str, str], str] = {}
        self._names: set[str] = set()
        self._last: tuple[list[tuple[str, str]], str] = ([], "")
        """The headers that were written last, and how: mostly they are the same for every call."""

    def write(self, request: UpstreamRequest) -> bytes:
        """The request line and all headers. Raises InvalidRequest, naming the header or the path."""
        start = self._starts.get((request.method, request.path)) or self._start(request)
        headers = request.headers
        known, fields = self._last
        if headers != known or not fields:
            fields = self._fields(headers)
        size = request.length
        length = f"content-length: {size}\r\n" if size or request.method in _BODY_METHODS else ""
        try:
            return f"{start}{fields}{length}\r\n".encode("latin-1")
        except UnicodeEncodeError:
            raise _refused(headers) from None

    def _fields(self, headers: list[tuple[str, str]]) -> str:
        for name, _ in headers:
            if name not in self._names:
                self._admit(name)
        fields = "".join([f"{name}: {value}\r\n" for name, value in headers])
        # Every line ends once: a break within a value would show as one too many.
        count = len(headers)
        if fields.count("\r") != count or fields.count("\n") != count or _FORBIDDEN.search(fields):
            raise _refused(headers)
        if "accept-encoding:" not in fields:
            fields += "accept-encoding: identity\r\n"
        self._last = (headers.copy(), fields)
        return fields

    def _start(self, request: UpstreamRequest) -> str:
        if not _TOKEN.fullmatch(request.method):
            raise InvalidRequest(f"The method {request.method[:40]!r} cannot be sent to a provider.")
        if not _PATH.fullmatch(request.path):
            raise InvalidRequest(
                f"The path {request.path[:80]!r} cannot be sent to a provider: it must start with a slash and hold "
                "no blanks, control characters, '#' or characters beyond ASCII."
            )
        if not _DOTS.isdisjoint(unquote(request.path.partition("?")[0]).replace("\\", "/").split("/")):
            # A model's name may be the caller's: it must not lead to another path of the provider.
            raise InvalidRequest(f"The path {request.path[:80]!r} cannot be sent to a provider: it has a dot segment.")
        path = self._prefix + request.path or "/"
        start = f"{request.method} {path} HTTP/1.1\r\nhost: {self.where}\r\n"
        if len(self._starts) >= _MOST_REMEMBERED:
            self._starts.clear()
        self._starts[request.method, request.path] = start
        return start

    def _admit(self, name: str) -> None:
        if not _TOKEN.fullmatch(name):
            raise InvalidRequest(f"The header {name[:60]!r} cannot be sent to a provider: that is not a header's name.")
        if name.lower() in _OURS:
            raise InvalidRequest(f"The header {name!r} cannot be set for a provider: the gateway writes it itself.")
        if len(self._names) >= _MOST_REMEMBERED:
            self._names.clear()
        self._names.add(name)


def _refused(headers: list[tuple[str, str]]) -> InvalidRequest:
    """The error for the first header whose value is at fault; the value may be a secret and is not shown."""
    for name, value in headers:
        if _FORBIDDEN.search(value) or "\r" in value or "\n" in value:
            return InvalidRequest(
                f"The header {name!r} cannot be sent to a provider: its value has a control character."
            )
        if not value.isascii() and any(ord(character) > 255 for character in value):
            break
    return InvalidRequest(f"The header {name!r} cannot be sent to a provider: its value has characters beyond Latin-1.")


def _split(base_url: str) -> SplitResult:
    try:
        place = urlsplit(base_url)
        problem = "" if place.port != 0 else "its port is 0"
        if any(character <= " " for character in base_url):
            # urlsplit drops line breaks and tabs in silence.
            problem = "blanks and control characters do not belong there"
    except ValueError as error:
        raise ConfigError([f"base_url {base_url!r}: {error}."]) from None
    if problem:
        pass
    elif place.scheme not in _DEFAULT_PORTS or not place.hostname:
        problem = "it must look like https://host or http://host:port/path"
    elif place.username is not None or place.password is not None:
        # Not shown: it holds a password.
        raise ConfigError(["base_url: a user and password do not belong there; use api_key or headers."])
    elif place.query or place.fragment:
        problem = "a query string or fragment does not belong there"
    elif not _PATH.fullmatch(place.path):
        problem = "its path holds characters that must be percent-encoded"
    if problem:
        raise ConfigError([f"base_url {base_url!r}: {problem}."])
    return place


def _ascii_host(base_url: str, place: SplitResult) -> str:
    host = place.hostname or ""
    try:
        return host if host.isascii() else host.encode("idna").decode()
    except UnicodeError:
        raise ConfigError([f"base_url {base_url!r}: {host!r} is not a host's name."]) from None
