"""Every recorded request of four dialects, told to eight wire formats: what is asked stays the same, or is named.

Nothing here reads with the gateway's own readers but the reader under test: both sides are understood from their JSON.
"""

from __future__ import annotations

import json
import re
from collections import Counter

from gateway.errors import InvalidRequest
from gateway.format import Dropped, Traits
from gateway.protocol import ChatRequest
from tests.golden.cells import TRAITS, chat_formats
from tests.wire import recordings
from tests.wire.audit.asked import EXTRACT, Asked, Said, differences, untitled
from tests.wire.audit.exchanges import audited, wire_of

DIALECTS = ("openai_chat", "openai_responses", "anthropic_messages", "gemini")
# The names by which each aspect's loss may be told; a setting's own name else.
NAMES = {
    "system": r"messages|system|instructions",
    "turns": r"(messages|input|contents)\[",
    "tools": r"tools|functions",
    "choice": r"tool_choice|toolConfig|tools\[",
    "shape": r"response_format|output_config|text\.format|generationConfig\.response",
    "max_tokens": r"max_|.*maxOutputTokens",
    "stop": r"stop|.*stopSequences",
}
# A part that is named as a whole, in the normalised protocol's words; and a system's that became the user's.
WHOLE = re.compile(r"messages\[\d+\]\.content\[\d+\](\.content\[\d+\]|\.arguments)?")
MOVED = re.compile(r"messages\[\d+\]\.role")
# What a wire format does anyway, said.
DEFAULT = {(wire, "temperature"): (1, None) for wire in ("anthropic_messages", "bedrock_invoke_anthropic")}
# Requests that a target must refuse: it could not be asked that way at all.
REFUSED = r"empty array|with content is required|answers no call|JSON object"


def _pictures(turns: list[Said]) -> list[Said]:
    return [one for one in turns if one[1] == "media"]


def _words(turns: list[Said]) -> list[Said]:
    """Without pictures, which Ollama takes beside the one text of a message."""
    asked = Asked()
    for role, kind, value in turns:
        if kind != "media":
            asked.say(role, kind, value)
    return asked.turns


def unnamed(file: str, wire: str) -> dict[str, object]:
    """The differences between what was asked and what is asked of this wire, that nothing tells of."""
    exchange, dialect, formats = recordings.load(file), wire_of(file), chat_formats()
    dropped = Dropped()
    try:
        request = formats[dialect].read_request(exchange.request_body)
        assert isinstance(request, ChatRequest)
        request.model = request.model or "m"
        body = formats[wire].write_request(request, TRAITS.get(wire, Traits()).resolved(request), dropped)
    except InvalidRequest as error:
        return {} if re.search(REFUSED, error.message) else {"refused": error.message}
    named = [*dropped.reasons, *(formats[dialect].caller_field(name, request) for name in dropped.reasons)]
    said, told = EXTRACT[dialect](exchange.request_json), EXTRACT[wire](json.loads(body))
    if wire == "ollama_chat":
        told.turns, said.turns = ([*_words(one.turns), *_pictures(one.turns)] for one in (told, said))
    return {
        aspect: pair
        for aspect, pair in differences(said, told).items()
        if pair != DEFAULT.get((wire, aspect))
        if not (
            _told(aspect, named) and (aspect != "turns" or _accounted(said.turns, told.turns, said.titles, dropped))
        )
    }


def _told(aspect: str, named: list[str]) -> bool:
    pattern = NAMES.get(aspect, f"(.*\\.)?{aspect.replace('_', '_?')}")
    return any(re.match(pattern, name, re.IGNORECASE) for name in named)


def _accounted(said: list[Said], told: list[Said], titles: list[str], dropped: Dropped) -> bool:
    """Whether as much is named as is missing: each picture, call and result by itself; words have no such excuse."""
    missing = _things(said) - _things(told)
    whole = [name for name in dropped.reasons if WHOLE.fullmatch(name)]
    moved = MOVED.search(" ".join(dropped.reasons)) is not None
    return missing.total() <= len(whole) and (moved or _text(said, titles) == _text(told, titles))


def _things(turns: list[Said]) -> Counter[str]:
    return Counter(f"{kind} {json.dumps(value, sort_keys=True)}" for _, kind, value in turns if kind != "text")


def _text(turns: list[Said], titles: list[str]) -> str:
    return "".join(value for _, kind, value in untitled(turns, titles) if kind == "text")


@recordings.each_of([file for file in audited() if wire_of(file) in DIALECTS and recordings.load(file).request_json])
def test_a_request_asks_of_each_wire_format_what_its_caller_asked(file: str) -> None:
    found = {wire: lost for wire in EXTRACT if (lost := unnamed(file, wire))}
    assert found == {}
