"""Errors, both ways: one taxonomy, and Anthropic's words for it."""

from __future__ import annotations

import json
from typing import Any

import pytest

from gateway.errors import (
    STATUS_OF_KIND,
    BudgetSpent,
    GatewayError,
    InvalidRequest,
    Unavailable,
    UpstreamDisconnected,
    UpstreamRejected,
    UpstreamTimeout,
)
from gateway_plugins.formats.anthropic_messages import AnthropicMessages

FORMAT = AnthropicMessages()


def body_of(word: str, message: str = "m", **more: Any) -> bytes:
    return json.dumps({"type": "error", "error": {"type": word, "message": message, **more}}).encode()


def read(status: int, body: bytes, **headers: str) -> UpstreamRejected:
    return FORMAT.read_error(status, {name.replace("_", "-"): value for name, value in headers.items()}, body)


@pytest.mark.parametrize(
    ("status", "word", "kind", "retry"),
    [
        (400, "invalid_request_error", "invalid_request", False),
        (401, "authentication_error", "authentication", False),
        (402, "billing_error", "billing", False),
        (403, "permission_error", "permission", False),
        (404, "not_found_error", "not_found", False),
        (409, "conflict_error", "conflict", True),
        (413, "request_too_large", "request_too_large", False),
        (429, "rate_limit_error", "rate_limit", True),
        (500, "api_error", "server_error", True),
        (504, "timeout_error", "timeout", True),
        (529, "overloaded_error", "overloaded", True),
    ],
)
def test_each_type_is_a_kind_and_comes_back(status: int, word: str, kind: str, retry: bool) -> None:
    error = read(status, body_of(word, "the message"))
    assert (error.status, error.kind, error.message, error.can_retry) == (status, kind, "the message", retry)
    assert json.loads(FORMAT.write_error(error, "req_1")) == {
        "type": "error",
        "error": {"type": word, "message": "the message"},
        "request_id": "req_1",
    }


@pytest.mark.parametrize(
    ("status", "word", "message", "kind"),
    [
        (400, "invalid_request_error", "prompt is too long: 208310 tokens > 200000 maximum", "context_length"),
        (
            400,
            "invalid_request_error",
            "input length and `max_tokens` exceed context limit: 188240 + 21333 > 200000",
            "context_length",
        ),
        (413, "request_too_large", "Prompt is too long", "context_length"),
        (400, "invalid_request_error", "Your credit balance is too low to access the Anthropic API.", "quota"),
        (
            400,
            "invalid_request_error",
            "You have reached your specified workspace API usage limits. You will regain access on 2026-12-01.",
            "quota",
        ),
        (400, "invalid_request_error", "Output blocked by content filtering policy", "content_filter"),
        (404, "not_found_error", "model: claude-x", "model_not_found"),
        (429, "rate_limit_error", "Number of request tokens exceeds context window rate", "rate_limit"),
    ],
)
def test_the_message_says_more_than_the_type(status: int, word: str, message: str, kind: str) -> None:
    assert read(status, body_of(word, message)).kind == kind


@pytest.mark.parametrize(
    ("status", "kind"),
    [
        (400, "invalid_request"),
        (405, "method_not_allowed"),
        (408, "timeout"),
        (418, "invalid_request"),
        (422, "unprocessable"),
        (429, "rate_limit"),
        (502, "upstream"),
        (503, "overloaded"),
        (599, "server_error"),
    ],
)
@pytest.mark.parametrize(
    "body", [b"", b"<html>bad gateway</html>", b"[]", b'{"error":7}', b'{"error":{}}', b"\xff", b"[" * 9999]
)
def test_a_body_that_says_nothing_leaves_the_status(status: int, kind: str, body: bytes) -> None:
    error = read(status, body)
    assert (error.status, error.kind) == (status, kind)
    assert str(status) in error.message
    assert "<html>" not in error.message


def test_a_code_and_the_field_at_fault_are_read() -> None:
    error = read(400, body_of("invalid_request_error", "messages.1.content: Field required"))
    assert error.param == "messages.1.content"
    error = read(429, body_of("rate_limit_error", details={"error_code": "ramp_limit_exceeded"}))
    assert error.code == "ramp_limit_exceeded"
    assert read(400, b'{"error":"plain words"}').message == "plain words"


@pytest.mark.parametrize(
    ("headers", "seconds"),
    [
        ({"retry_after": "12"}, 12.0),
        ({"retry_after": "1.5"}, 1.5),
        ({"retry_after": "9", "retry_after_ms": "250"}, 0.25),
        ({"retry_after": "9", "retry_after_ms": "x"}, 9.0),
        ({"retry_after": "Fri, 20 Nov 2026 10:00:30 GMT", "date": "Fri, 20 Nov 2026 10:00:00 GMT"}, 30.0),
        ({"retry_after": "Fri, 20 Nov 2026 10:00:00 GMT", "date": "Fri, 20 Nov 2026 10:00:30 GMT"}, 0.0),
        ({"retry_after": "Fri, 20 Nov 2026 10:00:30 GMT"}, None),
        ({"retry_after": "soon"}, None),
        ({"retry_after": "-1"}, 0.0),
        ({"retry_after": "inf"}, 3600.0),
        ({}, None),
    ],
)
def test_how_long_to_wait_is_read(headers: dict[str, str], seconds: float | None) -> None:
    assert read(429, body_of("rate_limit_error"), **headers).retry_after == seconds


@pytest.mark.parametrize("kind", list(STATUS_OF_KIND))
def test_every_kind_has_a_type(kind: Any) -> None:
    error = UpstreamRejected("m", status=STATUS_OF_KIND[kind], kind=kind)
    written = json.loads(FORMAT.write_error(error, "req_1"))
    assert written["type"] == "error"
    assert written["error"]["type"].endswith("_error") or written["error"]["type"] == "request_too_large"


@pytest.mark.parametrize(
    ("error", "word"),
    [
        (InvalidRequest("m"), "invalid_request_error"),
        (BudgetSpent("m"), "rate_limit_error"),
        (UpstreamRejected("m", status=402, kind="quota"), "billing_error"),
        (UpstreamRejected("m", status=400, kind="quota"), "invalid_request_error"),
        (Unavailable("m"), "overloaded_error"),
        (UpstreamTimeout("m"), "timeout_error"),
        (UpstreamDisconnected("m"), "api_error"),
    ],
)
def test_the_gateways_own_errors_have_a_type(error: GatewayError, word: str) -> None:
    assert json.loads(FORMAT.write_error(error, "req_1"))["error"] == {"type": word, "message": "m"}


def test_a_conversation_that_is_too_long_says_so_in_the_words_that_clients_look_for() -> None:
    error = UpstreamRejected("This model's maximum context length is 128000.", status=400, kind="context_length")
    message = json.loads(FORMAT.write_error(error, "r"))["error"]["message"]
    assert message == "prompt is too long: This model's maximum context length is 128000."
