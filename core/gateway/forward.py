"""Tries the targets of a call in turn, until one answers or none is left."""

from __future__ import annotations

import asyncio
import random
import time
from collections.abc import AsyncIterator
from typing import TYPE_CHECKING

import msgspec

from gateway.call import Attempt, Call, RawHeaders, Reply, Target
from gateway.config import DEFAULT_TIMEOUTS, Timeouts
from gateway.errors import (
    CannotTranslate,
    GatewayError,
    InvalidRequest,
    PluginFailed,
    UpstreamError,
    UpstreamRejected,
    UpstreamTimeout,
)
from gateway.format import Dropped
from gateway.protocol import ChatReply
from gateway.protocol.unroll import events_of
from gateway.relay import Relay
from gateway.secret import HeaderValue
from gateway.translation import model_sent
from gateway.upstream import UpstreamReply, UpstreamRequest
from gateway.version import __version__

if TYPE_CHECKING:
    from gateway.state import Lane

BACKOFF_SECONDS = 0.25
"""The first pause before a retry on the same target; it doubles, and is taken at random between half and whole."""
LONGEST_PAUSE = 5.0
"""A provider that asks for a longer pause is not waited for: the next target is tried."""

_BASE_HEADERS = [
    ("content-type", "application/json"),
    ("accept-encoding", "identity"),
    ("user-agent", f"gateway/{__version__}"),
]
_FORWARDED_TO_ANY = (b"idempotency-key",)
_FORWARDED_TO_OWN = (b"anthropic-beta", b"anthropic-version", b"openai-beta")
_JSON_HEADERS: RawHeaders = [(b"content-type", b"application/json")]


async def forward(call: Call) -> Reply:
    """The answer of the first target that gives one; raises the error of the last that did not."""
    failure: GatewayError | None = None
    assert call.model_config is not None
    for target in call.targets:
        lane = call.gateway.lanes.get((call.format.name, target.provider))
        if lane is None:
            failure = failure or InvalidRequest(
                f"{target} does not offer {call.operation}.", param="model", code="unsupported_operation"
            )
            continue
        for retry in range(call.model_config.retries + 1):
            try:
                return await _attempt(call, target, lane)
            except UpstreamError as error:
                failure = error
                if not error.can_retry or not await _pause(call, error, retry):
                    break
        if not _may_go_elsewhere(failure):
            break
    if failure is None:
        raise InvalidRequest(f"The model {call.model!r} has no target.", param="model")
    own = _provider_answer(call, failure)
    if own is None:
        raise failure
    return own


def _may_go_elsewhere(error: GatewayError | None) -> bool:
    """Whether another target may do better: not for a request that is wrong in itself, nor for our own bad key."""
    return not isinstance(error, UpstreamError) or error.can_retry or error.kind in ("quota", "billing")


async def _pause(call: Call, error: UpstreamError, retry: int) -> bool:
    """Wait before the next try on the same target; False if there is none, or not in time."""
    assert call.model_config is not None
    if retry >= call.model_config.retries:
        return False
    pause = BACKOFF_SECONDS * 2**retry * random.uniform(0.5, 1.0)  # noqa: S311  # jitter, not a secret
    if error.retry_after is not None:
        pause = max(pause, error.retry_after)
    if pause > LONGEST_PAUSE or (call.deadline is not None and call.elapsed() + pause >= call.deadline):
        return False
    await asyncio.sleep(pause)
    return True


async def _attempt(call: Call, target: Target, lane: Lane) -> Reply:
    provider = call.gateway.providers[target.provider]
    attempt = Attempt(target=target, started=call.elapsed())
    call.attempts.append(attempt)
    call.target = target
    call.dropped = Dropped()
    waited = time.perf_counter()
    try:
        body = lane.translator.request(call, target)
        if call.strict and call.dropped:
            field, why = next(iter(call.dropped.reasons.items()))
            raise CannotTranslate(f"{target} cannot take {field!r}: {why}", param=field)
        request = UpstreamRequest(
            path=provider.path(lane.wire.name, target, stream=call.stream),
            headers=_headers(call, lane, body),
            body=body,
            stream=call.stream,
        )
        waited = time.perf_counter()
        try:
            answer = await provider.send(call, request, _timeouts(call, target))
        except GatewayError:
            raise
        except Exception as error:
            raise PluginFailed(f"The provider {target.provider!r} failed: {type(error).__name__}.") from error
        attempt.status = answer.status
        try:
            return await _answered(call, lane, answer, attempt)
        except BaseException:
            answer.close()
            raise
    except GatewayError as error:
        attempt.error = error.message
        attempt.error_kind = error.kind
        attempt.ended = call.elapsed()
        raise
    finally:
        call.upstream_seconds += time.perf_counter() - waited


async def _answered(call: Call, lane: Lane, answer: UpstreamReply, attempt: Attempt) -> Reply:
    if answer.status >= 400:
        body = await answer.read()
        error = lane.wire.read_error(answer.status, answer.headers, body)
        error.body = body
        raise call.gateway.providers[attempt.target.provider].refine_error(error)
    if call.stream and "application/json" not in answer.headers.get("content-type", ""):
        relay = Relay(call, lane, answer, attempt)
        await relay.prime()
        headers: RawHeaders = [(b"content-type", call.format.stream_content_type)]
        reply = Reply(answer.status, stream=relay, headers=headers)
        reply.close = relay.close
        return reply
    body = await answer.read()
    answer.close()
    attempt.first_byte = attempt.ended = call.elapsed()
    if call.stream:
        return _unrolled(call, lane, body)
    return Reply(answer.status, body=lane.translator.reply(call, body), headers=_JSON_HEADERS.copy())


def _unrolled(call: Call, lane: Lane, body: bytes) -> Reply:
    """A whole answer for a caller who asked for a stream, told as events; an error body is raised."""
    facts = lane.wire.read_facts(body)
    if facts.error is not None:
        raise facts.error
    whole = lane.wire.read_reply(body)
    assert isinstance(whole, ChatReply), "only chat completions are streamed"
    call.usage, call.answered_model, call.finish_reason = whole.usage, whole.model, facts.finish_reason
    whole.created = whole.created if whole.created is not None else int(call.started_at)
    whole.id, whole.model = whole.id or call.id, whole.model or model_sent(call)
    writer = call.format.stream_writer(call.request)
    data = b"".join(writer.write(event) for event in events_of(whole))

    async def once() -> AsyncIterator[bytes]:
        yield data

    return Reply(200, stream=once(), headers=[(b"content-type", call.format.stream_content_type)])


def _provider_answer(call: Call, error: GatewayError) -> Reply | None:
    """A provider's own error body in the caller's format: kept, with what our rendering has and it lacks."""
    if not isinstance(error, UpstreamRejected) or call.target is None or not error.body:
        return None
    lane = call.gateway.lanes.get((call.format.name, call.target.provider))
    if lane is None or lane.wire.name != call.format.name:
        return None
    try:
        theirs = msgspec.json.decode(error.body)
    except (msgspec.DecodeError, UnicodeDecodeError, RecursionError):
        return None
    if not isinstance(theirs, dict) or not isinstance(theirs.get("error"), dict):
        return None
    ours = msgspec.json.decode(call.format.write_error(error, call.id))
    body = msgspec.json.encode({**ours, **theirs, "error": {**ours["error"], **theirs["error"]}})
    call.error = error
    return Reply(error.status, body=body, headers=[*_JSON_HEADERS, *error.response_headers()])


def _headers(call: Call, lane: Lane, body: bytes) -> list[tuple[str, str]]:
    provider = call.provider
    assert provider is not None
    headers = _BASE_HEADERS.copy()
    headers += provider.credentials(call)
    own = lane.wire.name == call.format.name
    names = (*_FORWARDED_TO_ANY, *_FORWARDED_TO_OWN) if own else _FORWARDED_TO_ANY
    headers += [(name.decode(), value.decode("latin-1")) for name in names if (value := call.headers.get(name))]
    for name in provider.config.forward_headers:
        if value := call.headers.get(name.lower().encode()):
            headers.append((name.lower(), value.decode("latin-1")))
    headers += provider.request_headers(call, lane.wire.name, body)
    configured: dict[str, HeaderValue] = provider.config.headers
    if not configured:
        return headers
    lowered = {name.lower(): value.value for name, value in configured.items()}
    return [pair for pair in headers if pair[0] not in lowered] + list(lowered.items())


def _timeouts(call: Call, target: Target) -> Timeouts:
    """The target's limits before the model's, the provider's and the defaults; no longer than the caller's deadline."""
    limits = DEFAULT_TIMEOUTS
    provider = call.provider
    assert provider is not None
    assert call.model_config is not None
    for above in (provider.config.timeouts, call.model_config.timeouts, target.timeouts):
        if above != _UNSET:
            limits = above.over(limits)
    if call.deadline is None:
        return limits
    left = call.deadline - call.elapsed()
    if left <= 0:
        raise UpstreamTimeout("The request's own time limit (x-gateway-timeout-ms) has passed.", code="total_timeout")
    return Timeouts(total=min(left, limits.total or left)).over(limits)


_UNSET = Timeouts()
