"""Codex CLI and Claude Code over a tool loop of two turns, with targets that speak another format than theirs."""

from __future__ import annotations

import json
from collections.abc import Iterator
from contextlib import contextmanager
from typing import Any

import pytest

from gateway.testing import Answer, Exchange, RunningGateway, ScriptedProvider, running_gateway
from tests.clients.agent_requests import CLAUDE_HEADERS, CODEX_HEADERS, GRAMMAR, PATCH, claude_code, codex
from tests.clients.scripted_answers import Said, send_chunks
from tests.clients.scripted_bedrock import SIGNATURE as BEDROCK
from tests.clients.scripted_bedrock import STREAMED
from tests.clients.scripted_bedrock import events as converse_events
from tests.clients.scripted_gemini import SIGNATURE as GEMINI
from tests.clients.scripted_gemini import reply as gemini_reply
from tests.clients.scripted_gemini import streamed as gemini_parts
from tests.clients.scripted_openai import pieces
from tests.clients.scripted_scenes import SIGNATURE as ANTHROPIC
from tests.clients.scripted_scenes import streamed as anthropic_events

THOUGHT = "A command first, then a patch."
SIGNATURES = {"anthropic": ANTHROPIC, "gemini": GEMINI, "bedrock": BEDROCK}
TABLES = {
    "anthropic": '[plugins.anthropic]\nbase_url = "{url}"\napi_key = "k"',
    "gemini": '[plugins.gemini]\nbase_url = "{url}"\napi_key = "k"',
    "bedrock": '[plugins.bedrock]\nbase_url = "{url}"\napi_key = "k"\nregion = "eu-west-1"\n'
    'format = "bedrock_converse"',
    "compatible": '[plugins.compatible]\nuse = "openai_compatible"\nbase_url = "{url}/v1"',
}
MODELS = {
    "anthropic": "claude-sonnet-4-6",
    "gemini": "gemini-3-flash-preview",
    "bedrock": "us.anthropic.claude-sonnet-4-5-20250929-v1:0",
    "compatible": "gpt-scripted",
}


async def answer(exchange: Exchange, kind: str, said: Said) -> None:
    """Stream what is said in the provider's own format."""
    if kind == "anthropic":
        calls = [{"type": "tool_use", "id": i, "name": name, "input": given} for i, name, given in said.calls]
        thought = [{"type": "thinking", "thinking": said.thought, "signature": ANTHROPIC}] if said.thought else []
        text = [{"type": "text", "text": said.text}] if said.text else []
        reason = "tool_use" if calls else "end_turn"
        usage = {"input_tokens": 9, "output_tokens": 9}
        head = {"id": "msg_1", "type": "message", "role": "assistant", "model": MODELS[kind], "stop_sequence": None}
        message = {**head, "content": [*thought, *text, *calls], "stop_reason": reason, "usage": usage}
        data = [f"event: {e['type']}\ndata: {json.dumps(e)}\n\n".encode() for e in anthropic_events(message)]
        await send_chunks(exchange, "text/event-stream", data)
    elif kind == "gemini":
        chunks = [gemini_reply(MODELS[kind], [part], None) for part in gemini_parts(said)]
        chunks.append(gemini_reply(MODELS[kind], [{"text": ""}], "STOP"))
        await send_chunks(exchange, "text/event-stream", [f"data: {json.dumps(c)}\r\n\r\n".encode() for c in chunks])
    elif kind == "bedrock":
        await send_chunks(exchange, STREAMED, converse_events(said))
    else:
        data = [f"data: {json.dumps(chunk)}\n\n".encode() for chunk in chat_chunks(said)]
        await send_chunks(exchange, "text/event-stream", [*data, b"data: [DONE]\n\n"])


def chat_chunks(said: Said) -> Iterator[dict[str, Any]]:
    """Chat completion chunks with ``reasoning_content`` before the calls."""
    head = {"id": "chatcmpl-1", "object": "chat.completion.chunk", "created": 1764000000, "model": "gpt-scripted"}
    deltas: list[dict[str, Any]] = [{"reasoning_content": piece} for piece in pieces(said.thought)]
    for index, (call_id, name, given) in enumerate(said.calls):
        start = {"index": index, "id": call_id, "type": "function", "function": {"name": name, "arguments": ""}}
        deltas.append({"tool_calls": [start]})
        for piece in pieces(json.dumps(given)):
            deltas.append({"tool_calls": [{"index": index, "function": {"arguments": piece}}]})  # noqa: PERF401
    deltas += [{"content": piece} for piece in pieces(said.text)]
    for delta in deltas:
        yield {**head, "choices": [{"index": 0, "delta": delta, "finish_reason": None}]}
    reason = "tool_calls" if said.calls else "stop"
    usage = {"prompt_tokens": 9, "completion_tokens": 9, "total_tokens": 18}
    yield {**head, "choices": [{"index": 0, "delta": {}, "finish_reason": reason}], "usage": usage}


@contextmanager
def between(kind: str, turns: list[Said]) -> Iterator[tuple[RunningGateway, ScriptedProvider]]:
    """A gateway in front of a provider that says these turns, one after the other."""
    left = list(turns)

    async def script(exchange: Exchange) -> None:
        await answer(exchange, kind, left.pop(0))

    with ScriptedProvider() as provider:
        provider.default_script(script)
        table = TABLES[kind].format(url=provider.url)
        toml = f'{table}\n[plugins.responses_state]\n[models.coder]\ntargets = ["{kind}/{MODELS[kind]}"]\n'
        with running_gateway(toml) as gateway:
            yield gateway, provider


def output_of(answer: Answer) -> list[dict[str, Any]]:
    """The items of a streamed response, as Codex takes them: from the events that end them."""
    assert answer.status == 200, answer.body
    events = [json.loads(event.data) for event in answer.events()]
    assert [event["sequence_number"] for event in events] == list(range(len(events)))
    assert events[-1]["type"] == "response.completed"
    done = [event["item"] for event in events if event["type"] == "response.output_item.done"]
    assert done == events[-1]["response"]["output"]
    patches = [event["delta"] for event in events if event["type"] == "response.custom_tool_call_input.delta"]
    assert "".join(patches) == "".join(item["input"] for item in done if item["type"] == "custom_tool_call")
    return done


def sent_texts(value: Any) -> list[str]:
    """All strings of a request."""
    if isinstance(value, dict):
        return [text for item in value.values() for text in sent_texts(item)]
    if isinstance(value, list):
        return [text for item in value for text in sent_texts(item)]
    return [value] if isinstance(value, str) else []


@pytest.mark.parametrize("namespaced", [False, True], ids=["tools", "additional_tools"])
@pytest.mark.parametrize("kind", TABLES)
def test_codex_runs_a_command_and_applies_a_patch(kind: str, namespaced: bool) -> None:
    space = "functions__" if namespaced else ""
    first = Said(
        thought=THOUGHT,
        calls=[
            ("call_shell", f"{space}exec_command", {"cmd": "ls"}),
            ("call_patch", f"{space}apply_patch", {"input": PATCH}),
        ],
    )
    with between(kind, [first, Said(text="Both are done.")]) as (gateway, provider):
        asked = codex([], namespaced=namespaced)
        items = output_of(gateway.post("/v1/responses", asked, headers=CODEX_HEADERS))
        # What has to come back beside the thought's text (a call's signature) is an item of reasoning of its own.
        kinds = [item["type"] for item in items]
        assert kinds[0] == "reasoning"
        assert [k for k in kinds if k != "reasoning"] == ["function_call", "custom_tool_call"]
        shell = next(item for item in items if item["type"] == "function_call")
        patch = next(item for item in items if item["type"] == "custom_tool_call")
        assert (shell["name"], json.loads(shell["arguments"])) == ("exec_command", {"cmd": "ls"})
        assert (patch["name"], patch["input"]) == ("apply_patch", PATCH)
        if namespaced:
            assert shell["namespace"] == patch["namespace"] == "functions"
        results = [
            {"type": "function_call_output", "call_id": shell["call_id"], "output": "Output:\nmade.txt\n"},
            {"type": "custom_tool_call_output", "call_id": patch["call_id"], "output": "Success. Updated files."},
        ]
        said = output_of(gateway.post("/v1/responses", codex([*items, *results], namespaced=namespaced)))
        assert [item["type"] for item in said] == ["message"]
        assert said[0]["content"][0]["text"] == "Both are done."
        one, two = provider.requests
    tools = json.dumps(one.json())
    assert f"{space}apply_patch" in tools
    assert json.dumps(GRAMMAR)[1:-1] in tools or "begin_patch" in tools, "the grammar is told in the description"
    texts = sent_texts(two.json())
    assert any("made.txt" in text for text in texts)
    assert any("Success. Updated files." in text for text in texts)
    assert any(PATCH in text or json.dumps(PATCH, ensure_ascii=False)[1:-1] in text for text in texts)
    assert THOUGHT in texts
    if kind in SIGNATURES:
        assert SIGNATURES[kind] in texts
    assert not {name for name in one.headers if name.startswith(("x-codex", "session", "thread", "originator"))}


def message_of(answer: Answer) -> list[dict[str, Any]]:
    """The blocks that Claude Code puts together from a stream, to send them back."""
    assert answer.status == 200, answer.body
    events = [json.loads(event.data) for event in answer.events() if event.event != "ping"]
    assert (events[0]["type"], events[-1]["type"]) == ("message_start", "message_stop")
    blocks: list[dict[str, Any]] = []
    for event in events:
        if event["type"] == "content_block_start":
            assert event["index"] == len(blocks)
            blocks.append({**event["content_block"]})
        elif event["type"] == "content_block_delta":
            assert event["index"] == len(blocks) - 1
            delta, block = event["delta"], blocks[-1]
            for key, into in (("text", "text"), ("thinking", "thinking"), ("signature", "signature")):
                block[into] = block.get(into, "") + delta[key] if key in delta else block.get(into)
            block["json"] = block.get("json", "") + delta.get("partial_json", "")
    out = []
    for block in blocks:
        text = block.pop("json", "")
        kept = {key: value for key, value in block.items() if value is not None}
        out.append({**kept, "input": json.loads(text or "{}")} if block["type"] == "tool_use" else kept)
    return out


@pytest.mark.parametrize("kind", ["compatible", "gemini", "bedrock"])
def test_claude_code_runs_two_commands_at_once(kind: str) -> None:
    calls = [("call_a", "Bash", {"command": "echo a"}), ("call_b", "Bash", {"command": "echo b"})]
    with between(kind, [Said(thought=THOUGHT, calls=calls), Said(text="Both ran.")]) as (gateway, provider):
        assert gateway.request("HEAD", "/", None, {}).status == 200
        place = "/v1/messages?beta=true"
        first = gateway.post(place, claude_code([]), headers=CLAUDE_HEADERS)
        # Claude on Bedrock knows it; for others it is named.
        assert ("context_management" in first.headers["x-gateway-dropped"]) == (kind != "bedrock")
        blocks = message_of(first)
        assert blocks[0]["type"] == "thinking"
        assert blocks[0]["thinking"] == THOUGHT
        assert blocks[0]["signature"], "a client drops thinking that nobody signed"
        used = [block for block in blocks if block["type"] == "tool_use"]
        assert [block["input"] for block in used] == [{"command": "echo a"}, {"command": "echo b"}]
        results = [
            {"tool_use_id": block["id"], "type": "tool_result", "content": word, "is_error": False}
            for block, word in zip(used, ("a-was-said", "b-was-said"), strict=True)
        ]
        since = [{"role": "assistant", "content": blocks}, {"role": "user", "content": results}]
        said = message_of(gateway.post(place, claude_code(since), headers=CLAUDE_HEADERS))
        assert said == [{"type": "text", "text": "Both ran."}]
        one, two = provider.requests
    texts = sent_texts(two.json())
    assert {"a-was-said", "b-was-said", THOUGHT} <= set(texts)
    if kind in SIGNATURES:
        assert SIGNATURES[kind] in texts
    if kind == "compatible":
        assert len(one.json()["user"]) == 64, "OpenAI takes no longer name of a user"
        assert one.json()["reasoning_effort"] == "high"
    assert not {name for name in one.headers if name.startswith(("anthropic", "x-stainless", "x-claude", "x-app"))}
