"""Memory of responses for every target: next turns, references, retrieval, isolation and bounds."""

from __future__ import annotations

import asyncio
import json
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import pytest

from gateway.testing import Answer, RunningGateway, ScriptedProvider, running_gateway
from gateway_plugins.state.responses_store import Kept, MemoryStore, ResponsesStore, SqliteStore
from tests.plugins.upstream import ANSWER, STREAM, provider_table

KEYS = """
[plugins.api_keys]
keys = [
  { name = "a", key = "sk-a-0123456789abcdefgh" },
  { name = "b", key = "sk-b-0123456789abcdefgh" },
]
"""


def response(response_id: str, text: str = "yo", **more: Any) -> dict[str, Any]:
    """A response as OpenAI gives it."""
    part = {"type": "output_text", "text": text, "annotations": []}
    item = {
        "type": "message",
        "id": f"msg_{response_id}",
        "role": "assistant",
        "status": "completed",
        "content": [part],
    }
    return {"id": response_id, "object": "response", "status": "completed", "model": "m", "output": [item], **more}


def chat(text: str, number: int) -> dict[str, Any]:
    choice = {"index": 0, "message": {"role": "assistant", "content": text}, "finish_reason": "stop"}
    return {**ANSWER, "id": f"chatcmpl-{number}", "choices": [choice]}


@pytest.fixture(params=["memory", "sqlite"])
def store_table(request: pytest.FixtureRequest, tmp_path: Path) -> str:
    return f'\n[plugins.responses_state]\nstore = "{request.param}"\npath = "{tmp_path / "r.sqlite"}"\n'


@pytest.fixture
def provider() -> Iterator[ScriptedProvider]:
    with ScriptedProvider() as server:
        yield server


def sent(provider: ScriptedProvider, at: int = -1) -> dict[str, Any]:
    body: dict[str, Any] = json.loads(provider.requests[at].body)
    return body


def ask(gateway: RunningGateway, text: str, **more: Any) -> Answer:
    return gateway.post("/v1/responses", {"model": "up/m", "input": text, **more})


def test_a_next_turn_is_sent_with_all_that_was_said_before(provider: ScriptedProvider, store_table: str) -> None:
    for number, text in enumerate(("one", "two", "three")):
        provider.reply(json=chat(text, number))
    with running_gateway(provider_table(provider) + store_table) as gateway:
        first = ask(gateway, "a", instructions="be brief").json()
        second = ask(gateway, "b", previous_response_id=first["id"], store=True)
        third = ask(gateway, "c", previous_response_id=second.json()["id"]).json()
    assert [(message["role"], message["content"]) for message in sent(provider)["messages"]] == [
        ("user", "a"),
        ("assistant", "one"),
        ("user", "b"),
        ("assistant", "two"),
        ("user", "c"),
    ]
    assert third["previous_response_id"] == second.json()["id"]
    assert "x-gateway-dropped" not in second.headers


def test_a_streamed_turn_is_kept_before_its_end_reaches_the_caller(
    provider: ScriptedProvider, store_table: str
) -> None:
    provider.stream(STREAM)
    provider.reply(json=chat("two", 2))
    with running_gateway(provider_table(provider) + store_table) as gateway:
        stream = ask(gateway, "a", stream=True).body.decode()
        last = json.loads(stream.strip().rpartition("data: ")[2])
        ask(gateway, "b", previous_response_id=last["response"]["id"])
    assert [message["content"] for message in sent(provider)["messages"]] == ["a", "yo", "b"]


def test_a_tool_loop_goes_on_by_the_id_alone(provider: ScriptedProvider, store_table: str) -> None:
    call = {"id": "call_1", "type": "function", "function": {"name": "f", "arguments": "{}"}}
    message = {"role": "assistant", "content": None, "tool_calls": [call]}
    choice = {"index": 0, "message": message, "finish_reason": "tool_calls"}
    provider.reply(json={**ANSWER, "choices": [choice]})
    provider.reply(json=chat("done", 2))
    tools = [{"type": "function", "name": "f", "parameters": {"type": "object", "properties": {}}}]
    with running_gateway(provider_table(provider) + store_table) as gateway:
        first = ask(gateway, "a", tools=tools).json()
        output = {"type": "function_call_output", "call_id": "call_1", "output": "42"}
        gateway.post(
            "/v1/responses", {"model": "up/m", "input": [output], "previous_response_id": first["id"], "tools": tools}
        )
    messages = sent(provider)["messages"]
    assert [message["role"] for message in messages] == ["user", "assistant", "tool"]
    assert messages[1]["tool_calls"] == [call]
    assert (messages[2]["tool_call_id"], messages[2]["content"]) == ("call_1", "42")


def test_a_reference_to_an_item_is_replaced_by_the_item(provider: ScriptedProvider, store_table: str) -> None:
    provider.reply(json=chat("one", 1))
    provider.reply(json=chat("two", 2))
    with running_gateway(provider_table(provider) + store_table) as gateway:
        item = ask(gateway, "a").json()["output"][0]
        items = [{"role": "user", "content": "a"}, {"type": "item_reference", "id": item["id"]}]
        gateway.post("/v1/responses", {"model": "up/m", "input": [*items, {"role": "user", "content": "b"}]})
    assert [message["content"] for message in sent(provider)["messages"]] == ["a", "one", "b"]


def test_a_kept_response_is_retrieved_listed_and_deleted(provider: ScriptedProvider, store_table: str) -> None:
    provider.reply(json=chat("one", 1))
    provider.reply(json=chat("two", 2))
    with running_gateway(provider_table(provider) + store_table) as gateway:
        first = ask(gateway, "a").json()
        second = ask(gateway, "b", previous_response_id=first["id"]).json()
        path = f"/v1/responses/{second['id']}"
        assert gateway.get(path).json() == second
        listed = gateway.get(f"{path}/input_items?order=asc&limit=2").json()
        assert [item["content"][0]["text"] for item in listed["data"]] == ["a", "one"]
        assert listed["has_more"]
        rest = gateway.get(f"{path}/input_items?order=asc&after={listed['last_id']}").json()
        assert [item["content"][0]["text"] for item in rest["data"]] == ["b"]
        assert gateway.request("DELETE", path, None, {}).json() == {
            "id": second["id"],
            "object": "response",
            "deleted": True,
        }
        gone = gateway.get(path)
        assert gone.status == 404
        assert gone.json()["error"].keys() == {"message", "type", "param", "code"}
        assert gateway.request("PUT", path, None, {}).status == 405


def test_what_is_not_to_be_stored_is_not(provider: ScriptedProvider, store_table: str) -> None:
    provider.reply(json=chat("one", 1))
    with running_gateway(provider_table(provider) + store_table) as gateway:
        first = ask(gateway, "a", store=False).json()
        assert first["store"] is False
        assert gateway.get(f"/v1/responses/{first['id']}").status == 404
        lost = ask(gateway, "b", previous_response_id=first["id"])
    assert lost.status == 400
    assert lost.json()["error"]["code"] == "previous_response_not_found"
    assert len(provider.requests) == 1


def test_another_key_sees_nothing_of_it(provider: ScriptedProvider, store_table: str) -> None:
    provider.reply(json=chat("one", 1))
    with running_gateway(provider_table(provider) + store_table + KEYS) as gateway:
        mine, other = (
            {"authorization": "Bearer sk-a-0123456789abcdefgh"},
            {"authorization": "Bearer sk-b-0123456789abcdefgh"},
        )
        first = gateway.post("/v1/responses", {"model": "up/m", "input": "a"}, headers=mine).json()
        path = f"/v1/responses/{first['id']}"
        assert gateway.get(path, headers=mine).status == 200
        assert gateway.get(path, headers=other).status == 404
        assert gateway.get(path).status == 401
        asked = {"model": "up/m", "input": "b", "previous_response_id": first["id"]}
        assert gateway.post("/v1/responses", asked, headers=other).status == 400


def test_openai_goes_on_from_its_own_and_gets_the_rest_in_full(provider: ScriptedProvider, store_table: str) -> None:
    toml = f"""
    [plugins.openai]
    base_url = "{provider.url}/v1"
    api_key = "sk-1"
    [plugins.up]
    use = "openai_compatible"
    base_url = "{provider.url}/v1"
    """
    provider.reply(json=response("resp_1", "one"))
    provider.reply(json=response("resp_2", "two"))
    provider.reply(json=chat("three", 3))
    provider.reply(json=response("resp_4", "four"))
    provider.reply(json=response("resp_5", "five"))
    with running_gateway(toml + store_table) as gateway:

        def turn(model: str, text: str, previous: str) -> str:
            asked = {"model": model, "input": text, "previous_response_id": previous}
            found: str = gateway.post("/v1/responses", asked).json()["id"]
            return found

        gateway.post("/v1/responses", {"model": "openai/m", "input": "a"})
        turn("openai/m", "b", "resp_1")
        own = sent(provider)
        third = turn("up/m", "c", "resp_2")
        elsewhere = sent(provider)
        turn("openai/m", "d", third)
        back = sent(provider)
        turn("openai/m", "e", "resp_of_old")
        unknown = sent(provider)
    assert own == {"model": "m", "input": "b", "previous_response_id": "resp_1"}
    assert [message["content"] for message in elsewhere["messages"]] == ["a", "one", "b", "two", "c"]
    assert back["previous_response_id"] is None
    assert [item["role"] for item in back["input"]] == ["user", "assistant"] * 3 + ["user"]
    assert "id" not in back["input"][5]
    assert unknown["previous_response_id"] == "resp_of_old"


@pytest.fixture(params=["memory", "sqlite"])
def make_store(request: pytest.FixtureRequest, tmp_path: Path) -> Any:
    def make(max_bytes: int, ttl: float) -> ResponsesStore:
        if request.param == "memory":
            return MemoryStore(max_bytes, ttl)
        return SqliteStore(tmp_path / "deep" / "r.sqlite", max_bytes, ttl)

    return make


def kept(response_id: str) -> Kept:
    found = response(response_id, "x" * 100)
    return Kept(id=response_id, provider="up", native=False, previous=None, input=[], response=found)


def test_the_oldest_goes_when_there_is_no_room(make_store: Any) -> None:
    async def run() -> None:
        store: ResponsesStore = make_store(1000, 60.0)
        await store.open()
        for number in range(4):
            await store.put("t", kept(f"resp_{number}"))
        await store.put("t", kept("resp_3"))
        found = [await store.get("t", f"resp_{number}") is not None for number in range(4)]
        assert found == [False, True, True, True] or found == [False, False, True, True]
        assert await store.holder_of("t", "msg_resp_0") is None
        assert (await store.holder_of("t", "msg_resp_3") or kept("x")).id == "resp_3"
        assert not await store.delete("t", "resp_0")
        assert await store.delete("t", "resp_3")
        assert await store.holder_of("t", "msg_resp_3") is None
        await store.put("t", kept("resp_" + "y" * 2000))
        assert await store.get("t", "resp_" + "y" * 2000) is None
        await store.close()

    asyncio.run(run())


def test_what_is_too_old_is_gone(make_store: Any) -> None:
    async def run() -> None:
        store: ResponsesStore = make_store(100_000, 0.05)
        await store.open()
        await store.put("t", kept("resp_1"))
        assert await store.get("t", "resp_1") is not None
        await asyncio.sleep(0.06)
        assert await store.get("t", "resp_1") is None
        await store.put("t", kept("resp_2"))
        assert not await store.delete("t", "resp_1")
        await store.close()

    asyncio.run(run())


def test_a_file_keeps_responses_over_a_restart_and_is_private(tmp_path: Path) -> None:
    async def run() -> None:
        path = tmp_path / "r.sqlite"
        for turn in range(2):
            store = SqliteStore(path, 100_000, 60.0)
            await store.open()
            if turn == 0:
                await store.put("t", kept("resp_1"))
            assert await store.get("t", "resp_1") == kept("resp_1")
            await store.close()
        assert path.stat().st_mode & 0o077 == 0

    asyncio.run(run())
