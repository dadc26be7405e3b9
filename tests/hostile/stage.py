"""A gateway before one scripted provider for each wire format, and what may come of a call."""

from __future__ import annotations

import json
import logging
from collections.abc import Iterator
from contextlib import ExitStack, contextmanager
from pathlib import Path
from typing import Any

from gateway.sse import decode_events
from gateway.testing import Answer, Exchange, RunningGateway, ScriptedProvider, running_gateway
from tests.hostile.mutations import lenient, strict
from tests.hostile.seeds import MESSAGE_STREAM, OTHERS, VECTOR, Speech, invoked, wires

CALLER_KEY = "gk-caller-canary-0123456789"
PROVIDER_KEY = "sk-upstream-canary"
HEADERS = {"authorization": f"Bearer {CALLER_KEY}"}

_CONFIGURATION = """
[plugins.api_keys]
keys = [{{ name = "caller", key = "{key}" }}]

[plugins.audit_log]
path = "audit.sqlite"
payloads = true

[plugins.access_log]
path = "access.log"

[defaults]
retries = 0
timeouts = {{ first_token = 5, idle = 5, total = 10 }}

[health]
eject = false
cooldown = 0.000001
breaker = {{ failures = 1000000, error_share = 1, samples = 1000000 }}
"""


class Provider:
    """A provider of one wire format. It gives good answers unless it has one of the test's own to give."""

    def __init__(self, name: str, server: ScriptedProvider) -> None:
        self.name = name
        self.wire = wires()[name]
        self.server = server
        self.answer: bytes | None = None
        self.pieces: list[bytes] | None = None
        self.cut = False
        self.status = 200
        self.headers: dict[str, str] = {}
        self.number = 0
        server.default_script(self._serve)

    async def _serve(self, exchange: Exchange) -> None:
        path = exchange.request.path.partition("?")[0]
        streamed = path.endswith(("stream", ":streamGenerateContent")) or _asks_for_stream(exchange.request.body)
        self.number += 1
        other = next((body for end, body in OTHERS.items() if path.endswith(end)), None)
        if self.pieces is not None:
            await self._stream(exchange, self.pieces)
        elif self.answer is not None:
            head = {"content-type": "application/json", "content-length": str(len(self.answer)), **self.headers}
            await exchange.send_head(self.status, head)
            await exchange.send(self.answer)
        elif path.endswith(":batchEmbedContents"):
            count = len(json.loads(exchange.request.body)["requests"])
            await _whole(exchange, json.dumps({"embeddings": [{"values": VECTOR}] * count}).encode())
        elif other is not None:
            await _whole(exchange, json.dumps(other).encode())
        elif path.endswith(("/invoke", MESSAGE_STREAM)):
            claude = wires()["anthropic"]
            if path.endswith(MESSAGE_STREAM):
                await self._stream(exchange, [invoked(value) for _, value in claude.streams[0]])
            else:
                await _whole(exchange, json.dumps(claude.replies[0]).encode())
        elif streamed:
            stream = self.wire.streams[self.number % len(self.wire.streams)]
            await self._stream(exchange, framed(self.name, stream))
        else:
            reply = self.wire.replies[self.number % len(self.wire.replies)]
            await _whole(exchange, json.dumps(reply).encode())

    def good(self) -> None:
        """Give good answers from now on."""
        self.answer = self.pieces = None
        self.cut, self.status, self.headers = False, 200, {}

    async def _stream(self, exchange: Exchange, pieces: list[bytes]) -> None:
        head = {"content-type": self.wire.content_type, "transfer-encoding": "chunked", **self.headers}
        await exchange.send_head(200, head)
        body = b"".join(b"%x\r\n%b\r\n" % (len(piece), piece) for piece in pieces if piece)
        await exchange.send(body + (b"" if self.cut else b"0\r\n\r\n"))
        if self.cut:
            exchange.close()


def _asks_for_stream(body: bytes) -> bool:
    try:
        value = json.loads(body)
    except ValueError:
        return False
    return isinstance(value, dict) and value.get("stream") is True


async def _whole(exchange: Exchange, body: bytes) -> None:
    await exchange.send_head(200, {"content-type": "application/json", "content-length": str(len(body))})
    await exchange.send(body)


def framed(name: str, stream: list[tuple[str, Any]], frame_json: Any = json.dumps) -> list[bytes]:
    """A stream's events as the provider sends them, with its end mark."""
    wire = wires()[name]
    pieces = [
        wire.frame(event, told if isinstance(told := frame_json(value), bytes) else told.encode())
        for event, value in stream
    ]
    return [*pieces, wire.mark]


class Notes(logging.Handler):
    """All that the process logs, formatted, tracebacks and all."""

    def __init__(self) -> None:
        super().__init__(logging.DEBUG)
        self.lines: list[str] = []
        self.defects: list[str] = []

    def emit(self, record: logging.LogRecord) -> None:
        text = logging.Formatter("%(name)s %(levelname)s %(message)s").format(record)
        self.lines.append(text)
        raised = record.exc_info is not None and record.exc_info[0] is not None
        if raised or (record.name == "asyncio" and record.levelno >= logging.ERROR):
            self.defects.append(text)


class Stage:
    """A running gateway, its providers by the name of the wire format, and what is logged meanwhile."""

    def __init__(self, gateway: RunningGateway, providers: dict[str, Provider], notes: Notes, folder: Path) -> None:
        self.gateway = gateway
        self.providers = providers
        self.notes = notes
        self.folder = folder

    def ask(
        self, speech: Speech, model: str, body: bytes, *, stream: bool = False, headers: dict[str, str] | None = None
    ) -> Answer:
        """Ask for a model, which stands in the body or in the path."""
        path = (speech.stream_path if stream else speech.path).replace("{m}", model)
        return self.gateway.post(path, body=body, headers=HEADERS if headers is None else headers, timeout=8.0)

    def check_upstream(self) -> list[str]:
        """What was wrong with the bodies that reached the providers; they are forgotten."""
        wrong = []
        for provider in self.providers.values():
            for request in provider.server.requests:
                try:
                    strict(request.body)
                except (ValueError, RecursionError) as error:
                    wrong.append(f"{provider.name} got no good JSON: {error!r}: {request.body[:300]!r}")
            provider.server.requests.clear()
        return wrong


def model_of(provider: str, number: int | None = None) -> str:
    """The model that a provider is asked for: one that takes most of what there is, or one of many."""
    if number is not None:
        return f"{provider}/model-{number}"
    models = {"anthropic": "claude-sonnet-4-6", "gemini": "gemini-3-flash", "cohere": "command-a-reasoning-08-2025"}
    models |= {"bedrock": "eu.amazon.nova-lite-v1:0", "chat": "gpt-4o", "responses": "gpt-5"}
    return f"{provider}/{models.get(provider, 'm')}"


@contextmanager
def staged(folder: Path, more: str = "") -> Iterator[Stage]:
    """Run a gateway and its providers until the block ends."""
    notes = Notes()
    watched = [logging.getLogger(name) for name in ("gateway", "asyncio")]
    levels = [logger.level for logger in watched]
    with ExitStack() as stack:
        providers = {name: Provider(name, stack.enter_context(ScriptedProvider())) for name in wires()}
        tables = [
            f'[plugins.{name}]\n{one.wire.table}\nbase_url = "{one.server.url}{_base(one.wire.table)}"\n'
            for name, one in providers.items()
        ]
        toml = _CONFIGURATION.format(key=CALLER_KEY) + "\n".join(tables) + more
        for logger in watched:
            logger.addHandler(notes)
            logger.setLevel(logging.DEBUG)
        try:
            gateway = stack.enter_context(running_gateway(toml, folder=folder))
            yield Stage(gateway, providers, notes, folder)
        finally:
            stack.close()
            for logger, level in zip(watched, levels, strict=True):
                logger.removeHandler(notes)
                logger.setLevel(level)


def _base(table: str) -> str:
    return "/v1" if 'use = "openai"' in table else ""


# -- verdicts --------------------------------------------------------------------------------------------------------


def error_shape(dialect: str, value: Any, status: int) -> str:
    """What is wrong with an error's body; empty where nothing is."""
    if not isinstance(value, dict):
        return "no object"
    if dialect == "anthropic":
        error = value.get("error")
        good = {"type", "error", "request_id"} <= set(value) and isinstance(error, dict)
        return "" if good and _texts(error, "type", "message") else "not Anthropic's"
    error = value.get("error")
    if not isinstance(error, dict):
        return "no error"
    if dialect == "gemini":
        # In a provider's own words the code is its own too.
        good = isinstance(error.get("code"), int) and _texts(error, "message", "status")
        return "" if good else "not Gemini's"
    if dialect == "cohere" and not _texts(value, "message"):
        return "not Cohere's"
    good = {"message", "type", "param", "code"} <= set(error) and _texts(error, "message", "type")
    return "" if good else "not OpenAI's"


def _texts(value: Any, *names: str) -> bool:
    return all(isinstance(value.get(name), str) and value[name] for name in names)


def problem(speech: Speech, answer: Answer, *, good_upstream: bool) -> str:
    """What is wrong with an answer, by its dialect; empty where nothing is."""
    if answer.status >= 400:
        if good_upstream and answer.status >= 500:
            return f"{answer.status} {answer.body[:400]!r}"
        if any(word in answer.body for word in (b"plugin_failed", b"internal_error")):
            return f"a defect: {answer.body[:400]!r}"
        try:
            wrong = error_shape(speech.errors, strict(answer.body), answer.status)
        except ValueError as error:
            wrong = repr(error)
        return wrong and f"{answer.status}: {wrong}: {answer.body[:400]!r}"
    if answer.status != 200:
        return f"status {answer.status}"
    if answer.headers.get("content-type", "").startswith("text/event-stream"):
        end = stream_end(speech, answer.body)
        return end if end not in ("clean", "error") or (good_upstream and end != "clean") else ""
    try:
        value = lenient(answer.body)
    except ValueError as error:
        return f"no good JSON: {error!r} {answer.body[-400:]!r}"
    if isinstance(value, list) and speech.format == "gemini":
        return "" if value and isinstance(value[-1], dict) else "an empty array"
    if not isinstance(value, dict) or (value.get("error") is not None and value.get("status") != "failed"):
        return f"neither an answer nor an error: {answer.body[:300]!r}"
    return ""


def stream_end(speech: Speech, body: bytes) -> str:
    """How a stream of this dialect ended: ``clean``, ``error``, or what is wrong with it."""
    try:
        told = [(event.event, lenient(event.data)) for event in decode_events(body) if event.data.strip() != b"[DONE]"]
    except ValueError as error:
        return f"no good JSON in the stream: {error!r}: {body[-400:]!r}"
    values = [{"type": name, **value} for name, value in told if isinstance(value, dict)]
    kinds = [value["type"] for value in values]
    failed = [value for value in values if value["type"] in ("error", "response.failed") or value.get("error")]
    if speech.format == "anthropic_messages":
        clean = kinds[-1:] == ["message_stop"]
    elif speech.format == "openai_responses":
        clean = "response.completed" in kinds or "response.incomplete" in kinds
    elif speech.format == "gemini":
        clean = not failed and any(map(_has_finished, values))
    else:
        clean = [event.data.strip() for event in decode_events(body)][-1:] == [b"[DONE]"]
    if failed and clean:
        return f"an error with a clean end: {body[-400:]!r}"
    if not failed and not clean:
        return f"neither an error nor an end: {body[-600:]!r}"
    return "error" if failed else "clean"


def _has_finished(value: dict[str, Any]) -> bool:
    candidates = value.get("candidates")
    found = candidates if isinstance(candidates, list) else []
    return "promptFeedback" in value or any(isinstance(one, dict) and one.get("finishReason") for one in found)
