"""Make the catalogue of models (core/gateway/catalogue/data) of LiteLLM's public price data.

    pip download --no-deps litellm -d /tmp/prices
    python scripts/make_catalogue.py /tmp/prices/litellm-*.whl

The argument is that wheel, or its ``model_prices_and_context_window`` JSON file. Only facts are taken over (limits,
capabilities, prices), in a form of our own; the licence of the collection (MIT) is written beside them. Nothing of
this happens when the gateway is installed or runs. The output is sorted, so that a change of it reads as a diff.
"""

from __future__ import annotations

import json
import re
import sys
import zipfile
from collections.abc import Iterator
from decimal import Decimal
from pathlib import Path
from typing import Any, cast

import msgspec

from gateway.catalogue.info import ModelInfo, Price, PriceTier, Thinking

DATA = Path(__file__).parents[1] / "core" / "gateway" / "catalogue" / "data"

FAMILIES: dict[str, str] = {
    # LiteLLM's word for a provider -> ours; where several become one, the first that names a model counts.
    "openai": "openai",
    "text-completion-openai": "openai",
    "anthropic": "anthropic",
    "gemini": "gemini",
    "bedrock_converse": "bedrock",
    "bedrock": "bedrock",
    "bedrock_mantle": "bedrock",
    "azure": "azure",
    "azure_text": "azure",
    "azure_ai": "azure",
    "cohere": "cohere",
    "cohere_chat": "cohere",
    "mistral": "mistral",
    "cerebras": "cerebras",
    "cloudflare": "cloudflare",
    "dashscope": "dashscope",
    "databricks": "databricks",
    "deepinfra": "deepinfra",
    "deepseek": "deepseek",
    "fireworks_ai": "fireworks",
    "fireworks_ai-embedding-models": "fireworks",
    "groq": "groq",
    "minimax": "minimax",
    "moonshot": "moonshot",
    "nvidia_nim": "nvidia",
    "perplexity": "perplexity",
    "sambanova": "sambanova",
    "together_ai": "together",
    "voyage": "voyage",
    "xai": "xai",
    "zai": "zai",
}
# Prices by the size of a model, or of a region or commitment, are no models' names.
_NO_NAME = re.compile(
    r"(fireworks-ai|together-ai)-(default|embedding|up-to|above|moe|[\d.]+b-to|[\d.]+b-[\d.]+b).*|.*commitment/.*|[\d*]+/.*"
)
_REGION = re.compile(r"(us|eu|ap|ca|sa|me|af|il|mx)(-gov)?-[a-z]+-\d/.*|(us|eu|global|global-standard|apac)/.*")
_MODES = {
    "chat": "chat",
    "responses": "chat",
    "completion": "completions",
    "embedding": "embeddings",
    "rerank": "rerank",
}
_TOKENS = {
    "input": "input_cost_per_token",
    "output": "output_cost_per_token",
    "cache_read": "cache_read_input_token_cost",
    "cache_write": "cache_creation_input_token_cost",
    "cache_write_1h": "cache_creation_input_token_cost_above_1hr",
    "reasoning": "output_cost_per_reasoning_token",
    "audio_input": "input_cost_per_audio_token",
    "audio_output": "output_cost_per_audio_token",
    "image_input": "input_cost_per_image_token",
    "image_output": "output_cost_per_image_token",
}
_TIERS: dict[str, PriceTier] = {
    "": "standard",
    "_batches": "batch",
    "_flex": "flex",
    "_priority": "priority",
    "_ultrafast": "ultrafast",
}
_ABOVE = re.compile(r"input_cost_per_token_above_(\d+)k_tokens")
_PICO = Decimal(10) ** 12


def main(source: Path) -> int:
    """Write one file for each family, and the licence; returns the exit code."""
    table, version, licence = read_source(source)
    families: dict[str, dict[str, ModelInfo]] = {family: {} for family in sorted(set(FAMILIES.values()) | {"vertex"})}
    order = [*FAMILIES, *sorted({str(entry.get("litellm_provider")) for entry in table.values()} - FAMILIES.keys())]
    for word in order:
        family = "vertex" if word.startswith("vertex_ai") else FAMILIES.get(word)
        if family is None:
            continue
        for name, entry in table.items():
            if entry.get("litellm_provider") != word or (mode := _MODES.get(entry.get("mode", ""))) is None:
                continue
            short = short_name(name, word)
            if not _NO_NAME.fullmatch(short) and not _REGION.fullmatch(short):
                families[family].setdefault(short, info_of(short, mode, entry))
    DATA.mkdir(exist_ok=True)
    for family, models in families.items():
        rows = {name: msgspec.to_builtins(models[name]) for name in sorted(models)}
        for row in rows.values():
            del row["name"]
        lines = [f"{json.dumps(name)}:{json.dumps(row, separators=(',', ':'))}" for name, row in rows.items()]
        (DATA / f"{family}.json").write_text("{\n" + ",\n".join(lines) + "\n}\n", encoding="utf-8")
        sys.stdout.write(f"{family}: {len(rows)} models\n")
    heading = f"The files of this folder were made by scripts/make_catalogue.py of the price data of LiteLLM {version}."
    (DATA / "SOURCE.txt").write_text(f"{heading}\nThe licence of that collection:\n\n{licence}", encoding="utf-8")
    return 0


def read_source(source: Path) -> tuple[dict[str, dict[str, Any]], str, str]:
    """The entries by name, LiteLLM's version and its licence; from a wheel or a bare JSON file."""
    if source.suffix != ".whl":
        return (
            json.loads(source.read_text(encoding="utf-8")),
            "(a bare file)",
            "MIT, https://github.com/BerriAI/litellm\n",
        )
    with zipfile.ZipFile(source) as wheel:
        licence = next(name for name in wheel.namelist() if re.fullmatch(r"[^/]+\.dist-info/(licenses/)?LICENSE", name))
        entries = json.loads(wheel.read("litellm/model_prices_and_context_window_backup.json"))
        return entries, source.name.split("-")[1], wheel.read(licence).decode()


def short_name(name: str, word: str) -> str:
    """The model's name as its provider writes it."""
    prefixes: tuple[str, ...]
    prefixes = ("vertex_ai/",) if word.startswith("vertex_ai") else (f"{word.partition('-')[0]}/", f"{word}/")
    if word.startswith("bedrock"):
        prefixes = ("bedrock_mantle/", "bedrock/converse/", "bedrock/invoke/", "bedrock/")
    for prefix in prefixes:
        name = name.removeprefix(prefix)
    return name


def info_of(name: str, mode: str, entry: dict[str, Any]) -> ModelInfo:
    """One entry in our form."""

    def says(key: str) -> bool | None:
        found = entry.get(f"supports_{key}")
        return found if isinstance(found, bool) else None

    reasoning = says("reasoning")
    return ModelInfo(
        name=name,
        mode=cast(Any, mode),
        api="responses" if entry["mode"] == "responses" else None,
        context_window=whole(entry.get("max_input_tokens")),
        max_output=whole(entry.get("max_output_tokens")) if mode in ("chat", "completions") else None,
        input=tuple(inputs(entry)) if mode == "chat" else (),
        output=tuple(entry.get("supported_output_modalities", ["text"])) if mode == "chat" else (),
        tools=says("function_calling"),
        parallel_tools=says("parallel_function_calling"),
        forced_tools=False if says("forced_tool_use") is False or says("tool_choice") is False else says("tool_choice"),
        structured_output=says("response_schema"),
        reasoning=reasoning,
        efforts=efforts_of(entry) if reasoning else (),
        default_effort=entry.get("default_reasoning_effort"),
        thinking=thinking_of(entry) if "claude" in name else None,
        always_thinks=entry.get("thinking_always_on") is True,
        sampling=says("sampling_params"),
        prefill=says("assistant_prefill"),
        system_anywhere=says("mid_conversation_system"),
        web_search=says("web_search"),
        prompt_cache=says("prompt_caching"),
        cache_minimum=whole(entry.get("prompt_cache_min_tokens")),
        dimensions=whole(entry.get("output_vector_size")) if mode == "embeddings" else None,
        retires=entry.get("deprecation_date"),
        prices=tuple(prices_of(entry)),
        search_fee=pico((entry.get("search_context_cost_per_query") or {}).get("search_context_size_medium")),
        request_fee=pico(entry.get("input_cost_per_request") or entry.get("input_cost_per_query")),
        fast_percent=percent(entry, "fast"),
        us_percent=percent(entry, "us"),
    )


def whole(value: Any) -> int | None:
    """A count of tokens, if it is one."""
    return int(value) if isinstance(value, int | float) and value > 0 else None


def inputs(entry: dict[str, Any]) -> Iterator[str]:
    """What a chat model reads."""
    listed = entry.get("supported_modalities") or ()
    yield "text"
    for word, key in (("image", "vision"), ("pdf", "pdf_input"), ("audio", "audio_input"), ("video", "video_input")):
        if entry.get(f"supports_{key}") or word in listed:
            yield word


def efforts_of(entry: dict[str, Any]) -> tuple[str, ...]:
    """The words for reasoning effort, the least first; none where the data does not speak of them."""
    if levels := entry.get("reasoning_effort_levels"):
        return tuple(levels)
    words = ("none", "minimal", "xhigh", "max")
    said = {word: entry.get(f"supports_{word}_reasoning_effort") for word in words}
    if all(value is None for value in said.values()) and not entry.get("supports_output_config"):
        return ()
    order = ("none", "minimal", "low", "medium", "high", "xhigh", "max")
    return tuple(word for word in order if said.get(word, True))


def thinking_of(entry: dict[str, Any]) -> Thinking:
    """How an Anthropic model is told to think."""
    if entry.get("supports_adaptive_thinking"):
        return "both" if entry.get("supports_legacy_thinking") else "adaptive"
    return "budget" if entry.get("supports_reasoning") else "none"


def prices_of(entry: dict[str, Any]) -> Iterator[Price]:
    """A row for each tier and size of prompt. A price of nothing at all counts as not known."""
    thresholds = sorted(int(match[1]) * 1000 for key in entry if (match := _ABOVE.fullmatch(key)))
    for suffix, tier in _TIERS.items():
        lower: dict[str, int] = {}
        for above in (0, *thresholds):
            size = f"_above_{above // 1000}k_tokens" if above else ""
            found = {
                field: cost
                for field, key in _TOKENS.items()
                if (cost := pico(entry.get(f"{key}{size}{suffix}"))) is not None
            }
            # A row is whole: what it does not say is as in the row below it, or not told at all.
            if any(found.values()) and (above == 0 or lower):
                lower = {**lower, **found}
                yield msgspec.convert({"tier": tier, "above": above, **lower}, Price)
    for row in entry.get("tiered_pricing") or ():
        found = {field: cost for field, key in _TOKENS.items() if (cost := pico(row.get(key))) is not None}
        if any(found.values()):
            yield msgspec.convert({"above": int((row.get("range") or [0])[0]), **found}, Price)


def percent(entry: dict[str, Any], word: str) -> int | None:
    """A factor on all prices of a model, as LiteLLM keeps Anthropic's."""
    factor = (entry.get("provider_specific_entry") or {}).get(word)
    return round(factor * 100) if isinstance(factor, int | float) and factor > 1 else None


def pico(dollars: Any) -> int | None:
    """Dollars as whole pico-dollars; the data's floats say shortest what their writers typed."""
    if isinstance(dollars, bool) or not isinstance(dollars, int | float) or dollars < 0:
        return None
    return int((Decimal(repr(dollars)) * _PICO).to_integral_value())


if __name__ == "__main__":
    if len(sys.argv) != 2:
        sys.exit(__doc__)
    sys.exit(main(Path(sys.argv[1])))
