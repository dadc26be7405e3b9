"""Tries the targets of a call in turn, until one answers or none is left."""

from __future__ import annotations

import asyncio
from collections.abc import AsyncIterator
from typing import TYPE_CHECKING, Any

import msgspec

from gateway.attempt import Try
from gateway.call import Call, RawHeaders, Reply
from gateway.errors import CannotTranslate, GatewayError, Unavailable, UpstreamError, UpstreamRejected
from gateway.json_text import BAD_JSON
from gateway.ladder import Ladder, Step
from gateway.protocol import ChatReply, Usage
from gateway.protocol.unroll import events_of
from gateway.relay import Relay
from gateway.translation import model_sent

if TYPE_CHECKING:
    from gateway.state import Lane

_JSON_HEADERS: RawHeaders = [(b"content-type", b"application/json")]


async def forward(call: Call) -> Reply:
    """The answer of the first target that gives one; raises the error of the last that did not."""
    health = call.gateway.health
    health.counted(call.model)
    ladder = Ladder(call)
    step = ladder.next()
    while step is not None:
        try:
            after = health.hedge_after(call.model, step.key)
            if after is None:
                return await _answered(call, ladder, step)
            return await _hedged(call, ladder, step, after)
        except (UpstreamError, CannotTranslate, Unavailable) as error:
            step = await ladder.after(error)
    failure = ladder.verdict()
    own = _provider_answer(call, failure)
    if own is None:
        raise failure
    return own


class _Race:
    """Two targets asked for one call. The first whose answer is here is the call's; the other has lost."""

    __slots__ = ("_won",)

    def __init__(self) -> None:
        self._won = False

    def claim(self) -> None:
        """Take the call for the answer that is here; raises CancelledError where the other one has it."""
        if self._won:
            raise asyncio.CancelledError
        self._won = True


async def _answered(call: Call, ladder: Ladder, step: Step, race: _Race | None = None) -> Reply:
    """One target's answer: whole, or a stream of which the first piece is here."""
    attempt, lane = Try(call, step), step.lane
    try:
        answer = await attempt.begin()
        if call.stream and "application/json" not in answer.headers.get("content-type", ""):
            relay = Relay(call, ladder, attempt)
            await relay.prime()
            if race is not None:
                try:
                    race.claim()
                except asyncio.CancelledError:
                    relay.abandon()
                    raise
            attempt.take_over()
            headers: RawHeaders = [(b"content-type", call.format.stream_content_type)]
            reply = Reply(answer.status, stream=relay, headers=headers)
            reply.close = relay.close
            reply.writer = relay.writer
            return reply
        body = await attempt.read()
        attempt.first_token()
        if race is not None:
            race.claim()
        attempt.take_over()
        if call.stream:
            reply = _unrolled(call, lane, body)
        else:
            reply = Reply(answer.status, body=lane.translator.reply(call, body), headers=_JSON_HEADERS.copy())
    except GatewayError as error:
        attempt.failed(error)
        raise
    except BaseException:
        # The loser of a race has read the prompt by then, and will bill it.
        guess = None if race is None else Usage(prompt_tokens=-(-len(call.body) // 4), source="estimated")
        attempt.left("Nobody waited for it any more.", guess, billed=race is not None or attempt.answer is not None)
        raise
    attempt.done(call.usage, call.service_tier, call.search_units)
    return reply


async def _hedged(call: Call, ladder: Ladder, step: Step, after: float) -> Reply:
    """The first of two answers: a second target is asked when the first one's answer has not begun in time."""
    race = _Race()
    first = asyncio.create_task(_answered(call, ladder, step, race))
    running = {first}
    try:
        await asyncio.wait(running, timeout=after)
        if not first.done() and (other := ladder.next()) is not None:
            call.gateway.health.hedged(call.model)
            call.note(f"{step.target} had not begun after {after:.3f} s, so {other.target} was asked as well")
            running.add(asyncio.create_task(_answered(call, ladder, other, race)))
        failure: BaseException | None = None
        while running:
            done, running = await asyncio.wait(running, return_when=asyncio.FIRST_COMPLETED)
            for task in done:
                if task.cancelled():
                    continue  # the loser, in the very moment in which the other won
                if (failure := task.exception()) is None:
                    return task.result()
        assert failure is not None
        raise failure
    finally:
        for task in running:
            task.cancel()
        if running:
            await asyncio.wait(running)


def _unrolled(call: Call, lane: Lane, body: bytes) -> Reply:
    """A whole answer for a caller who asked for a stream, told as events; an error body is raised."""
    facts = lane.wire.read_facts(body)
    if facts.error is not None:
        raise facts.error
    whole = lane.wire.read_reply(body)
    assert isinstance(whole, ChatReply), "only chat completions are streamed"
    call.usage, call.answered_model, call.finish_reason = whole.usage, whole.model, facts.finish_reason
    call.service_tier = whole.service_tier
    whole.created = whole.created if whole.created is not None else int(call.started_at)
    whole.id, whole.model = whole.id or call.id, whole.model or model_sent(call)
    writer = call.format.stream_writer(call.request, call.dropped)
    data = b"".join(writer.write(event) for event in events_of(whole))

    async def once() -> AsyncIterator[bytes]:
        yield data

    return Reply(200, stream=once(), headers=[(b"content-type", call.format.stream_content_type)])


def _provider_answer(call: Call, error: GatewayError) -> Reply | None:
    """A provider's own error body in the caller's format: kept, with what our rendering has and it lacks."""
    if not isinstance(error, UpstreamRejected) or call.target is None or not error.body:
        return None
    lane = call.gateway.lane(call.format.name, call.target)
    if lane is None or lane.wire.name != call.format.name:
        return None
    try:
        theirs = msgspec.json.decode(error.body)
    except BAD_JSON:
        return None
    if not isinstance(theirs, dict) or not isinstance(theirs.get("error"), dict):
        return None
    ours = msgspec.json.decode(call.format.write_error(error, call.id))
    error_of = {**ours["error"], **_of_our_kinds(theirs["error"], ours["error"])}
    body = msgspec.json.encode({**ours, **_of_our_kinds(theirs, ours), "error": error_of})
    call.error = error
    return Reply(error.status, body=body, headers=[*_JSON_HEADERS, *error.response_headers()])


def _of_our_kinds(theirs: dict[str, Any], ours: dict[str, Any]) -> dict[str, Any]:
    """What a provider says, without members that are no text where its format has text; a code may be a number."""
    return {
        key: value
        for key, value in theirs.items()
        if (usual := ours.get(key)) is None or type(value) is type(usual) or (key == "code" and type(value) is int)
    }
