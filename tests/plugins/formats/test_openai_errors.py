"""Errors on OpenAI-compatible paths: every shape is read into one taxonomy, and written in OpenAI's own."""

from __future__ import annotations

import json
from typing import Any

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from gateway.errors import (
    AuthenticationFailed,
    BudgetSpent,
    CannotTranslate,
    GatewayError,
    InternalError,
    InvalidRequest,
    Kind,
    ModelNotFound,
    PermissionDenied,
    RateLimited,
    RequestTooLarge,
    Unavailable,
    UpstreamRejected,
    UpstreamTimeout,
    UpstreamUnreachable,
)
from gateway_plugins.formats.openai_chat import OpenAIChat
from gateway_plugins.formats.openai_embeddings import OpenAIEmbeddings


def read(status: int, body: Any, headers: dict[str, str] | None = None) -> UpstreamRejected:
    data = body if isinstance(body, bytes) else json.dumps(body).encode()
    return OpenAIChat().read_error(status, headers or {}, data)


@pytest.mark.parametrize(
    ("status", "body", "kind", "code", "message"),
    [
        # OpenAI
        (
            400,
            {"error": {"message": "Too long", "type": "invalid_request_error", "code": "context_length_exceeded"}},
            "context_length",
            "context_length_exceeded",
            "Too long",
        ),
        (
            400,
            {"error": {"message": "No", "type": "invalid_request_error", "param": "n", "code": "unsupported_value"}},
            "unsupported",
            "unsupported_value",
            "No",
        ),
        (401, {"error": {"message": "Bad", "code": "invalid_api_key"}}, "authentication", "invalid_api_key", "Bad"),
        (404, {"error": {"message": "None", "code": "model_not_found"}}, "model_not_found", "model_not_found", "None"),
        (
            429,
            {"error": {"message": "Slow", "type": "requests", "code": "rate_limit_exceeded"}},
            "rate_limit",
            "rate_limit_exceeded",
            "Slow",
        ),
        (
            429,
            {"error": {"message": "Pay", "type": "insufficient_quota", "code": "insufficient_quota"}},
            "quota",
            "insufficient_quota",
            "Pay",
        ),
        (
            429,
            {"error": {"message": "Pay", "code": "project_spend_limit_exceeded"}},
            "quota",
            "project_spend_limit_exceeded",
            "Pay",
        ),
        (
            500,
            {"error": {"message": "Oops", "type": "server_error", "code": None}},
            "server_error",
            None,
            "Oops",
        ),
        (503, {"error": {"message": "Busy", "code": None}}, "overloaded", None, "Busy"),
        # Azure
        (
            404,
            {"error": {"code": "DeploymentNotFound", "message": "No"}},
            "model_not_found",
            "DeploymentNotFound",
            "No",
        ),
        (400, {"error": {"code": "content_filter", "message": "No"}}, "content_filter", "content_filter", "No"),
        (401, {"statusCode": 401, "message": "Denied"}, "authentication", None, "Denied"),
        # Mistral
        (
            422,
            {"object": "error", "message": {"detail": [{"loc": ["body", "n"], "msg": "Extra"}]}, "type": "invalid"},
            "unprocessable",
            "invalid",
            "body.n: Extra",
        ),
        (
            400,
            {"message": "Unknown model", "object": "error", "code": "1500"},
            "invalid_request",
            "1500",
            "Unknown model",
        ),
        # FastAPI
        (
            422,
            {"detail": [{"loc": ["body", "messages", 0], "msg": "Field required"}]},
            "unprocessable",
            None,
            "body.messages.0: Field required",
        ),
        (401, {"detail": "Unauthorized"}, "authentication", None, "Unauthorized"),
        # vLLM
        (
            400,
            {"object": "error", "message": "This model's maximum context length is 4096 tokens.", "code": 400},
            "context_length",
            None,
            "This model's maximum context length is 4096 tokens.",
        ),
        (
            404,
            {"object": "error", "message": "The model `x` does not exist.", "code": 404},
            "model_not_found",
            None,
            "The model `x` does not exist.",
        ),
        # Google, with its list
        (
            429,
            [{"error": {"code": 429, "message": "Quota", "status": "RESOURCE_EXHAUSTED"}}],
            "rate_limit",
            "RESOURCE_EXHAUSTED",
            "Quota",
        ),
        # OpenRouter
        (
            429,
            {"error": {"code": 429, "message": "Provider returned error", "metadata": {"raw": "limited upstream"}}},
            "rate_limit",
            None,
            "Provider returned error: limited upstream",
        ),
        (402, {"error": {"code": 402, "message": "Insufficient credits"}}, "quota", None, "Insufficient credits"),
        # Cloudflare, Databricks, DeepSeek, strings
        (
            400,
            {"success": False, "errors": [{"code": 7009, "message": "No route"}]},
            "invalid_request",
            "7009",
            "No route",
        ),
        (
            429,
            {"error_code": "REQUEST_LIMIT_EXCEEDED", "message": "Slow"},
            "rate_limit",
            "REQUEST_LIMIT_EXCEEDED",
            "Slow",
        ),
        (
            402,
            {"error": {"message": "Insufficient Balance", "code": "invalid_request_error"}},
            "quota",
            "invalid_request_error",
            "Insufficient Balance",
        ),
        (402, {"error": {"message": "Pay"}}, "billing", None, "Pay"),
        (400, {"error": "plain words"}, "invalid_request", None, "plain words"),
        (500, b'"plain words"', "server_error", None, "plain words"),
        # what stands in between
        (502, b"<html><head><title>502 Bad Gateway</title></head></html>", "upstream", None, "502 Bad Gateway"),
        (502, b"<html>x</html>", "upstream", None, "The provider answered with status 502 and no message."),
        (503, b"", "overloaded", None, "The provider answered with status 503 and no message."),
        (400, {}, "invalid_request", None, "The provider answered with status 400 and no message."),
        (524, b"timeout", "timeout", None, "timeout"),
        (418, b"teapot", "invalid_request", None, "teapot"),
        (529, {"error": {"type": "overloaded_error", "message": "Busy"}}, "overloaded", "overloaded_error", "Busy"),
    ],
)
def test_bodies_of_every_provider_are_understood(
    status: int, body: Any, kind: str, code: str | None, message: str
) -> None:
    error = read(status, body)
    assert (error.status, error.kind, error.code, error.message) == (status, kind, code, message)
    assert error.body == (body if isinstance(body, bytes) else json.dumps(body).encode())


def test_the_param_is_kept_and_the_key_of_the_gateway_is_not_shown() -> None:
    body = {
        "error": {"message": "Incorrect API key provided: sk-proj-abc***xyz.", "param": "p", "code": "invalid_api_key"}
    }
    error = read(401, body)
    assert error.param == "p"
    assert error.message == "Incorrect API key provided: [key]"


@pytest.mark.parametrize(
    ("headers", "body", "seconds"),
    [
        ({"retry-after": "7"}, {}, 7.0),
        ({"retry-after": "0.5"}, {}, 0.5),
        ({"retry-after-ms": "1500", "retry-after": "9"}, {}, 1.5),
        ({"retry-after": "-3"}, {}, 0.0),
        ({"retry-after": "99999"}, {}, 3600.0),
        ({"retry-after": "nan"}, {}, None),
        ({"retry-after": "soon"}, {}, None),
        (
            {"retry-after": "Wed, 21 Oct 2026 07:28:10 GMT", "date": "Wed, 21 Oct 2026 07:28:00 GMT"},
            {},
            10.0,
        ),
        ({"retry-after": "Wed, 21 Oct 2026 07:28:10 GMT", "date": "Wed, 21 Oct 2026 07:28:20 GMT"}, {}, 0.0),
        ({"retry-after": "Wed, 21 Oct 2026 07:28:10 GMT"}, {}, None),
        ({}, {"error": {"message": "Please try again in 1.2s. Visit https://x"}}, 1.2),
        ({}, {"error": {"message": "Please try again in 358ms."}}, 0.358),
        ({}, {"error": {"message": "Please try again in 6m0s."}}, 360.0),
        ({}, {"error": {"message": "Please try again in 1h2m3s."}}, 3600.0),
        ({}, {"error": {"message": "Please retry after 38 seconds."}}, 38.0),
        ({}, {"error": {"message": "Please try again in 2 minutes."}}, 120.0),
        ({}, [{"error": {"code": 429, "details": [{"@type": "RetryInfo", "retryDelay": "30.5s"}]}}], 30.5),
        ({}, {"error": {"message": "Please try again in a while."}}, None),
    ],
)
def test_the_time_to_wait_is_found_wherever_the_provider_says_it(
    headers: dict[str, str], body: Any, seconds: float | None
) -> None:
    assert read(429, body, headers).retry_after == (None if seconds is None else pytest.approx(seconds))


def test_a_delay_in_the_words_of_a_wrong_request_is_none() -> None:
    assert read(400, {"error": {"message": "The text says: try again in 5s"}}).retry_after is None


def test_only_what_may_pass_by_itself_is_retried() -> None:
    assert read(429, {"error": {"code": "rate_limit_exceeded", "message": ""}}).can_retry
    assert not read(429, {"error": {"code": "insufficient_quota", "message": ""}}).can_retry
    assert not read(402, b"").can_retry
    assert read(500, b"").can_retry
    assert not read(400, b"").can_retry


@settings(deadline=None)
@given(status=st.integers(400, 599), body=st.binary(max_size=60) | st.from_type(type(None)).map(lambda _: b"{}"))
def test_no_body_can_make_the_reader_fail(status: int, body: bytes) -> None:
    error = OpenAIChat().read_error(status, {"retry-after": "x", "date": "y"}, body)
    assert error.status == status
    assert error.message


@settings(deadline=None)
@given(
    body=st.recursive(
        st.none() | st.booleans() | st.integers() | st.text(max_size=5),
        lambda inner: (
            st.lists(inner, max_size=2)
            | st.dictionaries(
                st.sampled_from(
                    ["error", "errors", "message", "detail", "code", "type", "status", "loc", "msg", "metadata"]
                ),
                inner,
                max_size=4,
            )
        ),
        max_leaves=12,
    )
)
def test_no_json_can_make_the_reader_fail(body: Any) -> None:
    assert read(500, body).message


@pytest.mark.parametrize(
    ("error", "type_", "param", "code"),
    [
        (InvalidRequest("m", param="messages[0].role"), "invalid_request_error", "messages[0].role", None),
        (CannotTranslate("m", param="top_k"), "invalid_request_error", "top_k", "unsupported_parameter"),
        (AuthenticationFailed("m"), "invalid_request_error", None, "invalid_api_key"),
        (PermissionDenied("m"), "permission_error", None, "permission_denied"),
        (ModelNotFound("m"), "invalid_request_error", None, "model_not_found"),
        (RequestTooLarge("m"), "invalid_request_error", None, "request_too_large"),
        (RateLimited("m"), "requests", None, "rate_limit_exceeded"),
        (RateLimited("Limit of 100 tokens a minute."), "tokens", None, "rate_limit_exceeded"),
        (BudgetSpent("m"), "insufficient_quota", None, "project_spend_limit_exceeded"),
        (Unavailable("m"), "server_error", None, "overloaded"),
        (InternalError("m"), "server_error", None, "internal_error"),
        (UpstreamUnreachable("m"), "upstream_error", None, "upstream_unreachable"),
        (UpstreamTimeout("m"), "upstream_error", None, "upstream_timeout"),
        (
            UpstreamRejected("m", status=400, kind="context_length"),
            "invalid_request_error",
            None,
            "context_length_exceeded",
        ),
        (
            UpstreamRejected("m", status=429, kind="rate_limit", code="rate_limit_error"),
            "requests",
            None,
            "rate_limit_exceeded",
        ),
        (
            UpstreamRejected("m", status=529, kind="overloaded", code="overloaded_error"),
            "upstream_error",
            None,
            "overloaded_error",
        ),
        (UpstreamRejected("m", status=402, kind="billing"), "insufficient_quota", None, None),
    ],
)
def test_errors_are_written_with_all_four_keys(
    error: GatewayError, type_: str, param: str | None, code: str | None
) -> None:
    for form in (OpenAIChat(), OpenAIEmbeddings()):
        body = json.loads(form.write_error(error, "req_1"))
        assert body == {"error": {"message": error.message, "type": type_, "param": param, "code": code}}


def test_an_error_that_is_written_reads_back_as_the_same_kind() -> None:
    for error in (
        ModelNotFound("m"),
        RateLimited("m"),
        AuthenticationFailed("m"),
        BudgetSpent("m"),
        CannotTranslate("m"),
    ):
        again = read(error.status, OpenAIChat().write_error(error, "req_1"))
        assert (again.kind, again.code, again.message) == (error.kind, error.code, error.message)


@pytest.mark.parametrize(
    ("kind", "code", "written"),
    [
        ("rate_limit", "ThrottlingException", "rate_limit_exceeded"),
        ("rate_limit", "RESOURCE_EXHAUSTED", "rate_limit_exceeded"),
        ("context_length", "ValidationException", "context_length_exceeded"),
        ("overloaded", "ServiceUnavailableException", None),
        ("quota", "credit_balance_exhausted", "credit_balance_exhausted"),
        ("quota", "1113", "1113"),
    ],
)
def test_no_other_vendors_word_is_a_code(kind: Kind, code: str, written: str | None) -> None:
    body = json.loads(OpenAIChat().write_error(UpstreamRejected("m", status=400, kind=kind, code=code), "req_1"))
    assert body["error"]["code"] == written
