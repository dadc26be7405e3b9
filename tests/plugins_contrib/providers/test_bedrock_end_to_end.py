"""Bedrock behind a running gateway: a scripted server on a real socket that checks signatures and speaks Converse."""

from __future__ import annotations

import base64
import json
from pathlib import Path
from typing import Any

import pytest

from gateway.sse import decode_events
from gateway.testing import ScriptedProvider, running_gateway
from gateway_plugins.formats.aws_event_stream import encode_event, encode_exception
from tests.plugins_contrib.providers.aws_signature import check_signature

pytest.importorskip("botocore")

ACCESS, SECRET, REGION = "AKIDEXAMPLE", "wJalrXUtnFEMI/K7MDENG+bPxRfiCYEXAMPLEKEY", "eu-central-1"
CLAUDE = "eu.anthropic.claude-haiku-4-5-20251001-v1:0"
NOVA = "eu.amazon.nova-lite-v1:0"
CLAUDE_PATH = "/model/eu.anthropic.claude-haiku-4-5-20251001-v1%3A0"
NOVA_PATH = "/model/eu.amazon.nova-lite-v1%3A0"
STREAMED = {"content-type": "application/vnd.amazon.eventstream"}
USAGE = {"inputTokens": 3, "outputTokens": 2, "totalTokens": 5}
ANSWER: dict[str, Any] = {
    "output": {"message": {"role": "assistant", "content": [{"text": "yo"}]}},
    "stopReason": "end_turn",
    "usage": USAGE,
    "metrics": {"latencyMs": 1},
}
MESSAGE: dict[str, Any] = {
    "id": "msg_bdrk_1",
    "type": "message",
    "role": "assistant",
    "model": "claude-haiku-4-5",
    "content": [{"type": "text", "text": "yo"}],
    "stop_reason": "end_turn",
    "stop_sequence": None,
    "usage": {"input_tokens": 3, "output_tokens": 2},
}
EVENTS: list[dict[str, Any]] = [
    {"type": "message_start", "message": {**MESSAGE, "content": [], "stop_reason": None}},
    {"type": "content_block_start", "index": 0, "content_block": {"type": "text", "text": ""}},
    {"type": "content_block_delta", "index": 0, "delta": {"type": "text_delta", "text": "yo"}},
    {"type": "content_block_stop", "index": 0},
    {"type": "message_delta", "delta": {"stop_reason": "end_turn"}, "usage": {"output_tokens": 2}},
    {"type": "message_stop"},
]


def table(provider: ScriptedProvider, *, keys: bool = True, more: str = "") -> str:
    signing = f'access_key_id = "{ACCESS}"\nsecret_access_key = "{SECRET}"\n' if keys else ""
    return f'[plugins.bedrock]\nbase_url = "{provider.url}"\nregion = "{REGION}"\n{signing}{more}'


def chat(model: str, **more: Any) -> dict[str, Any]:
    return {"model": f"bedrock/{model}", "messages": [{"role": "user", "content": "hi"}], **more}


def event(kind: str, **value: Any) -> bytes:
    return encode_event(kind, json.dumps({**value, "p": "abcd"}).encode())


def chunk(value: dict[str, Any]) -> bytes:
    return event("chunk", bytes=base64.b64encode(json.dumps(value).encode()).decode())


CONVERSED = [
    event("messageStart", role="assistant"),
    event("contentBlockDelta", contentBlockIndex=0, delta={"text": "y"}),
    event("contentBlockDelta", contentBlockIndex=0, delta={"text": "o"}),
    event("contentBlockStop", contentBlockIndex=0),
    event("messageStop", stopReason="end_turn"),
    event("metadata", usage=USAGE, metrics={"latencyMs": 1}),
]


def signed(provider: ScriptedProvider) -> None:
    for request in provider.requests:
        check_signature(request, access_key=ACCESS, secret=SECRET, region=REGION)


def test_a_chat_completion_goes_by_converse_and_is_signed() -> None:
    with ScriptedProvider() as provider:
        provider.reply(json=ANSWER)
        with running_gateway(table(provider)) as gateway:
            answer = gateway.post("/v1/chat/completions", chat(CLAUDE, max_tokens=9, temperature=1.5))
        assert answer.status == 200, answer.body
        assert answer.json()["choices"][0]["message"]["content"] == "yo"
        assert answer.json()["usage"]["total_tokens"] == 5
        assert answer.headers["x-gateway-dropped"].startswith("temperature")
        assert float(answer.headers["x-gateway-cost"]) > 0
        (request,) = provider.requests
        assert request.path == f"{CLAUDE_PATH}/converse"
        assert json.loads(request.body) == {
            "messages": [{"role": "user", "content": [{"text": "hi"}]}],
            "inferenceConfig": {"maxTokens": 9, "temperature": 1},
        }
        signed(provider)


def test_an_arn_is_encoded_whole_and_base_models_says_what_it_is() -> None:
    arn = "arn:aws:bedrock:eu-central-1:123456789012:application-inference-profile/abc"
    with ScriptedProvider() as provider:
        provider.reply(json=MESSAGE)
        more = f'base_models = {{ "{arn}" = "anthropic.claude-haiku-4-5" }}\n'
        with running_gateway(table(provider, more=more)) as gateway:
            answer = gateway.post("/v1/messages", {**chat(arn), "max_tokens": 5})
        assert answer.status == 200, answer.body
        path = "/model/arn%3Aaws%3Abedrock%3Aeu-central-1%3A123456789012%3Aapplication-inference-profile%2Fabc/invoke"
        assert provider.requests[0].path == path
        signed(provider)


def test_a_streamed_chat_completion_goes_by_converse_stream() -> None:
    with ScriptedProvider() as provider:
        stream = b"".join(CONVERSED)
        provider.stream([stream[at : at + 37] for at in range(0, len(stream), 37)], headers=STREAMED)
        with running_gateway(table(provider)) as gateway:
            asked = chat(NOVA, stream=True, stream_options={"include_usage": True})
            answer = gateway.post("/v1/chat/completions", asked)
        assert answer.headers["content-type"].startswith("text/event-stream")
        assert answer.body.endswith(b"data: [DONE]\n\n"), answer.body
        chunks = [json.loads(item.data) for item in answer.events()[:-1]]
        assert "".join(c["choices"][0]["delta"].get("content") or "" for c in chunks if c["choices"]) == "yo"
        assert chunks[-1]["usage"]["total_tokens"] == 5
        assert chunks[0]["model"] == NOVA
        assert provider.requests[0].path == f"{NOVA_PATH}/converse-stream"
        signed(provider)


def test_a_message_to_claude_passes_by_invoke() -> None:
    body = (
        b'{"model": "bedrock/%s", "max_tokens": 5,  "messages": [{"role":"user","content":"h\\u0069"}], "new_field": 1}'
    )
    with ScriptedProvider() as provider:
        provider.reply(json=MESSAGE)
        with running_gateway(table(provider)) as gateway:
            headers = {
                "anthropic-beta": "context-1m-2025-08-07, files-api-2025-04-14",
                "content-type": "application/json",
            }
            answer = gateway.post("/v1/messages", body=body % CLAUDE.encode(), headers=headers)
        assert answer.status == 200, answer.body
        assert answer.json() == MESSAGE
        assert "files-api-2025-04-14" in answer.headers["x-gateway-dropped"]
        (request,) = provider.requests
        assert request.path == f"{CLAUDE_PATH}/invoke"
        sent = json.loads(request.body)
        assert sent == {
            "max_tokens": 5,
            "messages": [{"role": "user", "content": "hi"}],
            "new_field": 1,
            "anthropic_version": "bedrock-2023-05-31",
            "anthropic_beta": ["context-1m-2025-08-07"],
        }
        assert b'[{"role":"user","content":"h\\u0069"}]' in request.body
        assert "anthropic-beta" not in {name.lower() for name in request.headers}
        signed(provider)


def test_a_stream_of_messages_passes_by_invoke_with_anthropics_own_events() -> None:
    stream = b"".join(map(chunk, EVENTS))
    with ScriptedProvider() as provider:
        provider.stream([stream[at : at + 101] for at in range(0, len(stream), 101)], headers=STREAMED)
        with running_gateway(table(provider)) as gateway:
            answer = gateway.post("/v1/messages", {**chat(CLAUDE), "max_tokens": 5, "stream": True})
        events = decode_events(answer.body)
        assert [json.loads(item.data) for item in events] == EVENTS
        assert [item.event for item in events] == [value["type"] for value in EVENTS]
        request = provider.requests[0]
        assert request.path == f"{CLAUDE_PATH}/invoke-with-response-stream"
        assert "stream" not in json.loads(request.body)
        signed(provider)


def test_a_message_to_another_model_goes_by_converse() -> None:
    with ScriptedProvider() as provider:
        provider.reply(json=ANSWER)
        with running_gateway(table(provider)) as gateway:
            answer = gateway.post("/v1/messages", {**chat(NOVA), "max_tokens": 5})
        assert answer.json()["content"] == [{"type": "text", "text": "yo"}]
        assert provider.requests[0].path == f"{NOVA_PATH}/converse"


@pytest.mark.parametrize(("format", "path"), [("bedrock_converse", "converse"), ("bedrock_invoke_anthropic", "invoke")])
def test_the_settings_choose_the_way(format: str, path: str) -> None:
    with ScriptedProvider() as provider:
        answers = {"converse": ANSWER, "invoke": MESSAGE}
        provider.default_reply(json=answers[path])
        with running_gateway(table(provider, more=f'format = "{format}"\n')) as gateway:
            message = gateway.post("/v1/messages", {**chat(CLAUDE), "max_tokens": 5})
            completion = gateway.post("/v1/chat/completions", chat(CLAUDE))
        assert message.json()["content"][0]["text"] == "yo"
        assert completion.json()["choices"][0]["message"]["content"] == "yo"
        assert [request.path for request in provider.requests] == [f"{CLAUDE_PATH}/{path}"] * 2
        signed(provider)


def test_the_guardrail_of_the_settings_holds_on_both_ways() -> None:
    more = (
        '[plugins.bedrock.defaults.guardrailConfig]\nguardrailIdentifier = "gr1"\nguardrailVersion = "2"\n'
        'trace = "enabled"\n'
    )
    with ScriptedProvider() as provider:
        provider.reply(json=ANSWER)
        provider.reply(json=MESSAGE)
        with running_gateway(table(provider, more=more)) as gateway:
            assert gateway.post("/v1/chat/completions", chat(CLAUDE)).status == 200
            assert gateway.post("/v1/messages", {**chat(CLAUDE), "max_tokens": 5}).status == 200
        converse, invoke = provider.requests
        assert json.loads(converse.body)["guardrailConfig"]["guardrailIdentifier"] == "gr1"
        headers = {name.lower(): value for name, value in invoke.headers.items()}
        assert headers["x-amzn-bedrock-guardrailidentifier"] == "gr1"
        assert headers["x-amzn-bedrock-guardrailversion"] == "2"
        assert headers["x-amzn-bedrock-trace"] == "ENABLED"
        assert "guardrailConfig" not in json.loads(invoke.body)
        signed(provider)


def test_an_api_key_is_sent_as_it_is_and_nothing_is_signed() -> None:
    with ScriptedProvider() as provider:
        provider.default_reply(json=ANSWER)
        with running_gateway(table(provider, keys=False, more='api_key = "bedrock-key"\n')) as gateway:
            gateway.post("/v1/chat/completions", chat(NOVA))
        env = {"AWS_BEARER_TOKEN_BEDROCK": "from-env"}
        with running_gateway(table(provider, keys=False), env=env) as gateway:
            gateway.post("/v1/chat/completions", chat(NOVA))
        sent = [{n.lower(): v for n, v in request.headers.items()} for request in provider.requests]
        assert [headers["authorization"] for headers in sent] == ["Bearer bedrock-key", "Bearer from-env"]
        assert not any("x-amz-date" in headers for headers in sent)


def test_keys_come_from_a_profile_of_the_shared_file(tmp_path: Path) -> None:
    file = tmp_path / "credentials"
    file.write_text(
        f"[team]\naws_access_key_id = {ACCESS}\naws_secret_access_key = {SECRET}\naws_session_token = tok\n"
    )
    env = {"AWS_SHARED_CREDENTIALS_FILE": str(file), "AWS_CONFIG_FILE": str(tmp_path / "none")}
    with ScriptedProvider() as provider, pytest.MonkeyPatch.context() as patch:
        for name, value in env.items():
            patch.setenv(name, value)
        provider.default_reply(json=ANSWER)
        with running_gateway(table(provider, keys=False, more='profile = "team"\n')) as gateway:
            assert gateway.post("/v1/chat/completions", chat(NOVA)).status == 200
        signed(provider)
        headers = {name.lower(): value for name, value in provider.requests[0].headers.items()}
        assert headers["x-amz-security-token"] == "tok"


def test_a_missing_profile_is_said_without_a_call(tmp_path: Path) -> None:
    with ScriptedProvider() as provider, pytest.MonkeyPatch.context() as patch:
        patch.setenv("AWS_SHARED_CREDENTIALS_FILE", str(tmp_path / "none"))
        patch.setenv("AWS_CONFIG_FILE", str(tmp_path / "none"))
        with running_gateway(table(provider, keys=False, more='profile = "team"\n')) as gateway:
            answer = gateway.post("/v1/chat/completions", chat(NOVA))
        assert answer.status == 502
        assert "AWS credentials" in answer.json()["error"]["message"]
        assert not provider.requests


@pytest.mark.parametrize(
    ("status", "name", "message", "kind"),
    [
        (429, "ThrottlingException", "Too many requests, please wait before trying again.", "rate_limit_error"),
        (503, "ServiceUnavailableException", "Bedrock is unable to process your request.", "overloaded_error"),
        (403, "AccessDeniedException", "You don't have access to the model.", "permission_error"),
        (400, "ValidationException", "Input is too long for requested model.", "invalid_request_error"),
    ],
)
def test_an_error_is_told_in_the_callers_dialect(status: int, name: str, message: str, kind: str) -> None:
    with ScriptedProvider() as provider:
        error = {"x-amzn-errortype": f"{name}:http://internal.amazon.com/coral/com.amazon.bedrock/"}
        provider.default_reply(json={"message": message}, status=status, headers=error)
        with running_gateway(f"[defaults]\nretries = 0\n{table(provider)}") as gateway:
            answer = gateway.post("/v1/messages", {**chat(CLAUDE), "max_tokens": 5})
        assert answer.status == status
        assert answer.json()["error"]["type"] == kind
        assert message in answer.json()["error"]["message"]


@pytest.mark.parametrize("path", ["/v1/chat/completions", "/v1/messages"])
def test_an_exception_in_a_stream_ends_it_with_an_error(path: str) -> None:
    exception = encode_exception("modelStreamErrorException", b'{"message":"it broke","originalStatusCode":500}')
    start = [chunk(value) for value in EVENTS[:3]] if path == "/v1/messages" else CONVERSED[:2]
    with ScriptedProvider() as provider:
        provider.stream([*start, exception], headers=STREAMED, gap=0.05)
        with running_gateway(table(provider)) as gateway:
            answer = gateway.post(path, {**chat(CLAUDE), "max_tokens": 5, "stream": True})
        assert answer.status == 200
        assert b"it broke" in answer.body
        assert answer.body.count(b"it broke") == 1
        assert b"message_stop" not in answer.body
        assert b"[DONE]" not in answer.body


def test_an_exception_before_the_first_token_is_an_answer_of_its_own() -> None:
    exception = encode_exception("throttlingException", b'{"message":"slow down"}')
    with ScriptedProvider() as provider:
        provider.stream([exception], headers=STREAMED)
        with running_gateway(f"[defaults]\nretries = 0\n{table(provider)}") as gateway:
            answer = gateway.post("/v1/chat/completions", chat(NOVA, stream=True))
        assert answer.status == 429
        assert answer.json()["error"]["message"] == "slow down"


@pytest.mark.parametrize("path", ["/v1/chat/completions", "/v1/messages"])
def test_a_politely_cut_stream_does_not_end_clean(path: str) -> None:
    pieces = [chunk(value) for value in EVENTS[:3]] if path == "/v1/messages" else CONVERSED[:4]
    with ScriptedProvider() as provider:
        provider.stream(pieces, headers=STREAMED)
        with running_gateway(table(provider)) as gateway:
            answer = gateway.post(path, {**chat(CLAUDE), "max_tokens": 5, "stream": True})
        assert b"message_stop" not in answer.body
        assert b"[DONE]" not in answer.body
        assert b"error" in answer.body


def test_tokens_are_counted_under_the_models_own_id_and_else_under_its_profiles() -> None:
    with ScriptedProvider() as provider:
        provider.reply(json={"message": "The provided model doesn't support counting tokens."}, status=400)
        provider.reply(json={"inputTokens": 42})
        with running_gateway(table(provider)) as gateway:
            answer = gateway.post("/v1/messages/count_tokens", chat(CLAUDE))
        assert answer.status == 200, answer.body
        assert answer.json()["input_tokens"] == 42
        first, second = provider.requests
        assert first.path == "/model/anthropic.claude-haiku-4-5-20251001-v1%3A0/count-tokens"
        assert second.path == f"{CLAUDE_PATH}/count-tokens"
        body = json.loads(base64.b64decode(json.loads(second.body)["input"]["invokeModel"]["body"]))
        assert body["messages"] == [{"role": "user", "content": "hi"}]
        signed(provider)
