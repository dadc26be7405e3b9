"""The name of Converse, and what the writer of one request knows of its reader."""

from __future__ import annotations

from typing import Any

from gateway.format import Dropped, Traits
from gateway.protocol import CacheControl
from gateway_plugins.formats.anthropic_fields import Outgoing as AnthropicOutgoing

NAME = "bedrock_converse"
"""The format's name: the ``origin`` of what it read."""
CLAUDE = "anthropic_messages"
"""The origin of thinking that Anthropic signed: its signatures are the same on Bedrock as with Anthropic itself."""


# How callers of Anthropic's dialect write what the normalised protocol has other names for.
_MESSAGES_NAMES = {
    "parallel_tool_calls": "tool_choice.disable_parallel_tool_use",
    "reasoning": "thinking",
    "reasoning.budget_tokens": "thinking.budget_tokens",
    "reasoning.display": "thinking.display",
    "reasoning.effort": "output_config.effort",
    "response_format": "output_config.format",
    "user": "metadata.user_id",
}


class Outgoing:
    """What the writer of one request knows: what the model takes, and where losses are named."""

    __slots__ = ("_claude", "dropped", "options", "origin", "traits")

    def __init__(self, traits: Traits, dropped: Dropped, origin: str) -> None:
        self.traits = traits
        self.options = traits.options
        self.dropped = dropped
        self.origin = origin
        # It knows how each dialect names a field.
        self._claude = AnthropicOutgoing(traits, dropped, origin)

    @property
    def claude(self) -> AnthropicOutgoing:
        """The same for the writers of Anthropic's format, whose rules hold for Claude on Bedrock."""
        return self._claude

    def lose(self, field: str, why: str) -> None:
        """Name a loss by the caller's word for the field."""
        self._claude.lose(_MESSAGES_NAMES.get(field, field) if self.origin == CLAUDE else field, why)

    def lose_extra(self, extra: dict[str, Any], path: str) -> None:
        """Name the unknown fields of another format."""
        for key in extra:
            self.lose(f"{path}.{key}", "Converse has no place for it")

    def cache_point(self, control: CacheControl | None, place: str, path: str) -> list[dict[str, Any]]:
        """The cache point that belongs behind a block, or none, which is then named. ``place`` is as in ``cache``."""
        if control is None:
            return []
        if place not in self.options.get("cache", ()):
            self.lose(f"{path}.cache_control" if path else "cache_control", "the model takes no cache point here")
            return []
        point: dict[str, Any] = {"type": "default"}
        if control.ttl is not None and self.options.get("ttl"):
            point["ttl"] = control.ttl
        elif control.ttl not in (None, "5m"):
            self.lose(
                f"{path}.cache_control.ttl" if path else "cache_control.ttl", "the model caches for five minutes only"
            )
        return [{"cachePoint": point}]
