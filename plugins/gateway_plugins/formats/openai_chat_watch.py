"""A chat completion that passes: what the books need, read without decoding every event.

Only blocks in which something may be of interest are looked at closely: one pass of a pattern over the bytes decides.
In JSON text a quote within a string is escaped, so a key's bytes cannot occur in the model's words, only as a whole
string of the same letters; such an event is decoded, and nothing is found in it.
"""

from __future__ import annotations

import re
from typing import Any

import msgspec

from gateway.format import ReplyFacts, StreamWatch
from gateway.json_text import BAD_JSON
from gateway.sse import SSEEvent, SSESplitter, decode_events, split_events
from gateway_plugins.formats.json_fields import index_of
from gateway_plugins.formats.openai_chat_finish import read_finish
from gateway_plugins.formats.openai_chat_usage import read_usage
from gateway_plugins.formats.openai_errors import rejected, write_error

_DONE = b"[DONE]"
_BOM = b"\xef\xbb\xbf"
# Keys that every chunk has, and what they mostly hold: what differs is looked at with the pattern.
_USUAL = ((b'"finish_reason"', b'"finish_reason":null'), (b'"usage"', b'"usage":null'), (b'"index"', b'"index":0'))
_UNUSUAL = re.compile(rb'"usage"\s*:\s*\{|"finish_reason"\s*:\s*"|"index"\s*:\s*0*[1-9]')


def is_of_interest(block: bytes) -> bool:
    """Whether a block may hold an error, the end mark, usage, a finish reason, or any choice or call but the first."""
    if b'"error"' in block or b"event: error" in block or _DONE in block:
        return True
    for key, usual in _USUAL:
        if block.count(key) != block.count(usual):
            return _UNUSUAL.search(block) is not None
    return False


class _Choice(msgspec.Struct):
    index: int = 0
    finish_reason: str | msgspec.UnsetType | None = msgspec.UNSET
    error: Any = None


class _Facts(msgspec.Struct):
    model: str | None = None
    usage: dict[str, Any] | None = None
    choices: list[_Choice] | None = None
    error: Any = None
    object: str | None = None
    type: str | None = None
    x_groq: Any = None
    base_resp: Any = None
    service_tier: Any = None

    def is_error(self) -> bool:
        """Whether this is an error, wherever the provider put it."""
        if self.error or self.object == "error":
            return True
        if not self.choices:
            return self.type == "error" or (
                isinstance(self.base_resp, dict) and bool(self.base_resp.get("status_code"))
            )
        return any(isinstance(choice.error, dict) for choice in self.choices or ())

    def counted(self) -> Any:
        """The usage object; Groq's streams have it one level down."""
        if self.usage is None and isinstance(self.x_groq, dict):
            return self.x_groq.get("usage")
        return self.usage


_decode_facts = msgspec.json.Decoder(_Facts).decode


def read_facts(body: bytes) -> ReplyFacts:
    """Model, usage and finish reason of a whole reply, by a partial decode; empty where the body is no JSON."""
    facts = _facts(body)
    if facts is None:
        return ReplyFacts(is_answer=False)
    if facts.is_error():
        return ReplyFacts(model=facts.model, error=rejected(_decoded(body, facts)))
    if facts.choices is None:
        return ReplyFacts(is_answer=False)
    word = (facts.choices[0].finish_reason or None) if facts.choices else None
    return ReplyFacts(
        model=facts.model,
        usage=read_usage(facts.usage),
        finish_reason=read_finish(word)[0],
        service_tier=_text(facts.service_tier),
    )


def _facts(data: bytes) -> _Facts | None:
    try:
        try:
            return _decode_facts(data)
        except msgspec.ValidationError:
            return _lenient(data)
    except BAD_JSON:
        return None


def _decoded(data: bytes, facts: _Facts) -> Any:
    """An error's whole object; where the partial decode passed over bytes that are no text, the error alone."""
    try:
        return msgspec.json.decode(data)
    except BAD_JSON:
        return {"error": facts.error}


def _lenient(data: bytes) -> _Facts | None:
    """The same for a reply whose types are not the documented ones."""
    value: Any = msgspec.json.decode(data)
    if isinstance(value, list) and value:
        value = value[0]  # Google wraps its errors in a list
    if not isinstance(value, dict):
        return None
    facts = _Facts(error=value.get("error"), x_groq=value.get("x_groq"), base_resp=value.get("base_resp"))
    facts.model, facts.object, facts.type = (_text(value.get(key)) for key in ("model", "object", "type"))
    facts.service_tier = value.get("service_tier")
    usage, choices = value.get("usage"), value.get("choices")
    facts.usage = usage if isinstance(usage, dict) else None
    if isinstance(choices, list):
        facts.choices = [_lenient_choice(choice) for choice in choices if isinstance(choice, dict)]
    return facts


def _lenient_choice(choice: dict[str, Any]) -> _Choice:
    return _Choice(
        index=index_of(choice.get("index"), 0),
        finish_reason=_text(choice["finish_reason"]) if "finish_reason" in choice else msgspec.UNSET,
        error=choice.get("error"),
    )


class ChatStreamWatch(StreamWatch):
    """Passes whole events unchanged, but for two: usage that only we asked for, and errors in another shape.

    The first is kept back, the second put into OpenAI's shape. Behind an error nothing passes, so that no clean end
    follows it, and nothing behind the end mark. An end mark without the reason that the choices promised is none: the
    answer was cut.
    """

    __slots__ = ("_done", "_finished", "_hide_usage", "_reasons", "_splitter", "_started")

    def __init__(self, *, hide_usage: bool) -> None:
        self._hide_usage = hide_usage
        self._splitter = SSESplitter()
        self._started: set[int] = set()
        self._finished: set[int] = set()
        self._done = False
        self._reasons = False

    def feed(self, data: bytes) -> bytes:
        if self.error is not None or self._done:
            return b""
        block = self._splitter.feed(data)
        if not block:
            return b""
        if self.model is not None and not is_of_interest(block):
            self._started.add(0)
            return block
        return self._look(block)

    def close(self) -> bytes:
        out = b""
        rest = self._splitter.close()
        if rest.strip() and self.error is None:
            # A last event whose blank line is missing: it is whole if its JSON is.
            whole = rest.rstrip(b"\r\n") + b"\n\n"
            events = decode_events(whole)
            if events and all(event.data.strip() == _DONE or _facts(event.data) is not None for event in events):
                out = self._look(whole)
        if not self._done and self.error is None and self._finished and self._started <= self._finished:
            self._done = self.complete = True
            out += b"data: [DONE]\n\n"
        return out

    def _look(self, block: bytes) -> bytes:
        """Take note of a block's events; return what may pass of them."""
        passed: list[bytes] = []
        for raw in split_events(block):
            instead = None
            if self.model is None or is_of_interest(raw):
                for event in decode_events(raw.removeprefix(_BOM)):
                    instead = self._note(event)
            else:
                self._started.add(0)
            passed.append(raw if instead is None else instead)
            if self.error is not None or self._done:
                break
        return b"".join(passed)

    def _note(self, event: SSEEvent) -> bytes | None:
        """Take note of one event; what is to pass in its place, None for the event itself."""
        if event.data.strip() == _DONE:
            self._done = True
            # Snowflake's choices know no reason at all; where there is the word, an answer without one was cut.
            self.complete = bool(self._started) and (self._started <= self._finished or not self._reasons)
            return None if self.complete else b""
        facts = _facts(event.data)
        if facts is None:
            return None
        if facts.is_error() or event.event == "error":
            return self._note_error(_decoded(event.data, facts))
        if facts.model and self.model is None:
            self.model = facts.model
        self.service_tier = _text(facts.service_tier) or self.service_tier
        for choice in facts.choices or ():
            self._started.add(choice.index)
            if choice.finish_reason is not msgspec.UNSET:
                self._reasons = True
            if choice.finish_reason:
                self._finished.add(choice.index)
                if self.finish_reason is None or choice.index == 0:
                    self.finish_reason = read_finish(choice.finish_reason)[0]
        usage = read_usage(facts.counted())
        if usage is None:
            return None
        self.usage = usage
        return b"" if self._hide_usage and not facts.choices and facts.usage is not None else None

    def _note_error(self, value: Any) -> bytes | None:
        inner = value.get("error") if isinstance(value, dict) else None
        if not inner and isinstance(value, dict):
            # OpenRouter may put it into the choice that it ends.
            broken = (
                choice for choice in value.get("choices") or () if isinstance(choice, dict) and choice.get("error")
            )
            value = next(broken, value)
        self.error = rejected(value)
        shaped = isinstance(inner, dict) and isinstance(inner.get("message"), str)
        return None if shaped else b"data: " + write_error(self.error) + b"\n\n"


def _text(value: Any) -> str | None:
    return value if isinstance(value, str) else None
