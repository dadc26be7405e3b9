"""What a request needs, and which targets can give it: found from bytes, decoded only where a limit could matter.

A plain request is never decoded here. Each target's limits are looked up once; a request is searched only for what one
of its targets is known to lack, and what the search finds is confirmed by the request itself, read by its format. What
nobody said of a model speaks against nothing.
"""

from __future__ import annotations

from collections.abc import Callable, Iterator, Sequence
from typing import TYPE_CHECKING, Any, Generic, TypeVar, overload

import msgspec

from gateway.errors import GatewayError
from gateway.protocol import ChatRequest, Media, Message, ToolResult

if TYPE_CHECKING:
    from gateway.call import Call, Target
    from gateway.catalogue import ModelInfo
    from gateway.jsonbody import JsonObject
    from gateway.state import Gateway

ASCII_PER_TOKEN = 4
"""Characters of English text, code and JSON in a token, by the usual rule of thumb."""
OTHER_BYTES_PER_TOKEN = 3
"""UTF-8 bytes of other scripts in a token: about one for a Chinese character, two for three Cyrillic ones."""
TOKENS_PER_ESCAPE = 0.8
"""Tokens of one character that JSON writes as ``\\uXXXX``."""
TOKENS_PER_ATTACHMENT = 1000
"""What an image, document or sound counts for: about a full-size image of OpenAI (1105) or Anthropic (1600)."""
FEWEST_BYTES_PER_TOKEN = 3
"""A body of fewer bytes than this times a context window fits into it."""
SURELY_TOO_LONG = 1.5
"""An estimate that exceeds every window by this factor is an answer; below it, the widest is tried all the same."""

_HIGH = bytes(range(0x80, 0x100))
_MEDIA = {
    "images": (b"image",),
    "audio": (b"audio",),
    "documents": (b'"file"', b"input_file", b'"document"', b"/pdf"),
}
_KINDS = {"images": "image", "audio": "audio", "documents": "document"}
_MODALITY = {"images": "image", "audio": "audio", "documents": "pdf"}
_WORDS = _MEDIA | {
    "schema": (b"json_schema", b"esponseSchema", b"esponseJsonSchema", b"response_schema", b"output_format"),
}
_LIMITS = ("max_completion_tokens", "max_tokens", "max_output_tokens")
_CONFIGS = ("generationConfig", "generation_config")
_SAID = {
    "images": "takes no images",
    "audio": "takes no audio",
    "documents": "takes no documents",
    "tools": "calls no tools",
    "schema": "follows no schema",
}


class Limits(msgspec.Struct, frozen=True):
    """What one target is known to lack (words of ``Needs``), and its sizes in tokens; None where nobody said."""

    lacks: tuple[str, ...] = ()
    context_window: int | None = None
    max_output: int | None = None
    shortest: int = 1 << 62
    """The bytes of the shortest body that may exceed the window."""


_NO_LIMITS = Limits()
_MOST_KEPT = 4096


def limits_of(gateway: Gateway, target: Target) -> Limits:
    """The limits of a target; looked up once for each."""
    key = (target.provider, target.model)
    found = gateway.limits.get(key)
    if found is None:
        if len(gateway.limits) >= _MOST_KEPT:  # callers may address any model of a provider
            gateway.limits.clear()
        provider = gateway.providers.get(target.provider)
        found = _NO_LIMITS if provider is None else _limits(provider.info(target.model))
        gateway.limits[key] = found
    return found


def _limits(info: ModelInfo) -> Limits:
    lacks = [need for need, word in _MODALITY.items() if info.input and word not in info.input]
    if info.tools is False:
        lacks.append("tools")
    if info.structured_output is False:
        lacks.append("schema")
    window = info.context_window
    shortest = 1 << 62 if window is None else window * FEWEST_BYTES_PER_TOKEN
    return Limits(tuple(lacks), window, info.max_output, shortest)


T = TypeVar("T")


class _Kept(Generic[T]):
    """A property of Needs that is worked out once for a call."""

    def __init__(self, found: Callable[[Needs], T]) -> None:
        self._found = found
        self._name = found.__name__
        self.__doc__ = found.__doc__

    @overload
    def __get__(self, needs: None, owner: type) -> _Kept[T]: ...
    @overload
    def __get__(self, needs: Needs, owner: type) -> T: ...
    def __get__(self, needs: Needs | None, owner: type) -> T | _Kept[T]:
        if needs is None:
            return self
        memory = needs.memory
        if self._name not in memory:
            memory[self._name] = self._found(needs)
        value: T = memory[self._name]
        return value


class Needs:
    """What one call's request asks of a model. Every property is worked out when it is first asked for.

    What was found is kept with the call, and this is not: a call that is over is freed at once.
    """

    __slots__ = ("_call", "body", "memory")

    def __init__(self, call: Call, memory: dict[str, Any]) -> None:
        self._call = call
        self.body = call.body
        self.memory = memory

    @_Kept
    def request(self) -> ChatRequest | None:
        """The request as its format reads it; None where it cannot be read, or is none for a chat."""
        try:
            request = self._call.request
        except GatewayError:
            return None  # the target that passes the bytes on may know better
        return request if isinstance(request, ChatRequest) else None

    @_Kept
    def kinds(self) -> frozenset[str]:
        """The kinds of attachments: ``image``, ``audio``, ``document``, ``video``."""
        return frozenset(part.kind for part in self._media)

    @_Kept
    def images(self) -> bool:
        """Whether there is an image in the prompt."""
        return self._hints("images") and "image" in self.kinds

    @_Kept
    def audio(self) -> bool:
        """Whether there is sound in the prompt."""
        return self._hints("audio") and "audio" in self.kinds

    @_Kept
    def documents(self) -> bool:
        """Whether there is a document in the prompt that is not given as plain text."""
        return self._hints("documents") and any(part.kind == "document" for part in self._media)

    @_Kept
    def tools(self) -> bool:
        """Whether the request offers tools."""
        json = self._call.json
        return any(json.raw(key) not in (None, b"[]", b"null", b"{}") for key in ("tools", "functions"))

    @_Kept
    def schema(self) -> bool:
        """Whether the answer must follow a JSON Schema."""
        if not self._hints("schema") or self.request is None:
            return False
        wanted = self.request.response_format
        return wanted is not None and wanted.type == "json_schema"

    @_Kept
    def max_tokens(self) -> int | None:
        """The limit that the request sets to the answer's tokens."""
        return _max_tokens(self._call.json)

    @_Kept
    def tokens(self) -> int:
        """The prompt's tokens, estimated: texts by their length, attachments at a flat rate."""
        body = self.body
        if not any(self._hints(need) for need in _MEDIA) or not (media := self._media):
            return estimated_tokens(body)
        inside = sum(len(part.data or "") for part in media)
        return max(1, estimated_tokens(body) - inside // ASCII_PER_TOKEN) + TOKENS_PER_ATTACHMENT * len(media)

    @_Kept
    def _media(self) -> list[Media]:
        if self.request is None:
            return []
        return [part for part in _parts(self.request.messages) if part.text is None]

    def _hints(self, need: str) -> bool:
        return _hinted(self._call, need)


def needs_of(call: Call) -> Needs:
    """The needs of a call's request."""
    memory: dict[str, Any] | None = call.state.get(_STATE)
    if memory is None or memory["body"] is not call.body:  # a guard may have rewritten it
        memory = call.state[_STATE] = {"body": call.body}
    return Needs(call, memory)


_STATE = "gateway.needs"


def estimated_tokens(body: bytes) -> int:
    """The tokens of a JSON text, estimated from its bytes alone."""
    wide = 0 if body.isascii() else len(body) - len(body.translate(None, _HIGH))
    escapes = body.count(b"\\u")
    narrow = max(0, len(body) - wide - 6 * escapes)
    return max(1, round(narrow / ASCII_PER_TOKEN + wide / OTHER_BYTES_PER_TOKEN + escapes * TOKENS_PER_ESCAPE))


def lacking(call: Call, target: Target) -> str | None:
    """What the call asks that ``target`` cannot give, in words; None where nothing is known to speak against it."""
    limits = limits_of(call.gateway, target)
    for need in limits.lacks:
        if _hinted(call, need) and getattr(needs_of(call), need):
            return _SAID[need]
    if len(call.body) > limits.shortest:
        assert limits.context_window is not None
        if (tokens := needs_of(call).tokens) > limits.context_window:
            return f"takes {limits.context_window} tokens, and the prompt has about {tokens}"
    if limits.max_output is not None and (wanted := _max_tokens(call.json)) is not None and wanted > limits.max_output:
        return f"answers with {limits.max_output} tokens at most, and {wanted} are asked for"
    return None


def _hinted(call: Call, need: str) -> bool:
    """Whether the bytes let a need seem possible; that they do not is sure."""
    if need == "tools":
        spans = call.json.spans
        return "tools" in spans or "functions" in spans
    body = call.body
    for word in _WORDS[need]:  # noqa: SIM110  # a generator would cost more than the search of a short body
        if word in body:
            return True
    return False


def _max_tokens(json: JsonObject) -> int | None:
    spans = json.spans
    for key in _LIMITS:
        if key in spans:
            start, end = spans[key]
            try:
                return int(json.body[start:end])
            except ValueError:
                continue
    for key in _CONFIGS:
        if key in spans and isinstance(config := _decoded(json.raw(key)), dict):
            return _whole(config.get("maxOutputTokens", config.get("max_output_tokens")))
    return None


def only_too_long(call: Call, target: Target) -> bool:
    """Whether nothing but an estimate of the prompt's length speaks against a target, and not by much."""
    limits = limits_of(call.gateway, target)
    if limits.context_window is None or len(call.body) <= limits.shortest:
        return False
    needs = needs_of(call)
    if needs.tokens > limits.context_window * SURELY_TOO_LONG:
        return False
    if limits.max_output is not None and (needs.max_tokens or 0) > limits.max_output:
        return False
    return not any(getattr(needs, need) for need in limits.lacks)


def _parts(messages: Sequence[Message]) -> Iterator[Media]:
    for message in messages:
        for part in message.content:
            if isinstance(part, Media):
                yield part
            elif isinstance(part, ToolResult):
                yield from (inner for inner in part.content if isinstance(inner, Media))


def _decoded(raw: bytes | None) -> Any:
    try:
        return None if raw is None else msgspec.json.decode(raw)
    except (msgspec.DecodeError, RecursionError):
        return None


def _whole(value: Any) -> int | None:
    return value if isinstance(value, int) and not isinstance(value, bool) else None
