"""Conduct on the wire, seen from a client on one side and a scripted provider on the other."""

from __future__ import annotations

import json
import socket
import time
from collections.abc import Iterator
from contextlib import contextmanager
from typing import Any
from urllib.parse import urlsplit

import pytest

from gateway.testing import Exchange, ScriptedProvider, running_gateway
from gateway.testing.harness import RunningGateway

ASK: dict[str, Any] = {"model": "up/m", "messages": [{"role": "user", "content": "hi"}]}
ANSWER = {
    "id": "chatcmpl-1",
    "object": "chat.completion",
    "created": 1,
    "model": "m-2026",
    "choices": [{"index": 0, "message": {"role": "assistant", "content": "yo"}, "finish_reason": "stop"}],
    "usage": {"prompt_tokens": 3, "completion_tokens": 1, "total_tokens": 4},
    "made_up_by_provider": {"x": 1},
}


def chunk(delta: dict[str, Any] | None = None, finish: str | None = None, **more: Any) -> bytes:
    choices = [] if delta is None else [{"index": 0, "delta": delta, "finish_reason": finish}]
    body = {"id": "c1", "object": "chat.completion.chunk", "created": 1, "model": "m-2026", "choices": choices, **more}
    return b"data: " + json.dumps(body).encode() + b"\n\n"


STREAM = [
    chunk({"role": "assistant", "content": ""}),
    chunk({"content": "yo"}),
    chunk({}, "stop"),
    chunk(usage={"prompt_tokens": 3, "completion_tokens": 1, "total_tokens": 4}),
    b"data: [DONE]\n\n",
]


@contextmanager
def gateway_in_front_of(*providers: ScriptedProvider, more: str = "", keys: str = "") -> Iterator[RunningGateway]:
    names = ["up", "second", "third"]
    tables = "".join(
        f'[plugins.{name}]\nuse = "openai_compatible"\nbase_url = "{provider.url}/v1"\n{keys}'
        for name, provider in zip(names, providers, strict=False)
    )
    with running_gateway(tables + more) as gateway:
        yield gateway


def test_unknown_fields_pass_both_ways_and_only_the_model_changes() -> None:
    with ScriptedProvider() as up, gateway_in_front_of(up) as gateway:
        up.reply(json=ANSWER)
        ask = {**ASK, "future_field": {"deep": [1, 2.50, "é"]}, "temperature": 0.1}
        answer = gateway.post("/v1/chat/completions", ask)
    assert answer.json() == ANSWER
    assert up.requests[0].json() == {**ask, "model": "m"}
    assert up.requests[0].path == "/v1/chat/completions"


def test_nothing_of_the_callers_credentials_cookies_or_telemetry_is_forwarded() -> None:
    with ScriptedProvider() as up, gateway_in_front_of(up, keys='api_key = "sk-ours"\n') as gateway:
        up.reply(json=ANSWER)
        headers = {
            "authorization": "Bearer callers-own",
            "cookie": "session=1",
            "x-stainless-lang": "python",
            "x-forwarded-for": "10.1.1.1",
            "connection": "keep-alive, x-private",
            "x-private": "1",
            "idempotency-key": "idem-1",
            "openai-beta": "assistants=v2",
        }
        gateway.post("/v1/chat/completions", ASK, headers=headers)
    sent = up.requests[0].headers
    assert sent["authorization"] == "Bearer sk-ours"
    assert sent["idempotency-key"] == "idem-1"
    assert sent["openai-beta"] == "assistants=v2"
    assert not {"cookie", "x-stainless-lang", "x-forwarded-for", "x-private"} & set(sent)


def test_the_callers_own_key_is_passed_on_only_when_told_to() -> None:
    with ScriptedProvider() as up, gateway_in_front_of(up, keys='api_key = "forward"\n') as gateway:
        up.reply(json=ANSWER)
        gateway.post("/v1/chat/completions", ASK, headers={"x-api-key": "callers-own"})
    assert up.requests[0].headers["authorization"] == "Bearer callers-own"


def test_an_answer_carries_the_request_id_and_the_gateways_own_headers() -> None:
    with ScriptedProvider() as up, gateway_in_front_of(up) as gateway:
        up.default_reply(json=ANSWER)
        own = gateway.post("/v1/chat/completions", ASK, headers={"x-request-id": "my-request-1"}).headers
        new = gateway.post("/v1/chat/completions", ASK, headers={"x-request-id": "bad id!"}).headers
    assert own["x-request-id"] == "my-request-1"
    assert new["x-request-id"].startswith("req_")
    assert own["x-gateway-provider"] == "up"
    assert own["x-gateway-model"] == "m"
    assert own["x-gateway-attempts"] == "1"
    assert float(own["x-gateway-overhead-ms"]) >= 0


def test_one_setting_turns_the_gateways_own_headers_off() -> None:
    with ScriptedProvider() as up, gateway_in_front_of(up, more="[server]\ngateway_headers = false\n") as gateway:
        up.reply(json=ANSWER)
        headers = gateway.post("/v1/chat/completions", ASK).headers
    assert not [name for name in headers if name.startswith("x-gateway")]


def test_usage_is_asked_upstream_always_and_shown_only_to_who_asked() -> None:
    with ScriptedProvider() as up, gateway_in_front_of(up) as gateway:
        up.stream(STREAM)
        up.stream(STREAM)
        hidden = gateway.post("/v1/chat/completions", {**ASK, "stream": True})
        shown = gateway.post("/v1/chat/completions", {**ASK, "stream": True, "stream_options": {"include_usage": True}})
    assert [r.json()["stream_options"]["include_usage"] for r in up.requests] == [True, True]
    assert b'"usage"' not in hidden.body
    assert shown.body == b"".join(STREAM)
    assert hidden.events()[-1].data == shown.events()[-1].data == b"[DONE]"


def test_an_upstream_that_dies_in_mid_stream_gives_an_error_event_and_no_done() -> None:
    with ScriptedProvider() as up, gateway_in_front_of(up, more="[defaults]\nretries = 0\n") as gateway:
        up.stream(STREAM[:2], cut=True)
        answer = gateway.post("/v1/chat/completions", {**ASK, "stream": True})
    assert answer.status == 200
    events = answer.events()
    assert json.loads(events[-1].data)["error"]["code"] == "upstream_disconnected"
    assert b"[DONE]" not in answer.body


def test_a_stream_that_ends_politely_before_its_end_mark_was_cut() -> None:
    with ScriptedProvider() as up, gateway_in_front_of(up) as gateway:
        up.stream(STREAM[:2])
        answer = gateway.post("/v1/chat/completions", {**ASK, "stream": True})
    assert "error" in json.loads(answer.events()[-1].data)
    assert b"[DONE]" not in answer.body


def test_an_error_event_of_the_provider_ends_the_stream() -> None:
    event = b'data: {"error":{"message":"worker died","type":"server_error","param":null,"code":null}}\n\n'
    with ScriptedProvider() as up, gateway_in_front_of(up) as gateway:
        up.stream([*STREAM[:2], event, b"data: [DONE]\n\n"], gap=0.03)
        answer = gateway.post("/v1/chat/completions", {**ASK, "stream": True})
    assert "worker died" in json.loads(answer.events()[-1].data)["error"]["message"]
    assert b"[DONE]" not in answer.body


def test_an_error_event_before_anything_was_sent_is_tried_elsewhere() -> None:
    event = b'data: {"error":{"message":"overloaded","type":"server_error","param":null,"code":null}}\n\n'
    model = '[models.m]\ntargets = ["up/a"]\nfallbacks = ["second/b"]\nretries = 0\n'
    with ScriptedProvider() as up, ScriptedProvider() as second, gateway_in_front_of(up, second, more=model) as gateway:
        up.stream([event])
        second.stream(STREAM)
        answer = gateway.post("/v1/chat/completions", {**ASK, "model": "m", "stream": True})
    assert answer.headers["x-gateway-provider"] == "second"
    assert answer.events()[-1].data == b"[DONE]"


def test_a_torn_event_is_never_sent() -> None:
    with ScriptedProvider() as up, gateway_in_front_of(up) as gateway:
        up.stream([STREAM[0], STREAM[1][:20]], cut=True)
        answer = gateway.post("/v1/chat/completions", {**ASK, "stream": True})
    assert [json.loads(event.data) for event in answer.events()][-1]["error"]
    assert STREAM[1][:20] not in answer.body.replace(STREAM[0], b"")


def test_a_provider_that_answers_whole_to_a_stream_is_told_as_a_stream() -> None:
    with ScriptedProvider() as up, gateway_in_front_of(up) as gateway:
        up.reply(json=ANSWER)
        answer = gateway.post("/v1/chat/completions", {**ASK, "stream": True})
    assert answer.headers["content-type"].startswith("text/event-stream")
    first = [json.loads(event.data) for event in answer.events()[:-1]]
    assert "".join(e["choices"][0]["delta"].get("content") or "" for e in first if e["choices"]) == "yo"
    assert answer.events()[-1].data == b"[DONE]"


def test_retries_then_fallbacks_until_one_answers() -> None:
    model = '[models.m]\ntargets = ["up/a"]\nfallbacks = ["second/b"]\nretries = 1\n'
    with ScriptedProvider() as up, ScriptedProvider() as second, gateway_in_front_of(up, second, more=model) as gateway:
        up.default_reply(status=503, json={"error": {"message": "busy"}})
        second.reply(json=ANSWER)
        answer = gateway.post("/v1/chat/completions", {**ASK, "model": "m"})
    assert answer.status == 200
    assert answer.headers["x-gateway-provider"] == "second"
    assert answer.headers["x-gateway-attempts"] == "3"
    assert [r.json()["model"] for r in up.requests] == ["a", "a"]


def test_a_request_that_is_wrong_in_itself_is_not_tried_elsewhere() -> None:
    model = '[models.m]\ntargets = ["up/a"]\nfallbacks = ["second/b"]\n'
    error = {"error": {"message": "bad temperature", "type": "invalid_request_error", "provider_hint": 7}}
    with ScriptedProvider() as up, ScriptedProvider() as second, gateway_in_front_of(up, second, more=model) as gateway:
        up.reply(status=400, json=error)
        answer = gateway.post("/v1/chat/completions", {**ASK, "model": "m"})
    assert answer.status == 400
    assert len(up.requests) == 1
    assert not second.requests
    got = answer.json()["error"]
    assert got["message"] == "bad temperature"
    assert got["provider_hint"] == 7
    assert {"message", "type", "param", "code"} <= set(got)
    assert answer.headers["x-should-retry"] == "false"


def test_a_long_retry_after_is_told_to_the_caller_and_not_waited_for() -> None:
    with ScriptedProvider() as up, gateway_in_front_of(up) as gateway:
        up.default_reply(status=429, json={"error": {"message": "slow down"}}, headers={"retry-after": "30"})
        began = time.monotonic()
        answer = gateway.post("/v1/chat/completions", ASK)
    assert time.monotonic() - began < 3
    assert answer.status == 429
    assert answer.headers["retry-after"] == "30"
    assert answer.headers["retry-after-ms"] == "30000"


def test_a_provider_that_speaks_no_json_error_is_rendered_in_the_callers_dialect() -> None:
    with ScriptedProvider() as up, gateway_in_front_of(up, more="[defaults]\nretries = 0\n") as gateway:
        up.reply(status=502, body=b"<html>Bad gateway</html>", headers={"content-type": "text/html"})
        answer = gateway.post("/v1/chat/completions", ASK)
    assert answer.status == 502
    assert {"message", "type", "param", "code"} == set(answer.json()["error"])


def test_the_callers_time_limit_ends_the_call() -> None:
    with ScriptedProvider() as up, gateway_in_front_of(up) as gateway:
        up.reply(json=ANSWER, delay=5)
        began = time.monotonic()
        answer = gateway.post("/v1/chat/completions", ASK, headers={"x-gateway-timeout-ms": "300"})
    assert answer.status == 504
    assert time.monotonic() - began < 2


@pytest.mark.parametrize(
    ("body", "status", "says"),
    [
        (b"{", 400, "not valid JSON"),
        (b'{"messages":[]}', 400, "names no model"),
        (b'{"model":"up/a","model":"up/b","messages":[]}', 400, "'model' occurs twice"),
        (b'{"model":"up/m","messages":' + b"[" * 50_000 + b"]" * 50_000 + b"}", 400, "nested too deeply"),
        (b'{"model":"up/m","messages":[{"role":"user","content":"\xff"}]}', 400, "not valid UTF-8"),
        (b'{"model":"up/m","stream":"yes"}', 400, "'stream' must be true or false"),
        (b'{"model":"upp/m","messages":[]}', 404, "does not exist"),
    ],
)
def test_a_bad_request_is_refused_before_any_provider_sees_it(body: bytes, status: int, says: str) -> None:
    with ScriptedProvider() as up, gateway_in_front_of(up) as gateway:
        answer = gateway.post("/v1/chat/completions", body=body)
    assert answer.status == status
    assert says in answer.json()["error"]["message"]
    assert not up.requests


def test_an_unknown_model_names_the_nearest() -> None:
    model = '[models.fast]\ntargets = ["up/a"]\n'
    with ScriptedProvider() as up, gateway_in_front_of(up, more=model) as gateway:
        answer = gateway.post("/v1/chat/completions", {**ASK, "model": "fasst"})
    assert answer.status == 404
    assert answer.json()["error"]["code"] == "model_not_found"
    assert "did you mean 'fast'?" in answer.json()["error"]["message"]


@pytest.mark.parametrize("declared", [True, False])
def test_a_body_over_the_limit_gets_413_before_it_is_read_whole(declared: bool) -> None:
    with ScriptedProvider() as up, gateway_in_front_of(up, more="[server]\nmax_body_bytes = 1000\n") as gateway:
        place = urlsplit(gateway.url)
        with socket.create_connection((place.hostname, place.port), timeout=5) as client:
            framing = b"content-length: 100000" if declared else b"transfer-encoding: chunked"
            client.sendall(b"POST /v1/chat/completions HTTP/1.1\r\nhost: x\r\n" + framing + b"\r\n\r\n")
            client.sendall(b"x" * 2000 if declared else b"7d0\r\n" + b"x" * 2000 + b"\r\n")
            got = client.recv(65536)
    assert got.startswith(b"HTTP/1.1 413")
    assert b"max_body_bytes" in got


def test_several_different_keys_at_once_are_refused() -> None:
    with ScriptedProvider() as up, gateway_in_front_of(up) as gateway:
        up.default_reply(json=ANSWER)
        same = gateway.post("/v1/chat/completions", ASK, headers={"authorization": "Bearer a", "x-api-key": "a"})
        several = gateway.post("/v1/chat/completions", ASK, headers={"authorization": "Bearer a", "x-api-key": "b"})
    assert same.status == 200
    assert several.status == 401
    assert "Several different keys" in several.json()["error"]["message"]


def test_other_methods_and_paths_are_refused_in_the_nearest_dialect() -> None:
    with ScriptedProvider() as up, gateway_in_front_of(up) as gateway:
        method = gateway.get("/v1/chat/completions")
        path = gateway.post("/v1/chat/completion", ASK)
        anthropic = gateway.post("/v1/messages/nothing", ASK)
        nowhere = gateway.get("/nope")
    assert (method.status, method.headers["allow"]) == (405, "POST")
    assert (path.status, path.json()["error"]["code"]) == (404, "unknown_url")
    assert (nowhere.status, nowhere.json()["error"]["code"]) == (404, "unknown_url")
    assert (anthropic.status, anthropic.json()["type"]) == (404, "error")


def test_health_needs_no_key() -> None:
    with ScriptedProvider() as up, gateway_in_front_of(up) as gateway:
        assert gateway.get("/livez").status == gateway.get("/readyz").status == 200
        head = gateway.request("HEAD", "/", None, {})
        assert (head.status, head.body) == (200, b"")
        gateway.app.begin_drain()
        assert gateway.get("/readyz").status == 503
        assert gateway.get("/livez").status == 200


@pytest.mark.parametrize("stream", [False, True])
@pytest.mark.parametrize("begun", [False, True])
def test_a_client_that_leaves_closes_the_upstream_within_100_ms(stream: bool, begun: bool) -> None:
    async def silent(exchange: Exchange) -> None:
        if begun:
            await exchange.send(
                b"HTTP/1.1 200 OK\r\ncontent-type: text/event-stream\r\ntransfer-encoding: chunked\r\n\r\n"
            )
            await exchange.send(b"%x\r\n%b\r\n" % (len(STREAM[0]), STREAM[0]))
        await exchange.wait_closed()

    with ScriptedProvider() as up, gateway_in_front_of(up) as gateway:
        up.script(silent)
        place = urlsplit(gateway.url)
        body = json.dumps({**ASK, "stream": stream}).encode()
        with socket.create_connection((place.hostname, place.port), timeout=5) as client:
            client.sendall(
                b"POST /v1/chat/completions HTTP/1.1\r\nhost: x\r\ncontent-length: %d\r\n\r\n%b" % (len(body), body)
            )
            deadline = time.monotonic() + 5
            while not up.requests and time.monotonic() < deadline:
                time.sleep(0.005)
            time.sleep(0.05)
            left = time.monotonic()
        closed = up.wait_for_disconnect(2)
    assert closed is not None
    assert closed - left < 0.1


def test_the_books_say_that_the_client_left() -> None:
    async def silent(exchange: Exchange) -> None:
        await exchange.wait_closed()

    with ScriptedProvider() as up, gateway_in_front_of(up) as gateway:
        up.script(silent)
        place = urlsplit(gateway.url)
        body = json.dumps(ASK).encode()
        client = socket.create_connection((place.hostname, place.port), timeout=5)
        client.sendall(
            b"POST /v1/chat/completions HTTP/1.1\r\nhost: x\r\ncontent-length: %d\r\n\r\n%b" % (len(body), body)
        )
        deadline = time.monotonic() + 5
        while not gateway.app.exchanges and time.monotonic() < deadline:
            time.sleep(0.005)
        (exchange,) = gateway.app.exchanges
        client.close()
        while gateway.app.exchanges and time.monotonic() < deadline:
            time.sleep(0.005)
    assert exchange.call.outcome == "cancelled"
    assert exchange.call.ended is not None


def test_hypercorns_own_parser_serves_the_same_when_asked_for() -> None:
    more = '[server]\nhttp1 = "hypercorn"\nmax_body_bytes = 5000\n'
    with ScriptedProvider() as up, gateway_in_front_of(up, more=more) as gateway:
        up.reply(json=ANSWER)
        up.stream(STREAM)
        assert gateway.post("/v1/chat/completions", ASK).json() == ANSWER
        assert gateway.post("/v1/chat/completions", {**ASK, "stream": True}).events()[-1].data == b"[DONE]"
        assert gateway.post("/v1/chat/completions", body=b"x" * 6000).status == 413
        assert gateway.get("/readyz").status == 200


def test_hypercorns_own_parser_too_tells_when_the_client_leaves() -> None:
    async def silent(exchange: Exchange) -> None:
        await exchange.wait_closed()

    with ScriptedProvider() as up, gateway_in_front_of(up, more='[server]\nhttp1 = "hypercorn"\n') as gateway:
        up.script(silent)
        place = urlsplit(gateway.url)
        body = json.dumps(ASK).encode()
        head = b"POST /v1/chat/completions HTTP/1.1\r\nhost: x\r\ncontent-length: %d\r\n\r\n" % len(body)
        with socket.create_connection((place.hostname, place.port), timeout=5) as client:
            client.sendall(head + body)
            deadline = time.monotonic() + 5
            while not up.requests and time.monotonic() < deadline:
                time.sleep(0.005)
            left = time.monotonic()
        closed = up.wait_for_disconnect(2)
    assert closed is not None
    assert closed - left < 0.1


def test_headers_of_the_table_are_sent_and_may_be_secrets(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("TEAM_TOKEN", "t0ken")
    keys = 'headers = { x-team = "blue", authorization = { env = "TEAM_TOKEN" } }\napi_key = "sk-ours"\n'
    with ScriptedProvider() as up, gateway_in_front_of(up, keys=keys) as gateway:
        up.reply(json=ANSWER)
        gateway.post("/v1/chat/completions", ASK)
        assert "t0ken" not in repr(gateway.app.current.config) + repr(gateway.app.current.providers["up"].config)
    assert up.requests[0].headers["x-team"] == "blue"
    assert up.requests[0].headers["authorization"] == "t0ken"
