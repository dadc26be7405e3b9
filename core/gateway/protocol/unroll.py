"""A whole reply told as the events of a stream."""

from __future__ import annotations

import msgspec

from gateway.protocol.content import Part, Refusal, Text, Thinking, ToolCall
from gateway.protocol.reply import (
    ChatReply,
    DeltaKind,
    End,
    Event,
    Finish,
    PartDelta,
    PartStart,
    PartStop,
    Start,
    UsageUpdate,
)


def events_of(reply: ChatReply) -> list[Event]:
    """The events of a good stream that says what ``reply`` says."""
    events: list[Event] = [
        Start(
            id=reply.id,
            model=reply.model,
            created=reply.created,
            usage=reply.usage,
            service_tier=reply.service_tier,
            origin=reply.origin,
            extra=reply.extra,
        )
    ]
    for choice in reply.choices:
        logprobs = choice.logprobs
        for place, part in enumerate(choice.content):
            empty, deltas = _opened(part)
            events.append(PartStart(choice=choice.index, part=place, content=empty))
            for kind, value in deltas:
                delta = PartDelta(choice=choice.index, part=place, kind=kind, value=value)
                if kind in ("text", "refusal"):
                    # The choice's all at once, with the first words that they can be of.
                    delta.logprobs, logprobs = logprobs, None
                events.append(delta)
            if isinstance(part, Text):
                events += [
                    PartDelta(choice=choice.index, part=place, kind="citation", data=item) for item in part.citations
                ]
            events.append(PartStop(choice=choice.index, part=place))
        events.append(
            Finish(
                choice=choice.index,
                finish_reason=choice.finish_reason or "stop",
                native_finish_reason=choice.native_finish_reason,
                stop_sequence=choice.stop_sequence,
                extra=choice.extra,
            )
        )
    if reply.usage is not None:
        events.append(UsageUpdate(usage=reply.usage))
    events.append(End())
    return events


def _opened(part: Part) -> tuple[Part, list[tuple[DeltaKind, str]]]:
    """A part as it stands when it begins, and the deltas that complete it."""
    deltas: list[tuple[DeltaKind, str]] = []
    empty = part
    if isinstance(part, Text):
        empty = msgspec.structs.replace(part, text="", citations=[])
        deltas = [("text", part.text)]
    elif isinstance(part, Refusal):
        empty = msgspec.structs.replace(part, text="")
        deltas = [("refusal", part.text)]
    elif isinstance(part, Thinking) and not part.redacted:
        empty = msgspec.structs.replace(part, text="", signature=None, encrypted=None)
        deltas = [("thinking", part.text), ("signature", part.signature or ""), ("encrypted", part.encrypted or "")]
    elif isinstance(part, ToolCall):
        empty = msgspec.structs.replace(part, arguments="")
        deltas = [("arguments", part.arguments)]
    return empty, [delta for delta in deltas if delta[1]]
