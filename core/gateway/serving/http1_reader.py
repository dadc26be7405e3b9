"""Reads HTTP/1.1 requests with llhttp and refuses what two readers could understand differently.

llhttp in its strict mode refuses what others let pass and smuggling lives on (both lengths, several or malformed
lengths, bare LF, folded fields, NUL); what it accepts and we do not is refused here.
"""

from __future__ import annotations

import re
from typing import TYPE_CHECKING, Any
from urllib.parse import unquote_to_bytes

import httptools

from gateway.serving.http1_cycle import Http1Cycle

if TYPE_CHECKING:
    from gateway.serving.http1 import Http1Connection


_ORIGIN = re.compile(rb"https?://[^/?#]*", re.IGNORECASE)
_METHODS = frozenset((b"GET", b"HEAD", b"POST", b"PUT", b"PATCH", b"DELETE", b"OPTIONS"))


class Refused(Exception):
    """The request is refused with ``status`` and the connection closed."""

    def __init__(self, status: int, code: str, message: str) -> None:
        super().__init__(message)
        self.status = status
        self.code = code
        self.message = message


class RequestReader:
    """Bytes of one connection → cycles, which are given to the connection as soon as a head is complete."""

    def __init__(self, connection: Http1Connection) -> None:
        self.in_head = False
        """Some of a request's head has arrived."""
        self.reading: Http1Cycle | None = None
        """The request whose body is arriving."""
        self.body_began = 0.0
        self.body_bytes = 0
        self._connection = connection
        self._limits = connection.limits
        self._parser = httptools.HttpRequestParser(self)
        self._headers: list[tuple[bytes, bytes]] = []
        self._url = b""
        self._head_bytes = 0
        self._head_size = 0
        self._seen = b""
        self._offer = b""
        self._bare = 0

    def feed(self, data: bytes) -> None:
        """Take bytes; raises Refused."""
        reading, taken, size = self.reading, self.body_bytes, len(data)
        if reading is None:
            self._head_bytes += size
        self._seen = self._seen + data if self.in_head else data
        self._read(data)
        if not self.in_head:
            self._seen = b""
        if self.reading is None:
            if self._head_bytes > self._limits.head_bytes:
                raise _too_large_head()
        elif self.reading is reading:
            # Chunk extensions and trailers: nobody reads them, and the parser keeps a field until it ends.
            self._bare = self._bare + size if self.body_bytes == taken else 0
            if self._bare > self._limits.head_bytes:
                raise Refused(431, "framing_too_large", "The body's chunk extensions or trailers are too large.")

    def _read(self, data: bytes) -> None:
        while True:
            try:
                self._parser.feed_data(data)
            except httptools.HttpParserUpgrade as offer:
                # A server may ignore an offer to switch protocols (RFC 9110, 7.8), and Java's client makes one with
                # each request. llhttp stops behind such a head, and leaves a body for the other protocol to read:
                # another parser is given the head without the offer, and what follows.
                self._parser = httptools.HttpRequestParser(self)
                data = self._without_offer() + data[int(offer.args[0]) :]
                continue
            except httptools.HttpParserCallbackError as error:
                if isinstance(error.__context__, Refused):
                    raise error.__context__ from None
                raise
            except httptools.HttpParserError as error:
                # Bytes behind the last request of a connection are nobody's.
                if "Connection: close" not in str(error):
                    raise _unreadable(data, str(error)) from None
            break

    def on_message_begin(self) -> None:
        self.in_head = True
        self._url = b""
        self._headers = []
        self._head_size = 0

    def on_url(self, url: bytes) -> None:
        self._url += url
        if len(self._url) > self._limits.head_bytes:
            raise _too_large_head()

    def on_header(self, name: bytes, value: bytes) -> None:
        if not self.in_head:
            return  # a trailer: nobody here reads any
        self._headers.append((name.lower(), value))
        self._head_size += len(name) + len(value)
        if len(self._headers) > self._limits.head_fields or self._head_size > self._limits.head_bytes:
            raise _too_large_head()

    def on_headers_complete(self) -> None:
        self.in_head = False
        parser = self._parser
        version: str = parser.get_http_version()
        method = parser.get_method()
        if parser.should_upgrade() and method != b"CONNECT":
            self._offer = b"%b %b HTTP/%b\r\n" % (method, self._url, version.encode())
            return
        if version not in ("1.1", "1.0"):
            raise Refused(505, "http_version", "Only HTTP/1.1 and HTTP/1.0 are spoken here.")
        if version == "1.0" and self._url + b" HTTP/1.0\r\n" not in self._seen:
            # llhttp takes RTSP/1.0 and ICE/1.0 for HTTP/1.0 and does not tell.
            raise Refused(505, "http_version", "Only HTTP is spoken here.")
        if method not in _METHODS:
            raise Refused(501, "method", f"{method.decode()} is not offered here.")
        expects = self._check_fields(version)
        connection = self._connection
        cycle = Http1Cycle(
            connection, self._scope_of(method, version), keep_alive=parser.should_keep_alive(), expects=expects
        )
        self.reading = cycle
        self._head_bytes = 0
        self._bare = 0
        self.body_bytes = 0
        self.body_began = self._connection.loop.time()
        connection.take(cycle)

    def _check_fields(self, version: str) -> bool:
        """Refuse what may be read in two ways; True if the client waits for 100 Continue."""
        expects = hosts = False
        for name, value in self._headers:
            if name == b"transfer-encoding":
                if version == "1.0":
                    raise Refused(400, "framing", "HTTP/1.0 knows no Transfer-Encoding.")
                if value.strip().lower() != b"chunked":
                    raise Refused(501, "framing", "The only Transfer-Encoding taken is chunked.")
            elif name == b"expect":
                expects = version == "1.1" and value.strip().lower() == b"100-continue"
            elif name == b"host":
                if hosts:
                    raise Refused(400, "framing", "The request has two Host fields.")
                hosts = True
        if not hosts and version == "1.1":
            raise Refused(400, "framing", "The request has no Host field.")
        return expects

    def _scope_of(self, method: bytes, version: str) -> dict[str, Any]:
        url = self._url
        if url[:1] != b"/" and (origin := _ORIGIN.match(url)) is not None:
            url = url[origin.end() :]
            url = url if url[:1] == b"/" else b"/" + url
        path, _, query = url.partition(b"?")
        path = path.partition(b"#")[0]
        try:
            text = (unquote_to_bytes(path) if b"%" in path else path).decode()
        except UnicodeDecodeError:
            raise Refused(400, "bad_request", "The path is not UTF-8.") from None
        return {
            "type": "http",
            "asgi": {"version": "3.0", "spec_version": "2.3"},
            "http_version": version,
            "method": method.decode(),
            "scheme": self._connection.scheme,
            "path": text,
            "raw_path": path,
            "query_string": query,
            "root_path": "",
            "headers": self._headers,
            "client": self._connection.client,
            "server": self._connection.address,
            "state": {},
        }

    def _without_offer(self) -> bytes:
        lines = [self._offer]
        for name, value in self._headers:
            if name == b"connection":
                words = [word.strip().lower() for word in value.split(b",")]
                lines += [b"connection: %b\r\n" % word for word in words if word in (b"close", b"keep-alive")]
            elif name not in (b"upgrade", b"http2-settings"):
                lines.append(b"%b: %b\r\n" % (name, value))
        return b"".join(lines) + b"\r\n"

    def on_body(self, data: bytes) -> None:
        cycle = self.reading
        assert cycle is not None
        self.body_bytes += len(data)
        cycle.feed(data)
        if cycle.held > self._limits.read_ahead:
            self._connection.pause_reading()

    def on_message_complete(self) -> None:
        cycle = self.reading
        self.reading = None
        if cycle is not None:
            cycle.end()
            self._connection.body_complete(cycle)


def _too_large_head() -> Refused:
    return Refused(431, "head_too_large", "The request's head is too large.")


def _unreadable(data: bytes, error: str) -> Refused:
    if data.startswith(b"PRI * HTTP/2.0"):
        return Refused(505, "http_version", "HTTP/2 is spoken over TLS only.")
    return Refused(400, "bad_request", f"This is no HTTP/1.1 request: {error}.")
