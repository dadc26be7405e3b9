"""Calls that are routed and never sent: for explanations, and for replaying what a log has."""

from __future__ import annotations

import random
import time
from typing import TYPE_CHECKING, Any

from gateway.call import Call, Principal
from gateway.choosing import choose
from gateway.config_reader import nearest
from gateway.errors import ConfigError
from gateway.loading import load_format

if TYPE_CHECKING:
    from gateway.dialect import Dialect
    from gateway.state import Gateway


def call_of(gateway: Gateway, format: str, *, dialect: str | None = None) -> Call:
    """A call of a caller who speaks ``format``, by the path of that name; raises ConfigError where nobody does.

    ``dialect`` is preferred where it has such a path.
    """
    spoken: dict[str, tuple[Dialect, str]] = {}
    for owner in gateway.dialects:
        for endpoint in owner.endpoints:
            if endpoint.format not in spoken or (owner.name == dialect and spoken[endpoint.format][0] is not owner):
                spoken[endpoint.format] = (owner, endpoint.path)
    if format not in spoken:
        hint = nearest(format, spoken) or f"; known are {', '.join(sorted(spoken))}"
        raise ConfigError([f'--dialect: no caller speaks "{format}"{hint}'])
    owner, path = spoken[format]
    return Call(gateway=gateway, dialect=owner, format=load_format(format), id="req_rehearsal", path=path, headers={})


def rehearse(call: Call, seed: Any = None) -> None:
    """Route an understood call, from the start each time; raises what the call would be refused with.

    With a ``seed``, plugins that go by chance draw what they drew for that seed before.
    """
    if seed is not None:
        for record in call.gateway.records:
            if isinstance(rng := getattr(record.plugin, "rng", None), random.Random):
                rng.seed(f"{record.name} {seed}")  # each draws for itself
    call.model_config = call.gateway.resolve(call.model, call.principal)
    call.targets = call.model_config.targets
    call.decision = None
    call.notes = []
    call.started = time.perf_counter()
    choose(call)


def principal_named(gateway: Gateway, name: str) -> Principal:
    """Whom a key of this name belongs to; raises ConfigError where the keys are known and it is none of them."""
    asked = False
    for record in gateway.records:
        named = getattr(record.plugin, "named", None) if record.stage == "auth" else None
        if named is not None:
            asked = True
            found: Principal | None = named(name)
            if found is not None:
                return found
    if asked:
        raise ConfigError([f'--key: no key has the name "{name}"'])
    return Principal(id=name, name=name)
