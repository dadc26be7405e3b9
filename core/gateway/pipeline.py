"""Hook implementations as tuples of bound methods, resolved once: what runs on a call, and in which order.

pluggy registers, validates, names and blocks plugins; it does not run on the hot path. For five async plugins a loop
over a tuple costs a tenth of pluggy with an await helper, and pluggy's ``firstresult`` would take the first coroutine
for a result and leave the others un-awaited.
"""

from __future__ import annotations

import logging
from collections.abc import Awaitable, Callable, Sequence
from collections.abc import Set as AbstractSet
from typing import TYPE_CHECKING, Any, cast

import pluggy

from gateway.errors import GatewayError, PluginFailed

if TYPE_CHECKING:
    from gateway.call import Call, Reply, Target
    from gateway.config import ModelConfig
    from gateway.plugin import Plugin

log = logging.getLogger("gateway.pipeline")

OnRequest = Callable[["Call"], Awaitable["Reply | None"]]
OnResponse = Callable[["Call", "Reply"], Awaitable[None]]
OnComplete = Callable[["Call", "Reply | None"], None]
RouteHook = Callable[["Call"], "Sequence[Target] | None"]


class Pipeline:
    """The hooks of one configuration, in pipeline order; ``on_response`` in reverse."""

    __slots__ = ("_auth", "_complete", "_observe", "_request", "_response", "_route", "_route_for", "_settled")

    def __init__(self, hooks: pluggy.HookRelay, stages: dict[str, str]) -> None:
        """``stages`` maps the plugins' names, in pipeline order, to their stages."""
        order = {name: place for place, name in enumerate(stages)}
        auth = {name for name, stage in stages.items() if stage == "auth"}
        requests = _sorted(hooks.on_request, order)
        self._auth: tuple[tuple[str, OnRequest], ...] = tuple(
            (i.plugin_name, cast(OnRequest, _bound(i, "call"))) for i in requests if i.plugin_name in auth
        )
        self._request: tuple[tuple[int, str, OnRequest], ...] = tuple(
            (order[i.plugin_name], i.plugin_name, cast(OnRequest, _bound(i, "call")))
            for i in requests
            if i.plugin_name not in auth
        )
        # Observers stand last, and still see every reply: also the one that a cache in front of them gave.
        self._response: tuple[tuple[int, str, OnResponse], ...] = tuple(
            (
                -1 if stages[i.plugin_name] == "observe" else order[i.plugin_name],
                i.plugin_name,
                cast(OnResponse, _bound(i, "call", "reply")),
            )
            for i in reversed(_sorted(hooks.on_response, order))
        )
        self._route: tuple[tuple[str, RouteHook], ...] = tuple(
            (i.plugin_name, cast(RouteHook, _bound(i, "call"))) for i in _sorted(hooks.route, order)
        )
        self._route_for: dict[str, tuple[tuple[str, RouteHook], ...]] = {}
        self._settled: set[str] = set()
        self._complete: tuple[tuple[str, OnComplete], ...] = tuple(
            (i.plugin_name, cast(OnComplete, _bound(i, "call", "reply"))) for i in _sorted(hooks.on_complete, order)
        )
        self._observe = tuple(hook for hook in self._complete if stages[hook[0]] == "observe")

    @property
    def authenticates(self) -> bool:
        """Whether any plugin of the auth stage looks at calls."""
        return bool(self._auth)

    async def authenticate(self, call: Call) -> None:
        """Run the auth stage: before the body is read, so that strangers cannot make us hold one."""
        for name, hook in self._auth:
            try:
                await hook(call)
            except GatewayError:
                raise
            except Exception as error:
                raise _failed(name, "on_request", error) from error

    async def on_request(self, call: Call) -> tuple[Reply | None, int]:
        """Walk the other stages; returns the first Reply, with the place of the plugin that gave it."""
        for place, name, hook in self._request:
            try:
                reply = await hook(call)
            except GatewayError:
                raise
            except Exception as error:
                raise _failed(name, "on_request", error) from error
            if reply is not None:
                return reply, place
        return None, _BEHIND_ALL

    def plan_routes(
        self, plugins: dict[str, Plugin], models: dict[str, ModelConfig], asked: AbstractSet[tuple[str, str]]
    ) -> None:
        """Keep for each model only the plugins that have a say: its strategy's, and those that wrap it or name none.

        ``asked`` holds the pairs (model, plugin) with Options.
        """
        plain = [hook for hook in self._route if not (plugins[hook[0]].wraps or plugins[hook[0]].strategies)]
        for model in models.values():
            own = [hook for hook in self._route if model.strategy in plugins[hook[0]].strategies]
            around = [hook for hook in self._route if plugins[hook[0]].wraps and (model.name, hook[0]) in asked]
            around.sort(key=lambda hook: plugins[hook[0]].wraps)
            self._route_for[model.name] = tuple(dict.fromkeys((*around, *plain, *own)))
            if not around and not plain:
                self._settled.add(model.name)
        # What is addressed directly has one target and no table.
        self._route = tuple(plain)

    def settled(self, model: str) -> bool:
        """Whether nothing but a strategy has a say for this model: then a single target is no question."""
        return model in self._settled or (not self._route and model not in self._route_for)

    def route(self, call: Call, past: str | None = None) -> Sequence[Target] | None:
        """The first answer of the route hook, or None. ``past`` is a plugin's name: only those behind it are asked.

        A plugin that changes what others answer asks for their answer so.
        """
        assert call.model_config is not None
        hooks = self._route_for.get(call.model_config.name, self._route)
        if past is not None:
            hooks = hooks[next((place for place, hook in enumerate(hooks, 1) if hook[0] == past), 0) :]
        for name, hook in hooks:
            try:
                targets = hook(call)
            except GatewayError:
                raise
            except Exception as error:
                raise _failed(name, "route", error) from error
            if targets is not None:
                return targets
        return None

    async def on_response(self, call: Call, reply: Reply, before: int) -> None:
        """Show the reply to observers and to the plugins in front of place ``before``, the last first."""
        for place, name, hook in self._response:
            if place < before:
                try:
                    await hook(call, reply)
                except GatewayError:
                    raise
                except Exception as error:
                    raise _failed(name, "on_response", error) from error

    def on_complete(self, call: Call, reply: Reply | None) -> None:
        """Tell every plugin once; one that raises is logged and does not hinder the others.

        A copy is no call of its caller's: only observers hear of it, so that it counts against nobody's limits.
        """
        for name, hook in self._complete if call.copy_of is None else self._observe:
            try:
                hook(call, reply)
            except Exception:
                log.exception("plugin %s failed in on_complete of call %s", name, call.id)


_BEHIND_ALL = 1 << 30


def _failed(name: str, hook: str, error: Exception) -> PluginFailed:
    log.error("plugin %s failed in %s", name, hook, exc_info=error)
    return PluginFailed(f"The plugin {name!r} failed in {hook}. The operator's log has the details.")


def _sorted(hook: pluggy.HookCaller, order: dict[str, int]) -> list[pluggy.HookImpl]:
    return sorted(hook.get_hookimpls(), key=lambda impl: order[impl.plugin_name])


def _bound(impl: pluggy.HookImpl, *parameters: str) -> Callable[..., Any]:
    """The implementation as a callable of exactly ``parameters``; one that takes fewer is adapted once."""
    function: Callable[..., Any] = impl.function
    if tuple(impl.argnames) == parameters:
        return function
    if len(impl.argnames) == 1 and impl.argnames[0] == parameters[0]:
        return lambda first, *_: function(first)
    places = [parameters.index(name) for name in impl.argnames]

    def adapted(*arguments: Any) -> Any:
        return function(*(arguments[place] for place in places))

    return adapted
