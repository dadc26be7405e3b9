"""Bedrock's errors, by name, status and message, in answers and in streams."""

from __future__ import annotations

import json

import pytest

from gateway_plugins.formats.aws_event_stream import EventStreamDecoder, encode_exception, encode_message
from gateway_plugins.formats.bedrock_errors import error_event, read_error


@pytest.mark.parametrize(
    ("name", "status", "message", "kind", "retry"),
    [
        (
            "AccessDeniedException",
            403,
            "You don't have access to the model with the specified model ID.",
            "permission",
            0,
        ),
        (
            "AccessDeniedException",
            403,
            "Authentication failed: Please make sure your API Key is valid.",
            "authentication",
            0,
        ),
        ("ExpiredTokenException", 403, "The security token included in the request is expired", "authentication", 0),
        ("UnrecognizedClientException", 403, "The security token included is invalid.", "authentication", 0),
        ("InvalidSignatureException", 403, "Signature expired", "authentication", 0),
        ("ResourceNotFoundException", 404, "Could not resolve the foundation model.", "model_not_found", 0),
        ("ThrottlingException", 429, "Too many requests, please wait before trying again.", "rate_limit", 1),
        ("ThrottlingException", 429, "Too many tokens, please wait before trying again.", "rate_limit", 1),
        ("ThrottlingException", 429, "Too many tokens per day, please wait before trying again.", "quota", 0),
        ("ModelNotReadyException", 429, "The model is not ready.", "overloaded", 1),
        ("ModelTimeoutException", 408, "Model has timed out in processing the request.", "timeout", 1),
        ("ModelErrorException", 424, "The model failed.", "server_error", 1),
        ("InternalServerException", 500, "Unexpected error.", "server_error", 1),
        ("ServiceUnavailableException", 503, "Too many connections.", "overloaded", 1),
        ("ServiceQuotaExceededException", 400, "Your request exceeds the quota.", "quota", 0),
        ("ValidationException", 400, "Input is too long for requested model.", "context_length", 0),
        ("ValidationException", 400, "prompt is too long: 208310 tokens > 200000 maximum", "context_length", 0),
        (
            "ValidationException",
            400,
            "Input Tokens Exceeded: Number of input tokens exceeds maximum length.",
            "context_length",
            0,
        ),
        (
            "ValidationException",
            400,
            "The maximum tokens you requested exceeds the model limit of 4096.",
            "invalid_request",
            0,
        ),
        ("ValidationException", 400, "The provided model identifier is invalid.", "model_not_found", 0),
        ("ValidationException", 400, "Output blocked by content filtering policy", "content_filter", 0),
        (
            "ValidationException",
            400,
            "Invocation of model ID x with on-demand throughput isn't supported.",
            "invalid_request",
            0,
        ),
        ("", 413, "too large", "request_too_large", 0),
        ("", 418, "teapot", "invalid_request", 0),
        ("", 599, "odd", "server_error", 1),
    ],
)
def test_an_answer_is_understood(name: str, status: int, message: str, kind: str, retry: int) -> None:
    headers = {"x-amzn-errortype": f"{name}:http://internal.amazon.com/coral/com.amazon.bedrock/"} if name else {}
    error = read_error(status, headers, json.dumps({"message": message}).encode())
    assert (error.kind, error.message, error.can_retry) == (kind, message, bool(retry))
    assert error.code == (name or None)
    assert error.status == (502 if status == 424 else status)
    # The name may stand in the body instead.
    if name:
        other = read_error(status, {}, json.dumps({"__type": f"com.amazon#{name}", "Message": message}).encode())
        assert (other.kind, other.code) == (kind, name)


@pytest.mark.parametrize("body", [b"", b"<html>", b"[]", b'"x"', b"\xff", b"[" * 5000, b'{"message": 5}'])
def test_any_body_is_an_error(body: bytes) -> None:
    error = read_error(503, {"retry-after": "7"}, body)
    assert (error.kind, error.status, error.retry_after) == ("overloaded", 503, 7.0)
    assert "503" in error.message
    assert read_error(429, {"retry-after": "soon"}, body).retry_after is None


@pytest.mark.parametrize(
    ("name", "kind", "status"),
    [
        ("internalServerException", "server_error", 500),
        ("modelStreamErrorException", "server_error", 502),
        ("modelTimeoutException", "timeout", 408),
        ("serviceUnavailableException", "overloaded", 503),
        ("throttlingException", "rate_limit", 429),
        ("validationException", "invalid_request", 400),
        ("somethingNewException", "server_error", 500),
    ],
)
def test_an_exception_in_a_stream_is_understood(name: str, kind: str, status: int) -> None:
    (message,) = EventStreamDecoder().feed(encode_exception(name, b'{"message":"why"}'))
    event = error_event(message)
    assert (event.kind, event.status, event.message, event.code) == (kind, status, "why", name)


def test_the_models_own_status_counts_and_an_error_message_has_headers_only() -> None:
    failed = b'{"originalMessage":"overheated","originalStatusCode":503}'
    (message,) = EventStreamDecoder().feed(encode_exception("modelStreamErrorException", failed))
    assert (error_event(message).status, error_event(message).message) == (503, "overheated")
    headers = {":message-type": "error", ":error-code": "InternalFailure", ":error-message": "oh"}
    (message,) = EventStreamDecoder().feed(encode_message(headers, b""))
    assert (error_event(message).kind, error_event(message).message) == ("server_error", "oh")
