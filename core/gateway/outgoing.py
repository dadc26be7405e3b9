"""What goes out to a provider beside the body: headers, and how long to wait."""

from __future__ import annotations

from typing import TYPE_CHECKING

from gateway.config import DEFAULT_TIMEOUTS, Timeouts
from gateway.errors import InvalidRequest, UpstreamTimeout
from gateway.version import __version__

if TYPE_CHECKING:
    from gateway.call import Call, Target
    from gateway.secret import HeaderValue
    from gateway.state import Lane

_BASE_HEADERS = [
    ("content-type", "application/json"),
    ("accept-encoding", "identity"),
    ("user-agent", f"gateway/{__version__}"),
]
_FORWARDED_TO_ANY = (b"idempotency-key",)
_FORWARDED_TO_OWN = (b"anthropic-beta", b"anthropic-version", b"openai-beta")
_FORWARDED = frozenset((*_FORWARDED_TO_ANY, *_FORWARDED_TO_OWN))


def upstream_headers(call: Call, lane: Lane, body: bytes) -> list[tuple[str, str]]:
    """The headers of a request to the target's provider, credentials included."""
    provider = call.provider
    assert provider is not None
    headers = _BASE_HEADERS.copy()
    headers += provider.credentials(call)
    if not _FORWARDED.isdisjoint(call.headers):
        own = lane.wire.name == call.format.name
        names = (*_FORWARDED_TO_ANY, *_FORWARDED_TO_OWN) if own else _FORWARDED_TO_ANY
        headers += [(name.decode(), value.decode("latin-1")) for name in names if (value := call.headers.get(name))]
    for name in provider.config.forward_headers:
        if value := call.headers.get(name.lower().encode()):
            headers.append((name.lower(), value.decode("latin-1")))
    assert call.target is not None
    headers += provider.request_headers(call, lane.translator.wire_name(call, call.target, lane.wire.name), body)
    configured: dict[str, HeaderValue] = provider.config.headers
    if not configured:
        return headers
    lowered = {name.lower(): value.value for name, value in configured.items()}
    return [pair for pair in headers if pair[0] not in lowered] + list(lowered.items())


_LIMIT_HEADERS = (
    ("connect", b"x-gateway-connect-timeout-ms"),
    ("first_token", b"x-gateway-first-token-timeout-ms"),
    ("idle", b"x-gateway-idle-timeout-ms"),
    ("total", b"x-gateway-timeout-ms"),
)
_NARROWING = frozenset(header for _, header in _LIMIT_HEADERS)


def caller_limits(call: Call) -> Timeouts | None:
    """The limits that the caller narrowed with headers, in seconds; raises InvalidRequest for what is no number."""
    if _NARROWING.isdisjoint(call.headers):
        return None
    found: dict[str, float] = {}
    for name, header in _LIMIT_HEADERS:
        if (text := call.headers.get(header)) is None:
            continue
        if not (text.isascii() and text.isdigit() and len(text) <= 10) or int(text) == 0:
            raise InvalidRequest(f"{header.decode()} must be a positive whole number of milliseconds.")
        found[name] = int(text) / 1000
    return Timeouts(**found) if found else None


def time_limits(call: Call, target: Target) -> Timeouts:
    """The target's limits before the model's, the provider's and the defaults; none beyond what the call has left."""
    config = call.model_config
    assert config is not None
    kept = call.gateway.time_limits
    # By identity, which costs less than to compare or hash them; what is kept is not freed, so no id is used again.
    found = kept.get(id(target))
    if found is not None and found[0] is target and found[1] is config:
        limits = found[2]
    else:
        limits = _configured_limits(call, target)
        if len(kept) >= _MOST_KEPT:
            kept.clear()
        kept[id(target)] = (target, config, limits)
    if call.limits is not None:
        limits = limits.within(call.limits)
    if call.deadline is None:
        return limits
    left = call.deadline - call.elapsed()
    if left <= 0:
        raise UpstreamTimeout("The time limit of the whole request has passed.", code="total_timeout")
    return Timeouts(total=min(left, limits.total or left)).over(limits)


def _configured_limits(call: Call, target: Target) -> Timeouts:
    assert call.model_config is not None
    limits = DEFAULT_TIMEOUTS
    provider = call.gateway.providers[target.provider]
    for above in (provider.config.timeouts, call.model_config.timeouts, target.timeouts):
        if above != _UNSET:
            limits = above.over(limits)
    return limits


_UNSET = Timeouts()
_MOST_KEPT = 4096
