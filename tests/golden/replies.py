"""The features of replies."""

from __future__ import annotations

from typing import Any

from tests.golden.speech import FORMATS, PNG, WAV, Feature, Json, Said

USAGE: Json = {"prompt_tokens": 20, "completion_tokens": 9, "total_tokens": 29}
CALL: Json = {"id": "call_1", "type": "function", "function": {"name": "mktool", "arguments": '{"mkcity":"mkparis"}'}}
TOOL_USE: Json = {"type": "tool_use", "id": "call_1", "name": "mktool", "input": {"mkcity": "mkparis"}}
TEXT: Json = {"type": "text", "text": "Yes."}


def completion(message: Json | None = None, choice: Json | None = None, **fields: Any) -> Said:
    """A chat completion that says a feature, and one without it."""
    plain: Json = {"index": 0, "message": {"role": "assistant", "content": "Yes."}, "finish_reason": "stop"}
    said = {**plain, "message": {**plain["message"], **(message or {})}, **(choice or {})}
    head: Json = {"id": "chatcmpl-1", "object": "chat.completion", "created": 1, "model": "m", "usage": USAGE}
    return Said({**head, "choices": [said], **fields}, {**head, "choices": [plain]})


def message(*blocks: Json, without: list[Json] | None = None, **fields: Any) -> Said:
    """A message of Anthropic's that says a feature, and one without it."""
    head: Json = {
        "id": "msg_1",
        "type": "message",
        "role": "assistant",
        "model": "m",
        "content": [TEXT],
        "stop_reason": "end_turn",
        "usage": {"input_tokens": 20, "output_tokens": 9},
    }
    said = {"content": [*blocks]} if blocks else {}
    return Said({**head, **said, **fields}, {**head, **({} if without is None else {"content": without})})


def candidate(*parts: Json, without: list[Json] | None = None, fields: Json | None = None, **said: Any) -> Said:
    """A reply of Gemini's; ``fields`` are of the candidate, ``said`` of the reply itself."""
    plain: Json = {"content": {"role": "model", "parts": without or [{"text": "Yes."}]}, "finishReason": "STOP"}
    full = {**plain, **({"content": {"role": "model", "parts": [*parts]}} if parts else {}), **(fields or {})}
    counts = {"promptTokenCount": 20, "candidatesTokenCount": 9, "totalTokenCount": 29}
    head: Json = {"responseId": "resp1", "modelVersion": "m", "usageMetadata": counts}
    return Said({**head, "candidates": [full], **said}, {**head, "candidates": [plain]})


def response(*items: Json, without: list[Json] | None = None, **fields: Any) -> Said:
    """A reply of OpenAI's Responses."""
    plain = [output({"type": "output_text", "text": "Yes.", "annotations": []})]
    head: Json = {
        "id": "resp_1",
        "object": "response",
        "created_at": 1,
        "status": "completed",
        "model": "m",
        "usage": {"input_tokens": 20, "output_tokens": 9, "total_tokens": 29},
    }
    return Said({**head, "output": [*items] or plain, **fields}, {**head, "output": without or plain})


def output(*parts: Json) -> Json:
    """An output item of Responses."""
    return {"type": "message", "id": "msg_1", "role": "assistant", "status": "completed", "content": [*parts]}


def answer(group: str, name: str, **said: Said) -> Feature:
    """A row; the keywords are those of ``speech.feature``."""
    return Feature(group, name, {FORMATS[word]: body for word, body in said.items()})


CITED: Json = {
    "type": "web_search_result_location",
    "url": "https://x/mkurl",
    "title": "mktitle",
    "cited_text": "mkcited",
    "encrypted_index": "mkindex",
}
ANNOTATION: Json = {"url": "https://x/mkurl", "title": "mktitle", "start_index": 1, "end_index": 3}
LOGPROBS: Json = {"content": [{"token": "Yes.", "logprob": -0.5, "bytes": None, "top_logprobs": []}]}

REPLIES: list[Feature] = [
    answer(
        "Content",
        "text",
        chat=completion({"content": "mktext"}),
        messages=message({"type": "text", "text": "mktext"}),
        gemini=candidate({"text": "mktext"}),
        responses=response(output({"type": "output_text", "text": "mktext", "annotations": []})),
    ),
    answer(
        "Content",
        "tool call",
        chat=completion({"content": None, "tool_calls": [CALL]}, {"finish_reason": "tool_calls"}),
        messages=message(TOOL_USE, stop_reason="tool_use"),
        gemini=candidate({"functionCall": {"name": "mktool", "args": {"mkcity": "mkparis"}}}),
        responses=response(
            {
                "type": "function_call",
                "id": "fc_1",
                "call_id": "call_1",
                "name": "mktool",
                "arguments": '{"mkcity":"mkparis"}',
                "status": "completed",
            }
        ),
    ),
    answer(
        "Content",
        "parallel calls",
        chat=completion(
            {
                "content": None,
                "tool_calls": [CALL, {**CALL, "id": "call_2", "function": {"name": "mkother", "arguments": "{}"}}],
            },
            {"finish_reason": "tool_calls"},
        ),
        messages=message(
            TOOL_USE, {"type": "tool_use", "id": "call_2", "name": "mkother", "input": {}}, stop_reason="tool_use"
        ),
        gemini=candidate(
            {"functionCall": {"name": "mktool", "args": {"mkcity": "mkparis"}}},
            {"functionCall": {"name": "mkother", "args": {}}},
        ),
    ),
    answer(
        "Content",
        "who may call (caller)",
        messages=message({**TOOL_USE, "caller": {"type": "mkcaller"}}, without=[TOOL_USE], stop_reason="tool_use"),
    ),
    answer(
        "Content",
        "thinking with signature",
        messages=message({"type": "thinking", "thinking": "mkthought", "signature": "mksignature"}, TEXT),
        gemini=candidate({"text": "mkthought", "thought": True}, {"text": "Yes.", "thoughtSignature": "bWs="}),
    ),
    answer("Content", "redacted thinking", messages=message({"type": "redacted_thinking", "data": "mkredacted"}, TEXT)),
    answer(
        "Content",
        "plain reasoning",
        chat=completion({"reasoning_content": "mkthought"}),
    ),
    answer(
        "Content",
        "encrypted reasoning",
        responses=response(
            {
                "type": "reasoning",
                "id": "rs_1",
                "summary": [{"type": "summary_text", "text": "mkthought"}],
                "encrypted_content": "mkencrypted",
            },
            output({"type": "output_text", "text": "Yes.", "annotations": []}),
        ),
    ),
    answer(
        "Content",
        "thought signature of a call",
        chat=completion(
            {
                "content": None,
                "tool_calls": [{**CALL, "extra_content": {"google": {"thought_signature": "mksignature"}}}],
            },
            {"finish_reason": "tool_calls"},
        ),
        gemini=candidate({"functionCall": {"name": "mktool", "args": {}}, "thoughtSignature": "bWtz"}),
    ),
    answer(
        "Content",
        "citation of a page",
        chat=completion({"annotations": [{"type": "url_citation", "url_citation": ANNOTATION}]}),
        messages=message({**TEXT, "citations": [CITED]}),
        responses=response(
            output({"type": "output_text", "text": "Yes.", "annotations": [{"type": "url_citation", **ANNOTATION}]})
        ),
    ),
    answer(
        "Content",
        "citation of a document",
        messages=message(
            {
                **TEXT,
                "citations": [
                    {
                        "type": "char_location",
                        "cited_text": "mkcited",
                        "document_index": 0,
                        "document_title": "mktitle",
                        "start_char_index": 0,
                        "end_char_index": 4,
                    }
                ],
            }
        ),
    ),
    answer(
        "Content",
        "refusal in words",
        chat=completion({"content": None, "refusal": "mkrefusal"}),
        responses=response(output({"type": "refusal", "refusal": "mkrefusal"})),
    ),
    answer(
        "Content",
        "image",
        chat=completion({"images": [{"type": "image_url", "image_url": {"url": f"data:image/png;base64,{PNG}"}}]}),
        gemini=candidate({"text": "Yes."}, {"inlineData": {"mimeType": "image/png", "data": PNG}}),
    ),
    answer(
        "Content",
        "audio",
        chat=completion({"audio": {"id": "audio_1", "data": WAV, "expires_at": 1, "transcript": "mkheard"}}),
    ),
    answer(
        "Content",
        "web search at the provider",
        messages=message(
            {"type": "server_tool_use", "id": "srvtoolu_1", "name": "web_search", "input": {"query": "mkquery"}},
            {"type": "web_search_tool_result", "tool_use_id": "srvtoolu_1", "content": []},
            TEXT,
        ),
    ),
    answer(
        "End",
        "length",
        chat=completion(choice={"finish_reason": "length"}),
        messages=message(stop_reason="max_tokens"),
        gemini=candidate(fields={"finishReason": "MAX_TOKENS"}),
    ),
    answer(
        "End",
        "content filter or refusal",
        chat=completion(choice={"finish_reason": "content_filter"}),
        messages=message(stop_reason="refusal"),
        gemini=candidate(fields={"finishReason": "SAFETY"}),
    ),
    answer(
        "End",
        "stop string that was met",
        chat=completion(choice={"stop_reason": "mkstop"}),
        messages=message(stop_reason="stop_sequence", stop_sequence="mkstop"),
    ),
    answer("End", "pause of a long turn", messages=message(stop_reason="pause_turn")),
    answer(
        "Numbers",
        "log probabilities",
        chat=completion(choice={"logprobs": LOGPROBS}),
    ),
    answer(
        "Numbers",
        "several answers",
        chat=completion(
            choices=[
                {"index": 0, "message": {"role": "assistant", "content": "Yes."}, "finish_reason": "stop"},
                {"index": 1, "message": {"role": "assistant", "content": "mkother"}, "finish_reason": "stop"},
            ]
        ),
    ),
    answer(
        "Numbers",
        "tokens read from the cache",
        chat=completion(usage={**USAGE, "prompt_tokens_details": {"cached_tokens": 5}}),
        messages=message(usage={"input_tokens": 15, "cache_read_input_tokens": 5, "output_tokens": 9}),
    ),
    answer(
        "Numbers",
        "tokens written to the cache",
        messages=message(
            usage={
                "input_tokens": 15,
                "cache_creation_input_tokens": 5,
                "cache_creation": {"ephemeral_1h_input_tokens": 5, "ephemeral_5m_input_tokens": 0},
                "output_tokens": 9,
            }
        ),
    ),
    answer(
        "Numbers",
        "reasoning tokens",
        chat=completion(usage={**USAGE, "completion_tokens_details": {"reasoning_tokens": 5}}),
        messages=message(
            usage={"input_tokens": 20, "output_tokens": 9, "output_tokens_details": {"thinking_tokens": 5}}
        ),
    ),
    answer(
        "Numbers",
        "service tier",
        chat=completion(service_tier="default"),
        messages=message(usage={"input_tokens": 20, "output_tokens": 9, "service_tier": "standard"}),
    ),
    answer(
        "Numbers",
        "field that nobody knows",
        chat=completion(mkfield="mkvalue"),
        messages=message(mkfield="mkvalue"),
    ),
]
"""Every row of the table of replies, in the order in which the page shows them."""
