"""Good answers of the providers that speak neither chat completions nor messages over server-sent events."""

from __future__ import annotations

import base64
import json
from typing import Any
from urllib.parse import unquote

from gateway.testing import RecordedRequest
from gateway_plugins.formats.aws_event_stream import encode_event, encode_exception
from tests.faults.wires import ANSWER_TOKENS, PROMPT_TOKENS, TEXT, WIRES, WORDS, Anthropic, Wire, compact

FRAMES = "application/vnd.amazon.eventstream"
ASK = "Say it."


class Responses(Wire):
    """OpenAI's responses: the end mark is the whole response."""

    name = "responses"
    path = "/v1/responses"
    ends_with_reason = True

    def request(self, model: str, *, stream: bool) -> dict[str, Any]:
        return {"model": model, "input": ASK, "store": False, "stream": stream}

    def usage(self, prompt: Any, answer: Any) -> dict[str, Any]:
        total = prompt + answer if isinstance(prompt, int) and isinstance(answer, int) else 0
        return {"input_tokens": prompt, "output_tokens": answer, "total_tokens": total}

    def _response(self, output: list[Any], status: str, usage: dict[str, Any] | None = None) -> dict[str, Any]:
        head = {"id": "resp_1", "object": "response", "created_at": 1, "status": status, "model": "real"}
        return {**head, "output": output, "usage": usage}

    def _message(self, text: str, status: str = "completed") -> dict[str, Any]:
        content = [{"type": "output_text", "text": text, "annotations": []}] if text else []
        return {"id": "msg_1", "type": "message", "role": "assistant", "status": status, "content": content}

    def whole(self, usage: dict[str, Any] | None = None, text: str = TEXT) -> bytes:
        given = self.usage(PROMPT_TOKENS, ANSWER_TOKENS) if usage is None else usage
        return compact(self._response([self._message(text)], "completed", given or None))

    def _event(self, kind: str, **more: Any) -> bytes:
        return b"event: " + kind.encode() + b"\ndata: " + compact({"type": kind, **more}) + b"\n\n"

    def opening(self, usage: dict[str, Any] | None = None) -> list[bytes]:
        part = {"type": "output_text", "text": "", "annotations": []}
        return [
            self._event("response.created", response=self._response([], "in_progress"), sequence_number=0),
            self._event("response.in_progress", response=self._response([], "in_progress"), sequence_number=1),
            self._event(
                "response.output_item.added",
                output_index=0,
                item=self._message("", "in_progress"),
                sequence_number=2,
            ),
            self._event(
                "response.content_part.added",
                item_id="msg_1",
                output_index=0,
                content_index=0,
                part=part,
                sequence_number=3,
            ),
        ]

    def words(self, first: int = 0, last: int | None = None) -> list[bytes]:
        return [self._word(text, 4 + first + n) for n, text in enumerate(WORDS[first:last])]

    def word(self, text: str) -> bytes:
        return self._word(text, 4 + (WORDS.index(text) if text in WORDS else len(WORDS)))

    def _word(self, text: str, number: int) -> bytes:
        place = {"item_id": "msg_1", "output_index": 0, "content_index": 0}
        return self._event("response.output_text.delta", **place, delta=text, logprobs=[], sequence_number=number)

    def closing(self, usage: dict[str, Any] | None = None) -> list[bytes]:
        place = {"item_id": "msg_1", "output_index": 0, "content_index": 0}
        part = {"type": "output_text", "text": TEXT, "annotations": []}
        return [
            self._event("response.output_text.done", **place, text=TEXT, logprobs=[], sequence_number=12),
            self._event("response.content_part.done", **place, part=part, sequence_number=13),
            self._event("response.output_item.done", output_index=0, item=self._message(TEXT), sequence_number=14),
        ]

    @property
    def end_mark(self) -> bytes:  # type: ignore[override]
        """The event that holds the whole response."""
        return self._event("response.completed", response=json.loads(self.whole()), sequence_number=15)

    def error(self, kind: str = "server_error", message: str = "The engine broke.") -> bytes:
        return WIRES["openai"].error(kind, message)

    def error_event(self, kind: str = "server_error") -> bytes:
        return self._event("error", code=kind, message="The engine broke.", param=None, sequence_number=8)

    def event(self, data: bytes) -> bytes:
        return b"event: response.output_text.delta\ndata: " + data + b"\n\n"

    def _call(self, arguments: str, status: str) -> dict[str, Any]:
        call = {"id": "fc_1", "type": "function_call", "call_id": "call_1", "name": "move", "status": status}
        return {**call, "arguments": arguments}

    def tool_opening(self) -> list[bytes]:
        item = self._call("", "in_progress")
        return [
            *self.opening()[:2],
            self._event("response.output_item.added", output_index=0, item=item, sequence_number=2),
        ]

    def arguments(self, text: str) -> bytes:
        number = {'{"x":': 3, '{"x":1,': 3}.get(text, 4)
        kind = "response.function_call_arguments.delta"
        return self._event(kind, item_id="fc_1", output_index=0, delta=text, sequence_number=number)

    def tool_closing(self) -> list[bytes]:
        call = self._call('{"x":1,"y":2}', "completed")
        kind = "response.function_call_arguments.done"
        usage = self.usage(PROMPT_TOKENS, ANSWER_TOKENS)
        return [
            self._event(kind, item_id="fc_1", output_index=0, arguments=call["arguments"], sequence_number=5),
            self._event("response.output_item.done", output_index=0, item=call, sequence_number=6),
            self._event("response.completed", response=self._response([call], "completed", usage), sequence_number=7),
        ]


class Gemini(Wire):
    """generateContent. There is no end mark: the last chunk tells the reason. ``array`` is how a caller wants it."""

    path = "/v1beta/models"
    end_mark = b""

    def __init__(self, *, array: bool = False) -> None:
        self.array = array
        self.name = "array" if array else "gemini"

    def address(self, model: str, *, stream: bool) -> str:
        if not stream:
            return f"{self.path}/{model}:generateContent"
        return f"{self.path}/{model}:streamGenerateContent{'' if self.array else '?alt=sse'}"

    def asked(self, request: RecordedRequest) -> tuple[str, bool]:
        name, _, method = request.path.rpartition("/")[2].partition(":")
        return unquote(name), method.startswith("stream")

    def request(self, model: str, *, stream: bool) -> dict[str, Any]:
        return {"contents": [{"role": "user", "parts": [{"text": ASK}]}]}

    def usage(self, prompt: Any, answer: Any) -> dict[str, Any]:
        total = prompt + answer if isinstance(prompt, int) and isinstance(answer, int) else 0
        return {"promptTokenCount": prompt, "candidatesTokenCount": answer, "totalTokenCount": total}

    def _chunk(self, part: dict[str, Any], finish: str | None = None, usage: dict[str, Any] | None = None) -> bytes:
        candidate = {"content": {"parts": [part], "role": "model"}, "index": 0}
        if finish:
            candidate["finishReason"] = finish
        counted = {"usageMetadata": usage} if usage else {}
        return compact({"candidates": [candidate], **counted, "modelVersion": "real", "responseId": "gem-1"})

    def whole(self, usage: dict[str, Any] | None = None, text: str = TEXT) -> bytes:
        given = self.usage(PROMPT_TOKENS, ANSWER_TOKENS) if usage is None else usage
        return self._chunk({"text": text}, "STOP", given)

    def opening(self, usage: dict[str, Any] | None = None) -> list[bytes]:
        return []

    def word(self, text: str) -> bytes:
        return self.event(self._chunk({"text": text}))

    def closing(self, usage: dict[str, Any] | None = None) -> list[bytes]:
        given = self.usage(PROMPT_TOKENS, ANSWER_TOKENS) if usage is None else usage
        return [self.event(self._chunk({"text": ""}, "STOP", given))]

    def error(self, kind: str = "server_error", message: str = "The engine broke.") -> bytes:
        words = {
            "rate_limit_error": (429, "RESOURCE_EXHAUSTED"),
            "invalid_request_error": (400, "INVALID_ARGUMENT"),
            "authentication_error": (401, "UNAUTHENTICATED"),
        }
        code, status = words.get(kind, (500, "INTERNAL"))
        return compact({"error": {"code": code, "message": message, "status": status}})

    def error_event(self, kind: str = "server_error") -> bytes:
        return self.event(self.error(kind))

    def event(self, data: bytes) -> bytes:
        return b"data: " + data + b"\r\n\r\n"

    def tool_opening(self) -> list[bytes]:
        return []

    def arguments(self, text: str) -> bytes:
        """Google sends a call whole: only the last piece says it."""
        call = {"functionCall": {"name": "move", "args": {"x": 1, "y": 2}}}
        return self.event(self._chunk(call)) if text.endswith("}") else b": working\n\n"

    def tool_closing(self) -> list[bytes]:
        return self.closing()


class Converse(Wire):
    """Bedrock's Converse, in binary frames."""

    name = "converse"
    path = "/model"
    stream_type = FRAMES

    def asked(self, request: RecordedRequest) -> tuple[str, bool]:
        model, _, operation = request.path.removeprefix("/model/").rpartition("/")
        return unquote(model), operation.endswith("-stream")

    def request(self, model: str, *, stream: bool) -> dict[str, Any]:
        raise NotImplementedError("no caller speaks it")

    def usage(self, prompt: Any, answer: Any) -> dict[str, Any]:
        total = prompt + answer if isinstance(prompt, int) and isinstance(answer, int) else 0
        return {"inputTokens": prompt, "outputTokens": answer, "totalTokens": total}

    def whole(self, usage: dict[str, Any] | None = None, text: str = TEXT) -> bytes:
        given = self.usage(PROMPT_TOKENS, ANSWER_TOKENS) if usage is None else usage
        message = {"role": "assistant", "content": [{"text": text}]}
        return compact({"output": {"message": message}, "stopReason": "end_turn", "usage": given, "metrics": {}})

    def _frame(self, kind: str, **value: Any) -> bytes:
        return encode_event(kind, compact(value))

    def opening(self, usage: dict[str, Any] | None = None) -> list[bytes]:
        return [self._frame("messageStart", role="assistant")]

    def word(self, text: str) -> bytes:
        return self.event(self.payload(text))

    def payload(self, text: str) -> bytes:
        return compact({"contentBlockIndex": 0, "delta": {"text": text}})

    def closing(self, usage: dict[str, Any] | None = None, reason: str = "end_turn") -> list[bytes]:
        return [self._frame("contentBlockStop", contentBlockIndex=0), self._frame("messageStop", stopReason=reason)]

    @property
    def end_mark(self) -> bytes:  # type: ignore[override]
        """What comes behind the reason: the usage."""
        return self._frame("metadata", usage=self.usage(PROMPT_TOKENS, ANSWER_TOKENS), metrics={"latencyMs": 1})

    def error(self, kind: str = "server_error", message: str = "The engine broke.") -> bytes:
        return compact({"message": message})

    def error_event(self, kind: str = "server_error") -> bytes:
        name = {"rate_limit_error": "throttlingException"}.get(kind, "internalServerException")
        return encode_exception(name, self.error(kind))

    def event(self, data: bytes) -> bytes:
        return encode_event("contentBlockDelta", data)

    def tool_opening(self) -> list[bytes]:
        start = {"toolUse": {"toolUseId": "tooluse_1", "name": "move"}}
        return [*self.opening(), self._frame("contentBlockStart", start=start, contentBlockIndex=0)]

    def arguments(self, text: str) -> bytes:
        return self._frame("contentBlockDelta", contentBlockIndex=0, delta={"toolUse": {"input": text}})

    def tool_closing(self) -> list[bytes]:
        return self.closing(reason="tool_use")


class Invoke(Anthropic):
    """Claude by InvokeModel: the events of messages within binary frames."""

    name = "invoke"
    path = "/model"
    stream_type = FRAMES

    def asked(self, request: RecordedRequest) -> tuple[str, bool]:
        return CONVERSE.asked(request)

    def _event(self, kind: str, **more: Any) -> bytes:
        return self.event(compact({"type": kind, **more}))

    @property
    def end_mark(self) -> bytes:  # type: ignore[override]
        """The last event of messages, framed."""
        return self._event("message_stop")

    def event(self, data: bytes) -> bytes:
        return encode_event("chunk", compact({"bytes": base64.b64encode(data).decode(), "p": "abc"}))

    def payload(self, text: str) -> bytes:
        return WIRES["anthropic"].payload(text)

    def error(self, kind: str = "server_error", message: str = "The engine broke.") -> bytes:
        return CONVERSE.error(kind, message)

    def error_event(self, kind: str = "server_error") -> bytes:
        return CONVERSE.error_event(kind)


class Cohere(Wire):
    """Cohere's v2 chat: the end mark tells the reason."""

    name = "cohere"
    path = "/v2/chat"
    ends_with_reason = True

    def request(self, model: str, *, stream: bool) -> dict[str, Any]:
        raise NotImplementedError("no caller speaks it")

    def usage(self, prompt: Any, answer: Any) -> dict[str, Any]:
        return {"tokens": {"input_tokens": prompt, "output_tokens": answer}}

    def whole(self, usage: dict[str, Any] | None = None, text: str = TEXT) -> bytes:
        given = self.usage(PROMPT_TOKENS, ANSWER_TOKENS) if usage is None else usage
        message = {"role": "assistant", "content": [{"type": "text", "text": text}]}
        return compact({"id": "co-1", "message": message, "finish_reason": "COMPLETE", "usage": given})

    def _event(self, kind: str, **more: Any) -> bytes:
        return b"event: " + kind.encode() + b"\ndata: " + compact({"type": kind, **more}) + b"\n\n"

    def _started(self) -> bytes:
        message = {"role": "assistant", "content": [], "tool_plan": "", "tool_calls": [], "citations": []}
        return self._event("message-start", id="co-1", delta={"message": message})

    def opening(self, usage: dict[str, Any] | None = None) -> list[bytes]:
        block = {"message": {"content": {"type": "text", "text": ""}}}
        return [self._started(), self._event("content-start", index=0, delta=block)]

    def word(self, text: str) -> bytes:
        return self._event("content-delta", index=0, delta={"message": {"content": {"text": text}}})

    def closing(self, usage: dict[str, Any] | None = None) -> list[bytes]:
        return [self._event("content-end", index=0)]

    def _end(self, reason: str) -> bytes:
        usage = self.usage(PROMPT_TOKENS, ANSWER_TOKENS)
        return self._event("message-end", delta={"finish_reason": reason, "usage": usage})

    @property
    def end_mark(self) -> bytes:  # type: ignore[override]
        """The event that tells the reason and the usage."""
        return self._end("COMPLETE")

    def error(self, kind: str = "server_error", message: str = "The engine broke.") -> bytes:
        return compact({"id": "co-err", "message": message})

    def error_event(self, kind: str = "server_error") -> bytes:
        delta = {"error": "The engine broke.", "finish_reason": "ERROR"}
        return self._event("message-end", delta=delta)

    def event(self, data: bytes) -> bytes:
        return b"event: content-delta\ndata: " + data + b"\n\n"

    def tool_opening(self) -> list[bytes]:
        call = {"id": "call_1", "type": "function", "function": {"name": "move", "arguments": ""}}
        return [
            self._started(),
            self._event("tool-call-start", index=0, delta={"message": {"tool_calls": call}}),
        ]

    def arguments(self, text: str) -> bytes:
        delta = {"message": {"tool_calls": {"function": {"arguments": text}}}}
        return self._event("tool-call-delta", index=0, delta=delta)

    def tool_closing(self) -> list[bytes]:
        return [self._event("tool-call-end", index=0), self._end("TOOL_CALL")]


class Ollama(Wire):
    """Ollama's own chat, a line of JSON for each event."""

    name = "ollama"
    path = "/api/chat"
    stream_type = "application/x-ndjson"
    ends_with_reason = True

    def request(self, model: str, *, stream: bool) -> dict[str, Any]:
        raise NotImplementedError("no caller speaks it")

    def usage(self, prompt: Any, answer: Any) -> dict[str, Any]:
        return {"prompt_eval_count": prompt, "eval_count": answer}

    def _line(self, message: dict[str, Any], **more: Any) -> bytes:
        head = {"model": "real", "created_at": "2025-01-01T00:00:00Z"}
        return compact({**head, "message": {"role": "assistant", **message}, **(more or {"done": False})})

    def asked(self, request: RecordedRequest) -> tuple[str, bool]:
        body = json.loads(request.body)
        return body["model"], bool(body.get("stream", True))

    def whole(self, usage: dict[str, Any] | None = None, text: str = TEXT) -> bytes:
        given = self.usage(PROMPT_TOKENS, ANSWER_TOKENS) if usage is None else usage
        return self._line({"content": text}, done=True, done_reason="stop", **given)

    def opening(self, usage: dict[str, Any] | None = None) -> list[bytes]:
        return []

    def payload(self, text: str) -> bytes:
        return self._line({"content": text})

    def word(self, text: str) -> bytes:
        return self.event(self.payload(text))

    def closing(self, usage: dict[str, Any] | None = None) -> list[bytes]:
        return []

    @property
    def end_mark(self) -> bytes:  # type: ignore[override]
        """The line that says it is done."""
        return self.event(self.whole(text=""))

    def error(self, kind: str = "server_error", message: str = "The engine broke.") -> bytes:
        return compact({"error": message})

    def error_event(self, kind: str = "server_error") -> bytes:
        return self.event(self.error(kind))

    def event(self, data: bytes) -> bytes:
        return data + b"\n"

    def tool_opening(self) -> list[bytes]:
        return []

    def arguments(self, text: str) -> bytes:
        """Ollama sends a call whole: only the last piece says it."""
        call = {"function": {"name": "move", "arguments": {"x": 1, "y": 2}}}
        return self.event(self._line({"content": "", "tool_calls": [call]})) if text.endswith("}") else b"\n"

    def tool_closing(self) -> list[bytes]:
        return []


class Completions(Wire):
    """Legacy completions."""

    name = "completions"
    path = "/v1/completions"
    end_mark = b"data: [DONE]\n\n"

    def request(self, model: str, *, stream: bool) -> dict[str, Any]:
        body: dict[str, Any] = {"model": model, "prompt": ASK, "max_tokens": 100}
        return {**body, "stream": True, "stream_options": {"include_usage": True}} if stream else body

    def usage(self, prompt: Any, answer: Any) -> dict[str, Any]:
        return WIRES["openai"].usage(prompt, answer)

    def _body(self, choices: list[Any], usage: dict[str, Any] | None = None) -> bytes:
        head = {"id": "cmpl-1", "object": "text_completion", "created": 1, "model": "real", "choices": choices}
        return compact({**head, "usage": usage} if usage else head)

    def _choice(self, text: str, finish: str | None = None) -> dict[str, Any]:
        return {"index": 0, "text": text, "logprobs": None, "finish_reason": finish}

    def whole(self, usage: dict[str, Any] | None = None, text: str = TEXT) -> bytes:
        given = self.usage(PROMPT_TOKENS, ANSWER_TOKENS) if usage is None else usage
        return self._body([self._choice(text, "stop")], given)

    def opening(self, usage: dict[str, Any] | None = None) -> list[bytes]:
        return []

    def word(self, text: str) -> bytes:
        return self.event(self._body([self._choice(text)]))

    def closing(self, usage: dict[str, Any] | None = None) -> list[bytes]:
        given = self.usage(PROMPT_TOKENS, ANSWER_TOKENS) if usage is None else usage
        return [self.event(self._body([self._choice("", "stop")])), self.event(self._body([], given))]

    def error(self, kind: str = "server_error", message: str = "The engine broke.") -> bytes:
        return WIRES["openai"].error(kind, message)

    def error_event(self, kind: str = "server_error") -> bytes:
        return self.event(self.error(kind))

    def event(self, data: bytes) -> bytes:
        return b"data: " + data + b"\n\n"

    def tool_opening(self) -> list[bytes]:
        raise NotImplementedError("completions have no tools")

    tool_closing = tool_opening

    def arguments(self, text: str) -> bytes:
        raise NotImplementedError("completions have no tools")


CONVERSE = Converse()
EVERY: dict[str, Wire] = {
    **WIRES,
    **{
        wire.name: wire
        for wire in (
            Responses(),
            Gemini(),
            Gemini(array=True),
            CONVERSE,
            Invoke(),
            Cohere(),
            Ollama(),
            Completions(),
        )
    },
}
