"""What a provider's raw answer means, straight from its JSON or stream, without any of the gateway's readers."""

from __future__ import annotations

import base64
import json
from collections.abc import Iterator
from typing import Any

from botocore.eventstream import EventStreamBuffer

from tests.wire.audit.meaning import Answer, Call, Meaning, decoded, picture

FINISH = {
    # chat completions, and what others say on it
    "stop": "stop",
    "length": "length",
    "model_length": "length",
    "tool_calls": "tool_calls",
    "function_call": "tool_calls",
    "content_filter": "filter",
    "eos": "stop",
    "error": "error",
    "insufficient_system_resource": "error",
    "sensitive": "filter",
    "network_error": "error",
    # messages, and converse
    "end_turn": "stop",
    "stop_sequence": "stop",
    "max_tokens": "length",
    "model_context_window_exceeded": "length",
    "tool_use": "tool_calls",
    "refusal": "filter",
    "pause_turn": "pause",
    "guardrail_intervened": "filter",
    "content_filtered": "filter",
    "malformed_model_output": "error",
    "malformed_tool_use": "error",
    # gemini
    "STOP": "stop",
    "MAX_TOKENS": "length",
    "SAFETY": "filter",
    "RECITATION": "filter",
    "BLOCKLIST": "filter",
    "PROHIBITED_CONTENT": "filter",
    "SPII": "filter",
    "IMAGE_SAFETY": "filter",
    "LANGUAGE": "filter",
    "MODEL_ARMOR": "filter",
    "MALFORMED_FUNCTION_CALL": "error",
    "UNEXPECTED_TOOL_CALL": "error",
    "OTHER": "error",
    # cohere
    "COMPLETE": "stop",
    "STOP_SEQUENCE": "stop",
    "TOOL_CALL": "tool_calls",
    "ERROR": "error",
    "ERROR_TOXIC": "filter",
    "TIMEOUT": "error",
}


def sse(body: bytes) -> list[str]:
    """The data of each event of a server-sent stream."""
    text = body.decode("utf-8").replace("\r\n", "\n").replace("\r", "\n")
    blocks = text.split("\n\n")
    found = ["\n".join(line[5:].lstrip(" ") for line in b.split("\n") if line.startswith("data:")) for b in blocks]
    return [data for data in found if data]


def meaning_of(wire: str, body: bytes, *, stream: bool) -> Meaning:
    """What an answer in this wire format means."""
    return (STREAMS if stream else WHOLE)[wire](body)


# -- chat completions ------------------------------------------------------------------------------------------------


def chat(body: bytes) -> Meaning:
    value = json.loads(body)
    if value.get("error") and not value.get("choices"):
        return Meaning(error=str(value["error"]))
    answers = []
    for choice in sorted(value.get("choices") or [], key=lambda one: one.get("index") or 0):
        message = choice.get("message") or {}
        answer = Answer(finish=FINISH.get(choice.get("finish_reason") or ""))
        _chat_delta(answer, message)
        _reason(answer, message)
        answer.calls = [_chat_call(call) for call in message.get("tool_calls") or []]
        if (message.get("function_call") or {}).get("name"):
            call = message["function_call"]
            answer.calls.append(Call(call["name"], decoded(call["arguments"])))
        answers.append(answer)
    return Meaning(answers, _chat_usage(value.get("usage")))


def _chat_call(call: dict[str, Any]) -> Call:
    if (call.get("custom") or {}).get("name"):
        return Call(call["custom"]["name"], call["custom"]["input"], call.get("id"))
    return Call(call["function"]["name"], decoded(call["function"].get("arguments")), call.get("id"))


def _chat_delta(answer: Answer, message: dict[str, Any]) -> None:
    content = message.get("content")
    if isinstance(content, str):
        answer.text += content
    elif isinstance(content, dict):  # Cloudflare's structured answers come decoded
        answer.text += json.dumps(content, separators=(",", ":"), ensure_ascii=False)
    for part in content if isinstance(content, list) else []:
        if part["type"] == "text":
            answer.text += part["text"]
        elif part["type"] == "thinking":
            inner = part["thinking"]
            answer.reasoning += inner if isinstance(inner, str) else "".join(one.get("text", "") for one in inner)
        elif part["type"] == "reasoning":
            answer.reasoning += "".join(one.get("text", "") for one in part.get("summary", []))
    answer.refusal += message.get("refusal") or ""
    for note in message.get("annotations") or []:
        if note.get("type") == "url_citation":
            answer.cited.add(note["url_citation"]["url"])
    for image in message.get("images") or []:
        answer.pictures.add(picture(image["image_url"]["url"]))
    audio = message.get("audio") or {}
    answer.text += audio.get("transcript") or ""


def _reason(answer: Answer, message: dict[str, Any]) -> None:
    """Reasoning is told by one of several names, sometimes by two at once."""
    for name in ("reasoning_content", "reasoning"):
        if isinstance(message.get(name), str) and message[name]:
            answer.reasoning += message[name]
            return
    for detail in message.get("reasoning_details") or []:
        answer.reasoning += detail.get("text") or detail.get("summary") or ""


def _chat_usage(usage: Any) -> dict[str, int] | None:
    if not usage:
        return None
    details = usage.get("prompt_tokens_details") or {}
    prompt = usage.get("prompt_tokens") or 0
    completion = usage.get("completion_tokens") or 0
    # Gemini's and xAI's reasoning, which they count apart.
    unnamed = max(0, (usage.get("total_tokens") or 0) - prompt - completion)
    cached = (details.get("cached_tokens"), usage.get("prompt_cache_hit_tokens"), usage.get("num_cached_tokens"))
    return {
        "prompt": prompt,
        "completion": completion + unnamed,
        "cached": next(filter(None, cached), 0),
        "reasoning": (usage.get("completion_tokens_details") or {}).get("reasoning_tokens") or unnamed,
    }


def chat_stream(body: bytes) -> Meaning:
    answers: dict[int, Answer] = {}
    calls: dict[int, dict[Any, list[Any]]] = {}
    meaning = Meaning(ended=False)
    for data in sse(body):
        if data == "[DONE]":
            meaning.ended = True
            break
        value = json.loads(data)
        if value.get("error"):
            meaning.error = str(value["error"])
            break
        told = value.get("usage") or (value.get("x_groq") or {}).get("usage")
        meaning.usage = _chat_usage(told) or meaning.usage
        for choice in value.get("choices") or []:
            index = choice.get("index") or 0
            answer = answers.setdefault(index, Answer())
            delta = choice.get("delta") or {}
            _chat_delta(answer, delta)
            _reason(answer, delta)
            here = calls.setdefault(index, {})
            for call in delta.get("tool_calls") or []:
                _collect(here, call)
            if any((delta.get("function_call") or {}).values()):
                _collect(here, {"index": 0, "function": delta["function_call"]})
            if choice.get("finish_reason"):
                answer.finish = FINISH.get(choice["finish_reason"])
    for index, found in calls.items():
        answers[index].calls = [Call(name, decoded(text), own_id) for name, text, own_id in found.values()]
    meaning.answers = [answers[index] for index in sorted(answers)]
    # Some end without the mark, behind a reason for each choice.
    meaning.ended = meaning.ended or bool(answers and all(answer.finish for answer in meaning.answers))
    return meaning


def _collect(here: dict[Any, list[Any]], call: dict[str, Any]) -> None:
    inner = call.get("function") or call.get("custom") or {}
    key = call.get("index")
    if key is None:
        key = call.get("id") or (list(here)[-1] if here else 0)
    if key in here and call.get("id") and call.get("id") != here[key][2] and inner.get("name"):
        key = (key, call["id"])  # a second call under the same index
    entry = here.setdefault(key, ["", "", call.get("id")])
    entry[0] = entry[0] or inner.get("name") or ""
    more = inner.get("arguments") or inner.get("input") or ""
    entry[1] += more if isinstance(more, str) else json.dumps(more)


# -- responses -------------------------------------------------------------------------------------------------------


def responses(body: bytes) -> Meaning:
    value = json.loads(body)
    if value.get("status") == "failed" or "output" not in value:
        return Meaning(error=str(value.get("error")))
    return _response(value)


def _response(value: dict[str, Any]) -> Meaning:
    answer = Answer()
    for item in value["output"]:
        kind = item["type"]
        if kind == "message":
            for part in item["content"]:
                answer.text += part.get("text") or ""
                answer.refusal += part.get("refusal") or ""
                answer.cited |= {note["url"] for note in part.get("annotations") or [] if "url" in note}
        elif kind == "image_generation_call":
            answer.pictures.add(picture(item["result"]))
        elif kind == "reasoning":
            said = "".join(part["text"] for part in item.get("summary") or [])
            answer.reasoning += said or "".join(part["text"] for part in item.get("content") or [])
        elif kind == "function_call":
            answer.calls.append(Call(item["name"], decoded(item["arguments"]), item["call_id"]))
        elif kind == "custom_tool_call":
            answer.calls.append(Call(item["name"], item["input"], item["call_id"]))
        elif kind == "tool_search_call" and item.get("execution") == "client":
            answer.calls.append(Call("tool_search", decoded(item["arguments"])))
    reason = (value.get("incomplete_details") or {}).get("reason")
    answer.finish = {"max_output_tokens": "length", "content_filter": "filter"}.get(reason or "", "stop")
    usage = value.get("usage")
    told = usage and {
        "prompt": usage["input_tokens"],
        "completion": usage["output_tokens"],
        "cached": (usage.get("input_tokens_details") or {}).get("cached_tokens") or 0,
        "reasoning": (usage.get("output_tokens_details") or {}).get("reasoning_tokens") or 0,
    }
    return Meaning([answer], told)


def responses_stream(body: bytes) -> Meaning:
    items: dict[int, dict[str, Any]] = {}
    for data in sse(body):
        if data == "[DONE]":
            continue
        value = json.loads(data)
        kind = value["type"]
        if kind == "response.output_item.done":
            items[value["output_index"]] = value["item"]
        elif kind in ("response.completed", "response.incomplete"):
            response = value["response"]
            # Some leave the output out of the last event.
            response["output"] = response.get("output") or [items[index] for index in sorted(items)]
            return _response(response)
        elif kind in ("error", "response.failed"):
            return Meaning(error=data, ended=False)
    return Meaning(ended=False)


# -- messages --------------------------------------------------------------------------------------------------------


def messages(body: bytes) -> Meaning:
    value = json.loads(body)
    if value.get("type") == "error":
        return Meaning(error=str(value["error"]))
    answer = Answer(finish=FINISH.get(value.get("stop_reason") or ""))
    for block in value["content"]:
        _block(answer, block)
    return Meaning([answer], _messages_usage(value["usage"]))


def _block(answer: Answer, block: dict[str, Any]) -> None:
    if block["type"] == "text":
        answer.text += block["text"]
        answer.cited |= {note["url"] for note in block.get("citations") or [] if "url" in note}
    elif block["type"] == "thinking":
        answer.reasoning += block["thinking"]
    elif block["type"] == "tool_use":
        answer.calls.append(Call(block["name"], decoded(block["input"]), block["id"]))


def _messages_usage(usage: dict[str, Any]) -> dict[str, int]:
    read, written = usage.get("cache_read_input_tokens") or 0, usage.get("cache_creation_input_tokens") or 0
    return {
        "prompt": (usage.get("input_tokens") or 0) + read + written,
        "completion": usage.get("output_tokens") or 0,
        "cached": read,
        "reasoning": (usage.get("output_tokens_details") or {}).get("thinking_tokens") or 0,
    }


def messages_stream(body: bytes) -> Meaning:
    return _messages_events([json.loads(data) for data in sse(body)])


def _messages_events(events: list[dict[str, Any]]) -> Meaning:
    answer, meaning = Answer(), Meaning(ended=False)
    blocks: dict[int, dict[str, Any]] = {}
    usage: dict[str, Any] = {}
    for value in events:
        kind = value["type"]
        if kind == "message_start":
            usage |= value["message"]["usage"]
        elif kind == "content_block_start":
            blocks[value["index"]] = {**value["content_block"], "json": ""}
        elif kind == "content_block_delta":
            _grow(blocks[value["index"]], value["delta"])
        elif kind == "message_delta":
            answer.finish = FINISH.get(value["delta"].get("stop_reason") or "")
            usage |= {key: item for key, item in (value.get("usage") or {}).items() if item is not None}
        elif kind == "message_stop":
            meaning.ended = True
        elif kind == "error":
            meaning.error = str(value["error"])
    for index in sorted(blocks):
        block = blocks[index]
        _block(answer, {**block, "input": block["json"] or block.get("input")})
    meaning.answers, meaning.usage = [answer], _messages_usage(usage)
    return meaning


def _grow(block: dict[str, Any], delta: dict[str, Any]) -> None:
    for name in ("text", "thinking"):
        if name in delta:
            block[name] += delta[name]
    block["json"] += delta.get("partial_json", "")
    if "citation" in delta:
        block["citations"] = [*(block.get("citations") or []), delta["citation"]]


# -- gemini ----------------------------------------------------------------------------------------------------------


def gemini(body: bytes) -> Meaning:
    return _gemini([json.loads(body)])


def gemini_stream(body: bytes) -> Meaning:
    if not body.lstrip().startswith(b"["):
        return _gemini([json.loads(data) for data in sse(body)])
    values, text, at = [], body.decode("utf-8", "ignore"), body.index(b"[") + 1
    while at < len(text):  # an array, which may be cut
        if text[at] != "{":
            at += 1
            continue
        try:
            value, at = json.JSONDecoder().raw_decode(text, at)
        except ValueError:
            break
        values.append(value)
    return _gemini(values)


def _called(call: dict[str, Any]) -> tuple[str, Any, str | None]:
    return call["name"], call.get("args") or {}, call.get("id")


def _word(reason: Any) -> str:
    """An enumeration's name; Vertex gives its number at times."""
    if not isinstance(reason, int):
        return str(reason)
    return ("", "STOP", "MAX_TOKENS", "SAFETY", "RECITATION", "OTHER", "BLOCKLIST", "PROHIBITED_CONTENT", "SPII")[
        reason
    ]


def _gemini(values: list[dict[str, Any]]) -> Meaning:
    answers: dict[int, Answer] = {}
    meaning = Meaning(ended=False)
    for value in values:
        if "error" in value:
            meaning.error = str(value["error"])
        if (value.get("promptFeedback") or {}).get("blockReason"):
            answers.setdefault(0, Answer()).finish = "filter"
        for candidate in value.get("candidates") or []:
            _candidate(answers.setdefault(candidate.get("index") or 0, Answer()), candidate)
        usage = value.get("usageMetadata")
        if usage:
            thoughts = usage.get("thoughtsTokenCount") or 0
            meaning.usage = {
                "prompt": (usage.get("promptTokenCount") or 0) + (usage.get("toolUsePromptTokenCount") or 0),
                "completion": (usage.get("candidatesTokenCount") or 0) + thoughts,
                "cached": usage.get("cachedContentTokenCount") or 0,
                "reasoning": thoughts,
            }
    meaning.answers = [answers[index] for index in sorted(answers)]
    meaning.ended = any(answer.finish for answer in meaning.answers)
    return meaning


def _candidate(answer: Answer, candidate: dict[str, Any]) -> None:
    for part in (candidate.get("content") or {}).get("parts") or []:
        if part.get("thought"):
            answer.reasoning += part.get("text") or ""
            continue
        if "functionCall" in part:
            answer.calls.append(Call(*_called(part["functionCall"])))
        answer.text += part.get("text") or ""
        if "inlineData" in part:
            answer.pictures.add(picture(part["inlineData"]["data"]))
    metadata = candidate.get("groundingMetadata") or {}
    # What supports nothing of the text is a search result, and no citation.
    used = {n for one in metadata.get("groundingSupports") or [] for n in one.get("groundingChunkIndices") or []}
    pages = [chunk.get("web", {}) for chunk in metadata.get("groundingChunks") or []]
    answer.cited |= {page["uri"] for at, page in enumerate(pages) if at in used and "uri" in page}
    if candidate.get("finishReason"):
        answer.finish = FINISH.get(_word(candidate["finishReason"]))


# -- bedrock ---------------------------------------------------------------------------------------------------------


def converse(body: bytes) -> Meaning:
    value = json.loads(body)
    answer = Answer(finish=FINISH.get(value.get("stopReason") or ""))
    for block in (value.get("output") or {}).get("message", {}).get("content") or []:
        _converse_block(answer, block)
    return Meaning([answer], _converse_usage(value["usage"]))


def _converse_block(answer: Answer, block: dict[str, Any]) -> None:
    answer.text += block.get("text") or ""
    if "toolUse" in block:
        answer.calls.append(
            Call(block["toolUse"]["name"], decoded(block["toolUse"].get("input")), block["toolUse"]["toolUseId"])
        )
    thought = (block.get("reasoningContent") or {}).get("reasoningText") or {}
    answer.reasoning += thought.get("text") or ""
    for piece in (block.get("citationsContent") or {}).get("content") or []:
        answer.text += piece.get("text") or ""


def _converse_usage(usage: dict[str, Any]) -> dict[str, int]:
    read, written = usage.get("cacheReadInputTokens") or 0, usage.get("cacheWriteInputTokens") or 0
    return {"prompt": usage["inputTokens"] + read + written, "completion": usage["outputTokens"], "cached": read}


def aws_events(body: bytes) -> Iterator[tuple[str, dict[str, Any]]]:
    """The events of an AWS event stream, by botocore's own parser: type, and payload."""
    buffer = EventStreamBuffer()
    buffer.add_data(body)
    for message in buffer:
        kind = message.headers.get(":event-type") or message.headers.get(":exception-type") or ""
        yield kind, json.loads(message.payload)


def converse_stream(body: bytes) -> Meaning:
    answer, meaning = Answer(), Meaning(ended=False)
    blocks: dict[int, dict[str, Any]] = {}
    for kind, value in aws_events(body):
        index: int = value.get("contentBlockIndex", 0)
        if kind == "contentBlockStart":
            blocks[index] = (
                {"toolUse": {**value["start"]["toolUse"], "input": ""}} if "toolUse" in value["start"] else {}
            )
        elif kind == "contentBlockDelta":
            block, delta = blocks.setdefault(index, {}), value["delta"]
            if "text" in delta:
                block["text"] = block.get("text", "") + delta["text"]
            if "toolUse" in delta:
                block["toolUse"]["input"] += delta["toolUse"]["input"]
            thought = block.setdefault("reasoningContent", {}).setdefault("reasoningText", {"text": ""})
            thought["text"] += (delta.get("reasoningContent") or {}).get("text") or ""
        elif kind == "messageStop":
            answer.finish = FINISH.get(value["stopReason"])
        elif kind == "metadata":
            meaning.usage = _converse_usage(value["usage"])
            meaning.ended = True
        elif kind.endswith("Exception"):
            meaning.error = kind
    for index in sorted(blocks):
        _converse_block(answer, blocks[index])
    meaning.answers = [answer]
    return meaning


def invoke_stream(body: bytes) -> Meaning:
    chunks = [base64.b64decode(value["bytes"]) for kind, value in aws_events(body) if kind == "chunk"]
    return _messages_events([json.loads(chunk) for chunk in chunks])


# -- cohere, ollama --------------------------------------------------------------------------------------------------


def cohere(body: bytes) -> Meaning:
    value = json.loads(body)
    message = value["message"]
    answer = Answer(finish=FINISH.get(value["finish_reason"]), reasoning=message.get("tool_plan") or "")
    for part in message.get("content") or []:
        answer.text += part.get("text") or ""
        answer.reasoning += part.get("thinking") or ""
    answer.calls = [_chat_call(call) for call in message.get("tool_calls") or []]
    return Meaning([answer], _cohere_usage(value.get("usage")))


def _cohere_usage(usage: Any) -> dict[str, int] | None:
    tokens = (usage or {}).get("tokens") or (usage or {}).get("billed_units")
    if not tokens:
        return None
    return {"prompt": int(tokens.get("input_tokens") or 0), "completion": int(tokens.get("output_tokens") or 0)}


def cohere_stream(body: bytes) -> Meaning:
    answer, meaning = Answer(), Meaning(ended=False)
    calls: dict[int, list[str]] = {}
    for data in sse(body):
        if data == "[DONE]":
            continue
        value = json.loads(data)
        message = (value.get("delta") or {}).get("message") or {}
        kind = value["type"]
        if kind in ("content-start", "content-delta"):
            content = message.get("content") or {}
            answer.text += content.get("text") or ""
            answer.reasoning += content.get("thinking") or ""
        elif kind == "tool-plan-delta":
            answer.reasoning += message.get("tool_plan") or ""
        elif kind == "tool-call-start":
            function = message["tool_calls"]["function"]
            calls[value["index"]] = [function["name"], function.get("arguments") or ""]
        elif kind == "tool-call-delta":
            calls[value["index"]][1] += message["tool_calls"]["function"]["arguments"]
        elif kind == "message-end":
            answer.finish = FINISH.get(value["delta"]["finish_reason"])
            meaning.usage, meaning.ended = _cohere_usage(value["delta"].get("usage")), True
    answer.calls = [Call(name, decoded(text)) for name, text in calls.values()]
    meaning.answers = [answer]
    return meaning


def ollama(body: bytes) -> Meaning:
    return ollama_stream(body.replace(b"\n", b" "))


def ollama_stream(body: bytes) -> Meaning:
    answer, meaning = Answer(), Meaning(ended=False)
    for line in body.splitlines():
        if not line.strip():
            continue
        value = json.loads(line)
        message = value.get("message") or {}
        answer.text += message.get("content") or ""
        answer.reasoning += message.get("thinking") or ""
        answer.calls += [
            Call(call["function"]["name"], call["function"].get("arguments") or {})
            for call in message.get("tool_calls") or []
        ]
        if value.get("done"):
            meaning.ended, answer.finish = True, FINISH.get(value.get("done_reason") or "stop")
            meaning.usage = {"prompt": value.get("prompt_eval_count") or 0, "completion": value.get("eval_count") or 0}
    meaning.answers = [answer]
    return meaning


# -- legacy completions ----------------------------------------------------------------------------------------------


def completion(body: bytes) -> Meaning:
    value = json.loads(body)
    choices = sorted(value["choices"], key=lambda one: one.get("index") or 0)
    answers = [Answer(text=one.get("text") or "", finish=FINISH.get(one.get("finish_reason") or "")) for one in choices]
    return Meaning(answers, _chat_usage(value.get("usage")))


def completion_stream(body: bytes) -> Meaning:
    answers: dict[int, Answer] = {}
    meaning = Meaning(ended=False)
    for data in sse(body):
        if data == "[DONE]":
            meaning.ended = True
            break
        value = json.loads(data)
        if value.get("error"):
            meaning.error = str(value["error"])
            break
        meaning.usage = _chat_usage(value.get("usage")) or meaning.usage
        if "value" in value:
            value["choices"] = [{"text": value["value"]}]  # Writer's older models
        for choice in value.get("choices") or []:
            answer = answers.setdefault(choice.get("index") or 0, Answer())
            answer.text += choice.get("text") or ""
            answer.finish = FINISH.get(choice.get("finish_reason") or "") or answer.finish
    meaning.answers = [answers[index] for index in sorted(answers)]
    meaning.ended = meaning.ended or bool(answers and all(answer.finish for answer in meaning.answers))
    return meaning


WHOLE = {
    "openai_chat": chat,
    "openai_completions": completion,
    "openai_responses": responses,
    "anthropic_messages": messages,
    "bedrock_invoke_anthropic": messages,
    "gemini": gemini,
    "bedrock_converse": converse,
    "cohere_chat": cohere,
    "ollama_chat": ollama,
}
STREAMS = {
    "openai_chat": chat_stream,
    "openai_completions": completion_stream,
    "openai_responses": responses_stream,
    "anthropic_messages": messages_stream,
    "bedrock_invoke_anthropic": invoke_stream,
    "gemini": gemini_stream,
    "bedrock_converse": converse_stream,
    "cohere_chat": cohere_stream,
    "ollama_chat": ollama_stream,
}
