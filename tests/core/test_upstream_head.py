"""The heads of requests: exact bytes, and nothing that could become two headers or two requests."""

from __future__ import annotations

import pytest

from gateway.errors import ConfigError, InvalidRequest
from gateway.upstream import Upstream, UpstreamRequest
from gateway.upstream_head import HeadWriter


def head(base: str, path: str = "/chat", headers: list[tuple[str, str]] | None = None, **more: object) -> bytes:
    request = UpstreamRequest(path=path, headers=headers or [], **more)  # type: ignore[arg-type]
    return HeadWriter(base).write(request)


def test_a_head_is_the_request_line_host_headers_encoding_and_length() -> None:
    got = head(
        "https://api.openai.com/v1/", "/chat/completions", [("authorization", "Bearer k"), ("x", "1")], body=b"abc"
    )
    assert got == (
        b"POST /v1/chat/completions HTTP/1.1\r\n"
        b"host: api.openai.com\r\n"
        b"authorization: Bearer k\r\n"
        b"x: 1\r\n"
        b"accept-encoding: identity\r\n"
        b"content-length: 3\r\n\r\n"
    )


@pytest.mark.parametrize(
    ("base", "path", "target", "host"),
    [
        ("http://h:8000/v1", "/chat", "/v1/chat", "h:8000"),
        ("http://h:80", "/chat", "/chat", "h"),
        ("https://h:443", "", "/", "h"),
        ("https://h:80/", "/a?b=c&d=%20", "/a?b=c&d=%20", "h:80"),
        ("http://[::1]:8000/v1", "/a", "/v1/a", "[::1]:8000"),
        ("http://[2001:db8::1]", "/a", "/a", "[2001:db8::1]"),
        ("http://MÜNCHEN.example/v1", "/a", "/v1/a", "xn--mnchen-3ya.example"),
    ],
)
def test_paths_are_joined_and_hosts_written_as_http_wants_them(base: str, path: str, target: str, host: str) -> None:
    first, second, *_ = head(base, path).decode().split("\r\n")
    assert first == f"POST {target} HTTP/1.1"
    assert second == f"host: {host}"


def test_a_get_without_a_body_has_no_length() -> None:
    assert b"content-length" not in head("http://h", method="GET")
    assert b"content-length: 0\r\n" in head("http://h", method="POST")
    assert b"content-length: 1\r\n" in head("http://h", method="DELETE", body=b"x")


def test_an_encoding_that_is_asked_for_is_not_asked_for_twice() -> None:
    got = head("http://h", headers=[("accept-encoding", "gzip")])
    assert got.count(b"accept-encoding") == 1
    assert b"accept-encoding: gzip\r\n" in got


def test_latin_1_and_tabs_pass() -> None:
    assert b"x: caf\xe9\tau lait\r\n" in head("http://h", headers=[("x", "café\tau lait")])


@pytest.mark.parametrize("value", ["a\r\nx: y", "a\rb", "a\nb", "a\0b", "\x1b", "\x7f", "€", "\udc80"])
def test_a_value_that_is_not_one_line_is_refused_by_its_headers_name_alone(value: str) -> None:
    with pytest.raises(InvalidRequest, match="'x-two'") as caught:
        head("http://h", headers=[("x-one", "1"), ("x-two", f"secret{value}"), ("x-three", "3")])
    assert "secret" not in caught.value.message


@pytest.mark.parametrize(
    "name", ["", "a b", "a:b", "a\r\nb", "a\0", "é", "Host", "content-length", "Transfer-Encoding", "te"]
)
def test_a_name_that_is_none_or_is_not_the_callers_is_refused(name: str) -> None:
    with pytest.raises(InvalidRequest):
        head("http://h", headers=[(name, "v")])


def test_what_was_refused_once_is_refused_again() -> None:
    writer = HeadWriter("http://h")
    request = UpstreamRequest(path="/a", headers=[("host", "evil")])
    for _ in range(2):
        with pytest.raises(InvalidRequest, match="'host'"):
            writer.write(request)


@pytest.mark.parametrize("path", ["no-slash", "/a b", "/a\r\nx: y", "/a\0", "/a#b", "/ü", "/a\x7f"])
def test_a_path_that_would_break_the_request_line_is_refused(path: str) -> None:
    with pytest.raises(InvalidRequest, match="path"):
        head("http://h", path)


@pytest.mark.parametrize(
    "path", ["/models/../files", "/models/..", "/./x", "/a/%2e%2E/b", "/model/..%2Fadmin/x", "/a/..\\b", "/..?x=1"]
)
def test_a_path_that_leads_elsewhere_is_refused(path: str) -> None:
    with pytest.raises(InvalidRequest, match="dot segment"):
        head("http://h/v1", path)


@pytest.mark.parametrize("path", ["/a..b/c", "/models/m.1:x", "/...", "/x?y=../z", "/%252e%252e/a"])
def test_dots_within_names_and_queries_pass(path: str) -> None:
    assert head("http://h/v1", path).startswith(b"POST /v1" + path.encode() + b" HTTP/1.1")


def test_a_method_that_would_break_the_request_line_is_refused() -> None:
    with pytest.raises(InvalidRequest, match="method"):
        head("http://h", method="GET / HTTP/1.1\r\n")


def test_what_callers_choose_is_not_remembered_without_end() -> None:
    writer = HeadWriter("http://h")
    for number in range(2000):
        writer.write(UpstreamRequest(path=f"/models/{number}", headers=[(f"x-{number}", "v")]))
    assert len(writer._starts) < 1000
    assert len(writer._names) < 1000


@pytest.mark.parametrize(
    "base",
    [
        "",
        "h.example",
        "ftp://h",
        "http://",
        "http://h:0",
        "http://h:99999",
        "http://h?x=1",
        "http://h/#f",
        "http://[::1",
    ]
    # Tabs and line breaks are what the standard library drops in silence.
    + [f"http://h/a{blank}b" for blank in " \t\r\n"],
)
def test_a_base_url_that_cannot_be_used_is_refused_when_it_is_read(base: str) -> None:
    with pytest.raises(ConfigError, match="base_url"):
        Upstream(base)


def test_a_password_in_a_base_url_is_refused_and_not_shown() -> None:
    with pytest.raises(ConfigError) as caught:
        Upstream("https://user:hunter2@h/v1")
    assert "hunter2" not in str(caught.value)


def test_messages_name_the_host_and_an_unusual_port() -> None:
    assert HeadWriter("https://api.openai.com/v1").where == "api.openai.com"
    assert HeadWriter("http://127.0.0.1:8000").where == "127.0.0.1:8000"
