"""What a provider was seen to take is not held back from it, and what it was seen to answer is understood."""

from __future__ import annotations

import json
from pathlib import Path
from typing import Any

import pytest

from gateway import Secret
from gateway.plugin import PluginContext
from gateway_plugins.formats.openai_chat import OpenAIChat
from gateway_plugins.providers.openai_compatible import OpenAICompatible
from gateway_plugins.providers.presets import PRESETS

WIRE = Path(__file__).parents[3] / "shared" / "wire"
RECORDED = ("cerebras", "cloudflare", "databricks", "deepseek", "groq", "huggingface", "openrouter", "together", "zai")
ALWAYS = {("groq", "n")}
"""Groq takes ``n`` where it is 1, which its own SDK always sends."""


def exchanges(name: str) -> list[dict[str, Any]]:
    found = [json.loads(path.read_text(encoding="utf-8")) for path in sorted((WIRE / name).glob("chat-*.json"))]
    return [record for record in found if record["endpoint"] == "chat"]


def made(name: str) -> OpenAICompatible:
    preset = PRESETS[name]
    own: dict[str, Any] = {} if preset.base_url else {"base_url": preset.address}
    return OpenAICompatible(OpenAICompatible.Config(api_key=Secret("k"), **own), PluginContext(name=name, use=name))


pytestmark = pytest.mark.skipif(not WIRE.is_dir(), reason="the recorded exchanges are not beside this checkout")


@pytest.mark.parametrize("name", RECORDED)
def test_what_a_provider_was_seen_to_take_is_not_held_back(name: str) -> None:
    records = [record for record in exchanges(name) if record["response"]["status"] == 200]
    assert records
    provider = made(name)
    for record in records:
        body = record["request"]["body"]
        traits = provider.traits(body["model"])
        renamed = {theirs: ours for ours, theirs in traits.renames.items()}
        refused = {field for field in traits.unsupported if "." not in field}
        held_back = {renamed.get(field, field) for field, value in body.items() if value is not None} & refused
        assert {(name, field) for field in held_back} <= ALWAYS, record["source"]
        if isinstance(body.get("tool_choice"), str):
            assert f"tool_choice.{body['tool_choice']}" not in traits.unsupported
        if (body.get("response_format") or {}).get("type") == "json_schema":
            assert "response_format.json_schema" not in traits.unsupported


@pytest.mark.parametrize("name", RECORDED)
def test_the_tokens_of_its_answers_are_counted(name: str) -> None:
    """Whole or streamed: usage is what a cost is made of. Only Cloudflare leaves it out at times."""
    chat = OpenAIChat()
    for record in exchanges(name):
        answer = record["response"]
        if answer["status"] != 200 or "error_in_stream" in record["tags"]:
            continue
        if record["stream"]:
            watch = chat.stream_watch(hide_usage=False)
            watch.feed(answer["body"].encode())
            watch.close()
            usage, asked = watch.usage, "stream_options" in record["request"]["body"]
        else:
            usage, asked = chat.read_facts(answer["body"].encode()).usage, True
        if usage is None:
            assert name == "cloudflare" or not asked, record["source"]
        else:
            assert usage.total_tokens > 0


def test_openrouters_own_word_on_the_cost_is_found_in_its_answers() -> None:
    from gateway.catalogue import told_cost

    chat = OpenAIChat()
    costs = []
    for record in exchanges("openrouter"):
        if record["response"]["status"] == 200 and not record["stream"]:
            usage = chat.read_facts(record["response"]["body"].encode()).usage
            costs.append(None if usage is None else told_cost("openrouter", usage))
    assert sum(cost is not None and cost > 0 for cost in costs) > 20
