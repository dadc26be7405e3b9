"""One choice of a streamed chat completion: its deltas as parts."""

from __future__ import annotations

import base64
import binascii
from typing import Any

from gateway.protocol import (
    ErrorEvent,
    Event,
    Finish,
    Media,
    Opaque,
    Part,
    PartDelta,
    PartStop,
    Refusal,
    Text,
    Thinking,
)
from gateway_plugins.formats.openai_chat_calls import FUNCTION_CALL, CallReader, Parts
from gateway_plugins.formats.openai_chat_fields import NAME
from gateway_plugins.formats.openai_chat_finish import native_word, read_finish
from gateway_plugins.formats.openai_chat_media import thinking_text
from gateway_plugins.formats.openai_chat_messages import images_of
from gateway_plugins.formats.openai_chat_reasoning import ANTHROPIC, origin_of, reasoning_chunk
from gateway_plugins.formats.openai_chat_reply import read_logprobs
from gateway_plugins.formats.openai_chat_tools import argument_text

_USUAL_DELTA = frozenset(
    {"role", "content", "refusal", "tool_calls", "reasoning_content", "reasoning", "reasoning_details", "token_id"}
)
_RARE_DELTA = frozenset({"function_call", "annotations", "audio", "images"})
_KNOWN_CHOICE = frozenset(
    ("index", "delta", "message", "finish_reason", "native_finish_reason", "logprobs", "stop_reason", "text", "error")
)


class ChoiceReader:
    """Deltas → events. Text, refusal and thinking follow each other; tool calls may overlap."""

    __slots__ = ("_audio", "_calls", "_detail", "_extra", "_kind", "_open", "_parts", "finished", "promised")

    def __init__(self, choice: int, reply_id: str) -> None:
        self._parts = Parts(choice)
        self._calls = CallReader(self._parts, reply_id)
        self._open: int | None = None
        self._kind = ""
        self._detail: tuple[str, Any, Any] = ("", None, None)
        self._audio: dict[str, Any] = {}
        self._extra: dict[str, Any] = {}
        self.finished = False
        self.promised = False
        """Whether its chunks have a place for the reason, so that an end without one is none."""

    def take(self, choice: dict[str, Any], out: list[Event], late: dict[str, Any]) -> None:
        """One object of a chunk's ``choices``. What comes behind the finish reason is padding.

        ``late`` are fields of the chunk itself that none before it had; the events keep them with the finish reason.
        """
        if self.finished:
            return
        if late:
            self._extra["chunk"] = self._extra.get("chunk", {}) | late
        if not choice.keys() <= _KNOWN_CHOICE:
            self._extra |= {k: v for k, v in choice.items() if k not in _KNOWN_CHOICE and v is not None}
        delta = choice.get("delta")
        if not isinstance(delta, dict) and not self._parts.count:
            delta = choice.get("message")
        if isinstance(delta, dict):
            self._delta(delta, read_logprobs(choice.get("logprobs")), out)
        if choice.get("finish_reason"):
            self.finish(choice, out)
        elif "finish_reason" in choice:
            self.promised = True

    def finish(self, choice: dict[str, Any], out: list[Event]) -> None:
        """Close what is open and say why the choice ended; ``{}`` where only the end mark says that it did."""
        self._close(out)
        if self._audio:
            self._end_audio(out)
        self._calls.settle(out, end=True)
        self.finished = True
        reason, native = read_finish(choice.get("finish_reason"))
        if reason == "error":
            message = f"The provider broke off: {native or 'error'}."
            out.append(ErrorEvent(kind="overloaded", message=message, code=native, status=503))
            return
        if self._calls and reason in (None, "stop"):
            # OpenAI says stop where the caller forced the tool.
            reason, native = "tool_calls", native or (None if reason is None else "stop")
        stop = choice.get("stop_reason")
        out.append(
            Finish(
                choice=self._parts.choice,
                finish_reason=reason or "stop",
                native_finish_reason=native_word(choice, native),
                stop_sequence=stop if isinstance(stop, str) else None,
                extra=self._extra,
            )
        )

    def _delta(self, delta: dict[str, Any], logprobs: dict[str, Any] | None, out: list[Event]) -> None:
        if "reasoning_details" in delta or "reasoning" in delta or "reasoning_content" in delta:
            self._reasoning(delta, out)
        content = delta.get("content")
        if content or logprobs is not None:
            self._content(content, logprobs, out)
        refusal = delta.get("refusal")
        if isinstance(refusal, str) and refusal:
            self._say("refusal", refusal, out)
        calls = delta.get("tool_calls")
        if isinstance(calls, list):
            for position, entry in enumerate(calls):
                if isinstance(entry, dict):
                    self._close(out)
                    self._calls.take(entry, position, out)
        if not delta.keys() <= _USUAL_DELTA:
            self._rare(delta, out)

    def _rare(self, delta: dict[str, Any], out: list[Event]) -> None:
        known = _USUAL_DELTA | _RARE_DELTA
        unknown = {key: value for key, value in delta.items() if key not in known and value is not None}
        if unknown:
            self._extra["delta"] = self._extra.get("delta", {}) | unknown
        call = delta.get("function_call")
        if isinstance(call, dict) and (call.get("name") or call.get("arguments")):
            self._close(out)
            self._calls.take({"index": FUNCTION_CALL, "function": call}, 0, out)
        annotations = delta.get("annotations")
        for citation in annotations if isinstance(annotations, list) else ():
            if isinstance(citation, dict):
                part = self._begin("text", Text(text=""), out)
                out.append(PartDelta(choice=self._parts.choice, part=part, kind="citation", data=citation))
        for image in images_of(delta.get("images")):
            self._whole(image, out)
        audio = delta.get("audio")
        if isinstance(audio, dict):
            self._take_audio(audio)

    def _content(self, content: Any, logprobs: dict[str, Any] | None, out: list[Event]) -> None:
        if isinstance(content, list):
            for chunk in content:
                self._chunk(chunk, out)
        else:
            text = content if isinstance(content, str) else argument_text(content)
            kind = "refusal" if not text and logprobs is not None and not logprobs.get("content") else "text"
            self._say(kind, text, out, logprobs)

    def _chunk(self, chunk: Any, out: list[Event]) -> None:
        """Content in chunks, as Mistral and Databricks send it."""
        if not isinstance(chunk, dict):
            return
        kind = chunk.get("type")
        thinking = reasoning_chunk(chunk)
        if thinking is not None:
            self._think(thinking.text, NAME, None, None, out)
            self._sign(thinking.signature, out)
            return
        if kind == "text" and isinstance(chunk.get("text"), str):
            self._say("text", chunk["text"], out)
        elif kind == "thinking":
            self._think(thinking_text(chunk.get("thinking")), NAME, None, None, out)
        elif isinstance(kind, str):
            self._whole(Opaque(origin=NAME, type=kind, value=chunk), out)

    def _begin(self, kind: str, content: Part, out: list[Event]) -> int:
        """The open part of this kind; opened anew where another was open."""
        if self._open is not None and self._kind == kind:
            return self._open
        self._close(out)
        self._calls.settle(out)
        self._open = self._parts.start(content, out)
        self._kind = kind
        return self._open

    def _close(self, out: list[Event]) -> None:
        if self._open is not None:
            out.append(PartStop(choice=self._parts.choice, part=self._open))
            self._open = None

    def _whole(self, content: Part, out: list[Event]) -> None:
        """A part that comes in one piece."""
        self._close(out)
        self._calls.settle(out)
        part = self._parts.start(content, out)
        out.append(PartStop(choice=self._parts.choice, part=part))

    def _say(self, kind: Any, text: str, out: list[Event], logprobs: dict[str, Any] | None = None) -> None:
        if not text and logprobs is None:
            return
        if self._open is None or self._kind != kind:
            self._begin(kind, Text(text="") if kind == "text" else Refusal(text=""), out)
        part = self._open or 0
        out.append(PartDelta(choice=self._parts.choice, part=part, kind=kind, value=text, logprobs=logprobs))

    def _reasoning(self, delta: dict[str, Any], out: list[Event]) -> None:
        details = delta.get("reasoning_details")
        details = [item for item in details if isinstance(item, dict)] if isinstance(details, list) else []
        text = delta.get("reasoning_content") or delta.get("reasoning")
        if isinstance(text, str) and text and not any(item.get("text") or item.get("summary") for item in details):
            self._think(text, NAME, None, None, out)
        for item in details:
            self._take_detail(item, out)

    def _take_detail(self, item: dict[str, Any], out: list[Event]) -> None:
        origin, index, name = origin_of(item.get("format")), item.get("index"), item.get("id")
        name = name if isinstance(name, str) else None
        data = item.get("data")
        if isinstance(data, str):
            if origin != ANTHROPIC and self._is_open(origin, index, name):
                out.append(PartDelta(choice=self._parts.choice, part=self._open or 0, kind="encrypted", value=data))
                self._close(out)
            else:
                self._whole(Thinking(encrypted=data, redacted=origin == ANTHROPIC, id=name, origin=origin), out)
            return
        text = item.get("text") or item.get("summary")
        signature = item.get("signature")
        if not isinstance(signature, str):
            signature = None
        if signature is not None or (isinstance(text, str) and text):
            self._think(text if isinstance(text, str) else "", origin, index, name, out)
        self._sign(signature, out)

    def _sign(self, signature: str | None, out: list[Event]) -> None:
        """A signature is the last of a thinking part."""
        if signature is not None:
            out.append(PartDelta(choice=self._parts.choice, part=self._open or 0, kind="signature", value=signature))
            self._close(out)

    def _is_open(self, origin: str, index: Any, name: str | None) -> bool:
        """Whether the open part is the thinking that a detail goes on with."""
        if self._open is None or self._kind != "thinking":
            return False
        of, at, called = self._detail
        return of == origin and (index is None or at is None or index == at) and (name is None or name == called)

    def _think(self, text: str, origin: str, index: Any, name: str | None, out: list[Event]) -> None:
        if not self._is_open(origin, index, name):
            self._close(out)
            self._begin("thinking", Thinking(id=name, origin=origin), out)
            self._detail = (origin, index, name)
        if text:
            out.append(PartDelta(choice=self._parts.choice, part=self._open or 0, kind="thinking", value=text))

    def _take_audio(self, audio: dict[str, Any]) -> None:
        for key, value in audio.items():
            if key in ("data", "transcript") and isinstance(value, str):
                self._audio.setdefault(key, []).append(value)
            elif value is not None and key not in ("data", "transcript"):
                self._audio[key] = value

    def _end_audio(self, out: list[Event]) -> None:
        """Audio as one part: its pieces are base64 each for itself."""
        pieces = self._audio.pop("data", [])
        try:
            data = base64.b64encode(b"".join(map(base64.b64decode, pieces))).decode()
        except (ValueError, binascii.Error):
            data = "".join(pieces)
        if "transcript" in self._audio:
            self._audio["transcript"] = "".join(self._audio["transcript"])
        self._whole(Media(kind="audio", data=data, extra=self._audio), out)
