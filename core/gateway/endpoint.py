"""The life of one request, top to bottom."""

from __future__ import annotations

import asyncio
import logging
from collections.abc import AsyncIterator
from typing import TYPE_CHECKING, Any

from gateway.body import drain, read_body
from gateway.call import Call, RawHeaders, Reply
from gateway.caller_status import caller_status
from gateway.choosing import choose, understand
from gateway.credentials import credential_of, without_keys
from gateway.errors import (
    ClientLeft,
    GatewayError,
    InternalError,
    InvalidRequest,
    MethodNotAllowed,
)
from gateway.format import Format
from gateway.forward import forward
from gateway.protocol import ChatRequest
from gateway.relay import Relay
from gateway.response import head_of, request_id_of

if TYPE_CHECKING:
    from starlette.types import Receive, Scope, Send

    from gateway.dialect import Dialect, Framing
    from gateway.state import Gateway

log = logging.getLogger("gateway")

_NO_REQUEST = ChatRequest(model="")


class CallEndpoint:
    """The ASGI application of one path of a dialect."""

    def __init__(
        self,
        gateway: Gateway,
        dialect: Dialect,
        format: Format,
        open_exchanges: set[Exchange],
        *,
        stream: bool | None = None,
    ) -> None:
        self.gateway = gateway
        self.dialect = dialect
        self.format = format
        self.open_exchanges = open_exchanges
        self.stream = stream

    async def __call__(self, scope: Scope, receive: Receive, send: Send) -> None:
        exchange = Exchange(self, scope, receive, send)
        self.open_exchanges.add(exchange)
        try:
            await exchange.run()
        finally:
            self.open_exchanges.discard(exchange)


class Exchange:
    """One request and its answer. ``abort`` ends it from outside."""

    def __init__(self, endpoint: CallEndpoint, scope: Scope, receive: Receive, send: Send) -> None:
        self.endpoint = endpoint
        self.scope = scope
        self.receive = receive
        self.send = send
        self.reply: Reply | None = None
        self.head_sent = False
        self.body_read = False
        self._framing: Framing | None = None
        self._cause: GatewayError | None = None
        self.task: asyncio.Task[Any] | None = None
        self._watcher: asyncio.Task[None] | None = None
        raw: RawHeaders = scope["headers"]
        client = scope.get("client")
        headers = dict(raw)
        self.call = Call(
            gateway=endpoint.gateway,
            dialect=endpoint.dialect,
            format=endpoint.format,
            id=request_id_of(headers),
            method=scope["method"],
            path=scope["path"],
            query=without_keys(scope["query_string"], endpoint.dialect.key_parameters),
            headers=headers,
            client=client[0] if client else "",
        )

    async def run(self) -> None:
        """Serve the request; every way out ends in ``on_complete``, once."""
        call = self.call
        cycle = self.scope.get("gateway.cycle")
        self.task = asyncio.current_task() if cycle is None else cycle.task
        try:
            try:
                await self._serve()
                call.outcome = "ok" if call.error is None else ("interrupted" if self._streamed() else "error")
            except GatewayError as error:
                await self._fail(error)
            except asyncio.CancelledError:
                if self._cause is None:
                    call.outcome = "cancelled"
                    raise
                assert self.task is not None
                self.task.uncancel()
                await self._fail(self._cause)
            except Exception:
                log.exception("call %s failed by a defect", call.id)
                await self._fail(InternalError(f"The gateway failed. Its log has the details under {call.id}."))
        except asyncio.CancelledError:
            # The client left, or the limit of draining came, while an error was being told.
            call.outcome = "cancelled"
            if self._cause is None:
                raise
        finally:
            self._finish()

    def _finish(self) -> None:
        """Let go of everything and close the books."""
        call = self.call
        if self._watcher is not None:
            self._watcher.cancel()
        if self.reply is not None and self.reply.close is not None:
            self.reply.close()
        # The request's cycle and this exchange hold each other: let go, or only the collector would free them.
        if (cycle := self.scope.pop("gateway.cycle", None)) is not None:
            cycle.on_disconnect = None
        call.ended = call.elapsed()
        call.gateway.pipeline.on_complete(call, self.reply)
        if (failure := call.error) is not None:
            # Its traceback's frames hold the call that holds it.
            failure.__traceback__ = None
            failure.__context__ = None
            failure.__cause__ = None

    async def _serve(self) -> None:
        call, gateway = self.call, self.endpoint.gateway
        pipeline = gateway.pipeline
        if call.method != "POST":
            raise MethodNotAllowed(f"{call.path} takes POST, not {call.method}.", headers=(("allow", "POST"),))
        scope = self.scope
        call.credential = credential_of(scope["headers"], scope["query_string"], call.dialect.key_parameters)
        await pipeline.authenticate(call)
        call.body = await read_body(self.receive, call.headers, gateway.config.server, self.scope.get("gateway.cycle"))
        self.body_read = True
        self._notice_leaving()
        self._understand()
        reply, place = await pipeline.on_request(call)
        if reply is None:
            choose(call)
            reply = await forward(call)
        self.reply = reply
        await pipeline.on_response(call, reply, place)
        await self._respond(reply)

    def _understand(self) -> None:
        """Read what routing needs from the body, the path and the headers."""
        call, stream = self.call, self.endpoint.stream
        call.stream = call.json.flag("stream") if stream is None else stream
        model = call.dialect.model_of(self.scope.get("path_params", {}), call.json.text("model"))
        if not model:
            raise InvalidRequest("The request names no model.", param="model", code="missing_required_parameter")
        understand(call, model)

    async def _respond(self, reply: Reply) -> None:
        call, send = self.call, self.send
        call.status = reply.status
        call.first_byte = call.elapsed()
        head = head_of(call, reply)
        if reply.stream is not None and (framing := call.dialect.framing(call)) is not None:
            self._framing = framing
            head = [(b"content-type", framing.content_type), *(pair for pair in head if pair[0] != b"content-type")]
        self.head_sent = True
        await send({"type": "http.response.start", "status": reply.status, "headers": head})
        if reply.stream is None:
            call.response_bytes = len(reply.body)
            await send({"type": "http.response.body", "body": reply.body})
            return
        if self._framing is not None:
            await self._respond_framed(reply.stream, self._framing)
            return
        cycle: Any = self.scope.get("gateway.cycle")
        # Unless a plugin wrapped the stream, and on our own front, chunks go from one connection to the other directly.
        relay = reply.stream if isinstance(reply.stream, Relay) and cycle is not None else None

        def write(chunk: bytes) -> bool:
            call.response_bytes += len(chunk)
            on: bool = cycle.push(chunk)
            return on

        async for chunk in reply.stream:
            call.response_bytes += len(chunk)
            await send({"type": "http.response.body", "body": chunk, "more_body": True})
            if relay is not None:
                await relay.push(write)
                await cycle.writable()
        await send({"type": "http.response.body", "body": b""})

    async def _respond_framed(self, stream: AsyncIterator[bytes], framing: Framing) -> None:
        async for events in stream:
            if chunk := framing.feed(events):
                self.call.response_bytes += len(chunk)
                await self.send({"type": "http.response.body", "body": chunk, "more_body": True})
        # A provider's own error event has passed: nothing may end it well.
        last = framing.end() if self.call.error is None else b""
        self.call.response_bytes += len(last)
        await self.send({"type": "http.response.body", "body": last})

    async def _fail(self, error: GatewayError) -> None:
        """Tell the caller of an error in its own dialect, as far as the wire still allows."""
        call = self.call
        call.error = error
        if isinstance(error, ClientLeft):
            call.outcome = "cancelled"
            call.status = call.status or error.status
            return
        if self.head_sent:
            call.outcome = "interrupted"
            if self._streamed():
                writer = self.reply.writer() if self.reply is not None and self.reply.writer is not None else None
                event = (writer or call.format.stream_writer(_NO_REQUEST)).write_error(error, call.id)
                if self._framing is not None:
                    event = self._framing.feed(event)
                call.response_bytes += len(event)
                await self.send({"type": "http.response.body", "body": event})
            return
        call.outcome = "error"
        if self.reply is not None and self.reply.close is not None:
            self.reply.close()
        body = call.format.write_error(error, call.id)
        headers: RawHeaders = [(b"content-type", b"application/json"), *error.response_headers()]
        self.reply = reply = Reply(caller_status(error), body=body, headers=headers, source="gateway")
        call.status = reply.status
        call.first_byte = call.elapsed()
        call.response_bytes = len(body)
        self.head_sent = True
        await self.send({"type": "http.response.start", "status": reply.status, "headers": head_of(call, reply)})
        if not self.body_read:
            # A client reads the answer only when it has sent its body, and a close with bytes unread resets the
            # connection under the answer: send it whole, take some of what still comes, and only then close.
            await self.send({"type": "http.response.body", "body": body, "more_body": True})
            await drain(self.receive)
            body = b""
        await self.send({"type": "http.response.body", "body": body})

    def _streamed(self) -> bool:
        return self.reply is not None and self.reply.stream is not None

    def _notice_leaving(self) -> None:
        """End the exchange as soon as the client is gone: our own front calls, any other server must be asked."""
        cycle = self.scope.get("gateway.cycle")
        if cycle is None:
            self._watcher = asyncio.create_task(self._watch_client())
            return
        cycle.on_disconnect = self._client_left
        if cycle.gone:
            self._client_left()

    def _client_left(self) -> None:
        self.abort(ClientLeft("The client closed the connection."))

    async def _watch_client(self) -> None:
        while True:
            message = await self.receive()
            if message["type"] == "http.disconnect":
                self._client_left()
                return

    def abort(self, cause: GatewayError) -> None:
        """End the exchange now: the client left, or the process must go."""
        if self._cause is None and self.task is not None and not self.task.done():
            self._cause = cause
            self.task.cancel()
