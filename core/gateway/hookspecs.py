"""The hooks: what a plugin can do, and when.

A hook has one colour (``async def`` or ``def``) for all plugins, checked at start-up. A plugin names only the
parameters that it needs. The order of plugins is their stage (auth, limit, cache, guard, route, provider, observe),
then their position in the file; ``gateway plugins`` prints it.

An implementation refuses a call by raising a ``GatewayError``. Anything else that it raises becomes a 500 that names
the plugin: a broken authentication plugin must not let calls through.
"""

from __future__ import annotations

from collections.abc import Sequence
from typing import TYPE_CHECKING, Any

import pluggy

if TYPE_CHECKING:
    import argparse

    from gateway.call import Call, Reply, Target
    from gateway.registry import Gateway
    from gateway.translation import Pair, Translator

PROJECT = "gateway"
hookspec = pluggy.HookspecMarker(PROJECT)
hookimpl = pluggy.HookimplMarker(PROJECT)


@hookspec
async def startup(gateway: Gateway) -> None:
    """Open what the plugin needs: pools, files, exporters.

    When: once for each worker and configuration, before the first call, in pipeline order. A plugin whose table did
    not change is carried over a reload and is not started again. Failure: raising stops the start (or the reload, and
    the old configuration serves on); ``shutdown`` of those already started runs.
    """


@hookspec
async def shutdown() -> None:
    """Close what ``startup`` opened, and flush what is queued.

    When: once, after the last call that uses the plugin, in reverse order; also after a failed start, for those that
    had started. Failure: logged, and the others are still shut down.
    """


@hookspec
def register_routes(gateway: Gateway) -> Sequence[Any]:  # type: ignore[empty-body]  # a specification has no body
    """Starlette routes of the plugin's own, joined to the public listener.

    When: once for each configuration, at build. A route that needs a key asks ``gateway.authenticate(scope)``.
    """


@hookspec
def register_commands(commands: argparse._SubParsersAction[argparse.ArgumentParser]) -> None:
    """Add commands of the plugin's own to the ``gateway`` program.

    When: the command line is parsed with a configuration that has the plugin on. Set ``parser.set_defaults(run=f)``;
    ``f(args) -> int`` returns the exit code.
    """


@hookspec(firstresult=True)
def translate(pair: Pair) -> Translator | None:
    """A translator for a pair (caller's format, provider and its wire format) that beats the default.

    When: once for each pair at start-up, never on a call. None leaves the pair to others; the default passes bytes
    where the two formats are the same, and composes the two where they differ.
    """


@hookspec
async def on_request(call: Call) -> Reply | None:
    """Look at a call before it is routed: authenticate, limit, answer from a cache, guard.

    When: each call, after its body is read and its model known, in pipeline order. The first Reply ends the walk and
    is what the caller gets. Plugins of the auth stage run earlier, on the head alone (``call.body`` is empty,
    ``call.model`` unknown, a Reply is not taken), so that strangers cannot make us hold bodies. Failure: a raised
    GatewayError refuses the call.
    """


@hookspec(firstresult=True)
def route(call: Call) -> Sequence[Target] | None:
    """Choose the targets to try, the best first, from ``call.targets`` (the model's own, in declared order).

    When: each call, after ``on_request``. Pure: no I/O, no waiting. None leaves it to the next plugin; if none
    answers, the declared order stands. Fallbacks of the model are appended behind what is returned.
    """


@hookspec
async def on_response(call: Call, reply: Reply) -> None:
    """Look at the reply before its first byte; may change ``reply`` or wrap ``reply.stream``.

    When: each call with an answer (errors included only if a provider gave them), in reverse pipeline order, for the
    plugins in front of the one that answered, and for those of the observe stage always. A stream's chunks hold
    whole events.
    """


@hookspec
def on_complete(call: Call, reply: Reply | None) -> None:
    """Take note of a finished call: log it, count it, settle a reservation.

    When: exactly once for each call, after the last byte, also on error (``call.error``) and when the client left
    (``call.outcome == "cancelled"``). ``reply`` is None when none was made. Failure: logged; it never reaches the
    caller or the other plugins. Invariant: it returns quickly; slow work belongs to a thread of the plugin's own.
    """
