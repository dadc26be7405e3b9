"""Raw HTTP/1 bytes and the one verdict that each has: the answers, in order, and whether the connection ends.

The application behind answers each request with what it understood: ``METHOD path length-of-body checksum``.
A verdict is a list of ``200 METHOD path length`` for requests understood, or ``refused`` for a refusal with a 4xx or
5xx and a close. Each case is sent whole, byte by byte, and cut at every CRLF; the verdict is the same.
"""

from __future__ import annotations

from typing import NamedTuple

REFUSED = "refused"


class Case(NamedTuple):
    name: str
    data: bytes
    verdict: tuple[str, ...]
    closes: bool = False


def ok(method: str, path: str, length: int = 0) -> str:
    return f"200 {method} {path} {length}"


POST = b"POST /p HTTP/1.1\r\nHost: h\r\n"
GET = b"GET /g HTTP/1.1\r\nHost: h\r\n"
H2C = b"Connection: Upgrade, HTTP2-Settings\r\nUpgrade: h2c\r\nHTTP2-Settings: AAMAAABkAAQAAP__\r\n"
TE = POST + b"Transfer-Encoding: chunked\r\n\r\n"


def _valid() -> list[Case]:
    get, none = ok("GET", "/g"), ok("POST", "/p")
    cases = [
        Case("get", GET + b"\r\n", (get,)),
        Case("get-1.0", b"GET /g HTTP/1.0\r\n\r\n", (get,), closes=True),
        Case("get-1.0-keep-alive", b"GET /g HTTP/1.0\r\nConnection: keep-alive\r\n\r\n", (get,)),
        Case("connection-close", GET + b"Connection: close\r\n\r\n", (get,), closes=True),
        Case("connection-close-mixed-case", GET + b"cOnNeCtIoN: ClOsE\r\n\r\n", (get,), closes=True),
        Case("post-empty", POST + b"Content-Length: 0\r\n\r\n", (none,)),
        Case("post-no-length", POST + b"\r\n", (none,)),
        Case("post-5", POST + b"Content-Length: 5\r\n\r\nhello", (ok("POST", "/p", 5),)),
        Case("post-leading-zeros", POST + b"Content-Length: 005\r\n\r\nhello", (ok("POST", "/p", 5),)),
        Case("head", b"HEAD /g HTTP/1.1\r\nHost: h\r\n\r\n", (ok("HEAD", "/g"),)),
        Case("options-star", b"OPTIONS * HTTP/1.1\r\nHost: h\r\n\r\n", (ok("OPTIONS", "*"),)),
        Case("put", b"PUT /g HTTP/1.1\r\nHost: h\r\nContent-Length: 1\r\n\r\nx", (ok("PUT", "/g", 1),)),
        Case("delete", b"DELETE /g HTTP/1.1\r\nHost: h\r\n\r\n", (ok("DELETE", "/g"),)),
        Case("patch", b"PATCH /g HTTP/1.1\r\nHost: h\r\nContent-Length: 1\r\n\r\nx", (ok("PATCH", "/g", 1),)),
        Case("leading-crlf", b"\r\n\r\n" + GET + b"\r\n", (get,)),
        Case("query", b"GET /g?a=b&c=%20 HTTP/1.1\r\nHost: h\r\n\r\n", (get,)),
        Case("percent-encoded", b"GET /%67 HTTP/1.1\r\nHost: h\r\n\r\n", (get,)),
        Case("absolute-form", b"GET http://h/g HTTP/1.1\r\nHost: h\r\n\r\n", (get,)),
        Case("absolute-form-no-path", b"GET http://h HTTP/1.1\r\nHost: h\r\n\r\n", (ok("GET", "/"),)),
        Case("no-space-after-colon", b"GET /g HTTP/1.1\r\nHost:h\r\n\r\n", (get,)),
        Case("spaces-around-value", b"GET /g HTTP/1.1\r\nHost: \t h \t \r\n\r\n", (get,)),
        Case("empty-value", GET + b"X-Empty:\r\n\r\n", (get,)),
        Case("latin-1-value", GET + b"X-A: \xe9\r\n\r\n", (get,)),
        Case("long-value", GET + b"X-A: " + b"a" * 16_000 + b"\r\n\r\n", (get,)),
        Case("hundred-fields", GET + b"".join(b"X-%d: 1\r\n" % i for i in range(100)) + b"\r\n", (get,)),
        Case("same-field-twice", GET + b"X-A: 1\r\nX-A: 2\r\n\r\n", (get,)),
        Case("expect-with-body", POST + b"Expect: 100-continue\r\nContent-Length: 2\r\n\r\nhi", (ok("POST", "/p", 2),)),
        Case("chunked-empty", TE + b"0\r\n\r\n", (none,)),
        Case("chunked-one", TE + b"5\r\nhello\r\n0\r\n\r\n", (ok("POST", "/p", 5),)),
        Case("chunked-hex-lower", TE + b"a\r\n0123456789\r\n0\r\n\r\n", (ok("POST", "/p", 10),)),
        Case("chunked-hex-upper", TE + b"A\r\n0123456789\r\n0\r\n\r\n", (ok("POST", "/p", 10),)),
        Case("chunked-leading-zeros", TE + b"0005\r\nhello\r\n000\r\n\r\n", (ok("POST", "/p", 5),)),
        Case("chunked-extension", TE + b'5;a=b;c="d"\r\nhello\r\n0;x\r\n\r\n', (ok("POST", "/p", 5),)),
        Case("chunked-trailer", TE + b"5\r\nhello\r\n0\r\nX-Sum: 1\r\n\r\n", (ok("POST", "/p", 5),)),
        Case("chunked-crlf-inside", TE + b"4\r\n\r\n\r\n\r\n0\r\n\r\n", (ok("POST", "/p", 4),)),
        Case(
            "chunked-looks-like-a-request",
            TE + b"%x\r\n%b\r\n0\r\n\r\n" % (len(GET), GET),
            (ok("POST", "/p", len(GET)),),
        ),
        Case("chunked-upper-case-coding", POST + b"Transfer-Encoding: CHUNKED\r\n\r\n0\r\n\r\n", (none,)),
        Case(
            "body-looks-like-a-request",
            POST + b"Content-Length: %d\r\n\r\n%b" % (len(GET), GET),
            (ok("POST", "/p", len(GET)),),
        ),
        Case("websocket-offer-ignored", GET + b"Connection: Upgrade\r\nUpgrade: websocket\r\n\r\n", (get,)),
        Case("h2c-offer-ignored", GET + H2C + b"\r\n", (get,)),
        Case("h2c-offer-with-body", POST + H2C + b"Content-Length: 2\r\n\r\nhi", (ok("POST", "/p", 2),)),
        Case("h2c-offer-then-pipelined", GET + H2C + b"\r\n" + GET + b"\r\n", (get, get)),
        Case("length-tab-behind", POST + b"Content-Length: 1\t\r\n\r\nx", (ok("POST", "/p", 1),)),
        Case("chunked-on-get", GET + b"Transfer-Encoding: chunked\r\n\r\n1\r\nx\r\n0\r\n\r\n", (ok("GET", "/g", 1),)),
        Case("chunked-thousand-zeros", TE + b"0" * 1000 + b"1\r\nx\r\n0\r\n\r\n", (ok("POST", "/p", 1),)),
        Case("chunked-trailer-host", TE + b"0\r\nHost: other\r\n\r\n", (none,)),
        Case(
            "h2c-offer-chunked",
            POST + H2C + b"Transfer-Encoding: chunked\r\n\r\n1\r\nx\r\n0\r\n\r\n",
            (ok("POST", "/p", 1),),
        ),
        Case("connection-close-in-a-list", GET + b"Connection: x, Close\r\n\r\n", (get,), closes=True),
        Case(
            "connection-two-fields", GET + b"Connection: keep-alive\r\nConnection: close\r\n\r\n", (get,), closes=True
        ),
        Case("absolute-form-upper-case", b"GET HTTP://h/g HTTP/1.1\r\nHost: h\r\n\r\n", (get,)),
        Case("absolute-form-other-host", b"GET http://other/g HTTP/1.1\r\nHost: h\r\n\r\n", (get,)),
        Case("absolute-form-no-path-query", b"GET http://h?a=/b HTTP/1.1\r\nHost: h\r\n\r\n", (ok("GET", "/"),)),
        Case("two-spaces", b"GET  /g HTTP/1.1\r\nHost: h\r\n\r\n", (get,)),
    ]
    cases += [Case(f"pipelined-gets-{n}", (GET + b"\r\n") * n, (get,) * n) for n in (2, 3, 10, 50)]
    for size in (1, 2, 3, 7, 15, 16, 17, 255, 256):
        text = bytes(range(256)) * 4
        pieces = [text[i : i + size] for i in range(0, len(text), size)]
        body = b"".join(b"%x\r\n%b\r\n" % (len(piece), piece) for piece in pieces) + b"0\r\n\r\n"
        cases.append(Case(f"chunks-of-{size}", TE + body, (ok("POST", "/p", 1024),)))
        cases.append(
            Case(
                f"length-{size}",
                POST + b"Content-Length: %d\r\n\r\n%b" % (size, text[:size]),
                (ok("POST", "/p", size),),
            )
        )
        both = POST + b"Content-Length: %d\r\n\r\n%b" % (size, text[:size]) + TE + body + GET + b"\r\n"
        cases.append(Case(f"pipelined-mixed-{size}", both, (ok("POST", "/p", size), ok("POST", "/p", 1024), get)))
    cases += [
        Case("close-in-the-middle", GET + b"Connection: close\r\n\r\n" + GET + b"\r\n", (get,), closes=True),
        Case("good-then-bad", GET + b"\r\n" + b"BROKEN\r\n\r\n", (get, REFUSED)),
        Case(
            "post-then-bad-chunk", POST + b"Content-Length: 1\r\n\r\nx" + TE + b"zz\r\n", (ok("POST", "/p", 1), REFUSED)
        ),
    ]
    for method in ("GET", "POST", "PUT", "DELETE", "PATCH", "OPTIONS"):
        line = f"{method} /g HTTP/1.1\r\nHost: h\r\nContent-Length: 3\r\n\r\nabc".encode()
        cases.append(Case(f"body-on-{method.lower()}", line, (ok(method, "/g", 3),)))
    for path in ("/", "/a/b/c", "/a//b", "/a/../b", "/a;p=1", "/~u", "/a%2fb", "/" + "x" * 4000):
        seen = path.replace("%2f", "/")
        cases.append(Case(f"path-{path[:12]}", f"GET {path} HTTP/1.1\r\nHost: h\r\n\r\n".encode(), (ok("GET", seen),)))
    return cases


def _hostile() -> list[Case]:
    heads = {
        "cl-and-te": b"Content-Length: 3\r\nTransfer-Encoding: chunked\r\n\r\n0\r\n\r\n",
        "te-and-cl": b"Transfer-Encoding: chunked\r\nContent-Length: 3\r\n\r\n0\r\n\r\n",
        "two-lengths-equal": b"Content-Length: 1\r\nContent-Length: 1\r\n\r\nx",
        "two-lengths-different": b"Content-Length: 1\r\nContent-Length: 2\r\n\r\nxy",
        "length-list": b"Content-Length: 1, 1\r\n\r\nx",
        "length-plus": b"Content-Length: +1\r\n\r\nx",
        "length-minus": b"Content-Length: -1\r\n\r\n",
        "length-hex": b"Content-Length: 0x1\r\n\r\nx",
        "length-float": b"Content-Length: 1.0\r\n\r\nx",
        "length-exponent": b"Content-Length: 1e1\r\n\r\n0123456789",
        "length-underscore": b"Content-Length: 1_0\r\n\r\n0123456789",
        "length-words": b"Content-Length: one\r\n\r\n",
        "length-inner-space": b"Content-Length: 1 0\r\n\r\n0123456789",
        "length-overflow": b"Content-Length: 99999999999999999999999\r\n\r\n",
        "length-unicode-digit": b"Content-Length: \xd9\xa1\r\n\r\nx",
        "length-empty": b"Content-Length:\r\n\r\n",
        "length-space-before-colon": b"Content-Length : 1\r\n\r\nx",
        "length-0-and-te": b"Content-Length: 0\r\nTransfer-Encoding: chunked\r\n\r\n0\r\n\r\n",
        "te-empty": b"Transfer-Encoding:\r\n\r\n",
        "te-folded": b"Transfer-Encoding:\r\n chunked\r\n\r\n0\r\n\r\n",
        "te-form-feed": b"Transfer-Encoding: chunked\x0c\r\n\r\n0\r\n\r\n",
        "h2c-cl-and-te": H2C + b"Content-Length: 3\r\nTransfer-Encoding: chunked\r\n\r\n0\r\n\r\n",
        "h2c-two-lengths": H2C + b"Content-Length: 1\r\nContent-Length: 1\r\n\r\nx",
        "name-quoted": b'"X": a\r\n\r\n',
        "name-bare-cr": b"X\r: a\r\n\r\n",
        "value-cr-cr": b"X: a\r\r\n\r\n",
        "te-unknown": b"Transfer-Encoding: xchunked\r\n\r\n0\r\n\r\n",
        "te-identity": b"Transfer-Encoding: identity\r\n\r\n",
        "te-gzip": b"Transfer-Encoding: gzip\r\n\r\n",
        "te-gzip-chunked": b"Transfer-Encoding: gzip, chunked\r\n\r\n0\r\n\r\n",
        "te-chunked-identity": b"Transfer-Encoding: chunked, identity\r\n\r\n0\r\n\r\n",
        "te-chunked-twice": b"Transfer-Encoding: chunked, chunked\r\n\r\n0\r\n\r\n",
        "te-two-fields": b"Transfer-Encoding: chunked\r\nTransfer-Encoding: chunked\r\n\r\n0\r\n\r\n",
        "te-two-fields-identity": b"Transfer-Encoding: identity\r\nTransfer-Encoding: chunked\r\n\r\n0\r\n\r\n",
        "te-quoted": b'Transfer-Encoding: "chunked"\r\n\r\n0\r\n\r\n',
        "te-vertical-tab": b"Transfer-Encoding: \x0bchunked\r\n\r\n0\r\n\r\n",
        "te-semicolon": b"Transfer-Encoding: chunked;q=1\r\n\r\n0\r\n\r\n",
        "te-space-in-name": b"Transfer-Encoding : chunked\r\n\r\n0\r\n\r\n",
        "name-with-space": b"X A: 1\r\n\r\n",
        "name-with-tab": b"X\t: 1\r\n\r\n",
        "name-empty": b": 1\r\n\r\n",
        "name-latin-1": b"X-\xe9: 1\r\n\r\n",
        "name-nul": b"X\x00A: 1\r\n\r\n",
        "no-colon": b"Broken\r\n\r\n",
        "value-nul": b"X-A: a\x00b\r\n\r\n",
        "value-bare-cr": b"X-A: a\rb\r\n\r\n",
        "value-bell": b"X-A: a\x07b\r\n\r\n",
        "value-delete": b"X-A: a\x7fb\r\n\r\n",
        "fold-space": b"X-A: a\r\n b\r\n\r\n",
        "fold-tab": b"X-A: a\r\n\tb\r\n\r\n",
        "fold-first": b" X-A: a\r\n\r\n",
        "bare-lf-field": b"X-A: a\nX-B: b\r\n\r\n",
        "bare-lf-end": b"X-A: a\r\n\n",
        "two-hosts": b"Host: other\r\n\r\n",
        "many-fields": b"".join(b"X-%d: 1\r\n" % i for i in range(400)) + b"\r\n",
        "huge-value": b"X-A: " + b"a" * 100_000 + b"\r\n\r\n",
        "huge-name": b"X" * 100_000 + b": a\r\n\r\n",
    }
    cases = [Case(name, POST + rest, (REFUSED,)) for name, rest in heads.items()]
    chunks = {
        "size-empty": b"\r\nx",
        "size-word": b"xyz\r\n",
        "size-minus": b"-1\r\nx\r\n0\r\n\r\n",
        "size-plus": b"+1\r\nx\r\n0\r\n\r\n",
        "size-0x": b"0x1\r\nx\r\n0\r\n\r\n",
        "size-space-before": b" 1\r\nx\r\n0\r\n\r\n",
        "size-overflow": b"fffffffffffffffff\r\nx",
        "size-2-64": b"10000000000000000\r\nx",
        "size-underscore": b"1_0\r\n0123456789abcdef\r\n0\r\n\r\n",
        "size-bare-lf": b"1\nx\r\n0\r\n\r\n",
        "data-bare-lf": b"1\r\nx\n0\r\n\r\n",
        "data-too-long": b"1\r\nxy\r\n0\r\n\r\n",
        "data-too-short": b"3\r\nx\r\n0\r\n\r\n",
        "data-no-crlf": b"1\r\nx0\r\n\r\n",
        "extension-bare-lf": b"1;a\nx\r\n0\r\n\r\n",
        "extension-nul": b"1;a=\x00\r\nx\r\n0\r\n\r\n",
        "size-space-behind": b"1 \r\nx\r\n0\r\n\r\n",
        "size-tab-behind": b"1\t\r\nx\r\n0\r\n\r\n",
        "size-bare-cr": b"1\rx\r\n0\r\n\r\n",
        "extension-empty": b"1;\r\nx\r\n0\r\n\r\n",
        "extension-bare-cr": b"1;a\rb\r\nx\r\n0\r\n\r\n",
        "extension-quoted-crlf": b'1;a="\r\nx\r\n0\r\n\r\n',
        "trailer-length": b"0\r\nContent-Length: 5\r\n\r\n",
        "trailer-te": b"0\r\nTransfer-Encoding: chunked\r\n\r\n",
        "trailer-fold": b"0\r\nX-A: a\r\n b\r\n\r\n",
        "last-bare-lf": b"1\r\nx\r\n0\n\n",
        "trailer-bad-name": b"0\r\nX A: 1\r\n\r\n",
        "trailer-bare-lf": b"0\r\nX-A: 1\n\r\n",
        "trailer-nul": b"0\r\nX-A: \x00\r\n\r\n",
    }
    cases += [Case(f"chunk-{name}", TE + rest, (REFUSED,)) for name, rest in chunks.items()]
    lines = {
        "garbage": b"\x16\x03\x01\x02\x00\x01\x00\x01\xfc\x03\x03\r\n\r\n",
        "h2-preface": b"PRI * HTTP/2.0\r\n\r\nSM\r\n\r\n",
        "no-version": b"GET /g\r\n\r\n",
        "no-target": b"GET HTTP/1.1\r\nHost: h\r\n\r\n",
        "version-0.9": b"GET /g HTTP/0.9\r\n\r\n",
        "version-1.2": b"GET /g HTTP/1.2\r\nHost: h\r\n\r\n",
        "version-2.0": b"GET /g HTTP/2.0\r\nHost: h\r\n\r\n",
        "version-3.1": b"GET /g HTTP/3.1\r\nHost: h\r\n\r\n",
        "version-11": b"GET /g HTTP/11\r\nHost: h\r\n\r\n",
        "version-lower": b"GET /g http/1.1\r\nHost: h\r\n\r\n",
        "version-word": b"GET /g HTTP/one\r\nHost: h\r\n\r\n",
        "version-space": b"GET /g HTTP/1.1 \r\nHost: h\r\n\r\n",
        "version-missing-slash": b"GET /g HTTP1.1\r\nHost: h\r\n\r\n",
        "icy": b"GET /g ICE/1.0\r\nHost: h\r\n\r\n",
        "rtsp-get": b"GET /g RTSP/1.0\r\nHost: h\r\n\r\n",
        "method-webdav": b"PROPFIND /g HTTP/1.1\r\nHost: h\r\n\r\n",
        "rtsp": b"DESCRIBE /g RTSP/1.0\r\nHost: h\r\n\r\n",
        "method-lower": b"get /g HTTP/1.1\r\nHost: h\r\n\r\n",
        "method-unknown": b"FROB /g HTTP/1.1\r\nHost: h\r\n\r\n",
        "method-empty": b" /g HTTP/1.1\r\nHost: h\r\n\r\n",
        "method-nul": b"G\x00T /g HTTP/1.1\r\nHost: h\r\n\r\n",
        "trace": b"TRACE /g HTTP/1.1\r\nHost: h\r\n\r\n",
        "connect": b"CONNECT h:443 HTTP/1.1\r\nHost: h\r\n\r\n",
        "target-empty": b"GET  HTTP/1.1\r\nHost: h\r\n\r\n",
        "target-no-slash": b"GET g HTTP/1.1\r\nHost: h\r\n\r\n",
        "target-authority": b"POST h:80 HTTP/1.1\r\nHost: h\r\n\r\n",
        "target-raw-utf8": b"GET /\xc3\xa9 HTTP/1.1\r\nHost: h\r\n\r\n",
        "target-space": b"GET /a b HTTP/1.1\r\nHost: h\r\n\r\n",
        "target-nul": b"GET /a\x00b HTTP/1.1\r\nHost: h\r\n\r\n",
        "target-cr": b"GET /a\rb HTTP/1.1\r\nHost: h\r\n\r\n",
        "target-huge": b"GET /" + b"x" * 100_000 + b" HTTP/1.1\r\nHost: h\r\n\r\n",
        "target-bad-utf8": b"GET /%ff HTTP/1.1\r\nHost: h\r\n\r\n",
        "tab-separator": b"GET\t/g\tHTTP/1.1\r\nHost: h\r\n\r\n",
        "bare-lf-line": b"GET /g HTTP/1.1\nHost: h\r\n\r\n",
        "bare-lf-all": b"GET /g HTTP/1.1\nHost: h\n\n",
        "no-host": b"GET /g HTTP/1.1\r\n\r\n",
        "1.0-two-spaces": b"GET /g  HTTP/1.0\r\n\r\n",
        "ice-source": b"SOURCE /g ICE/1.0\r\nHost: h\r\n\r\n",
        "rtsp-with-offer": b"GET /g RTSP/1.0\r\n" + H2C + b"\r\n",
        "1.0-chunked": b"POST /p HTTP/1.0\r\nTransfer-Encoding: chunked\r\n\r\n0\r\n\r\n",
        "response-as-request": b"HTTP/1.1 200 OK\r\nContent-Length: 0\r\n\r\n",
        "space-before-line": b" GET /g HTTP/1.1\r\nHost: h\r\n\r\n",
        "bom": b"\xef\xbb\xbfGET /g HTTP/1.1\r\nHost: h\r\n\r\n",
    }
    cases += [Case(f"line-{name}", data, (REFUSED,)) for name, data in lines.items()]
    # What a smuggler puts in front of a second request: refused, and the second is never answered.
    smuggled = b"GET /stolen HTTP/1.1\r\nHost: h\r\n\r\n"
    for name in ("cl-and-te", "te-and-cl", "two-lengths-different", "te-space-in-name", "te-vertical-tab", "fold-tab"):
        cases.append(Case(f"smuggle-{name}", POST + heads[name] + smuggled, (REFUSED,)))
    for name in ("size-bare-lf", "data-bare-lf", "data-too-long", "last-bare-lf", "extension-bare-lf"):
        cases.append(Case(f"smuggle-chunk-{name}", TE + chunks[name] + smuggled, (REFUSED,)))
    return cases


CASES = _valid() + _hostile()
