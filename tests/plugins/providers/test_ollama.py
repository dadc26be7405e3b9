"""Ollama behind the gateway: by its imitation of OpenAI, and by its own API."""

from __future__ import annotations

import json
from typing import Any

import pytest

from gateway.errors import ConfigError
from gateway.plugin import PluginContext
from gateway.testing import ScriptedProvider, running_gateway
from gateway_plugins.providers.ollama import Ollama
from tests.plugins.upstream import ANSWER

ASK: dict[str, Any] = {"model": "ollama/m", "messages": [{"role": "user", "content": "hi"}]}
LAST: dict[str, Any] = {
    "model": "m",
    "created_at": "2026-08-07T06:08:32Z",
    "message": {"role": "assistant", "content": ""},
    "done": True,
    "done_reason": "stop",
    "prompt_eval_count": 30,
    "eval_count": 12,
}
NDJSON = {"content-type": "application/x-ndjson"}


TIMES = {"total_duration": 9, "load_duration": 1, "prompt_eval_duration": 3, "eval_duration": 5}


def line(**fields: Any) -> bytes:
    return json.dumps({**LAST, "done": False, "done_reason": None, **fields}).encode() + b"\n"


def table(provider: ScriptedProvider, *lines: str, path: str = "") -> str:
    return "\n".join(["[plugins.ollama]", f'base_url = "{provider.url}{path}"', *lines])


@pytest.mark.parametrize("path", ["", "/v1"])
def test_openais_formats_are_spoken_unless_said_otherwise(path: str) -> None:
    with ScriptedProvider() as provider, running_gateway(table(provider, path=path)) as gateway:
        provider.reply(json=ANSWER)
        assert gateway.post("/v1/chat/completions", ASK).json() == ANSWER
        assert provider.requests[0].path == "/v1/chat/completions"


NATIVE = ('format = "ollama_chat"', 'keep_alive = "10m"', "options = { num_ctx = 8192 }")


def test_its_own_api_is_asked_where_the_settings_say_so() -> None:
    with ScriptedProvider() as provider, running_gateway(table(provider, *NATIVE, path="/v1")) as gateway:
        provider.reply(json={**LAST, "message": {"role": "assistant", "content": "yo", "thinking": "hm"}})
        answer = gateway.post("/v1/chat/completions", {**ASK, "max_tokens": 5}).json()
        assert answer["choices"][0]["message"]["content"] == "yo"
        assert answer["choices"][0]["message"]["reasoning_content"] == "hm"
        assert answer["usage"]["total_tokens"] == 42
        assert provider.requests[0].path == "/api/chat"
        assert provider.requests[0].json() == {
            "model": "m",
            "messages": [{"role": "user", "content": "hi"}],
            "stream": False,
            "keep_alive": "10m",
            "options": {"num_ctx": 8192, "num_predict": 5},
        }
        provider.reply(json={"model": "m", "embeddings": [[0.5]], "prompt_eval_count": 1})
        vectors = gateway.post("/v1/embeddings", {"model": "ollama/e", "input": "hi"}).json()
        assert vectors["data"][0]["embedding"] == [0.5]
        assert provider.requests[1].path == "/api/embed"


@pytest.mark.parametrize("cut", [False, True])
def test_lines_are_told_as_events_and_a_cut_has_no_clean_end(cut: bool) -> None:
    pieces = [line(message={"content": "y"}), line(message={"content": "o"})]
    with ScriptedProvider() as provider, running_gateway(table(provider, *NATIVE)) as gateway:
        provider.stream(pieces if cut else [*pieces, json.dumps(LAST).encode() + b"\n"], headers=NDJSON)
        answer = gateway.post("/v1/chat/completions", {**ASK, "stream": True})
        assert (b"[DONE]" in answer.body) is not cut
        deltas = [json.loads(one.data) for one in answer.events() if one.data != b"[DONE]"]
        text = "".join(one["choices"][0]["delta"].get("content") or "" for one in deltas if one.get("choices"))
        assert text == "yo"
        assert ("error" in deltas[-1]) is cut


def test_an_error_is_told_in_the_callers_dialect() -> None:
    with ScriptedProvider() as provider, running_gateway(table(provider, *NATIVE)) as gateway:
        provider.reply(status=404, json={"error": 'model "m" not found, try pulling it first'})
        answer = gateway.post("/v1/chat/completions", ASK)
        assert answer.status == 404
        assert answer.json()["error"]["code"] == "model_not_found"


def test_settings_of_the_other_api_are_warned_of() -> None:
    def made(**settings: Any) -> Ollama:
        return Ollama(Ollama.Config(**settings), PluginContext(name="ollama", use="ollama"))

    assert made(models=("m",)).warnings() == []
    assert made(models=("m",)).models == ("m",)
    assert made(format="ollama_chat", keep_alive=0).warnings() == []
    assert 'format = "ollama_chat"' in made(keep_alive=0, options={"num_ctx": 1}).warnings()[0]
    assert made().address == "http://127.0.0.1:11434"
    with pytest.raises(ConfigError):
        made(base_url="localhost:11434")


@pytest.mark.parametrize(
    ("path", "body"),
    [
        ("/v1/chat/completions", ASK),
        ("/v1/messages", {**ASK, "max_tokens": 5}),
        ("/v1/responses", {"model": "ollama/m", "input": "hi"}),
        ("/v1beta/models/ollama/m:generateContent", {"contents": [{"role": "user", "parts": [{"text": "hi"}]}]}),
    ],
)
def test_how_long_it_took_is_no_part_of_the_answer(path: str, body: dict[str, Any]) -> None:
    with ScriptedProvider() as provider, running_gateway(table(provider, *NATIVE)) as gateway:
        provider.reply(json={**LAST, **TIMES, "message": {"role": "assistant", "content": "yo"}})
        answer = gateway.post(path, body)
    assert answer.status == 200
    assert "x-gateway-dropped" not in answer.headers
    assert "_duration" not in answer.body.decode()
