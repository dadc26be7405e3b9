"""Providers that speak OpenAI's chat completions, as data: where they are, which key they want, how they differ.

``scripts/make_provider_pages.py`` writes the table of docs/providers.md and a page for each. The differences matter
where a caller of another dialect is translated; one of OpenAI's own passes unchanged.
"""

from __future__ import annotations

from gateway_plugins.providers.preset import Preset, traits_for
from gateway_plugins.providers.presets_hosts import HOSTS
from gateway_plugins.providers.presets_local import LOCAL
from gateway_plugins.providers.presets_makers import MAKERS
from gateway_plugins.providers.presets_retrieval import RETRIEVAL

COMPATIBLE = traits_for("the provider")
"""What is assumed of a server that no preset describes: the oldest spelling, which all of them read."""

PRESETS: dict[str, Preset] = {**LOCAL, **dict(sorted({**HOSTS, **MAKERS, **RETRIEVAL}.items()))}
"""Preset name → preset: servers of one's own first, then services by name."""

BY_HAND = ("mistral", "ollama")
"""Those whose page is not written from this data: they have interfaces of their own besides."""


def refused(preset: Preset) -> list[str]:
    """The fields that some model of it does not take, or not always."""
    names: dict[str, None] = {}
    for traits in (preset.traits, *(traits for _, traits in preset.models)):
        names |= dict.fromkeys((*traits.unsupported, *traits.while_reasoning))
    return list(names)


def table() -> str:
    """The presets as a Markdown table, one row each."""
    rows = [
        "| preset | provider | base URL | key | embeddings | not taken (named when translated) |",
        "| --- | --- | --- | --- | --- | --- |",
    ]
    for name, preset in PRESETS.items():
        key = f"`{preset.key_env}`" if preset.key_env else "none needed"
        fields = ", ".join(f"`{field}`" for field in refused(preset)) or "-"
        ended = f" (ended {preset.retired})" if preset.retired else ""
        title = f"[{preset.title}](providers/{name}.md){ended}"
        rows.append(
            f"| `{name}` | {title} | `{preset.base_url or preset.address}` | {key} "
            f"| {'yes' if preset.embeddings else 'no'} | {fields} |"
        )
    return "\n".join(rows) + "\n"
