"""Calls as the endpoint makes them, for tests of a plugin's own logic."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import msgspec
import pluggy

from gateway import Call, Dialect, PluginContext, Principal, Target, hookspecs
from gateway.config import GatewayConfig, ModelConfig, ServerConfig
from gateway.loading import load_format
from gateway.state import Gateway

CONTEXT = PluginContext(name="tested", use="tested")


def made_gateway(**server: Any) -> Gateway:
    """A gateway without plugins."""
    config = GatewayConfig(path=None, folder=Path(), text="", server=ServerConfig(**server))
    manager = pluggy.PluginManager(hookspecs.PROJECT)
    manager.add_hookspecs(hookspecs)
    return Gateway(config, [], manager, {})


def made_call(
    body: Any = None,
    *,
    model: str = "fast",
    key: str | None = "team-a",
    settings: dict[str, Any] | None = None,
    headers: dict[bytes, bytes] | None = None,
    path: str = "/v1/chat/completions",
    format: str = "openai_chat",
    strategy: str = "ordered",
    targets: tuple[Target, ...] = (Target(provider="up", model="m"),),
    gateway: Gateway | None = None,
    **facts: Any,
) -> Call:
    """A call that was understood and is about to pass the limits. ``body`` is bytes, or encoded as JSON."""
    call = Call(
        gateway=gateway or made_gateway(),
        dialect=Dialect(Dialect.Config(), PluginContext(name="openai_dialect", use="openai_dialect")),
        format=load_format(format),
        id="req_0123456789",
        path=path,
        headers=headers or {},
        client="127.0.0.1",
    )
    asked = {"model": model, "messages": [{"role": "user", "content": "hi"}]} if body is None else body
    call.body = asked if isinstance(asked, bytes) else msgspec.json.encode(asked)
    call.model = model
    call.model_config = ModelConfig(name=model, strategy=strategy, targets=targets)
    call.targets = targets
    if key is not None:
        call.principal = Principal(id=key, name=key, settings=settings or {})
    for name, value in facts.items():
        setattr(call, name, value)
    return call
