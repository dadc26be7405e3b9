"""Sends a copy of a call to another target: its answer is read, counted and logged, and returned to nobody."""

from __future__ import annotations

import asyncio
import logging
from collections.abc import Callable
from typing import TYPE_CHECKING

import msgspec

from gateway.call import Call
from gateway.errors import GatewayError, InternalError

if TYPE_CHECKING:
    from gateway.call import Reply, Target

log = logging.getLogger("gateway.copies")

Watch = Callable[[bytes], bool]
"""Takes each chunk of the copy's answer; False ends the copy."""


async def send_copy(call: Call, target: Target, *, seconds: float, watch: Watch | None = None) -> Call:
    """Ask ``target`` what ``call`` asked, once, for at most ``seconds``; the copy's Call, when it has ended.

    The copy has an id of its own and ``copy_of``, so only observers (logs, metrics) hear of its end: it counts against
    no limit and no budget of the caller. Where it can be, a whole answer is asked for as a stream, so that ``watch``
    can end it midway. Cancelling this ends the copy and closes its connection.
    """
    # Late: forwarding is the endpoint's business, and this the only other place that asks for it.
    from gateway.forward import forward  # noqa: PLC0415

    copy = _copy(call, target, seconds)
    reply: Reply | None = None
    gateway = call.gateway
    gateway.calls += 1  # a configuration that was replaced is not stopped under it
    try:
        async with asyncio.timeout(seconds):
            reply = await forward(copy)
            copy.status = reply.status
            await _read(copy, reply, watch)
        copy.outcome = "ok" if copy.error is None else "error"
    except TimeoutError:
        copy.outcome = "cancelled"
    except _Stopped:
        copy.outcome = "cancelled"
    except GatewayError as error:
        copy.error, copy.status = error, error.status
        copy.outcome = "error" if reply is None else "interrupted"
    except asyncio.CancelledError:
        copy.outcome = "cancelled"
        raise
    except Exception:
        log.exception("a copy of call %s failed by a defect", call.id)
        copy.error, copy.outcome = InternalError("The copy failed by a defect."), "error"
    finally:
        gateway.calls -= 1
        if reply is not None and reply.close is not None:
            reply.close()
        copy.ended = copy.elapsed()
        gateway.pipeline.on_complete(copy, reply)
        if copy.error is not None:
            copy.error.__traceback__ = None
        if gateway.retired and gateway.calls == 0:
            await gateway.stop()
    return copy


class _Stopped(Exception):
    pass


def _copy(call: Call, target: Target, seconds: float) -> Call:
    assert call.model_config is not None
    copy = Call(
        gateway=call.gateway,
        dialect=call.dialect,
        format=call.format,
        id=f"{call.id}~copy",
        method=call.method,
        path=call.path,
        query=call.query,
        headers=call.headers,
        client=call.client,
    )
    copy.copy_of = call.id
    copy.credential, copy.principal, copy.tags = call.credential, call.principal, call.tags
    copy.model, copy.strict, copy.body, copy.stream = call.model, call.strict, call.body, call.stream
    copy.model_config = msgspec.structs.replace(
        call.model_config, targets=(target,), fallbacks=(), retries=0, rescue="error"
    )
    copy.targets = (target,)
    copy.deadline = seconds
    if call.operation == "chat" and not call.stream and "model" in call.json:
        # The dialects that name the model in the body tell there, too, whether they want a stream.
        copy.stream = True
        copy.body = call.json.replaced({"stream": b"true"})
    return copy


async def _read(copy: Call, reply: Reply, watch: Watch | None) -> None:
    if reply.stream is None:
        copy.response_bytes = len(reply.body)
        return
    async for chunk in reply.stream:
        if copy.first_byte is None:
            copy.first_byte = copy.elapsed()
        copy.response_bytes += len(chunk)
        if watch is not None and not watch(chunk):
            raise _Stopped
