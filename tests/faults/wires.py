"""A good answer in each provider's own bytes, in pieces that a fault can put together wrongly."""

from __future__ import annotations

import json
from abc import ABC, abstractmethod
from typing import Any

from gateway.testing import RecordedRequest

WORDS = ["The quick ", "brown fox ", "jumps — ", "跳过 ", "the 🦊 lazy ", "dog, and ", "then rests ", "in Köln."]
TEXT = "".join(WORDS)
HALF = len(WORDS) // 2
PROMPT_TOKENS = 11
ANSWER_TOKENS = 23


def compact(value: Any) -> bytes:
    """JSON as providers write it: no ASCII escapes, so that a cut can split a letter."""
    return json.dumps(value, ensure_ascii=False, separators=(",", ":")).encode()


class Wire(ABC):
    """One provider's format. A stream is ``opening``, ``words``, ``closing`` and the ``end_mark``."""

    name: str
    path: str
    stream_type = "text/event-stream"
    ends_with_reason = False
    """Whether the end mark is what tells the reason: a stream without it was cut."""

    def address(self, model: str, *, stream: bool) -> str:
        """Where a caller asks for a model."""
        return self.path

    def asked(self, request: RecordedRequest) -> tuple[str, bool]:
        """The model that a provider is asked for, and whether its answer is to be a stream."""
        body = json.loads(request.body)
        return body["model"], bool(body.get("stream"))

    def payload(self, text: str) -> bytes:
        """The JSON of one word's event."""
        return self.word(text).partition(b"data: ")[2].rstrip()

    @abstractmethod
    def request(self, model: str, *, stream: bool) -> dict[str, Any]:
        """A caller's body."""

    @abstractmethod
    def whole(self, usage: dict[str, Any] | None = None, text: str = TEXT) -> bytes:
        """A whole answer's body."""

    @abstractmethod
    def opening(self, usage: dict[str, Any] | None = None) -> list[bytes]:
        """The events before the first word."""

    @abstractmethod
    def word(self, text: str) -> bytes:
        """One word's event."""

    @abstractmethod
    def closing(self, usage: dict[str, Any] | None = None) -> list[bytes]:
        """The events behind the last word, the reason and the usage among them, without the end mark."""

    end_mark: bytes

    @abstractmethod
    def error(self, kind: str = "server_error", message: str = "The engine broke.") -> bytes:
        """An error's body, without a line end in it."""

    @abstractmethod
    def error_event(self, kind: str = "server_error") -> bytes:
        """An error inside a stream."""

    @abstractmethod
    def event(self, data: bytes) -> bytes:
        """An event of any data, framed as the provider frames a word."""

    @abstractmethod
    def tool_opening(self) -> list[bytes]:
        """The events before a tool call's arguments."""

    @abstractmethod
    def arguments(self, text: str) -> bytes:
        """A piece of a tool call's arguments."""

    @abstractmethod
    def tool_closing(self) -> list[bytes]:
        """The events behind a tool call, without the end mark."""

    @abstractmethod
    def usage(self, prompt: Any, answer: Any) -> dict[str, Any]:
        """A usage object."""

    def words(self, first: int = 0, last: int = len(WORDS)) -> list[bytes]:
        """The events of some of the words."""
        return [self.word(text) for text in WORDS[first:last]]

    def stream(self) -> list[bytes]:
        """The whole of a good stream."""
        return [*self.opening(), *self.words(), *self.closing(), self.end_mark]

    def half(self) -> list[bytes]:
        """The beginning of a good stream."""
        return [*self.opening(), *self.words(0, HALF)]


class OpenAI(Wire):
    """Chat completions."""

    name = "openai"
    path = "/v1/chat/completions"
    end_mark = b"data: [DONE]\n\n"

    def request(self, model: str, *, stream: bool) -> dict[str, Any]:
        body: dict[str, Any] = {"model": model, "messages": [{"role": "user", "content": "Say it."}]}
        return {**body, "stream": True, "stream_options": {"include_usage": True}} if stream else body

    def usage(self, prompt: Any, answer: Any) -> dict[str, Any]:
        total = prompt + answer if isinstance(prompt, int) and isinstance(answer, int) else 0
        return {"prompt_tokens": prompt, "completion_tokens": answer, "total_tokens": total}

    def whole(self, usage: dict[str, Any] | None = None, text: str = TEXT) -> bytes:
        choice = {"index": 0, "message": {"role": "assistant", "content": text}, "finish_reason": "stop"}
        body = {"id": "chatcmpl-1", "object": "chat.completion", "created": 1, "model": "real", "choices": [choice]}
        given = self.usage(PROMPT_TOKENS, ANSWER_TOKENS) if usage is None else usage
        return compact({**body, "usage": given} if given else body)

    def _chunk(self, **more: Any) -> bytes:
        head = {"id": "chatcmpl-1", "object": "chat.completion.chunk", "created": 1, "model": "real"}
        return self.event(compact({**head, **more}))

    def _choice(self, delta: dict[str, Any], finish: str | None = None) -> bytes:
        return self._chunk(choices=[{"index": 0, "delta": delta, "finish_reason": finish}])

    def opening(self, usage: dict[str, Any] | None = None) -> list[bytes]:
        return [self._choice({"role": "assistant", "content": ""})]

    def word(self, text: str) -> bytes:
        return self._choice({"content": text})

    def closing(self, usage: dict[str, Any] | None = None) -> list[bytes]:
        given = self.usage(PROMPT_TOKENS, ANSWER_TOKENS) if usage is None else usage
        return [self._choice({}, "stop"), *([self._chunk(choices=[], usage=given)] if given else [])]

    def error(self, kind: str = "server_error", message: str = "The engine broke.") -> bytes:
        return compact({"error": {"message": message, "type": kind, "param": None, "code": None}})

    def error_event(self, kind: str = "server_error") -> bytes:
        return self.event(self.error(kind))

    def event(self, data: bytes) -> bytes:
        return b"data: " + data + b"\n\n"

    def tool_opening(self) -> list[bytes]:
        call = {"index": 0, "id": "call_1", "type": "function", "function": {"name": "move", "arguments": ""}}
        return [*self.opening(), self._choice({"tool_calls": [call]})]

    def arguments(self, text: str) -> bytes:
        return self._choice({"tool_calls": [{"index": 0, "function": {"arguments": text}}]})

    def tool_closing(self) -> list[bytes]:
        return [self._choice({}, "tool_calls"), self.closing()[1]]


class Anthropic(Wire):
    """Messages."""

    name = "anthropic"
    path = "/v1/messages"
    end_mark = b'event: message_stop\ndata: {"type":"message_stop"}\n\n'

    def request(self, model: str, *, stream: bool) -> dict[str, Any]:
        body: dict[str, Any] = {"model": model, "max_tokens": 100, "messages": [{"role": "user", "content": "Say it."}]}
        return {**body, "stream": True} if stream else body

    def usage(self, prompt: Any, answer: Any) -> dict[str, Any]:
        return {"input_tokens": prompt, "output_tokens": answer}

    def _message(self, content: list[Any], stop: str | None, usage: dict[str, Any]) -> dict[str, Any]:
        body = {"id": "msg_1", "type": "message", "role": "assistant", "model": "real", "content": content}
        return {**body, "stop_reason": stop, "stop_sequence": None, **({"usage": usage} if usage else {})}

    def whole(self, usage: dict[str, Any] | None = None, text: str = TEXT) -> bytes:
        given = self.usage(PROMPT_TOKENS, ANSWER_TOKENS) if usage is None else usage
        return compact(self._message([{"type": "text", "text": text}], "end_turn", given))

    def _event(self, kind: str, **more: Any) -> bytes:
        return b"event: " + kind.encode() + b"\ndata: " + compact({"type": kind, **more}) + b"\n\n"

    def opening(self, usage: dict[str, Any] | None = None) -> list[bytes]:
        given = self.usage(PROMPT_TOKENS, 1) if usage is None else usage
        return [
            self._event("message_start", message=self._message([], None, given)),
            self._event("content_block_start", index=0, content_block={"type": "text", "text": ""}),
            self._event("ping"),
        ]

    def word(self, text: str) -> bytes:
        return self._event("content_block_delta", index=0, delta={"type": "text_delta", "text": text})

    def closing(self, usage: dict[str, Any] | None = None, stop: str = "end_turn") -> list[bytes]:
        given = self.usage(PROMPT_TOKENS, ANSWER_TOKENS) if usage is None else usage
        end = {"delta": {"stop_reason": stop, "stop_sequence": None}, **({"usage": given} if given else {})}
        return [self._event("content_block_stop", index=0), self._event("message_delta", **end)]

    def error(self, kind: str = "api_error", message: str = "The engine broke.") -> bytes:
        kind = {"server_error": "api_error"}.get(kind, kind)
        return compact({"type": "error", "error": {"type": kind, "message": message}})

    def error_event(self, kind: str = "api_error") -> bytes:
        return b"event: error\ndata: " + self.error(kind) + b"\n\n"

    def event(self, data: bytes) -> bytes:
        return b"event: content_block_delta\ndata: " + data + b"\n\n"

    def tool_opening(self) -> list[bytes]:
        block = {"type": "tool_use", "id": "toolu_1", "name": "move", "input": {}}
        return [self.opening()[0], self._event("content_block_start", index=0, content_block=block)]

    def arguments(self, text: str) -> bytes:
        return self._event("content_block_delta", index=0, delta={"type": "input_json_delta", "partial_json": text})

    def tool_closing(self) -> list[bytes]:
        return self.closing(stop="tool_use")


WIRES: dict[str, Wire] = {"openai": OpenAI(), "anthropic": Anthropic()}
