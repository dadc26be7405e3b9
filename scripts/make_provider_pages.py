"""Write docs/providers/<name>.md for each provider that imitates OpenAI, and the table of docs/providers.md.

    python scripts/make_provider_pages.py

All of it comes of the presets' own data, and a test holds the pages to it: run this after a change of a preset.
"""

from __future__ import annotations

import re
import sys
from pathlib import Path

from gateway.catalogue import families
from gateway.format import Traits
from gateway_plugins.providers.preset import Preset
from gateway_plugins.providers.presets import BY_HAND, PRESETS, table

PAGES = Path(__file__).parents[1] / "docs" / "providers"

_TABLE = re.compile(r"(<!-- presets: .*? -->\n).*?(<!-- /presets -->)", re.DOTALL)
_WORDS = {
    "effort": "`reasoning_effort`",
    "reasoning": "OpenRouter's `reasoning` object",
    "thinking": "`thinking: {type: …}`, with `reasoning_effort`",
    "thinking_switch": "`thinking: {type: …}`: on or off",
    "enable_thinking": "`enable_thinking` and `thinking_budget`",
}
_BEYOND = {
    "cache_control": "prompt cache breakpoints (`cache_control`)",
    "reasoning_details": "signed and encrypted thinking (`reasoning_details`)",
    "video_url": "videos",
    "audio_url": "audio by URL",
    "document_url": "documents by URL",
    "file_url": "files by URL",
}


def main() -> int:
    """Write all pages; returns the exit code."""
    PAGES.mkdir(exist_ok=True)
    for name, text in pages().items():
        (PAGES / f"{name}.md").write_text(text, encoding="utf-8")
    listing = PAGES.with_suffix(".md")
    text = listing.read_text(encoding="utf-8")
    listing.write_text(_TABLE.sub(lambda found: f"{found[1]}{table()}{found[2]}", text), encoding="utf-8")
    return 0


def pages() -> dict[str, str]:
    """Preset name → its page."""
    return {name: page(name, preset) for name, preset in PRESETS.items() if name not in BY_HAND}


def page(name: str, preset: Preset) -> str:
    """What a provider takes, what it refuses, and what we do about it."""
    parts = [f"# {preset.title}", _intro(preset), _toml(name, preset), "## What it takes", _takes(preset)]
    parts += ["## What it does not take", _refuses(preset)]
    if preset.notes:
        parts += ["## What else differs, and what we do about it", "\n".join(f"- {note}" for note in preset.notes)]
    parts.append(_money(name))
    return "\n\n".join(parts) + "\n"


def _intro(preset: Preset) -> str:
    kind = "A preset of [`openai_compatible`](../providers.md#openai_compatible)"
    where = f"at `{preset.base_url}`" if preset.base_url else f"at an address of your own, `{preset.address}`"
    ended = f" **The service ended on {preset.retired}.**" if preset.retired else ""
    return f"{kind}, {where}\n([its documentation]({preset.docs})).{ended} This page is written from the preset's data."


def _toml(name: str, preset: Preset) -> str:
    lines = [f"[plugins.{name}]"]
    if not preset.base_url:
        lines.append(f'base_url = "{preset.address}"')
    if preset.key_env:
        lines.append(f'api_key = {{ env = "{preset.key_env}" }}')
    return "\n".join(["```toml", *lines, "```"])


def _takes(preset: Preset) -> str:
    offered = [
        ("chat completions", preset.chat),
        ("responses", preset.responses),
        ("completions (legacy)", preset.completions),
        ("embeddings", preset.embeddings),
        ("rerank", preset.rerank),
    ]
    spoken = ", ".join(word for word, there in offered if there)
    rows = ["| | |", "| --- | --- |", f"| speaks | {spoken} |"]
    if preset.chat:
        traits = preset.traits
        rows.append(f"| the limit of an answer | `{traits.options.get('max_tokens_field', 'max_tokens')}` |")
        rows.append(f"| instructions | `{traits.roles.get('developer', 'developer')}` for `developer` |")
        rows.append(f"| reasoning | {_reasoning(preset)} |")
        beyond = [_BEYOND.get(word, f"`{word}`") for word in traits.options.get("accepts", ())]
        rows.append(f"| beyond OpenAI's fields | {', '.join(beyond) or 'nothing that is known'} |")
        for wire, theirs in traits.renames.items():
            rows.append(f"| `{wire}` | is called `{theirs}` |")
        for wire, value in traits.defaults.items():
            rows.append(f"| `{wire}` | is sent as `{str(value).lower()}` where the request is translated |")
        if traits.options.get("stream_options") is False:
            rows.append("| `stream_options` | not sent: streams tell the token counts unasked |")
    if preset.rewrites:
        return "\n".join(rows) + "\n\nEvery request is translated, also that of a caller of a format that it speaks."
    same = "A caller of a format that it speaks has the request passed on as it came, but for the model's name."
    return "\n".join(rows) + f"\n\n{same}"


def _reasoning(preset: Preset) -> str:
    found: list[str] = []
    for pattern, traits in (*preset.models, ("others" if preset.models else "", preset.traits)):
        words = "not taken" if "reasoning" in traits.unsupported else _WORDS[traits.options.get("reasoning", "effort")]
        efforts = traits.options.get("efforts")
        if efforts and words != "not taken":
            words += f" ({', '.join(efforts)})"
        found.append(f"{pattern if pattern in ('', 'others') else f'`{pattern}`'}: {words}".removeprefix(": "))
    return "; ".join(found)


def _refuses(preset: Preset) -> str:
    rows: list[str] = []
    for pattern, traits in (("", preset.traits), *preset.models):
        named = _named(traits)
        if pattern and (not preset.models or named == _named(preset.traits)):
            continue
        rows.append(f"- {f'`{pattern}`: ' if pattern else ''}{named}")
    if rows == ["- nothing that is known"]:
        return "Nothing is known that it would refuse. What it refuses all the same is answered as its own error."
    why = (
        "When a request is translated, these are left out and named in `x-gateway-dropped`, or refused for a caller "
        "who sends `x-gateway-strict: 1`:"
    )
    return f"{why}\n\n" + "\n".join(rows)


def _named(traits: Traits) -> str:
    named = [f"`{field}`" for field in traits.unsupported]
    named += [f"`{field}` while it thinks" for field in traits.while_reasoning]
    return ", ".join(named) or "nothing that is known"


def _money(name: str) -> str:
    if name in families():
        return "Limits and prices of its models are in the [catalogue](../catalogue.md)."
    return "The catalogue has no prices for it: say them in [`[catalogue]`](../catalogue.md) to have costs told."


if __name__ == "__main__":
    sys.exit(main())
