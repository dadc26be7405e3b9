"""One try at one target: the request goes out, the head of the answer comes in."""

from __future__ import annotations

import time
from typing import TYPE_CHECKING

import msgspec

from gateway.books import settle
from gateway.call import Attempt
from gateway.credentials import HIDDEN, hide_keys, sent_keys
from gateway.errors import CannotTranslate, GatewayError, PluginFailed, UpstreamError, UpstreamProtocolError
from gateway.format import Dropped
from gateway.jsonbody import LARGE_BODY
from gateway.outgoing import time_limits, upstream_headers
from gateway.upstream import UpstreamReply, UpstreamRequest

if TYPE_CHECKING:
    from gateway.call import Call
    from gateway.ladder import Step
    from gateway.protocol import ChatRequest, Usage
    from gateway.slots import NoSlot, Slot


class Try:
    """A try, from its start to the last byte of its answer. Exactly one of ``done``, ``failed``, ``left`` ends it."""

    __slots__ = (
        "answer",
        "attempt",
        "began",
        "call",
        "dropped",
        "headers",
        "key",
        "lane",
        "open",
        "probe",
        "slot",
        "target",
    )

    def __init__(self, call: Call, step: Step) -> None:
        self.call = call
        self.target = target = step.target
        self.key = step.key
        self.headers: list[tuple[str, str]] = []
        self.lane = step.lane
        self.probe = step.probe
        self.began = False
        self.answer: UpstreamReply | None = None
        self.slot: Slot | NoSlot | None = None
        self.dropped = Dropped()
        self.open = True
        self.attempt = Attempt(target=target, started=call.elapsed())
        call.attempts.append(self.attempt)

    async def begin(self, request: ChatRequest | None = None) -> UpstreamReply:
        """Send the request and wait for the head of a good answer; raises the target's error.

        ``request`` is sent in place of the caller's own, where a broken stream is to go on.
        """
        call, target, lane = self.call, self.target, self.lane
        provider = call.gateway.providers[target.provider]
        health = call.gateway.health
        limits = time_limits(call, target)
        health.began(self.key)
        self.began = True
        if health.limited:
            slot = health.slot(self.key, None if limits.first_token is None else health.now() + limits.first_token)
            await slot.__aenter__()
            self.slot = slot
        call.target = target
        call.dropped = self.dropped
        call.usage = call.service_tier = call.search_units = None
        waited = time.perf_counter()
        try:
            pieces = None
            if request is not None:
                model = msgspec.structs.replace(request, model=target.model)
                body = lane.wire.write_request(model, provider.traits(target.model).resolved(model), self.dropped)
            else:
                large = len(call.body) >= LARGE_BODY and provider.takes_pieces
                pieces = lane.translator.pieces(call, target) if large else None
                body = lane.translator.request(call, target) if pieces is None else b""
            if call.strict and self.dropped:
                field, why = next(iter(self.dropped.reasons.items()))
                raise CannotTranslate(f"{target} cannot take {field!r}: {why}", param=field)
            # What goes on is written, and read, in the lane's own format.
            wire = lane.wire.name if request else lane.translator.wire_name(call, target, lane.wire.name)
            sent = UpstreamRequest(
                path=provider.path(wire, target, stream=call.stream),
                headers=upstream_headers(call, lane, body),
                body=body,
                pieces=pieces,
                stream=call.stream,
            )
            self.headers = sent.headers
            waited = time.perf_counter()
            try:
                answer = self.answer = await provider.send(call, sent, limits)
            except GatewayError:
                raise
            except Exception as error:
                raise PluginFailed(f"The provider {target.provider!r} failed: {type(error).__name__}.") from error
            self.attempt.status = answer.status
            if answer.status >= 400:
                refused = await answer.read()
                failure = lane.wire.read_error(answer.status, answer.headers, refused)
                failure.body = refused
                raise provider.refine_error(failure)
            return answer
        finally:
            call.upstream_seconds += time.perf_counter() - waited

    async def read(self) -> bytes:
        """The whole body of the answer."""
        assert self.answer is not None
        waited = time.perf_counter()
        try:
            return await self.answer.read()
        finally:
            self.call.upstream_seconds += time.perf_counter() - waited

    def take_over(self) -> None:
        """This is the try that the caller gets: of two that run at once, the other may have begun later."""
        self.call.target = self.target
        self.call.dropped = self.dropped

    def first_token(self) -> None:
        """The first piece of the answer is here."""
        attempt, call = self.attempt, self.call
        attempt.first_byte = call.elapsed()
        seconds = attempt.first_byte - attempt.started
        call.gateway.health.first_token(self.key, seconds, len(call.body) // 4, probe=self.probe)

    def done(self, usage: Usage | None, tier: str | None, search_units: int | None = None) -> None:
        """The answer is complete."""
        if self._end():
            settle(self.call, self.attempt, usage, tier, search_units)
            if self.probe:
                self._judge("ok")
            elif self.began:
                self.call.gateway.health.ended_well(self.key)

    def failed(self, error: GatewayError, usage: Usage | None = None, *, billed: bool = False) -> None:
        """It came to nothing, or broke off; ``billed`` says that the provider worked for it."""
        self.hide_keys(error)
        if not self._end():
            return
        self.attempt.error = error.message
        self.attempt.error_kind = error.kind
        if billed or isinstance(error, UpstreamProtocolError):
            settle(self.call, self.attempt, usage, None)  # an answer that cannot be read was worked for all the same
        self._judge("interrupted" if self.attempt.first_byte else "error", error)

    def hide_keys(self, error: GatewayError) -> None:
        """Take the provider's key out of its error, should it repeat what it was sent."""
        hide_keys(error, sent_keys(self.headers))

    def without_keys(self, data: bytes) -> bytes:
        """A provider's words without the key that it was sent."""
        for key in sent_keys(self.headers):
            data = data.replace(key.encode("latin-1", "replace"), HIDDEN.encode())
        return data

    def left(self, why: str, usage: Usage | None = None, *, billed: bool) -> None:
        """Nobody waits for it any more: the caller left, or another target was faster."""
        if self._end():
            self.attempt.error = why
            self.attempt.error_kind = "cancelled"
            if billed:
                settle(self.call, self.attempt, usage, None)
            self._judge("cancelled")

    def _judge(self, outcome: str, error: GatewayError | None = None) -> None:
        """Tell the target's health of the outcome."""
        if not self.began:
            return
        ours = error is not None and not isinstance(error, UpstreamError)
        provider = self.call.gateway.providers[self.target.provider]
        another_key = error is not None and provider.rejected(self.call, error)
        self.call.gateway.health.ended(
            self.key,
            "cancelled" if ours else outcome,
            kind=None if error is None else error.kind,
            retry_after=None if error is None else error.retry_after,
            cancelled=ours or outcome == "cancelled",
            probe=self.probe,
            another_key=another_key,
        )

    def _end(self) -> bool:
        if not self.open:
            return False
        self.open = False
        if self.slot is not None:
            self.slot.release()
        if self.answer is not None:
            self.answer.close()
        self.attempt.ended = self.call.elapsed()
        return True
