"""What becomes of a feature between two formats, found out by running the real codecs."""

from __future__ import annotations

import base64
import json
import re
from collections.abc import Callable, Iterator
from functools import cache, partial
from importlib.metadata import entry_points
from typing import Any, Literal, NamedTuple

import msgspec

from gateway.errors import GatewayError, InvalidRequest
from gateway.format import AnyRequest, Dropped, Format, Traits
from gateway.protocol import ChatReply, ChatRequest, Choice
from gateway.protocol.unroll import events_of
from gateway_plugins.formats.anthropic_models import traits_of
from tests.golden.speech import Feature, Json

Verdict = Literal["carried", "adapted", "dropped", "refused", "lost", "unsaid"]
"""``lost`` is the one that must never be: less than was said arrives, and nothing is named.

``unsaid``: the dialect reads the two bodies as the same request, so that it does not say the feature at all.
"""

# A model that takes most of what its format can say, where the format's documentation leaves it to the model.
TRAITS: dict[str, Traits] = {
    "anthropic_messages": traits_of("claude-sonnet-4-6"),
    "bedrock_invoke_anthropic": traits_of("claude-sonnet-4-6"),
    "openai_chat": Traits(options={"web_search": True}),
}
_MARKER = re.compile(r"mk[a-z]*|[A-Za-z0-9+/]*mkAA")


# Members that leave no trace because what they say holds without them: path → why. Each is looked at by a person.
SAID_ANYWAY = {
    r".*(parameters|parametersJsonSchema|input_schema|schema|responseJsonSchema)\.type": "filled in: an object",
    r".*(parameters|schema|responseJsonSchema)\.additionalProperties": "filled in where a schema is strict",
    r".*(media_type|mimeType|input_audio\.format)": "found out from the data, or the usual one",
    r"thinking(\.type)?": "an effort or a budget asks for thinking already",
    r".*citations\[\d\]\.type|.*annotations\[\d\]\.type": "there is one kind of annotation",
    r".*(finish_reason|finishReason|stop_reason)": "what a reply without one ended by, too",
    r".*\.arguments": "no arguments and {} are the same",
    r".*functionResponse\.name": "the call has it too",
    r"choice: must not call: tools": "a target may be kept from calling by not being told of tools",
    r"choice: one tool: tools\[0\]\.functionDeclarations\[1\]": "a tool that may not be called is not told of",
    r"none: (reasoning(_effort)?|thinking|generationConfig)": "a target that does not think unless it is asked to",
    r"effort: output_config": "given up, and named, with the thinking",
    r"summary shown: thinking\.display": "a target that shows a summary only where one is asked for is asked for it",
    r"web search at the provider: tools\[0\]\.name": "it has one name only",
    r"service tier: service_tier": "the standard tier is what a target without tiers gives anyway",
}
_SAID_ANYWAY = re.compile("|".join(f"(?:{path})" for path in SAID_ANYWAY))


def said_anyway(row: str, path: str) -> bool:
    """Whether a path, of any row or of this one, says what holds without it."""
    return bool(_SAID_ANYWAY.fullmatch(path) or _SAID_ANYWAY.fullmatch(f"{row}: {path}"))


class Cell(NamedTuple):
    """What became of a feature, and what was named: field → why."""

    verdict: Verdict
    named: dict[str, str]


@cache
def chat_formats() -> dict[str, Format]:
    """All registered formats that carry chat completions, by name."""
    made = {point.name: point.load()() for point in entry_points(group="gateway.formats")}
    return {name: made[name] for name in sorted(made) if made[name].operation == "chat"}


@cache
def wires() -> dict[str, Format]:
    """The formats that can stand on the provider's side: they write a plain request."""
    plain = b'{"model": "m", "messages": [{"role": "user", "content": "Hello."}]}'
    request = chat_formats()["openai_chat"].read_request(plain)
    found: dict[str, Format] = {}
    for name, wire in chat_formats().items():
        try:
            written(wire, request, Dropped())
        except NotImplementedError:
            continue
        found[name] = wire
    return found


@cache
def callers() -> dict[str, Format]:
    """The formats that callers can speak: they write a reply."""
    found: dict[str, Format] = {}
    for name, dialect in chat_formats().items():
        try:
            dialect.write_reply(ChatReply(id="r", model="m", choices=[Choice()]), Dropped(), ChatRequest(model="m"))
        except NotImplementedError:
            continue
        found[name] = dialect
    return found


def read(dialect: Format, body: Json) -> ChatRequest:
    """The request in a body, with the model that its path would name."""
    request = dialect.read_request(json.dumps(body).encode())
    assert isinstance(request, ChatRequest)
    request.model = request.model or "m"
    return request


def written(wire: Format, request: AnyRequest, dropped: Dropped) -> bytes:
    """The upstream body for a request."""
    traits = TRAITS.get(wire.name, Traits()).resolved(request)
    return wire.write_request(request, traits, dropped)


def request_cell(dialect: Format, wire: Format, row: Feature) -> Cell:
    """What becomes of a feature of a request."""
    said = row.said[dialect.name]
    with_it, without = read(dialect, said.with_it), read(dialect, said.without)
    if meaning(with_it) == meaning(without):
        return Cell("unsaid", {})
    before, after = Dropped(), Dropped()
    base = written(wire, without, before)
    try:
        body = written(wire, with_it, after)
    except InvalidRequest as error:
        return Cell("refused", {error.param or "": error.message})
    named = {field: why for field, why in after.reasons.items() if field not in before.reasons}
    missing = markers(said.with_it) - markers(said.without) - markers(body)
    changed = same_json(body) != same_json(base)
    verdict = _verdict(changed=changed, missing=bool(missing), named=bool(named))
    if verdict == "lost":
        paths = silent_losses(dialect, wire, said.with_it)
        return _explained(row, paths, before.reasons, changed=changed)
    return Cell(verdict, {dialect.caller_field(field, with_it): why for field, why in named.items()})


def _verdict(*, changed: bool, missing: bool, named: bool) -> Verdict:
    if changed and not missing:
        return "adapted" if named else "carried"
    if named:
        return "adapted" if changed else "dropped"
    return "lost"


def _explained(row: Feature, paths: list[str], named: dict[str, str], *, changed: bool) -> Cell:
    """What only seems lost: it travels in a form of its own, is part of what is named, or holds without being said."""
    if any(not said_anyway(row.name, path.partition(" ")[0]) for path in paths):
        return Cell("lost", {})
    if changed:
        return Cell("carried", {})
    return Cell("dropped", named) if named and not paths else Cell("unsaid", {})


def markers(body: Any) -> set[str]:
    """The markers in a body, as written or as decoded."""
    text = body.decode() if isinstance(body, bytes) else json.dumps(body)
    return set(_MARKER.findall(text))


def same_json(body: bytes) -> Any:
    """A body by its meaning as JSON."""
    return msgspec.json.decode(body)


def meaning(value: Any) -> Any:
    """A normalised request or reply without what carries no meaning."""
    built = msgspec.to_builtins(value)
    return _without_spelling(built)


def _without_spelling(value: Any) -> Any:
    if isinstance(value, dict):
        return {key: _without_spelling(item) for key, item in value.items() if key not in ("spelling", "stream")}
    return [_without_spelling(item) for item in value] if isinstance(value, list) else value


def branches(body: Any, path: str) -> Iterator[tuple[str, Any, Any, Any]]:
    """The members or items of a body: path, key, value, and the body without it."""
    if isinstance(body, dict):
        for key, value in body.items():
            if value not in (None, [], {}):  # they say nothing
                rest = {name: item for name, item in body.items() if name != key}
                yield f"{path}.{key}".lstrip("."), key, value, rest
    elif isinstance(body, list):
        for key, value in enumerate(body):
            yield f"{path}[{key}]", key, value, [*body[:key], *body[key + 1 :]]


def silent(body: Any, judge: Callable[[Any], Trace], whole: Trace) -> list[str]:
    """The paths in a body that mean something and leave no trace behind: neither in what is written, nor named.

    What lies below a member that is named as a whole is not looked at.
    """
    found: list[str] = []

    def walk(part: Any, path: str, put: Callable[[Any], Any]) -> None:
        for here, key, value, rest in branches(part, path):
            trace = judge(put(rest))
            means = trace.meaning is not None and trace.meaning != whole.meaning
            if means and trace.written == whole.written:
                if trace.named == whole.named:
                    found.append(here)
                continue
            walk(value, here, partial(_replaced, put, part, key))

    walk(body, "", lambda new: new)
    return found


def _replaced(put: Callable[[Any], Any], part: Any, key: Any, value: Any) -> Any:
    """The whole body with a value in the place of another."""
    if isinstance(part, dict):
        return put({**part, key: value})
    return put([*part[:key], value, *part[key + 1 :]])


class Trace(NamedTuple):
    """What a body means to its reader (None: nothing, it is refused), and what is written and named for it."""

    meaning: Any
    written: Any
    named: Any


def silent_losses(dialect: Format, wire: Format, body: Json) -> list[str]:
    """The paths of a caller's request that leave no trace."""

    def judge(changed: Any) -> Trace:
        dropped = Dropped()
        try:
            request = read(dialect, changed)
            return Trace(meaning(request), same_json(written(wire, request, dropped)), dropped.reasons)
        except InvalidRequest:
            return Trace(None, None, None)

    whole = judge(body)
    return [] if whole.meaning is None else silent(body, judge, whole)


class Answer(NamedTuple):
    """A reply as a caller gets it, whole and streamed, and what was named of each."""

    whole: Any
    whole_named: dict[str, str]
    streamed: bytes
    streamed_named: dict[str, str]


def answered(dialect: Format, wire: Format, body: Json) -> tuple[Any, Answer]:
    """The meaning of a wire's reply, and the reply as the dialect's caller gets it."""
    found = meaning(_reply(wire, body))
    request = ChatRequest(model="m", include_usage=True, origin=dialect.name)
    whole_named, streamed_named = Dropped(), Dropped()
    whole = dialect.write_reply(_reply(wire, body), whole_named, request)
    writer = dialect.stream_writer(request, streamed_named)
    streamed = b"".join(writer.write(event) for event in events_of(_reply(wire, body)))
    return found, Answer(same_json(whole), whole_named.reasons, streamed, streamed_named.reasons)


def _reply(wire: Format, body: Json) -> ChatReply:
    reply = wire.read_reply(json.dumps(body).encode())
    assert isinstance(reply, ChatReply)
    reply.created = reply.created or 1
    reply.id, reply.model = reply.id or "r", reply.model or "m"
    return reply


def reply_cell(dialect: Format, wire: Format, row: Feature) -> Cell:
    """What becomes of a feature of a reply, whole and streamed; the worse of the two counts."""
    said = row.said[wire.name]
    _, after = answered(dialect, wire, said.with_it)
    _, before = answered(dialect, wire, said.without)
    wanted = markers(said.with_it) - markers(said.without)
    cells = [
        _reply_cell(wanted, after.whole, before.whole, after.whole_named, before.whole_named),
        _reply_cell(wanted, after.streamed, before.streamed, after.streamed_named, before.streamed_named),
    ]
    worst = max(cells, key=lambda cell: _ORDER.index(cell.verdict))
    if worst.verdict == "lost":
        paths = silent_reply_losses(dialect, wire, said.with_it)
        changed = after.whole != before.whole and after.streamed != before.streamed
        return _explained(row, paths, before.whole_named, changed=changed)
    return Cell(worst.verdict, cells[0].named | cells[1].named)


_ORDER: tuple[Verdict, ...] = ("unsaid", "carried", "adapted", "dropped", "refused", "lost")


def _reply_cell(wanted: set[str], body: Any, base: Any, losses: dict[str, str], before: dict[str, str]) -> Cell:
    named = {field: why for field, why in losses.items() if field not in before}
    missing = bool(wanted - carried(body))
    return Cell(_verdict(changed=body != base, missing=missing, named=bool(named)), named)


def carried(body: Any) -> set[str]:
    """The markers that a caller gets: plainly, or inside what we carry for the next turn."""
    text = body.decode() if isinstance(body, bytes) else json.dumps(body)
    return markers(text.encode()) | markers(_opened(text).encode())


def _opened(text: str) -> str:
    """What stands in our own carriers, which are base64 behind a mark."""
    found = re.findall(r"gw1\.([A-Za-z0-9_=-]+)", text)
    return "".join(base64.urlsafe_b64decode(item).decode() for item in found)


def silent_reply_losses(dialect: Format, wire: Format, body: Json) -> list[str]:
    """The paths of a provider's reply that a caller neither gets nor is told of, whole or streamed."""

    def judge(changed: Any, *, stream: bool) -> Trace:
        try:
            found, answer = answered(dialect, wire, changed)
        except GatewayError:
            return Trace(None, None, None)
        if stream:
            return Trace(found, answer.streamed, answer.streamed_named)
        return Trace(found, answer.whole, answer.whole_named)

    lost: list[str] = []
    for stream in (False, True):
        whole = judge(body, stream=stream)
        assert whole.meaning is not None, body
        word = "streamed" if stream else "whole"
        lost += [f"{path} ({word})" for path in silent(body, partial(judge, stream=stream), whole)]
    return lost
