"""Whatever the dialect can say comes back by meaning when it is written for a provider of the same format."""

from __future__ import annotations

import json
from typing import Any

from hypothesis import given, settings
from hypothesis import strategies as st

from gateway.format import Dropped, Traits
from gateway_plugins.formats.openai_chat import OpenAIChat
from tests.wire.openai_meaning import request_meaning

TEXT = st.text(max_size=8)
SOME_TEXT = st.text(min_size=1, max_size=8)
NAME = st.from_regex(r"[a-zA-Z0-9_-]{1,8}", fullmatch=True)
BASE64 = st.sampled_from(["AAAA", "QUJD", "/9j/4AAQ"])
JSON: st.SearchStrategy[Any] = st.recursive(
    st.booleans() | st.integers(-(2**70), 2**70) | st.floats(allow_nan=False, allow_infinity=False) | TEXT,
    lambda inner: st.lists(inner, max_size=2) | st.dictionaries(NAME, inner, max_size=2),
    max_leaves=4,
)
# Fields that nobody knows: a prefix keeps them apart from those that somebody does.
UNKNOWN = st.dictionaries(NAME.map(lambda name: "x_" + name), JSON, max_size=1)
CACHE = st.sampled_from([{"type": "ephemeral"}, {"type": "ephemeral", "ttl": "1h"}])


def with_unknown(known: st.SearchStrategy[dict[str, Any]]) -> st.SearchStrategy[dict[str, Any]]:
    return st.tuples(known, UNKNOWN).map(lambda pair: {**pair[0], **pair[1]})


def record(**fields: st.SearchStrategy[Any]) -> st.SearchStrategy[dict[str, Any]]:
    """An object with these fields, and perhaps one that nobody knows. A leading underscore marks an optional one."""
    required = {name: field for name, field in fields.items() if not name.startswith("_")}
    optional = {name.removeprefix("_"): field for name, field in fields.items() if name.startswith("_")}
    return with_unknown(st.fixed_dictionaries(required, optional=optional))


URL = st.sampled_from(["https://x/y.png", "data:image/png;base64,AAAA", "data:image/gif;base64,/9j/AAAA"])
TEXT_PART = record(type=st.just("text"), text=TEXT, _cache_control=CACHE)
IMAGE_PART = record(
    type=st.just("image_url"),
    image_url=record(url=URL, _detail=st.sampled_from(["low", "high", "auto"])),
    _cache_control=CACHE,
)
AUDIO_PART = record(
    type=st.just("input_audio"),
    input_audio=record(data=BASE64, format=st.sampled_from(["wav", "mp3", "flac"])),
)
FILE_PART = record(
    type=st.just("file"),
    file=record(
        file_data=st.sampled_from(["data:application/pdf;base64,AAAA", "AAAA", "https://x/a.pdf"]), _filename=NAME
    )
    | record(file_id=NAME),
)
URL_PART = st.sampled_from(["video_url", "audio_url"]).flatmap(
    lambda kind: record(**{"type": st.just(kind), kind: record(url=st.just("https://x/v"))})
)
NOVEL_PART = record(type=st.just("novelty"), novelty=JSON)
CONTENT = SOME_TEXT | st.lists(
    st.one_of(TEXT_PART, IMAGE_PART, AUDIO_PART, FILE_PART, URL_PART, NOVEL_PART), min_size=1, max_size=3
)
SAID = SOME_TEXT | st.lists(TEXT_PART, min_size=1, max_size=2)

TOOL_CALL = record(
    id=NAME,
    type=st.just("function"),
    function=record(name=NAME, arguments=st.sampled_from(["{}", '{"a":1}', ""])),
    _extra_content=st.just({"google": {"thought_signature": "sig"}}),
) | record(id=NAME, type=st.just("custom"), custom=record(name=NAME, input=TEXT))
DETAIL = with_unknown(
    st.sampled_from(
        [
            {"type": "reasoning.text", "text": "a", "signature": "s", "format": "anthropic-claude-v1", "index": 0},
            {"type": "reasoning.encrypted", "data": "r", "format": "anthropic-claude-v1", "index": 0},
            {"type": "reasoning.summary", "summary": "b", "format": "openai-responses-v1", "index": 0},
            {"type": "reasoning.encrypted", "data": "e", "id": "rs", "format": "openai-responses-v1", "index": 0},
            {"type": "reasoning.text", "text": "c", "format": "xai-responses-v1", "index": 0, "id": "i"},
        ]
    )
)
ASSISTANT = (
    record(
        role=st.just("assistant"),
        content=SAID,
        _name=NAME,
        _refusal=SOME_TEXT,
        _reasoning_content=SOME_TEXT,
        _tool_calls=st.lists(TOOL_CALL, min_size=1, max_size=2),
        _audio=st.just({"id": "audio_1"}),
        _images=st.lists(record(type=st.just("image_url"), image_url=record(url=URL)), min_size=1, max_size=2),
    )
    | record(role=st.just("assistant"), _reasoning=SOME_TEXT, tool_calls=st.lists(TOOL_CALL, min_size=1, max_size=2))
    | record(role=st.just("assistant"), content=SOME_TEXT, reasoning_details=st.lists(DETAIL, min_size=1, max_size=3))
    | record(role=st.just("assistant"), content=st.none(), function_call=st.just({"name": "f", "arguments": "{}"}))
)
MESSAGE = st.one_of(
    record(role=st.sampled_from(["system", "developer"]), content=SAID, _name=NAME),
    record(role=st.just("user"), content=CONTENT, _name=NAME),
    ASSISTANT,
    record(role=st.just("tool"), tool_call_id=NAME, content=SAID | st.lists(IMAGE_PART, min_size=1, max_size=1)),
    record(role=st.just("function"), name=NAME, content=SOME_TEXT),
)

SCHEMA = st.sampled_from([{"type": "object"}, {"type": "object", "properties": {"a": {"type": "null"}}}])
FUNCTION = record(name=NAME, _description=TEXT, _parameters=SCHEMA, _strict=st.booleans())
TOOL = (
    record(type=st.just("function"), function=FUNCTION, _cache_control=CACHE)
    | record(
        type=st.just("custom"),
        custom=record(
            name=NAME,
            _description=TEXT,
            _format=st.just({"type": "grammar", "grammar": {"syntax": "lark", "definition": "d"}}),
        ),
    )
    | record(type=st.just("openrouter:web_search"), parameters=JSON)
)
NUMBER = st.floats(0, 2)
REQUEST = record(
    model=NAME,
    messages=st.lists(MESSAGE, min_size=1, max_size=4),
    _tools=st.lists(TOOL, min_size=1, max_size=2),
    _tool_choice=st.sampled_from(["auto", "none", "required", {"type": "function", "function": {"name": "f"}}])
    | st.just({"type": "hosted", "name": "x"})
    | st.just(
        {
            "type": "allowed_tools",
            "allowed_tools": {"mode": "auto", "tools": [{"type": "function", "function": {"name": "f"}}]},
        }
    ),
    _response_format=record(type=st.sampled_from(["text", "json_object", "novelty"]))
    | record(type=st.just("json_schema"), json_schema=record(name=NAME, _schema=SCHEMA, _strict=st.booleans())),
    _reasoning_effort=NAME,
    _reasoning=record(
        _effort=NAME, _max_tokens=st.integers(1, 9), _enabled=st.booleans(), _exclude=st.booleans(), _summary=NAME
    ),
    _max_tokens=st.integers(1, 9),
    _max_completion_tokens=st.integers(1, 9),
    _temperature=NUMBER,
    _top_p=NUMBER,
    _top_k=st.integers(1, 9),
    _min_p=NUMBER,
    _frequency_penalty=NUMBER,
    _presence_penalty=NUMBER,
    _repetition_penalty=NUMBER,
    _seed=st.integers(),
    _stop=NAME | st.lists(NAME, min_size=1, max_size=2),
    _logit_bias=st.dictionaries(NAME, NUMBER, max_size=2),
    _logprobs=st.booleans() | st.integers(2, 3),
    _top_logprobs=st.integers(0, 9),
    _n=st.integers(1, 3),
    _user=NAME,
    _safety_identifier=NAME,
    _metadata=st.dictionaries(NAME, TEXT, max_size=2),
    _service_tier=NAME,
    _prompt_cache_key=NAME,
    _verbosity=NAME,
    _modalities=st.lists(NAME, max_size=2),
    _audio=st.just({"voice": "alloy"}),
    _prediction=st.just({"type": "content", "content": "a"}),
    _store=st.booleans(),
    _parallel_tool_calls=st.booleans(),
    _web_search_options=record(),
    _stream=st.booleans(),
    _stream_options=record(_include_usage=st.booleans()),
    _cache_control=CACHE,
)


@settings(deadline=None, max_examples=100)
@given(body=REQUEST)
def test_a_request_comes_back_by_meaning_and_without_a_loss(body: dict[str, Any]) -> None:
    dropped = Dropped()
    chat = OpenAIChat()
    written = json.loads(chat.write_request(chat.read_request(json.dumps(body).encode()), Traits(), dropped))
    assert request_meaning(written) == request_meaning(body)
    assert dropped.reasons == {}


@settings(deadline=None, max_examples=30)
@given(body=REQUEST)
def test_writing_what_was_written_again_gives_the_same_bytes(body: dict[str, Any]) -> None:
    chat = OpenAIChat()
    once = chat.write_request(chat.read_request(json.dumps(body).encode()), Traits(), Dropped())
    assert chat.write_request(chat.read_request(once), Traits(), Dropped()) == once
