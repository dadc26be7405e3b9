"""Which targets a call will try, in which order: what can answer it at all, then the routing plugins' word."""

from __future__ import annotations

from collections.abc import Iterable, Sequence
from typing import TYPE_CHECKING

from gateway.decision import decision_of
from gateway.errors import InvalidRequest, PermissionDenied
from gateway.needs import lacking, limits_of, only_too_long
from gateway.outgoing import caller_limits
from gateway.settings import least

if TYPE_CHECKING:
    from gateway.call import Call, Target


def understand(call: Call, model: str) -> None:
    """Settle what routing needs to know before it begins; raises ModelNotFound, PermissionDenied, InvalidRequest.

    The headers, the principal and whether it streams are set by then.
    """
    gateway = call.gateway
    call.model = model
    call.model_config = gateway.resolve(model, call.principal)
    if call.principal is not None and not call.principal.may_use(model):
        raise PermissionDenied(f"This key may not use the model {model!r}.", param="model")
    call.strict = gateway.config.server.strict or call.header(b"x-gateway-strict") in ("1", "true")
    if (tags := call.header(b"x-gateway-tags")) is not None:
        call.tags = tuple(tag.strip() for tag in tags.split(",") if tag.strip())[:16]
    call.limits = caller_limits(call)
    # The model's own limit is for the whole call: a fallback has what is left of it.
    call.deadline = least(call.model_config.timeouts.total, None if call.limits is None else call.limits.total)
    call.targets = call.model_config.targets


def choose(call: Call) -> None:
    """Set ``call.targets`` to those that will be tried, the first one first; raises InvalidRequest where none can."""
    config = call.model_config
    assert config is not None
    declared = call.targets
    plain = len(declared) == 1 and not config.fallbacks and call.gateway.pipeline.settled(config.name)
    if plain and (call.operation != "chat" or lacking(call, declared[0]) is None):
        return  # nothing to choose, and nothing to explain
    call.targets = usable(call, declared)
    chosen = call.gateway.pipeline.route(call)
    if chosen is not None:
        call.targets = tuple(chosen)
    config = call.model_config  # a rule may have put others in the place of the model's own
    assert config is not None
    call.targets += usable(call, config.fallbacks)
    if not call.targets:
        call.targets = _nearly(call, (*config.targets, *config.fallbacks))
    decision = call.decision
    if decision is not None or len(call.targets) > 1:
        decision_of(call).order(call.targets)


def usable(call: Call, targets: Sequence[Target]) -> tuple[Target, ...]:
    """Those of ``targets`` that can give what the call asks; the others are noted in its decision, with the reason.

    A routing plugin that brings targets of its own asks this of them.
    """
    if call.operation != "chat":
        return _offering(call, targets) if len(targets) > 1 else tuple(targets)
    kept = []
    for target in targets:
        why = lacking(call, target)
        if why is None and len(targets) > 1 and (call.format.name, target.provider) not in call.gateway.lanes:
            why = f"does not offer {call.operation}"
        if why is None:
            kept.append(target)
        else:
            entry = decision_of(call).candidate(str(target))
            entry.kept, entry.why = False, why
    return tuple(kept)


def _offering(call: Call, targets: Sequence[Target]) -> tuple[Target, ...]:
    """The targets whose provider has a way for this operation; all where none has, and forwarding says so."""
    lanes = call.gateway.lanes
    kept = tuple(target for target in targets if (call.format.name, target.provider) in lanes)
    return kept or tuple(targets)


def _nearly(call: Call, targets: Iterable[Target]) -> tuple[Target, ...]:
    """What is tried where nothing can: the widest of those that only an estimate speaks against, or an error."""
    close = [target for target in targets if only_too_long(call, target)]
    if not close:
        raise _none_can(call)
    widest = max(limits_of(call.gateway, target).context_window or 0 for target in close)
    decision_of(call).notes.append("no target is sure to take a prompt of this length: the widest is tried")
    return tuple(target for target in close if limits_of(call.gateway, target).context_window == widest)


def _none_can(call: Call) -> InvalidRequest:
    entries = call.decision.candidates if call.decision is not None else []
    reasons = [f"{entry.target} {entry.why}" for entry in entries if not entry.kept and entry.why]
    if not reasons:
        return InvalidRequest(f"The model {call.model!r} has no target.", param="model")
    text = "; ".join(reasons)
    too_long = all("tokens, and the prompt has" in reason for reason in reasons)
    error = InvalidRequest(
        f"No target of the model {call.model!r} can answer this request: {text}.",
        param="messages" if too_long else "model",
        code="context_length_exceeded" if too_long else "unsupported_by_targets",
    )
    if too_long:
        error.kind = "context_length"
    return error
