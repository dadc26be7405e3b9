"""Legacy completions for a target of another format: what can only be said there is refused by name."""

from __future__ import annotations

from typing import TYPE_CHECKING

from gateway.protocol import ChatRequest
from gateway.translation import Composed, Pair, Translator
from gateway_plugins.formats.openai_completions_request import NAME, only_here

if TYPE_CHECKING:
    from gateway.call import Call, Target


def completions_lane(pair: Pair) -> Translator | None:
    """The translator where a caller of completions meets another format; None for every other pair."""
    return _Completions(pair) if pair.source.name == NAME != pair.wire.name else None


class _Completions(Composed):
    """As the default, but several prompts, or one of token ids, are a 400 rather than a guess at what was meant."""

    def request(self, call: Call, target: Target) -> bytes:
        asked = call.request
        refusal = only_here(asked) if isinstance(asked, ChatRequest) else None
        if refusal is not None:
            raise refusal
        return super().request(call, target)
