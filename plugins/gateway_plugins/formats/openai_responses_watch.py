"""A response that passes: what the books need, read without decoding every event.

In JSON text a quote within a string is escaped, so the marks looked for cannot occur in the model's words but as a
whole string of the same letters; such an event is decoded, and nothing is found in it.
"""

from __future__ import annotations

from typing import Any

import msgspec

from gateway.errors import UpstreamRejected
from gateway.format import ReplyFacts, StreamWatch, StreamWriter
from gateway.json_text import BAD_JSON
from gateway.sse import SSEEvent, SSESplitter, decode_events, encode_event, split_events
from gateway_plugins.formats.openai_errors import is_error, rejected
from gateway_plugins.formats.openai_responses_errors import error_members, failed_event, failed_response
from gateway_plugins.formats.openai_responses_local import is_the_callers
from gateway_plugins.formats.openai_responses_sent import next_number
from gateway_plugins.formats.openai_responses_stream_writer import ResponsesStreamWriter
from gateway_plugins.formats.openai_responses_usage import read_status, read_usage

_BOM = b"\xef\xbb\xbf"
_CALLS = ("function_call", "custom_tool_call")
# Bytes of the types of the events that say more than the model's words.
_MARKS = (b"response.created", b"response.completed", b"response.incomplete", b"response.failed", b"response.cancelled")


def read_facts(body: bytes) -> ReplyFacts:
    """Model, usage and finish reason of a whole response; empty where the body is no JSON."""
    try:
        value: Any = msgspec.json.decode(body)
    except BAD_JSON:
        return ReplyFacts()
    if not isinstance(value, dict):
        return ReplyFacts()
    if "output" not in value and is_error(value):
        return ReplyFacts(error=rejected(value))
    return _facts(value)


def _facts(response: dict[str, Any]) -> ReplyFacts:
    model = response.get("model")
    facts = ReplyFacts(model=model if isinstance(model, str) else None, usage=read_usage(response.get("usage")))
    facts.error = failed_response(response)
    facts.is_answer = isinstance(response.get("output"), list)
    tier = response.get("service_tier")
    facts.service_tier = tier if isinstance(tier, str) and tier else None
    if facts.error is None and response.get("status") not in ("queued", "in_progress"):
        output = response.get("output")
        items = output if isinstance(output, list) else ()
        calls = any(isinstance(item, dict) and (item.get("type") in _CALLS or is_the_callers(item)) for item in items)
        facts.finish_reason = read_status(response, calls=calls)[0]
    return facts


class ResponsesStreamWatch(StreamWatch):
    """Passes whole events unchanged. Behind an error nothing passes, so that no clean end follows it."""

    __slots__ = ("_begun", "_last", "_splitter")

    def __init__(self) -> None:
        self._splitter = SSESplitter()
        self._begun: dict[str, Any] | None = None
        self._last = b""

    def feed(self, data: bytes) -> bytes:
        if self.error is not None:
            return b""
        block = self._splitter.feed(data)
        if not block:
            return b""
        self._last = passed = self._look(block)
        return passed

    def close(self) -> bytes:
        rest = self._splitter.close()
        if not rest.strip() or self.error is not None:
            return b""
        # A last event whose blank line is missing: it is whole if its JSON is.
        whole = rest.rstrip(b"\r\n") + b"\n\n"
        events = decode_events(whole)
        if not events or any(_decoded(event.data) is None and event.data.strip() != b"[DONE]" for event in events):
            return b""
        return self._look(whole)

    def writer(self) -> StreamWriter:
        """An error is told within the response that the provider began."""
        writer = ResponsesStreamWriter(None)
        writer.begun(self._begun)
        return writer

    def _look(self, block: bytes) -> bytes:
        """Take note of a block's events; return what may pass of them."""
        if not _is_of_interest(block):
            return block
        passed: list[bytes] = []
        for raw in split_events(block):
            instead = None
            if _is_of_interest(raw):
                for event in decode_events(raw.removeprefix(_BOM)):
                    instead = self._note(event)
            passed.append(raw if instead is None else instead)
            if self.error is not None or self.complete:
                break  # nothing passes behind an error, or the end
            self._last = raw
        return b"".join(passed)

    def _note(self, event: SSEEvent) -> bytes | None:
        """Take note of one event; what is to pass in its place, None for the event itself."""
        value = _decoded(event.data)
        if self.complete:
            return None
        if value is None:
            # Nobody can read it: were it the end, the stream would be cut there, and say so.
            return None if event.data.strip() == b"[DONE]" else b""
        kind = value.get("type")
        if kind is None:
            kind = event.event
        response = value.get("response")
        if kind in ("error", "response.failed", "response.cancelled") or (response is None and is_error(value)):
            return self._fail(value, known=kind in ("error", "response.failed", "response.cancelled"))
        ends = kind in ("response.completed", "response.incomplete")
        if not isinstance(response, dict) or not (ends or kind == "response.created"):
            return b"" if ends else None  # an end that says nothing is none
        facts = _facts(response)
        self.model = facts.model or self.model
        if kind == "response.created":
            self._begun = response
        else:
            self.complete = True
            self.usage, self.finish_reason, self.service_tier = facts.usage, facts.finish_reason, facts.service_tier
        return None

    def _fail(self, value: dict[str, Any], *, known: bool) -> bytes | None:
        if not known:
            self.error = rejected(value)
            members = {"type": "error", **error_members(self.error), "sequence_number": next_number(self._last)}
            return encode_event(msgspec.json.encode(members), "error")
        found = failed_event(value)
        kind: Any = found.kind
        self.error = UpstreamRejected(found.message, status=found.status or 502, kind=kind, code=found.code)
        return None


def _is_of_interest(block: bytes) -> bool:
    """Whether a block may hold the beginning, the end or an error."""
    return b'"error"' in block or b"event: error" in block or any(mark in block for mark in _MARKS)


def _decoded(data: bytes) -> dict[str, Any] | None:
    try:
        value: Any = msgspec.json.decode(data)
    except BAD_JSON:
        return None
    return value if isinstance(value, dict) else None
