"""A provider's stream on its way to the caller, and what becomes of it when the provider dies."""

from __future__ import annotations

import asyncio
from collections import deque
from collections.abc import Callable, Iterable
from typing import TYPE_CHECKING

from gateway.attempt import Try
from gateway.errors import GatewayError, UpstreamError
from gateway.protocol import End, Event, Finish, UsageUpdate
from gateway.rescue import Said, Splice
from gateway.resumed import Rejoined, continued, may_prefill
from gateway.source import Source
from gateway.spent import added, spent_by
from gateway.sse import split_events

if TYPE_CHECKING:
    from gateway.call import Call
    from gateway.format import StreamWriter
    from gateway.ladder import Ladder, Step
    from gateway.protocol import Usage

MOST_REMEMBERED = 8 * 1024 * 1024
"""How many bytes of a stream are kept, so that it can be told on; beyond, it cannot."""


def _events_in(chunk: bytes) -> int:
    """How many events a chunk of whole ones holds, whichever line ends they have."""
    return chunk.count(b"\n\n") + chunk.count(b"\r\n\r\n")


def _says_again(events: list[Event], said: Said) -> bool:
    """Whether what an event means was said before: a reason, or the usage."""
    kinds = {type(event) for event in events}
    if End in kinds:
        return False
    return Finish in kinds or said.usage is not None or UsageUpdate not in kinds


class Relay:
    """An async iterator of chunks of whole events; an error before the first one is raised by ``prime``.

    With ``rescue = "resume"`` what was sent is remembered, and a stream that breaks goes on with another answer. With
    ``"hold"`` the first events are kept back for a moment, in which a break costs nothing.
    """

    def __init__(self, call: Call, ladder: Ladder, attempt: Try) -> None:
        assert call.model_config is not None
        self._call = call
        self._ladder = ladder
        self._source = Source(call, attempt, attempt.lane.translator.stream(call))
        self._waiting: deque[bytes] = deque()
        self._pending: asyncio.Task[bytes | None] | None = None
        self._ended = False
        self._open = True
        rescue = call.model_config.rescue
        self._hold = call.model_config.hold if rescue == "hold" else None
        self._sent: list[bytes] | None = [] if rescue == "resume" else None
        self._sent_bytes = 0
        self._spent: Usage | None = None
        self._broken: Source | None = None
        """The source whose usage is in ``_spent``, the last one."""

    async def prime(self) -> None:
        """Wait for the first bytes that the caller will see; an error before them may still be tried elsewhere."""
        first = await self._source.first()
        self._source.attempt.first_token()
        self._ended = first is None
        self._waiting.append(first or b"")
        if self._hold is not None and not self._ended:
            try:
                await self._hold_back(self._hold.tokens, self._hold.milliseconds / 1000)
            except UpstreamError as error:
                # The provider bills what it said, though nobody will read it.
                self._source.fail(error, self._lost(self._waiting))
                raise
            except BaseException:
                self.abandon()
                raise

    def abandon(self) -> None:
        """Read no further: another answer is the caller's."""
        if self._pending is not None:
            self._pending.cancel()

    async def _hold_back(self, tokens: int, seconds: float) -> None:
        loop = asyncio.get_running_loop()
        until = loop.time() + seconds
        held = _events_in(self._waiting[0])
        while held < tokens and (left := until - loop.time()) > 0:
            # The read is not cancelled when the time is up, for that would cut the connection: it stays for later.
            self._pending = loop.create_task(self._source.next())
            done, _ = await asyncio.wait((self._pending,), timeout=left)
            if not done:
                return
            task, self._pending = self._pending, None
            chunk = task.result()
            if chunk is None:
                self._ended = True
                return
            self._waiting.append(chunk)
            held += _events_in(chunk)

    def __aiter__(self) -> Relay:
        return self

    async def __anext__(self) -> bytes:
        if self._waiting:
            return self._remember(self._waiting.popleft())
        if self._ended:
            raise StopAsyncIteration
        try:
            if self._pending is not None:
                task, self._pending = self._pending, None
                chunk = await task
            else:
                chunk = await self._source.next()
        except UpstreamError as error:
            chunk = await self._rescue(error)
        if chunk is None:
            self._ended = True
            raise StopAsyncIteration
        return self._remember(chunk)

    async def push(self, write: Callable[[bytes], bool]) -> None:
        """Hand chunks to ``write`` as they arrive, without a task's turn for each, as long as it returns True.

        Returns at whatever is not the next chunk of a good stream, and iterating tells what it is.
        """
        source = self._source
        if self._waiting or self._pending is not None or self._ended or not source.flows:
            return
        feed = source.feed
        remember = None if self._sent is None else self._remember

        def take(data: bytes) -> bool:
            out = feed(data)
            if not out:
                return source.flows
            if remember is not None:
                remember(out)
            return write(out) and source.flows

        await source.follow(take)

    def writer(self) -> StreamWriter | None:
        """What writes the caller's events at present, where they are not passed on."""
        return self._source.writer

    def close(self) -> None:
        """Give the connection back, or cut it if the answer is unfinished; note what is known. Safe to call twice."""
        if not self._open:
            return
        self._open = False
        self.abandon()
        call, facts = self._call, self._source.facts()
        self._source.close()
        usage, spent = facts.usage, self._spent
        if spent is not None:
            # A source that broke is in what was spent already.
            usage = spent if usage is None or self._source is self._broken else added(spent, usage)
        call.usage = usage
        call.answered_model, call.finish_reason = facts.model, facts.finish_reason
        call.service_tier = facts.service_tier

    def _remember(self, chunk: bytes) -> bytes:
        if self._sent is not None:
            self._sent.append(chunk)
            self._sent_bytes += len(chunk)
            if self._sent_bytes > MOST_REMEMBERED:
                self._sent = None
        return chunk

    # -- the rescue ----------------------------------------------------------------------------------------------

    async def _rescue(self, error: UpstreamError) -> bytes | None:
        """The next chunk of a stream that broke, from wherever it can come; raises ``error`` where it cannot."""
        source, call = self._source, self._call
        source.attempt.hide_keys(error)
        said = self._said(error)
        if said is None:
            return self._give_up(error, source)
        if said.finish is not None and said.choices <= said.finished:
            # All was said; only the end mark is missing.
            source.attempt.failed(error, source.facts().usage, billed=True)
            self._ended = True
            return self._last(said)
        lost = spent_by(said, source.facts().usage, call.body)
        source.fail(error, lost)
        self._spent = lost if self._spent is None else added(self._spent, lost)
        self._broken = source
        while (step := self._ladder.after_break(error)) is not None:
            words = said.prefill() if may_prefill(call, step.target, said) else None
            for given in (None,) if words is None else (words, None):
                splice = Splice(said, prefilled=given is not None, spent=self._spent)
                found = await self._go_on(step, splice, said, given)
                if not isinstance(found, GatewayError):
                    call.note(f"the stream broke ({error.message}) and went on with {step.target}")
                    return found
                call.note(f"{step.target} could not go on with the stream: {found.message}")
        # What the rescue failed with never hides what broke.
        return self._give_up(error, source)

    async def _go_on(self, step: Step, splice: Splice, said: Said, words: str | None) -> bytes | GatewayError | None:
        call = self._call
        attempt = Try(call, step)
        try:
            await attempt.begin(continued(call.request, words))
            rejoined = Rejoined(step.lane.wire.stream_reader(), self._writer(said), splice)
            source = Source(call, attempt, rejoined, translated=True)
            out = await source.first()
            attempt.first_token()
        except GatewayError as error:
            attempt.failed(error, billed=attempt.answer is not None and attempt.attempt.status == 200)
            return error
        except BaseException:
            attempt.left("Nobody waited for it any more.", billed=attempt.answer is not None)
            raise
        self._source = source
        return out

    def _said(self, error: UpstreamError) -> Said | None:
        """What the caller has, where it can be told on."""
        if self._sent is None:
            return None
        reader = self._call.format.stream_reader()
        try:
            said = Said([event for chunk in self._sent for event in reader.feed(chunk)])
        except GatewayError:
            return None
        obstacle = said.obstacle()
        if obstacle is not None:
            self._call.note(f"the stream broke ({error.message}) and cannot go on elsewhere: {obstacle}")
            return None
        return said

    def _lost(self, chunks: Iterable[bytes]) -> Usage | None:
        """What a break costs behind ``chunks`` that the caller never saw; None where they cannot be read."""
        reader = self._call.format.stream_reader()
        try:
            said = Said([event for chunk in chunks for event in reader.feed(chunk)])
        except GatewayError:
            return None
        return spent_by(said, self._source.facts().usage, self._call.body)

    def _writer(self, said: Said) -> StreamWriter:
        """A writer that stands where the caller's stream broke off."""
        writer = self._call.format.stream_writer(self._call.request, self._call.dropped)
        for event in said.events:
            writer.write(event)
        writer.stand_behind(b"".join(self._sent or ()))
        return writer

    def _last(self, said: Said) -> bytes:
        """The end mark alone: a writer that was given the reason says it again together with the end."""
        reader = self._call.format.stream_reader()
        for chunk in self._sent or ():
            reader.feed(chunk)
        told = split_events(self._writer(said).write(End()))
        return b"".join(event for event in told if not _says_again(reader.feed(event), said))

    def _give_up(self, error: UpstreamError, source: Source) -> bytes:
        """Let the caller see the error: the provider's own event where the bytes pass, else it is raised."""
        source.fail(error, source.facts().usage)
        self._ended = True
        if source.error_event:
            # Nothing may follow it.
            self._call.error = error
            return source.attempt.without_keys(source.error_event)
        raise error
