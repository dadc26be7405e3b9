"""nginx's reading of the raw corpus beside ours: where the two differ, the difference is meant and has its reason.

nginx passes what it understood to the same reporting application, so both give a verdict of one form. Its limits are
set to ours, and ``ignore_invalid_headers off`` has it refuse what it would leave out in silence.
"""

from __future__ import annotations

import os
import shutil
import socket
import subprocess
import time
from collections.abc import Iterator
from concurrent.futures import ThreadPoolExecutor
from contextlib import suppress
from pathlib import Path

import pytest

from tests.core.serving.http1_corpus import CASES, REFUSED, Case
from tests.core.serving.http1_front import PROBE, front, verdict_of

NGINX = shutil.which("nginx") or shutil.which("nginx", path=f"{os.environ.get('PATH', '')}:/usr/sbin:/usr/local/sbin")

pytestmark = pytest.mark.skipif(NGINX is None, reason="nginx is not installed: its reading cannot be compared")

CONFIG = """
daemon off; master_process off; pid {folder}/nginx.pid; error_log {folder}/error.log crit;
events {{ worker_connections 1024; }}
http {{
  access_log off; ignore_invalid_headers off; underscores_in_headers on; client_max_body_size 32m;
  client_header_buffer_size 64k; large_client_header_buffers 4 64k;
  client_body_temp_path {folder}/body; proxy_temp_path {folder}/proxy; fastcgi_temp_path {folder}/fastcgi;
  uwsgi_temp_path {folder}/uwsgi; scgi_temp_path {folder}/scgi;
  server {{
    listen 127.0.0.1:{port};
    location / {{ proxy_pass http://127.0.0.1:{upstream}; proxy_ignore_client_abort on; }}
  }}
}}
"""

TAKEN = ("200 POST /p 0", "closed")
TAKEN_1 = ("200 POST /p 1", "closed")
TAKEN_GET = ("200 GET /g 0", "closed")
PASSED = ("passed on",)
SMUGGLED = ("200 POST /p 1", "200 GET /stolen 0", "closed")

READ_WITH = "1.22."
"""The nginx whose readings these are: another may have come nearer to ours, and must not have gone further away."""

# A case's name: how nginx reads it, and why we do not.
DIFFERENCES: dict[str, tuple[tuple[str, ...], str]] = {
    "options-star": (
        (REFUSED,),
        "the asterisk form is a valid target (RFC 9112, 3.2.4), and the application's to answer",
    ),
    "spaces-around-value": ((REFUSED,), "a tab around a value is optional white space (RFC 9112, 5)"),
    "length-tab-behind": ((REFUSED,), "a tab behind a value is optional white space (RFC 9112, 5)"),
    "value-cr-cr": (TAKEN, "a CR without LF is refused wherever it stands: some take it for a line's end"),
    "no-colon": (TAKEN, "a line that is no field is refused; nginx leaves it out"),
    "bare-lf-field": (TAKEN, "a bare LF ends no line: who reads it so sees fields that others do not"),
    "bare-lf-end": (TAKEN, "a bare LF ends no head: who reads it so begins the body elsewhere"),
    "line-bare-lf-line": (TAKEN_GET, "a bare LF ends no request line"),
    "line-bare-lf-all": (TAKEN_GET, "a bare LF ends no line"),
    "chunk-size-bare-lf": (TAKEN_1, "a bare LF ends no chunk size"),
    "chunk-data-bare-lf": (TAKEN_1, "a bare LF ends no chunk"),
    "chunk-extension-bare-lf": (TAKEN_1, "a bare LF ends no chunk extension"),
    "chunk-last-bare-lf": (TAKEN_1, "a bare LF ends no body"),
    "chunk-trailer-bare-lf": (TAKEN, "a bare LF ends no trailer"),
    "smuggle-chunk-size-bare-lf": (SMUGGLED, "the request behind may be part of the chunk to another reader"),
    "smuggle-chunk-data-bare-lf": (SMUGGLED, "the request behind may be part of the chunk to another reader"),
    "smuggle-chunk-extension-bare-lf": (SMUGGLED, "the request behind may be part of the extension to another reader"),
    "smuggle-chunk-last-bare-lf": (SMUGGLED, "the request behind may be a trailer to another reader"),
    "chunk-extension-nul": (TAKEN_1, "NUL is in no token and in no quoted string"),
    "chunk-extension-empty": (TAKEN_1, "an extension has a name (RFC 9112, 7.1.1)"),
    "chunk-extension-quoted-crlf": (TAKEN_1, "a line end within quotes ends the size line to some, and not to others"),
    "chunk-size-space-behind": (
        TAKEN_1,
        "white space behind a size is not in the grammar, and has been read as a size's end",
    ),
    "chunk-size-tab-behind": (
        TAKEN_1,
        "white space behind a size is not in the grammar, and has been read as a size's end",
    ),
    "chunk-trailer-bad-name": (TAKEN, "a trailer is held to the grammar of fields; nginx skips it unread"),
    "chunk-trailer-nul": (TAKEN, "a trailer is held to the grammar of fields; nginx skips it unread"),
    "chunk-trailer-fold": (TAKEN, "a folded trailer is refused like a folded field; nginx skips it unread"),
    "chunk-trailer-length": (TAKEN, "framing has no place in a trailer (RFC 9110, 6.5.1)"),
    "chunk-trailer-te": (TAKEN, "framing has no place in a trailer (RFC 9110, 6.5.1)"),
    "name-quoted": (PASSED, "a quote is in no field name"),
    "name-latin-1": (PASSED, "a field name is ASCII"),
    "value-bell": (PASSED, "a control character is in no value, and harms the terminal that shows a log"),
    "value-delete": (PASSED, "a control character is in no value, and harms the terminal that shows a log"),
    "many-fields": (PASSED, "nginx bounds the size of a head and not the number of its fields"),
    "line-method-webdav": (PASSED, "the methods that something here answers are seven"),
    "line-method-unknown": (PASSED, "the methods that something here answers are seven"),
    "line-target-raw-utf8": (PASSED, "a target is ASCII (RFC 3986)"),
    "line-target-bad-utf8": (PASSED, "the path is text to an ASGI application; to nginx it is bytes"),
    "line-no-version": (("raw",), "HTTP/0.9 is not spoken: its answer has neither status nor length"),
    "line-version-1.2": (TAKEN_GET, "a version that is none is refused instead of read as 1.1"),
    "line-version-space": (TAKEN_GET, "a space behind the version is not in the grammar"),
    "line-1.0-two-spaces": (
        TAKEN_GET,
        "two spaces before HTTP/1.0 are not in the grammar, and no client of ours sends them",
    ),
}


def free_port() -> int:
    with socket.create_server(("127.0.0.1", 0)) as sock:
        port: int = sock.getsockname()[1]
        return port


def listens(port: int) -> bool:
    with socket.socket() as probe:
        return probe.connect_ex(("127.0.0.1", port)) == 0


@pytest.fixture(scope="module")
def nginx(tmp_path_factory: pytest.TempPathFactory) -> Iterator[int]:
    folder: Path = tmp_path_factory.mktemp("nginx")
    port = free_port()
    with front(connections=1000) as upstream:
        config = folder / "nginx.conf"
        config.write_text(CONFIG.format(folder=folder, port=port, upstream=upstream.port))
        assert NGINX is not None
        process = subprocess.Popen(
            [NGINX, "-e", str(folder / "error.log"), "-p", str(folder), "-c", str(config)], stderr=subprocess.PIPE
        )
        try:
            deadline = time.monotonic() + 5
            while not listens(port):
                assert process.poll() is None, process.communicate()[1].decode()
                assert time.monotonic() < deadline, "nginx does not listen"
                time.sleep(0.02)
            yield port
        finally:
            process.terminate()
            process.communicate(timeout=5)


def reading(port: int, case: Case) -> tuple[str, ...]:
    """nginx's verdict; ``closed`` stands for an end without an answer, ``raw`` for one without a head."""
    received = b""
    ends = case.closes or REFUSED in case.verdict
    with socket.create_connection(("127.0.0.1", port), timeout=5) as client, suppress(ConnectionError):
        client.sendall(case.data if ends else case.data + PROBE)
        client.shutdown(socket.SHUT_WR)
        while data := client.recv(1 << 16):
            received += data
    received = received.replace(b"HTTP/1.1 100 Continue\r\n\r\n", b"")
    if received and not received.startswith(b"HTTP/1."):
        return ("raw",)
    if b'"type":"invalid_request_error"' in received:
        return PASSED  # nginx had no objection, and our own front behind it had
    methods = [answer.split(" ")[1] for answer in case.verdict if answer != REFUSED]
    verdict = verdict_of(received, methods, closing=False)
    if not ends and verdict and verdict[-1] == "200 GET /probe 0":
        return tuple(verdict[:-1])
    return tuple(verdict) if (verdict and verdict[-1] == REFUSED) or case.closes else (*verdict, "closed")


def test_nginx_reads_the_corpus_as_we_do_but_for_differences_that_are_meant(nginx: int) -> None:
    with ThreadPoolExecutor(16) as threads:
        readings = dict(
            zip((case.name for case in CASES), threads.map(lambda c: reading(nginx, c), CASES), strict=True)
        )
    ours = {case.name: case.verdict for case in CASES}
    found = {name: read for name, read in readings.items() if read != ours[name]}
    meant = {name: read for name, (read, _) in DIFFERENCES.items()}
    assert {name: read for name, read in found.items() if meant.get(name) != read} == {}
    version = subprocess.run([str(NGINX), "-v"], capture_output=True, check=True).stderr.decode().rpartition("/")[2]
    if version.startswith(READ_WITH):
        assert meant.keys() - found.keys() == set()
