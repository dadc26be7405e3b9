"""``gateway route``: where a request would go now, and why; nothing is sent."""

from __future__ import annotations

import argparse
import json
import sys
import time
from collections import Counter
from pathlib import Path
from typing import TYPE_CHECKING, Any

import msgspec

from gateway.books import asked_tier
from gateway.catalogue import dollars
from gateway.catalogue.cost import price_row
from gateway.choosing import understand
from gateway.errors import GatewayError, InvalidRequest
from gateway.explained import NEEDS
from gateway.needs import needs_of
from gateway.outgoing import time_limits
from gateway.registry import build
from gateway.rehearsal import call_of, principal_named, rehearse
from gateway.route_text import text_of
from gateway.translate_command import ABSENT, asked, lenient_config, read_file

if TYPE_CHECKING:
    from gateway.call import Call, Target
    from gateway.registry import Gateway

DRAWS = 1000
"""How often the choice is rehearsed, to tell what goes by chance."""
LONGEST = 0.5
"""Seconds after which that is often enough."""
PASSED_OVER = ("cooling", "open", "ejected")
"""States of a target's health in which it is not asked."""
_PICO_PER_NANO = 1000


def route(args: argparse.Namespace) -> int:
    """Print where the request would go; 1 where it would be refused."""
    body = read_file(Path(args.request)) if args.request else sys.stdin.buffer.read()
    gateway, state = gateway_with_state(args.config)
    try:
        found = _found(gateway, args, body)
    finally:
        gateway.health.let_go()
    found["state"] = state
    sys.stdout.write(json.dumps(found, indent=2, ensure_ascii=False) + "\n" if args.json else text_of(found))
    return 1 if found["error"] else 0


def _found(gateway: Gateway, args: argparse.Namespace, body: bytes) -> dict[str, Any]:
    """All that there is to tell, but for where the state of health is from."""
    call = call_of(gateway, args.dialect)
    call.body, call.credential = body, ABSENT
    call.headers = dict(args.header)
    if args.key is not None:
        call.principal = principal_named(gateway, args.key)
    if args.at is not None:
        call.started_at = args.at
    found: dict[str, Any] = {"dialect": call.format.name, "operation": call.operation}
    found |= {"key": args.key, "time": round(call.started_at, 3)}
    error: GatewayError | None = None
    try:
        model = args.model or call.json.text("model") or ""
        if not model:
            raise InvalidRequest("The request names no model, and --model names none.", param="model")
        found["model"] = model
        call.stream = args.stream or call.json.flag("stream")
        found["stream"] = call.stream
        understand(call, model)
        if call.operation == "chat":
            needs = needs_of(call)
            found["needs"] = {name: getattr(needs, name) for name in NEEDS}
        shares = chances(call)
    except GatewayError as refusal:
        error, shares = refusal, {}
    return found | explained(call, shares, error)


def gateway_with_state(path: Path | None) -> tuple[Gateway, dict[str, Any]]:
    """A Gateway that sees what a running one's workers share of their targets' health, and where that is from."""
    config = lenient_config(path)
    gateway = build(config)
    gateway.health.hold()
    place: Any = gateway.health.state.place
    if isinstance(place, Path) and (place / "data.mdb").exists():
        board = gateway.health.state.board
        board.circuits.sync(time.monotonic())
        if not board.circuits.failures:
            return gateway, {"shared": str(place), "text": "the health of targets that the gateway's workers share"}
        why = f"the health that is shared in {place} cannot be read"
    else:
        why = "no running gateway shares its targets' health here" if place is not None else "one worker shares none"
    gateway.health.let_go()
    # Nothing may be written: a store that is not there would be made.
    alone = msgspec.structs.replace(config.health, store="memory")
    gateway = build(msgspec.structs.replace(config, health=alone))
    gateway.health.hold()
    return gateway, {"shared": None, "text": f"the configuration alone ({why}): all targets are taken to be well"}


def chances(call: Call) -> dict[str, float]:
    """The share of each target of being the first; the call is left with the choice that is made most often."""
    firsts: Counter[str] = Counter()
    seeds: dict[str, int] = {}
    end = time.monotonic() + LONGEST
    for seed in range(DRAWS):
        if seed and time.monotonic() > end:
            break
        rehearse(call, seed)
        name = str(call.targets[0])
        firsts[name] += 1
        seeds.setdefault(name, seed)
        if seed == 0 and len(call.targets) == 1 and call.decision is None:
            return {name: 1.0}
    rehearse(call, seeds[firsts.most_common(1)[0][0]])
    drawn = firsts.total()
    return {name: round(count / drawn, 4) for name, count in firsts.most_common()}


def explained(call: Call, shares: dict[str, float], error: GatewayError | None) -> dict[str, Any]:
    """The decision on a rehearsed call and what would follow from it, as plain data."""
    decision, model = call.decision, call.model_config
    told: dict[str, Any] = {
        "strategy": (decision.strategy if decision else "") or ("" if model is None else model.strategy),
        "settings_of": None if model is None else model.name,
        "rule": decision.rule if decision else None,
        "split": decision.split if decision else None,
        "notes": [*(decision.notes if decision else ()), *call.notes],
        "order": [],
        "not_tried": [],
        "goes_to": None,
        "chances": shares,
        "options": {},
        "error": None,
    }
    if decision is not None:
        told["not_tried"] = [
            {"target": entry.target, "why": entry.why} for entry in decision.candidates if not entry.kept or error
        ]
    if error is None:
        assert model is not None
        for target in dict.fromkeys(call.targets):
            told["order"].append(_target(call, target))
        ready = [entry for entry in told["order"] if entry["passed_over"] is None]
        if not ready and (left_out := [e for e in told["order"] if e["health"]["state"] == "ejected"]):
            told["notes"].append("no other target is fit, so one that was left out is asked all the same")
            left_out[0]["passed_over"] = None
            ready = left_out
        told["goes_to"] = ready[0]["target"] if ready else None
        told |= {"retries": model.retries, "rescue": model.rescue, "total_seconds": call.deadline}
        told["hedge"] = None if model.hedge is None else msgspec.to_builtins(model.hedge)
        told["fallback_on"] = None if model.fallback_on is None else list(model.fallback_on)
        told["options"] = model.extra
        if not ready:
            told["error"] = _nobody(told["order"])
    else:
        told["error"] = {"status": error.status, "code": error.code or error.kind, "message": error.message}
    return told


def _nobody(order: list[dict[str, Any]]) -> dict[str, Any]:
    """The error of a call whose targets are all passed over."""
    reasons = "; ".join(f"{entry['target']}: {entry['passed_over']}" for entry in order)
    if any(entry["health"]["state"] in PASSED_OVER for entry in order):
        return {"status": 503, "code": "no_healthy_target", "message": f"No target can be asked now: {reasons}"}
    return {"status": 400, "code": "unsupported_by_targets", "message": f"No target can take it: {reasons}"}


def _target(call: Call, target: Target) -> dict[str, Any]:
    """One target of the order: how it stands, what it is given and what it costs."""
    name = str(target)
    entry = call.decision.candidate(name) if call.decision is not None else None
    assert call.model_config is not None
    declared = {str(other) for other in call.model_config.fallbacks}
    now = call.gateway.health.now()
    health = call.gateway.health.snapshot(name, now)
    left = None if health.until is None else round(max(0.0, health.until - now), 1)
    told: dict[str, Any] = {
        "target": name,
        "fallback": name in declared and target not in call.model_config.targets,
        "score": entry.score if entry else None,
        "detail": entry.detail if entry else None,
        "why": entry.why if entry else None,
        "health": {"state": health.state, "reason": health.reason or None, "seconds_left": left},
        "passed_over": None,
        "dropped": [],
    }
    if (call.format.name, target.provider) not in call.gateway.lanes:
        return told | {"passed_over": f"it does not offer {call.operation}"}
    if health.state in PASSED_OVER:
        told["passed_over"] = f"{health.state}: {health.reason or 'it failed of late'}"
    call.started = time.perf_counter()
    limits = time_limits(call, target)
    told["time_limits"] = {key: _rounded(getattr(limits, key)) for key in limits.__struct_fields__}
    told["price"] = price_of(call, target)
    sent = asked(call, target)
    told["format"], told["dropped"], told["refused"] = sent.get("format"), sent["dropped"], sent["error"]
    if told["passed_over"] is None and sent["error"]:
        told["passed_over"] = sent["error"]
    elif told["passed_over"] is None and call.strict and sent["dropped"]:
        told["passed_over"] = f"it cannot take {sent['dropped'][0]['field']!r}, and the request is strict"
    return told


def price_of(call: Call, target: Target) -> dict[str, Any] | None:
    """Dollars per million tokens at a target, and for this prompt; None where the catalogue has no price."""
    info = call.gateway.providers[target.provider].info(target.model)
    needs = needs_of(call)
    row = price_row(info, asked_tier(call), needs.tokens)
    if row is None or row.input is None:
        return None
    told = {
        "input_per_million": row.input / 1_000_000,
        "output_per_million": None if row.output is None else row.output / 1_000_000,
        "prompt": dollars(needs.tokens * row.input // _PICO_PER_NANO),
        "answer_at_most": None,
    }
    if row.output is not None and needs.max_tokens is not None:
        told["answer_at_most"] = dollars(needs.max_tokens * row.output // _PICO_PER_NANO)
    return told


def _rounded(seconds: float | None) -> float | None:
    return None if seconds is None else round(seconds, 2)
