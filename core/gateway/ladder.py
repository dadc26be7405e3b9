"""Which target a call tries next, and when: before its first byte, and for a stream that broke after it."""

from __future__ import annotations

import asyncio
from typing import TYPE_CHECKING

from gateway.errors import CannotTranslate, GatewayError, InvalidRequest, Unavailable, UpstreamError, UpstreamTimeout

if TYPE_CHECKING:
    from gateway.call import Call, Target
    from gateway.health import Admission
    from gateway.state import Lane

LONGEST_PAUSE = 5.0
"""A provider that asks for a longer pause is not waited for: the next target is tried."""
OTHER_MODEL = frozenset(("context_length", "content_filter"))
"""What the same model would answer again, wherever it runs; another may do better."""
ELSEWHERE = OTHER_MODEL | {"quota", "billing", "model_not_found", "request_too_large"}
"""What is final at one target and may pass at another, beside what may pass by itself."""
BY_REQUEST = frozenset(("content_filter",))
"""What is taken elsewhere only where a model's ``fallback_on`` says so: nobody asked to have a refusal got round."""


class Step:
    """A target to try, ``key`` its name; ``probe`` is the health's lease where it is only being tried again, else 0."""

    __slots__ = ("key", "lane", "probe", "target")

    def __init__(self, target: Target, key: str, lane: Lane, probe: int = 0) -> None:
        self.target = target
        self.key = key
        self.lane = lane
        self.probe = probe


class Ladder:
    """The targets of a call that are still to be tried."""

    def __init__(self, call: Call) -> None:
        self._call = call
        self._health = call.gateway.health
        self._left: list[Target] = list(call.targets)
        self._current: Step | None = None
        self._retries = 0
        self._came_back = False
        self._barred: set[str] = set()
        self._refused: list[tuple[str, Admission]] = []
        self.failure: GatewayError | None = None
        """What the last try failed with."""

    def next(self) -> Step | None:
        """The next target that is ready to take the call."""
        call = self._call
        while self._left:
            target = self._left.pop(0)
            lane = call.gateway.lane(call.format.name, target)
            if lane is None:
                self.failure = self.failure or InvalidRequest(
                    f"{target} does not offer {call.operation}.", param="model", code="unsupported_operation"
                )
                continue
            if target.model in self._barred:
                continue
            key = str(target)
            admission = self._health.admit(key, model=call.model)
            if not admission.allowed:
                self._refused.append((key, admission))
                call.note(f"{target} was passed over: {admission.reason}")
                continue
            self._retries = 0
            self._current = Step(target, key, lane, admission.probe)
            return self._current
        return None

    async def after(self, error: GatewayError) -> Step | None:
        """The next try behind an error: the same target once more, or another, or None."""
        self.failure = error
        if isinstance(error, UpstreamError) and error.kind not in OTHER_MODEL and await self._retry(error):
            return self._current
        return self._elsewhere(error)

    def after_break(self, error: UpstreamError) -> Step | None:
        """Where a stream that broke may go on: another target, and where there is none, once the same again."""
        found = self._elsewhere(error)
        if found is not None:
            return found
        call = self._call
        assert call.model_config is not None
        if self._came_back or self._current is None or not error.can_retry or call.model_config.retries == 0:
            return None
        self._came_back = True
        return self._current if self._health.may_retry(call.model) else None

    def verdict(self) -> GatewayError:
        """The error of a call that no target answered."""
        if self.failure is not None:
            return self.failure
        if not self._refused:
            return InvalidRequest(f"The model {self._call.model!r} has no target.", param="model")
        return self._health.refusal(self._refused)

    def _elsewhere(self, error: GatewayError) -> Step | None:
        if self._call.deadline is not None and self._call.elapsed() >= self._call.deadline:
            return None
        if isinstance(error, UpstreamError):
            if not (error.can_retry or error.kind in ELSEWHERE) or not self._may_fall_back(error):
                return None
            if error.kind in OTHER_MODEL and self._current is not None:
                self._barred.add(self._current.target.model)
        elif not isinstance(error, CannotTranslate | Unavailable):
            return None
        return self.next()

    def _may_fall_back(self, error: UpstreamError) -> bool:
        """Whether the model's own policy lets another target be asked after this."""
        assert self._call.model_config is not None
        wanted = self._call.model_config.fallback_on
        return error.kind in wanted if wanted is not None else error.kind not in BY_REQUEST

    async def _retry(self, error: UpstreamError) -> bool:
        """Wait for the next try on the same target; False if there is none, or not in time."""
        call = self._call
        assert call.model_config is not None
        assert self._current is not None
        provider = call.gateway.providers[self._current.target.provider]
        if provider.rejected(call, error):
            return True  # another key of the provider's is fit
        if not error.can_retry or self._retries >= call.model_config.retries:
            return False
        if isinstance(error, UpstreamTimeout) and self._left:
            return False  # who is silent once is silent twice, and the caller has waited long enough
        pause = self._health.retry_delay(self._retries, error.retry_after)
        if pause > LONGEST_PAUSE or (call.deadline is not None and call.elapsed() + pause >= call.deadline):
            return False
        admission = self._health.admit(self._current.key, model=call.model)
        if not admission.allowed and (admission.retry_after is None or admission.retry_after > pause):
            return False  # it is known to be down by now
        if not self._health.may_retry(call.model):
            self._health.spared(self._current.key, admission.probe)
            call.note("no retry: the retry budget is spent")
            return False
        self._retries += 1
        try:
            await asyncio.sleep(pause)
        except BaseException:
            self._health.spared(self._current.key, admission.probe)
            raise
        self._current.probe = admission.probe
        return True
