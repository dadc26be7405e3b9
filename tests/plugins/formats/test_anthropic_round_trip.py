"""Whatever the dialect can say comes back by meaning when it is written for a provider of the same format."""

from __future__ import annotations

import json
from typing import Any

from hypothesis import given, settings
from hypothesis import strategies as st

from gateway.format import Dropped, Traits
from gateway_plugins.formats.anthropic_messages import AnthropicMessages
from gateway_plugins.formats.anthropic_models import traits_of
from tests.wire.anthropic_meaning import request_meaning

TEXT = st.text(max_size=8)
SOME_TEXT = st.text(min_size=1, max_size=8)
NAME = st.from_regex(r"[a-zA-Z0-9_-]{1,8}", fullmatch=True)
JSON: st.SearchStrategy[Any] = st.recursive(
    st.booleans() | st.integers(-(2**53), 2**53) | st.floats(allow_nan=False, allow_infinity=False) | TEXT,
    lambda inner: st.lists(inner, max_size=2) | st.dictionaries(NAME, inner, max_size=2),
    max_leaves=4,
)
OBJECT = st.dictionaries(NAME, JSON, max_size=2)
# Fields that nobody knows: a prefix keeps them apart from those that somebody does.
UNKNOWN = st.dictionaries(NAME.map(lambda name: "x_" + name), JSON, max_size=1)
CACHE = st.sampled_from(
    [{"type": "ephemeral"}, {"type": "ephemeral", "ttl": "1h"}, {"type": "ephemeral", "scope": "global"}]
)


def record(**fields: st.SearchStrategy[Any]) -> st.SearchStrategy[dict[str, Any]]:
    """An object with these fields, and perhaps one that nobody knows. A leading underscore marks an optional one."""
    required = {name: field for name, field in fields.items() if not name.startswith("_")}
    optional = {name.removeprefix("_"): field for name, field in fields.items() if name.startswith("_")}
    known = st.fixed_dictionaries(required, optional=optional)
    return st.tuples(known, UNKNOWN).map(lambda pair: {**pair[0], **pair[1]})


CITATION = st.fixed_dictionaries({"type": st.just("char_location"), "cited_text": TEXT, "document_index": st.just(0)})
TEXT_BLOCK = record(
    type=st.just("text"), text=TEXT, _cache_control=CACHE, _citations=st.none() | st.lists(CITATION, max_size=1)
)
IMAGE_SOURCE = st.one_of(
    record(type=st.just("base64"), media_type=st.just("image/png"), data=st.just("AAAA")),
    record(type=st.just("url"), url=SOME_TEXT),
    record(type=st.just("file"), file_id=NAME),
)
IMAGE = record(type=st.just("image"), source=IMAGE_SOURCE, _cache_control=CACHE)
DOCUMENT_SOURCE = st.one_of(
    IMAGE_SOURCE,
    record(type=st.just("text"), media_type=st.just("text/plain"), data=TEXT),
    record(type=st.just("content"), content=SOME_TEXT | st.lists(TEXT_BLOCK | IMAGE, max_size=2)),
)
DOCUMENT = record(
    type=st.just("document"),
    source=DOCUMENT_SOURCE,
    _title=TEXT,
    _context=TEXT,
    _citations=st.just({"enabled": True}),
    _cache_control=CACHE,
)
THINKING = record(type=st.just("thinking"), thinking=TEXT, signature=TEXT)
REDACTED = record(type=st.just("redacted_thinking"), data=TEXT)
TOOL_USE = record(type=st.just("tool_use"), id=NAME, name=NAME, input=OBJECT, _cache_control=CACHE)
RESULT = record(
    type=st.just("tool_result"),
    tool_use_id=NAME,
    _content=TEXT | st.lists(TEXT_BLOCK | IMAGE | DOCUMENT, max_size=2),
    _is_error=st.booleans(),
    _cache_control=CACHE,
)
NOVEL = record(type=NAME.map(lambda name: "novel_" + name), _input=OBJECT, _cache_control=CACHE)
MESSAGE = st.one_of(
    record(
        role=st.just("user"),
        content=TEXT | st.lists(st.one_of(TEXT_BLOCK, IMAGE, DOCUMENT, RESULT, NOVEL), max_size=3),
    ),
    record(
        role=st.just("assistant"),
        content=TEXT | st.lists(st.one_of(TEXT_BLOCK, THINKING, REDACTED, TOOL_USE, NOVEL), max_size=3),
    ),
    record(role=st.just("system"), content=SOME_TEXT | st.lists(TEXT_BLOCK | NOVEL, min_size=1, max_size=2)),
)
TOOL = st.one_of(
    record(
        name=NAME,
        input_schema=OBJECT,
        _description=TEXT,
        _strict=st.booleans(),
        _type=st.just("custom"),
        _cache_control=CACHE,
    ),
    record(type=NAME.map(lambda name: "server_" + name), _name=SOME_TEXT, _cache_control=CACHE),
)
TOOL_CHOICE = st.one_of(
    record(type=st.sampled_from(["auto", "any", "none", "novel"]), _disable_parallel_tool_use=st.booleans()),
    record(type=st.just("tool"), name=NAME, _disable_parallel_tool_use=st.booleans()),
)
DISPLAY = st.sampled_from(["summarized", "omitted"])
OUTPUT_FORMAT = st.one_of(
    st.fixed_dictionaries({"type": st.just("json_schema"), "schema": OBJECT}),
    record(type=st.just("novel")),
)
REQUEST = record(
    model=NAME,
    max_tokens=st.integers(0, 100),
    messages=st.lists(MESSAGE, min_size=1, max_size=4),
    _system=TEXT | st.lists(TEXT_BLOCK, max_size=2),
    _tools=st.lists(TOOL, max_size=2),
    _tool_choice=TOOL_CHOICE,
    _thinking=st.one_of(
        record(type=st.just("enabled"), budget_tokens=st.integers(1024, 2000), _display=DISPLAY),
        record(type=st.sampled_from(["adaptive", "disabled", "between_tools"]), _display=DISPLAY),
    ),
    _output_config=record(_effort=st.sampled_from(["low", "max"]), _format=OUTPUT_FORMAT),
    _stop_sequences=st.lists(TEXT, max_size=2),
    _metadata=record(_user_id=NAME),
    _temperature=st.floats(0, 1),
    _top_p=st.floats(0, 1),
    _top_k=st.integers(1, 9),
    _service_tier=st.sampled_from(["auto", "standard_only"]),
    _stream=st.booleans(),
    _cache_control=CACHE,
    _container=NAME,
    _mcp_servers=st.lists(OBJECT, max_size=1),
)


@settings(max_examples=200, deadline=None)
@given(REQUEST)
def test_reading_and_writing_is_the_identity_by_meaning(request: dict[str, Any]) -> None:
    for traits in (Traits(), traits_of("claude-opus-5-5")):
        dropped = Dropped()
        read = AnthropicMessages().read_request(json.dumps(request).encode())
        written = json.loads(AnthropicMessages().write_request(read, traits, dropped))
        assert request_meaning(written) == request_meaning(json.loads(json.dumps(request)))
        assert not dropped.reasons
