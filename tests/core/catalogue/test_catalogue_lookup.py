"""The lists of models: every entry decodes, and each provider's spelling of a name finds the right one."""

from __future__ import annotations

import subprocess
import sys
from pathlib import Path

import msgspec
import pytest

import gateway.catalogue
from gateway.catalogue import UNKNOWN, ModelInfo, families, lookup

DATA = Path(gateway.catalogue.__file__).parent / "data"
EFFORTS = ["none", "minimal", "low", "medium", "high", "xhigh", "max"]


@pytest.mark.parametrize("family", families())
def test_every_entry_is_whole_and_its_prices_can_be_told_apart(family: str) -> None:
    models = msgspec.json.decode((DATA / f"{family}.json").read_bytes(), type=dict[str, ModelInfo])
    assert models
    for name, info in models.items():
        rows = [(row.tier, row.above) for row in info.prices]
        assert len(set(rows)) == len(rows), name
        assert all(row.input is not None or row.output is not None or row.audio_input for row in info.prices), name
        assert all(value is None or value >= 0 for row in info.prices for value in msgspec.structs.astuple(row)[2:])
        assert list(info.efforts) == [word for word in EFFORTS if word in info.efforts], name
        assert lookup(family, name).name.lower() == name.lower()


@pytest.mark.parametrize(
    ("family", "model", "name"),
    [
        ("openai", "gpt-4o", "gpt-4o"),
        ("openai", "gpt-5-2025-08-07", "gpt-5-2025-08-07"),
        ("openai", "gpt-5.6-2026-12-31", "gpt-5.6"),
        ("openai", "GPT-4o", "gpt-4o"),
        ("openai", "ft:gpt-4o-2024-08-06:acme::7p4lURel", "ft:gpt-4o-2024-08-06"),
        ("anthropic", "claude-haiku-4-5-latest", "claude-haiku-4-5"),
        ("anthropic", "claude-opus-5-5-20991231", "claude-opus-5-5"),
        ("bedrock", "anthropic.claude-sonnet-4-5-20250929-v1:0", "anthropic.claude-sonnet-4-5-20250929-v1:0"),
        ("bedrock", "us.anthropic.claude-sonnet-4-5-20250929-v1:0", "us.anthropic.claude-sonnet-4-5-20250929-v1:0"),
        (
            "bedrock",
            "arn:aws:bedrock:us-east-1:123456789012:inference-profile/eu.anthropic.claude-haiku-4-5-20251001-v1:0",
            "eu.anthropic.claude-haiku-4-5-20251001-v1:0",
        ),
        ("bedrock", "arn:aws:bedrock:us-east-1::foundation-model/amazon.nova-pro-v1:0", "amazon.nova-pro-v1:0"),
        ("vertex", "claude-sonnet-4-5@20250929", "claude-sonnet-4-5@20250929"),
        ("vertex", "publishers/google/models/gemini-2.5-pro", "gemini-2.5-pro"),
        ("gemini", "models/gemini-2.5-flash", "gemini-2.5-flash"),
        ("azure", "gpt-4o-mini", "gpt-4o-mini"),
        ("groq", "openai/gpt-oss-120b", "openai/gpt-oss-120b"),
    ],
)
def test_a_model_is_found_with_its_prices(family: str, model: str, name: str) -> None:
    info = lookup(family, model)
    assert info.name == name
    assert info.known
    assert info.price is not None


@pytest.mark.parametrize(
    ("family", "model", "name"),
    [
        ("openrouter", "anthropic/claude-sonnet-4.5", "claude-sonnet-4-5"),
        ("openrouter", "openai/gpt-4o", "gpt-4o"),
        ("openrouter", "anthropic/claude-opus-4.8:thinking", "claude-opus-4-8"),
        ("", "gpt-5.1", "gpt-5.1"),
        ("bedrock", "mx.anthropic.claude-sonnet-4-5-20250929-v1:0", "anthropic.claude-sonnet-4-5-20250929-v1:0"),
    ],
)
def test_what_others_sell_of_a_maker_has_its_facts_and_not_its_prices(family: str, model: str, name: str) -> None:
    info = lookup(family, model)
    assert info.name == name
    assert info.context_window is not None
    assert info.prices == ()
    assert info.search_fee is None


@pytest.mark.parametrize("model", ["no-such-model", "", "../openai", "gpt", "o2", "claude"])
def test_an_unknown_model_is_unknown(model: str) -> None:
    assert lookup("openai", model) == UNKNOWN
    assert lookup("no_such_family", model) == UNKNOWN
    assert not UNKNOWN.known


def test_a_family_is_no_path() -> None:
    assert lookup("../data/openai", "gpt-4o").prices == ()


def test_the_facts_that_translation_needs_are_there() -> None:
    opus = lookup("anthropic", "claude-opus-5-5")
    assert (opus.max_output, opus.sampling, opus.prefill, opus.always_thinks) == (128_000, False, False, True)
    assert opus.efforts[-1] == "max"
    assert lookup("anthropic", "claude-haiku-4-5").thinking == "budget"
    assert lookup("openai", "gpt-5").efforts == ("minimal", "low", "medium", "high")
    assert lookup("openai", "gpt-5-pro").api == "responses"
    assert "audio" in lookup("gemini", "gemini-2.5-pro").input


def test_four_lists_cost_a_worker_little_memory_and_time() -> None:
    """Each less than the 3 MB and 30 ms that a worker may grow by; measured in a process of its own."""
    program = (
        "import gateway.provider, resource, time\n"
        "from gateway.catalogue import lookup, preload\n"
        "from pathlib import Path\n"
        "held = lambda: int(Path('/proc/self/statm').read_text().split()[1]) * 4096\n"
        "before, began = held(), time.process_time()\n"
        "for family in ('openai', 'anthropic', 'bedrock', 'azure'): preload(family)\n"
        "lookup('bedrock', 'us.anthropic.claude-sonnet-4-5-20250929-v1:0')\n"
        "print(held() - before, time.process_time() - began)\n"
    )
    ran = subprocess.run([sys.executable, "-c", program], capture_output=True, text=True, check=True)
    memory, seconds = ran.stdout.split()
    assert int(memory) < 3_000_000
    assert float(seconds) < 0.1  # ten milliseconds; the rest is for a machine under load
