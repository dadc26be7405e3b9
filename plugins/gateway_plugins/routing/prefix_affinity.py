"""``strategy = "prefix_affinity"``: prompts that begin alike go to the same target, where that beginning is cached."""

from __future__ import annotations

from collections.abc import Sequence
from hashlib import blake2b
from math import ceil
from typing import Annotated, Any, ClassVar

import msgspec

from gateway import Call, Plugin, Target, hookimpl
from gateway.decision import decision_of
from gateway.plugin import ModelOptions, Stage
from gateway_plugins.routing.identity import rendezvous
from gateway_plugins.routing.standing import fit, standing

_TURNS = ("messages", "input", "contents", "prompt")
_BEFORE = ("tools", "system", "instructions", "systemInstruction", "system_instruction")
_INSTRUCTIONS = ("system", "developer")
_turns = msgspec.json.Decoder(list[msgspec.Raw]).decode


class PrefixAffinityOptions(ModelOptions, frozen=True, kw_only=True):
    """How much of a prompt decides, and how uneven the load may become.

    ``prefix_bytes`` of the tools, the instructions and the conversation's first turn are hashed: about four to a token.
    ``load_factor``: no target has more than this times the average of the calls in flight.
    """

    prefix_bytes: Annotated[int, msgspec.Meta(ge=64, le=1 << 20)] = 4096
    load_factor: Annotated[float, msgspec.Meta(ge=1, le=100)] = 1.25


_DEFAULTS = PrefixAffinityOptions()


class PrefixAffinity(Plugin):
    """Sends prompts with the same beginning to the same target, by rendezvous hashing and with bounded load.

    The later turns of a conversation find the cache of the earlier ones, and with a long system prompt so do all
    callers that share it. No store is needed, and all workers agree. A target that is full by ``load_factor`` passes
    the call on to the next in that prompt's own order. OpenAI's ``prompt_cache_key`` decides where a caller gives it.
    """

    stage: ClassVar[Stage] = "route"
    strategies = ("prefix_affinity",)
    Options = PrefixAffinityOptions

    @hookimpl
    def route(self, call: Call) -> Sequence[Target] | None:
        if call.model_config is None or call.model_config.strategy not in self.strategies:
            return None
        targets = call.targets
        if len(targets) < 2:
            return targets
        options: PrefixAffinityOptions = self.options(call) or _DEFAULTS
        ranked = rendezvous(prefix_of(call, options.prefix_bytes), targets)
        health = {str(target): standing(call, target) for target in targets}
        loads = {name: state.in_flight + state.queued for name, state in health.items()}
        able = [target for target in ranked if fit(health[str(target)]) and target.weight > 0] or list(ranked)
        weight = sum(target.weight for target in able)
        total = sum(loads[str(target)] for target in able) + 1
        decision = decision_of(call)

        def has_room(target: Target) -> bool:
            share = target.weight / weight if weight > 0 else 1 / len(able)
            return loads[str(target)] + 1 <= ceil(options.load_factor * total * share)

        first = next((target for target in able if has_room(target)), able[0])
        for place, target in enumerate(ranked):
            decision.scored(target, loads[str(target)], f"calls in flight; number {place + 1} for this prefix")
            entry = decision.candidate(str(target))
            if not fit(health[str(target)]):
                entry.why = f"behind the others: {health[str(target)].reason or health[str(target)].state}"
            elif target in able and able.index(target) < able.index(first):
                entry.why = f"full: it has {loads[str(target)]} of {total - 1} calls"
        rest = [target for target in able if target is not first]
        return (first, *rest, *(target for target in ranked if target not in able))


def prefix_of(call: Call, most: int) -> str:
    """A hash of what the prompt begins with: tools, instructions and the first turn, cut at ``most`` bytes."""
    json = call.json
    if (key := json.raw("prompt_cache_key")) is not None and key != b"null":
        return key.decode("utf-8", "replace")
    digest = blake2b(digest_size=16)
    left = most
    for name in _BEFORE:
        raw = json.raw(name)
        if raw is not None and left > 0:
            digest.update(raw[:left])
            left -= len(raw)
    for name in _TURNS:
        span = json.spans.get(name)
        if span is not None and left > 0:
            digest.update(_beginning(json.body, span, left))
            break
    return digest.hexdigest()


def _beginning(body: bytes, span: tuple[int, int], most: int) -> bytes:
    """The first ``most`` bytes of a list of turns, up to the first that is no instruction; later turns do not count."""
    raw = body[span[0] : span[1]]
    try:
        turns = _turns(raw)
    except msgspec.DecodeError:
        return raw[:most]  # a prompt that is one text
    begun = b""
    for turn in turns:
        begun += bytes(turn)
        if len(begun) >= most or not _instructs(bytes(turn)):
            break
    return begun[:most]


def _instructs(turn: bytes) -> bool:
    try:
        read: Any = msgspec.json.decode(turn)
    except msgspec.DecodeError:
        return False
    return isinstance(read, dict) and read.get("role") in _INSTRUCTIONS
