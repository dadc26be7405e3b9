"""Replies, streams and errors of Gemini, both ways."""

from __future__ import annotations

import json
from typing import Any

import pytest

from gateway.errors import (
    GatewayError,
    InvalidRequest,
    ModelNotFound,
    RateLimited,
    UpstreamProtocolError,
    UpstreamRejected,
)
from gateway.format import Dropped
from gateway.protocol import (
    ChatReply,
    Choice,
    End,
    ErrorEvent,
    Event,
    Finish,
    Media,
    Opaque,
    PartDelta,
    Text,
    Thinking,
    ToolCall,
    Usage,
)
from gateway.protocol.unroll import events_of
from gateway_plugins.formats.gemini import Gemini
from gateway_plugins.formats.gemini_carrier import carried, is_carried, thinking_of
from gateway_plugins.formats.gemini_schema import fit_schema, read_openapi

IDS = {"responseId": "r", "modelVersion": "gemini-3"}


def body(*parts: dict[str, Any], finish: str | None = "STOP", **more: Any) -> dict[str, Any]:
    candidate: dict[str, Any] = {"content": {"role": "model", "parts": list(parts)}, "index": 0}
    if finish is not None:
        candidate["finishReason"] = finish
    return {"candidates": [{**candidate, **more}], **IDS}


def read(value: Any) -> ChatReply:
    return Gemini().read_reply(json.dumps(value).encode())


def stream(*values: Any) -> list[Event]:
    reader = Gemini().stream_reader()
    data = b"".join(b"data: " + json.dumps(value).encode() + b"\r\n\r\n" for value in values)
    return reader.feed(data) + reader.close()


def written(reply: ChatReply) -> tuple[dict[str, Any], dict[str, str]]:
    dropped = Dropped()
    return json.loads(Gemini().write_reply(reply, dropped)), dropped.reasons


@pytest.mark.parametrize(
    ("word", "reason"),
    [
        ("STOP", "stop"),
        ("MAX_TOKENS", "length"),
        *((word, "content_filter") for word in ("SAFETY", "RECITATION", "BLOCKLIST", "PROHIBITED_CONTENT", "SPII")),
        *((word, "error") for word in ("MALFORMED_FUNCTION_CALL", "OTHER", "UNEXPECTED_TOOL_CALL", "SOMETHING_NEW")),
    ],
)
def test_finish_reasons(word: str, reason: str) -> None:
    assert read(body({"text": "x"}, finish=word)).choices[0].finish_reason == reason
    (finish,) = (event for event in stream(body({"text": "x"}, finish=word)) if isinstance(event, Finish))
    assert (finish.finish_reason, finish.native_finish_reason) == (reason, word)


def test_a_call_ends_with_tool_calls() -> None:
    reply = read(body({"functionCall": {"name": "f", "args": {"a": 1}}, "thoughtSignature": "c2ln"}))
    assert reply.choices[0].finish_reason == "tool_calls"
    (call,) = reply.choices[0].content
    assert call == ToolCall(id="gwcall_r_1", name="f", arguments='{"a":1}', signature="c2ln")


def test_a_blocked_prompt_is_a_filtered_answer() -> None:
    value = {"promptFeedback": {"blockReason": "PROHIBITED_CONTENT"}, "usageMetadata": {"promptTokenCount": 3}, **IDS}
    reply = read(value)
    assert reply.choices[0].finish_reason == "content_filter"
    assert reply.choices[0].native_finish_reason == "PROHIBITED_CONTENT"
    events = stream(value)
    assert [type(event).__name__ for event in events] == ["Start", "Finish", "UsageUpdate", "End"]
    assert written(reply)[0]["promptFeedback"] == value["promptFeedback"]


def test_usage_counts_thoughts_and_what_tools_put_in() -> None:
    value = body({"text": "x"})
    value["usageMetadata"] = {
        "promptTokenCount": 10,
        "toolUsePromptTokenCount": 5,
        "candidatesTokenCount": 3,
        "thoughtsTokenCount": 7,
        "cachedContentTokenCount": 4,
        "totalTokenCount": 25,
        "promptTokensDetails": [{"modality": "AUDIO", "tokenCount": 6}, {"modality": "TEXT", "tokenCount": 4}],
    }
    usage = read(value).usage
    assert usage is not None
    assert (usage.prompt_tokens, usage.completion_tokens, usage.total_tokens) == (15, 10, 25)
    assert (usage.reasoning_tokens, usage.cache_read_tokens, usage.audio_input_tokens) == (7, 4, 6)


def test_a_signature_on_text_travels_as_thinking_and_comes_back_to_it() -> None:
    value = body({"text": "deep", "thought": True}, {"text": "yo", "thoughtSignature": "c2ln"})
    reply = read(value)
    assert reply.choices[0].content == [
        Thinking(text="deep", origin="gemini"),
        Text(text="yo"),
        Thinking(signature="c2ln", origin="gemini"),
    ]
    assert written(reply)[0]["candidates"][0]["content"]["parts"] == value["candidates"][0]["content"]["parts"]


def test_grounding_becomes_citations_with_places_in_characters() -> None:
    text = "Zoë won. Twice."
    metadata = {
        "groundingChunks": [{"web": {"uri": "https://x.test", "title": "X"}}, {"retrievedContext": {"title": "file"}}],
        "groundingSupports": [
            {"segment": {"startIndex": 0, "endIndex": 9, "text": "Zoë won."}, "groundingChunkIndices": [0]},
            {"segment": {"startIndex": 10, "endIndex": 16}, "groundingChunkIndices": [1]},
        ],
    }
    reply = read(body({"text": text}, groundingMetadata=metadata))
    (part,) = reply.choices[0].content
    assert isinstance(part, Text)
    place = {"url": "https://x.test", "title": "X", "start_index": 0, "end_index": 8}
    assert part.citations == [
        {"type": "url_citation", "url_citation": place},
        {"type": "retrieved_context", "title": "file"},
    ]
    events = stream(body({"text": text[:4]}, finish=None), body({"text": text[4:]}, groundingMetadata=metadata))
    cited = [event.data for event in events if isinstance(event, PartDelta) and event.kind == "citation"]
    assert cited == part.citations
    reply.origin = "openai_chat"
    reply.choices[0].extra = {}
    again, lost = written(reply)
    assert again["candidates"][0]["groundingMetadata"]["groundingSupports"][0]["segment"]["text"] == "Zoë won."
    assert list(lost) == ["choices[0].citations"]


def test_log_probabilities_in_the_shape_of_chat_completions() -> None:
    result = {
        "chosenCandidates": [{"token": "a", "logProbability": -0.5}],
        "topCandidates": [{"candidates": [{"token": "b", "logProbability": -1.5}]}],
    }
    reply = read(body({"text": "a"}, logprobsResult=result))
    top = {"token": "b", "logprob": -1.5, "bytes": [98]}
    assert reply.choices[0].logprobs == {
        "content": [{"token": "a", "logprob": -0.5, "bytes": [97], "top_logprobs": [top]}]
    }
    reply.origin, reply.choices[0].extra = "openai_chat", {}
    assert written(reply)[0]["candidates"][0]["logprobsResult"] == result


def test_code_and_pictures_are_kept() -> None:
    code = {"executableCode": {"language": "PYTHON", "code": "1"}}
    picture = {"inlineData": {"mimeType": "image/png", "data": "AA=="}}
    reply = read(body(code, picture))
    first, second = reply.choices[0].content
    assert isinstance(first, Opaque)
    assert isinstance(second, Media)
    assert written(reply)[0]["candidates"][0]["content"]["parts"] == [code, picture]


def test_anothers_reply_in_gemini_s_words() -> None:
    content = [
        Thinking(text="t", signature="sig", origin="anthropic_messages"),
        Text(text="hi"),
        ToolCall(id="call_1", name="f", arguments='{"a":1}'),
    ]
    usage = Usage(prompt_tokens=5, completion_tokens=9, reasoning_tokens=4, cache_read_tokens=2)
    choice = Choice(content=list(content), finish_reason="tool_calls")
    reply = ChatReply(id="r", model="claude", choices=[choice], usage=usage, origin="anthropic_messages")
    value, lost = written(reply)
    thought, text, call = value["candidates"][0]["content"]["parts"]
    assert (thought["text"], thought["thought"], text, call) == (
        "t",
        True,
        {"text": "hi"},
        {"functionCall": {"id": "call_1", "name": "f", "args": {"a": 1}}},
    )
    assert thinking_of("t", thought["thoughtSignature"]) == content[0]
    assert value["candidates"][0]["finishReason"] == "STOP"
    assert value["usageMetadata"] == {
        "promptTokenCount": 5,
        "candidatesTokenCount": 5,
        "totalTokenCount": 14,
        "cachedContentTokenCount": 2,
        "thoughtsTokenCount": 4,
    }
    assert not lost
    writer = Gemini().stream_writer(None)
    events = stream(*(json.loads(w[6:]) for w in map(writer.write, events_of(reply)) if w))
    assert isinstance(events[-1], End)


def test_what_is_carried_survives_the_alphabets_of_clients() -> None:
    part = Thinking(text="", signature="???>>>" * 5, id="rs_1", origin="openai_responses")
    mark = carried(part)
    assert mark is not None
    for text in (mark, mark.rstrip("="), mark.replace("+", "-").replace("/", "_")):
        assert is_carried(text)
        assert thinking_of("", text) == part
    assert not is_carried("Z3cxbm90IG91cnM=")
    assert not is_carried("c2ln")
    assert carried(Thinking(text="t", origin="openai_chat")) is None


def test_a_stream_is_joined_by_kind_and_ends_only_with_a_reason() -> None:
    pieces = [
        body({"text": "let ", "thought": True}, finish=None),
        body({"text": "me", "thought": True}, finish=None),
        body({"text": "y"}, finish=None),
        body({"text": "o"}, {"functionCall": {"name": "f", "args": {}}, "thoughtSignature": "c2ln"}, finish=None),
        body({"text": "", "thoughtSignature": "ZW5k"}),
    ]
    events = stream(*pieces)
    deltas = [(event.part, event.kind, event.value) for event in events if isinstance(event, PartDelta)]
    assert deltas == [
        (0, "thinking", "let "),
        (0, "thinking", "me"),
        (1, "text", "y"),
        (1, "text", "o"),
        (2, "arguments", "{}"),
        (3, "signature", "ZW5k"),
    ]
    assert isinstance(events[-1], End)
    assert not any(isinstance(event, End) for event in stream(*pieces[:-1]))


def test_an_array_is_a_stream_too_and_its_end_is_its_bracket() -> None:
    data = json.dumps([body({"text": 'a"\\]'}, finish=None), body({"text": "b"})], indent=2).encode()
    for size in (1, 7, len(data)):
        reader = Gemini().stream_reader()
        events = [event for at in range(0, len(data), size) for event in reader.feed(data[at : at + size])]
        events += reader.close()
        assert "".join(event.value for event in events if isinstance(event, PartDelta)) == 'a"\\]b'
        assert isinstance(events[-1], End)
    cut = Gemini().stream_reader()
    cut.feed(data[:-1])
    assert cut.close() == []
    assert Gemini().read_reply(data).choices[0].content == [Text(text='a"\\]b')]


def test_an_error_inside_a_stream_ends_it() -> None:
    error = {"error": {"code": 503, "message": "overloaded", "status": "UNAVAILABLE"}}
    events = stream(body({"text": "x"}, finish=None), error, body({"text": "y"}))
    assert isinstance(events[-1], ErrorEvent)
    assert (events[-1].kind, events[-1].status) == ("overloaded", 503)
    with pytest.raises(UpstreamRejected, match="overloaded"):
        read(error)


@pytest.mark.parametrize(
    "value",
    [b"", b"nonsense", b"1", b"[]", b"{}", b"[[]]", b'{"candidates": 1}', b'{"candidates": [1]}', b"\xff",
     b'{"candidates": [{"content": {"parts": 5}}]}', b'{"candidates": [{"content": {"parts": [1]}}]}',
     b'{"candidates": [{"content": {"parts": [{"functionCall": 1}]}}]}', b"[" * 5000],
)  # fmt: skip
def test_what_is_no_answer_is_a_protocol_error(value: bytes) -> None:
    with pytest.raises(UpstreamProtocolError):
        Gemini().read_reply(value)
    if value and not value.startswith(b"["):
        with pytest.raises(UpstreamProtocolError):
            read_stream(b"data: " + value + b"\n\n")


def read_stream(data: bytes) -> None:
    reader = Gemini().stream_reader()
    reader.feed(data)
    assert reader.fault is not None  # found at once, though what came before it is given first
    reader.feed(b"")


def rejected(status: int, error: Any, **headers: str) -> UpstreamRejected:
    names = {name.replace("_", "-"): value for name, value in headers.items()}
    return Gemini().read_error(status, names, json.dumps({"error": error}).encode())


@pytest.mark.parametrize(
    ("status", "word", "message", "kind"),
    [
        (400, "INVALID_ARGUMENT", "bad", "invalid_request"),
        (400, "INVALID_ARGUMENT", "API key not valid. Please pass a valid API key.", "authentication"),
        (400, "INVALID_ARGUMENT", "The input token count (9) exceeds the maximum number of tokens allowed (8).",
         "context_length"),
        (400, "FAILED_PRECONDITION", "User location is not supported for the API use.", "permission"),
        (401, "UNAUTHENTICATED", "x", "authentication"),
        (403, "PERMISSION_DENIED", "x", "permission"),
        (404, "NOT_FOUND", "models/x is not found", "model_not_found"),
        (404, "NOT_FOUND", "Requested entity was not found.", "not_found"),
        (409, "ABORTED", "x", "conflict"),
        (413, "", "x", "request_too_large"),
        (429, "RESOURCE_EXHAUSTED", "You exceeded your current quota, please check your plan and billing details.",
         "rate_limit"),
        (429, "RESOURCE_EXHAUSTED", "Your prepayment credits are depleted.", "billing"),
        (499, "CANCELLED", "x", "cancelled"),
        (500, "INTERNAL", "x", "server_error"),
        (503, "UNAVAILABLE", "The model is overloaded.", "overloaded"),
        (504, "DEADLINE_EXCEEDED", "x", "timeout"),
        (502, "", "x", "upstream"),
        (418, "", "x", "invalid_request"),
    ],
)  # fmt: skip
def test_errors_are_understood(status: int, word: str, message: str, kind: str) -> None:
    error = rejected(status, {"code": status, "message": message, "status": word})
    assert (error.status, error.kind, error.message) == (status, kind, message)


def test_waits_and_details_of_an_error() -> None:
    quota = {"@type": "x/google.rpc.QuotaFailure", "violations": [{"quotaId": "GenerateRequestsPerDayPerProject"}]}
    retry = {"@type": "x/google.rpc.RetryInfo", "retryDelay": "34.5s"}
    error = rejected(429, {"message": "m", "status": "RESOURCE_EXHAUSTED", "details": [quota, retry]})
    assert (error.kind, error.retry_after) == ("quota", 34.5)
    assert rejected(429, {"message": "m"}, retry_after="7").retry_after == 7
    assert rejected(429, {"message": "m"}, retry_after_ms="1500").retry_after == 1.5
    dates = {"retry_after": "Wed, 21 Oct 2026 07:28:10 GMT", "date": "Wed, 21 Oct 2026 07:28:00 GMT"}
    assert rejected(429, {"message": "m"}, **dates).retry_after == 10
    violation = {"fieldViolations": [{"field": "contents[0].role"}]}
    assert rejected(400, {"message": "m", "details": [violation]}).param == "contents[0].role"
    for raw in (b"", b"<html>", b"[1]", b'[{"error": {"message": "in a list"}}]', b'{"error": "text"}', b"\xff"):
        assert Gemini().read_error(500, {}, raw).status == 500


@pytest.mark.parametrize(
    ("error", "status"),
    [
        (InvalidRequest("m", param="p"), "INVALID_ARGUMENT"),
        (ModelNotFound("m"), "NOT_FOUND"),
        (RateLimited("m", retry_after=2.0), "RESOURCE_EXHAUSTED"),
    ],
)
def test_errors_are_told_as_google_tells_them(error: GatewayError, status: str) -> None:
    value = json.loads(Gemini().write_error(error, "req_1"))["error"]
    assert (value["code"], value["message"], value["status"]) == (error.status, "m", status)
    again = Gemini().read_error(error.status, {}, json.dumps({"error": value}).encode())
    assert (again.param, again.retry_after) == (error.param, error.retry_after)


def fitted(schema: dict[str, Any]) -> tuple[dict[str, Any], list[str]]:
    lost: list[str] = []
    return fit_schema(schema, lambda path, _: lost.append(path)), lost


@pytest.mark.parametrize(
    ("schema", "expected", "lost"),
    [
        ({"const": "a"}, {"enum": ["a"], "type": "string"}, []),
        ({"type": "integer", "exclusiveMinimum": 0, "exclusiveMaximum": 9},
         {"type": "integer", "minimum": 1, "maximum": 8}, []),
        ({"type": "integer", "minimum": 5, "exclusiveMinimum": 0}, {"type": "integer", "minimum": 5}, []),
        ({"type": "number", "exclusiveMinimum": 0},
         {"type": "number", "description": "exclusiveMinimum: 0"}, [".exclusiveMinimum"]),
        ({"anyOf": [{"type": "string"}, {"type": "null"}], "$schema": "x", "examples": [1]},
         {"anyOf": [{"type": "string"}, {"type": "null"}], "description": "examples: [1]"}, []),
        ({"definitions": {"A": {"type": "string"}}, "properties": {"a": {"$ref": "#/definitions/A"}}},
         {"$defs": {"A": {"type": "string"}}, "properties": {"a": {"$ref": "#/$defs/A"}}}, []),
        ({"$defs": {"A": {"type": "string"}}, "properties": {"a": {"$ref": "#/$defs/A", "description": "d"}}},
         {"$defs": {"A": {"type": "string"}}, "properties": {"a": {"type": "string", "description": "d"}}}, []),
        ({"allOf": [{"properties": {"a": {"type": "string"}}, "required": ["a"]}], "type": "object"},
         {"type": "object", "properties": {"a": {"type": "string"}}, "required": ["a"]}, []),
        ({"allOf": [{"type": "string"}], "type": "object"}, {"type": "object"}, [".allOf[0]"]),
        ({"type": "array", "uniqueItems": True, "items": {"type": "string", "pattern": "^a"}},
         {"type": "array", "items": {"type": "string", "pattern": "^a"}, "description": "uniqueItems: true"},
         [".uniqueItems"]),
        ({"properties": {"const": {"not": {"type": "null"}}}, "additionalProperties": False},
         {"properties": {"const": {"description": 'not: {"type":"null"}'}}, "additionalProperties": False},
         [".properties.const.not"]),
    ],
)  # fmt: skip
def test_schemas_lose_nothing_in_silence(schema: dict[str, Any], expected: dict[str, Any], lost: list[str]) -> None:
    assert fitted(schema) == (expected, lost)


def test_a_recursive_schema_keeps_its_reference() -> None:
    node = {"type": "object", "properties": {"next": {"$ref": "#/$defs/N", "description": "d"}}}
    schema, lost = fitted({"$defs": {"N": node}, "properties": {"n": {"$ref": "#/$defs/N"}}})
    assert schema["$defs"]["N"]["properties"]["next"] == {"$ref": "#/$defs/N"}
    assert lost == [".$defs.N.properties.next.description"]


def test_openapi_schemas_become_json_schemas() -> None:
    schema = {
        "type": "OBJECT",
        "properties": {
            "type": {"type": "STRING", "nullable": True, "format": "enum", "enum": ["a"]},
            "list": {"type": "ARRAY", "minItems": "2", "items": {"anyOf": [{"type": "NUMBER"}], "nullable": True}},
        },
        "property_ordering": ["type"],
    }
    assert read_openapi(schema) == {
        "type": "object",
        "properties": {
            "type": {"type": ["string", "null"], "enum": ["a", None]},
            "list": {"type": "array", "minItems": 2, "items": {"anyOf": [{"type": "number"}, {"type": "null"}]}},
        },
    }
