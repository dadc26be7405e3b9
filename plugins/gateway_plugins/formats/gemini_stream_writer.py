"""The stream of streamGenerateContent, written for a caller: each event a GenerateContentResponse of its own."""

from __future__ import annotations

from typing import Any

import msgspec

from gateway.errors import GatewayError
from gateway.format import Dropped, StreamWriter
from gateway.protocol import (
    End,
    Event,
    Finish,
    Part,
    PartDelta,
    PartStart,
    PartStop,
    Refusal,
    Start,
    Text,
    Thinking,
    ToolCall,
    Usage,
    UsageUpdate,
)
from gateway.sse import encode_event
from gateway_plugins.formats.gemini_carrier import carried
from gateway_plugins.formats.gemini_citations import write_citations
from gateway_plugins.formats.gemini_errors import write_error
from gateway_plugins.formats.gemini_fields import NAME
from gateway_plugins.formats.gemini_reply_writer import (
    CITES,
    REFUSED,
    STOPPED,
    name_extra,
    thought,
    usage_object,
    written_part,
)
from gateway_plugins.formats.gemini_usage import write_finish, write_logprobs
from gateway_plugins.formats.json_fields import merge


class _Part:
    __slots__ = ("before", "content", "pieces", "text")

    def __init__(self, content: Part, before: int) -> None:
        self.content = content
        self.before = before
        self.pieces: list[str] = []
        self.text: list[str] = []


class GeminiStreamWriter(StreamWriter):
    """Writes one stream. A call goes out whole; so does what lets a thought be replayed, behind its text."""

    def __init__(self, dropped: Dropped | None = None) -> None:
        self._dropped = dropped
        self._id = ""
        self._model = ""
        self._own = False
        self._extra: dict[str, Any] = {}
        self._usage: Usage | None = None
        self._tier: str | None = None
        self._open: dict[tuple[int, int], _Part] = {}
        self._length: dict[int, int] = {}
        self._cited: dict[int, list[tuple[int, str, dict[str, Any]]]] = {}
        self._ends: list[dict[str, Any]] = []

    def write(self, event: Event) -> bytes:
        if isinstance(event, PartDelta):
            return self._delta(event)
        if isinstance(event, PartStart):
            return self._part_start(event)
        if isinstance(event, PartStop):
            return self._part_stop(event)
        if isinstance(event, Start):
            self._start(event)
        elif isinstance(event, UsageUpdate):
            self._usage = event.usage
        elif isinstance(event, Finish):
            self._finish(event)
        elif isinstance(event, End):
            return self._chunk(self._ends, last=True)
        return b""

    def write_error(self, error: GatewayError, request_id: str) -> bytes:
        return encode_event(write_error(error, request_id))

    def _start(self, event: Start) -> None:
        self._id, self._model, self._usage = event.id, event.model, event.usage
        self._own = event.origin == NAME
        if self._own:
            self._extra = event.extra
        else:
            self._tier = event.service_tier
            name_extra(event.extra, "reply", self._dropped)

    def _part_start(self, event: PartStart) -> bytes:
        key = (event.choice, event.part)
        part = self._open[key] = _Part(event.content, self._length.get(event.choice, 0))
        content = event.content
        out = b""
        if isinstance(content, Text | Refusal) and content.text:
            out = self._text(event.choice, part, content.text, None)
        elif isinstance(content, Thinking) and content.text:
            part.text.append(content.text)
            out = self._parts(event.choice, [thought(content.text, None)])
        if isinstance(content, Text):
            self._cite(event.choice, part, content.citations)
        return out

    def _delta(self, event: PartDelta) -> bytes:
        part = self._open.get((event.choice, event.part))
        if part is None:
            return b""
        content = part.content
        if event.kind in ("text", "refusal"):
            return self._text(event.choice, part, event.value, event.logprobs)
        if event.kind == "thinking":
            part.text.append(event.value)
            return self._parts(event.choice, [thought(event.value, None)]) if event.value else b""
        if event.kind == "citation" and event.data is not None:
            self._cite(event.choice, part, [event.data])
        elif event.kind == "arguments":
            part.pieces.append(event.value)
        elif event.kind in ("signature", "encrypted") and isinstance(content, Thinking | ToolCall):
            there = getattr(content, event.kind, None) or ""
            part.content = msgspec.structs.replace(content, **{event.kind: there + event.value})
        return b""

    def _text(self, choice: int, part: _Part, text: str, logprobs: dict[str, Any] | None) -> bytes:
        part.text.append(text)
        self._length[choice] = self._length.get(choice, 0) + len(text)
        result = None if logprobs is None else write_logprobs(logprobs)
        if logprobs is not None and result is None and self._dropped is not None:
            self._dropped.add(f"choices[{choice}].logprobs", "they have another shape than chat completions' own")
        more = {} if result is None else {"logprobsResult": result}
        return self._parts(choice, [{"text": text}], more) if text or more else b""

    def _cite(self, choice: int, part: _Part, citations: list[dict[str, Any]]) -> None:
        # The text is known in full only when the part ends.
        found = self._cited.setdefault(choice, [])
        found += [(part.before, "", citation) for citation in citations]

    def _part_stop(self, event: PartStop) -> bytes:
        part = self._open.pop((event.choice, event.part), None)
        if part is None:
            return b""
        content = part.content
        path = f"choices[{event.choice}].content[{event.part}]"
        if not self._own:
            name_extra({**content.extra, **event.extra}, path, self._dropped)
        text = "".join(part.text)
        if isinstance(content, Refusal) and self._dropped is not None:
            self._dropped.add(f"{path}.refusal", REFUSED)
        if isinstance(content, Text | Refusal):
            cited = self._cited.get(event.choice, [])
            self._cited[event.choice] = [(b, text if b == part.before and not t else t, c) for b, t, c in cited]
            return b""
        if isinstance(content, Thinking):
            signature = carried(content)
            if signature is None:
                return b""
            alone = content.origin == NAME and not text
            return self._parts(
                event.choice,
                [{"text": "", "thoughtSignature": signature} if alone else thought("", signature)],
            )
        if isinstance(content, ToolCall):
            content = msgspec.structs.replace(content, arguments=content.arguments + "".join(part.pieces))
        written = written_part(content, path, self._dropped)
        return b"" if written is None else self._parts(event.choice, [written])

    def _finish(self, event: Finish) -> None:
        word = write_finish(event.finish_reason, event.native_finish_reason, own=self._own)
        candidate: dict[str, Any] = {
            "content": {"role": "model", "parts": [{"text": ""}]},
            "finishReason": word,
            "index": event.choice,
        }
        if self._own:
            merge(candidate, event.extra)
        else:
            metadata, lost = write_citations(self._cited.get(event.choice, []))
            if metadata is not None:
                candidate["groundingMetadata"] = metadata
            path = f"choices[{event.choice}]"
            name_extra(event.extra, path, self._dropped)
            if self._dropped is not None:
                for field in lost:
                    self._dropped.add(f"{path}.{field}", CITES)
                if event.stop_sequence is not None:
                    self._dropped.add(f"{path}.stop_sequence", STOPPED)
        self._ends.append(candidate)

    def _parts(self, choice: int, parts: list[dict[str, Any]], more: dict[str, Any] | None = None) -> bytes:
        content = {"role": "model", "parts": parts}
        return self._chunk([{"content": content, "index": choice, **(more or {})}])

    def _chunk(self, candidates: list[dict[str, Any]], *, last: bool = False) -> bytes:
        out: dict[str, Any] = {"candidates": candidates}
        if last and self._own and "promptFeedback" in self._extra:
            del out["candidates"]
        if last and (counted := usage_object(self._usage, self._tier, self._dropped, own=self._own)):
            out["usageMetadata"] = counted
        out["modelVersion"] = self._model
        out["responseId"] = self._id
        if last:
            merge(out, self._extra)
        return encode_event(msgspec.json.encode(out))
