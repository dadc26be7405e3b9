"""A whole chat completion, both ways."""

from __future__ import annotations

import re
from typing import Any

import msgspec

from gateway.errors import InvalidRequest, UpstreamProtocolError
from gateway.format import Dropped
from gateway.protocol import ChatReply, Choice, Media, Part, Refusal, Text, Thinking, ToolCall
from gateway_plugins.formats.answer_json import decode_answer
from gateway_plugins.formats.custom_tools import custom_names, unwrapped
from gateway_plugins.formats.json_fields import index_of, merge
from gateway_plugins.formats.openai_chat_fields import NAME
from gateway_plugins.formats.openai_chat_finish import annotations_of, native_word, read_finish, unsaid_of, write_finish
from gateway_plugins.formats.openai_chat_media import read_content, url_of
from gateway_plugins.formats.openai_chat_messages import images_of
from gateway_plugins.formats.openai_chat_reasoning import is_plain, reasoning_chunk, take_thinking, write_details
from gateway_plugins.formats.openai_chat_tools import argument_text, tool_call_of, write_tool_call
from gateway_plugins.formats.openai_chat_usage import read_usage, write_usage, written_tier
from gateway_plugins.formats.openai_errors import is_error, rejected

_UNSAFE = re.compile(r"[^a-zA-Z0-9_-]")


def read_reply(body: bytes) -> ChatReply:
    """A provider's whole reply; raises UpstreamRejected for an error under a good status.

    What is neither a chat completion nor an error raises UpstreamProtocolError.
    """
    value = decode_answer(body)
    if isinstance(value, list) and value:
        value = value[0]
    if not isinstance(value, dict):
        raise UpstreamProtocolError("The provider's answer is not a chat completion.")
    rest = _without_nulls(value)
    choices = rest.pop("choices", None)
    if not isinstance(choices, list) or not choices:
        if is_error(value):
            raise rejected(value)
        raise UpstreamProtocolError("The provider's answer is not a chat completion: it has no choices.")
    rest.pop("object", None)
    reply = ChatReply(
        id=_text(rest.pop("id", None)),
        model=_text(rest.pop("model", None)),
        created=read_created(rest.pop("created", None)),
        service_tier=_text(rest.pop("service_tier", None)) or None,
        usage=read_usage(rest.pop("usage", None)),
        origin=NAME,
    )
    reply.choices = [_read_choice(choice, index, reply.id) for index, choice in enumerate(choices)]
    reply.extra = rest
    return reply


def read_created(value: Any) -> int | None:
    """Unix seconds; None for what a provider leaves at zero."""
    return int(value) if isinstance(value, int | float) and value > 0 else None


def call_id(reply_id: str, choice: int, index: int) -> str:
    """An id for a tool call that came without one: the same for the same call, and another in another reply."""
    return _UNSAFE.sub("_", f"call_{reply_id}_{choice}_{index}" if choice else f"call_{reply_id}_{index}")


def _read_choice(value: Any, at: int, reply_id: str) -> Choice:
    if not isinstance(value, dict):
        raise UpstreamProtocolError("The provider's answer is not a chat completion: a choice is no object.")
    rest = _without_nulls(value)
    if isinstance(rest.get("error"), dict):
        raise rejected(value)
    message = rest.pop("message", {})
    if not isinstance(message, dict):
        raise UpstreamProtocolError("The provider's answer is not a chat completion: a message is no object.")
    index = index_of(rest.pop("index", at), at)
    reason, native = read_finish(rest.pop("finish_reason", None))
    choice = Choice(index=index, finish_reason=reason)
    choice.native_finish_reason = native_word(value, native)
    rest.pop("native_finish_reason", None)
    if isinstance(rest.get("stop_reason"), str):
        choice.stop_sequence = rest.pop("stop_reason")  # vLLM: the stop string that was met
    choice.logprobs = read_logprobs(rest.pop("logprobs", None))
    left = _without_nulls(message)
    choice.content = _read_message(left, choice.index, reply_id)
    if reason == "stop" and any(isinstance(part, ToolCall) for part in choice.content):
        # OpenAI says stop where the caller forced the tool.
        choice.finish_reason = "tool_calls"
        choice.native_finish_reason = choice.native_finish_reason or "stop"
    if left:
        rest["message"] = left
    choice.extra = rest
    return choice


def read_logprobs(value: Any) -> dict[str, Any] | None:
    """Log probabilities; an object without any is none."""
    return value if isinstance(value, dict) and any(value.values()) else None


def _read_message(left: dict[str, Any], choice: int, reply_id: str) -> list[Part]:
    """The parts of a message; what has no place stays in ``left``."""
    left.pop("role", None)
    parts = take_thinking(left, {})
    content = left.pop("content", None)
    if isinstance(content, str):
        if content:
            parts.append(Text(text=content))
    elif isinstance(content, list):
        parts += _read_chunks(content, f"choices[{choice}].message.content")
    elif content is not None:
        # Cloudflare gives an answer in JSON mode as the object itself.
        parts.append(Text(text=argument_text(content)))
    annotations = left.pop("annotations", None)
    if isinstance(annotations, list) and annotations:
        _cite(parts, [item for item in annotations if isinstance(item, dict)])
    refusal = left.pop("refusal", None)
    if isinstance(refusal, str) and refusal:
        parts.append(Refusal(text=refusal))
    parts += images_of(left.pop("images", None))
    parts += _read_audio(left)
    parts += _read_calls(left.pop("tool_calls", None), choice, reply_id)
    call = left.pop("function_call", None)
    if isinstance(call, dict) and call.get("name"):
        parts.append(tool_call_of({"function": call}, call_id(reply_id, choice, 0)))
    return parts


def _read_calls(items: Any, choice: int, reply_id: str) -> list[Part]:
    calls: dict[str, Part] = {}
    for index, raw in enumerate(items if isinstance(items, list) else []):
        if isinstance(raw, dict):
            own = call_id(reply_id, choice, index)
            call = tool_call_of(raw, own)
            if call.id in calls:
                call.id = own  # two calls with one id could not be answered apart
            calls[call.id] = call
    return list(calls.values())


def _read_chunks(content: list[Any], path: str) -> list[Part]:
    """Content in chunks, as Mistral and Databricks send it."""
    parts: list[Part] = []
    try:
        for chunk in content:
            thinking = reasoning_chunk(chunk)
            parts += read_content([chunk], path, {}) if thinking is None else [thinking]
    except InvalidRequest as error:
        raise UpstreamProtocolError(f"The provider's answer is not a chat completion: {error.message}") from None
    return parts


def _cite(parts: list[Part], annotations: list[dict[str, Any]]) -> None:
    text = next((part for part in reversed(parts) if isinstance(part, Text)), None)
    if text is None:
        text = Text(text="")
        parts.append(text)
    text.citations = annotations


def _read_audio(left: dict[str, Any]) -> list[Part]:
    audio = left.pop("audio", None)
    if not isinstance(audio, dict) or not audio.get("data"):
        return []
    data = audio["data"]
    rest = {key: value for key, value in audio.items() if key != "data" and value is not None}
    return [Media(kind="audio", data=data, extra=rest)] if isinstance(data, str) else []


def write_reply(reply: ChatReply, dropped: Dropped, request: Any = None) -> bytes:
    """The caller's whole reply; what chat completions cannot say is named in ``dropped``.

    Calls of tools that the caller's ``request`` has as custom ones are custom calls, however the provider made them.
    """
    names = custom_names(request)
    for choice in reply.choices if names else ():
        choice.content = [unwrapped(part, names) if isinstance(part, ToolCall) else part for part in choice.content]
    own = reply.origin == NAME
    functions = reply.spelling.get("tools") == "functions"
    out: dict[str, Any] = {"id": reply.id, "object": "chat.completion", "created": reply.created or 0}
    out["model"] = reply.model
    out["choices"] = [_write_choice(choice, dropped, own=own, functions=functions) for choice in reply.choices]
    if reply.usage is not None:
        out["usage"] = write_usage(reply.usage, own=own)
        for key in () if own else reply.usage.extra:
            dropped.add(f"usage.{key}", "chat completions has no such field")
    tier = written_tier(reply.service_tier, own=own)
    if tier is not None:
        out["service_tier"] = tier
    elif reply.service_tier is not None:
        dropped.add("service_tier", f"chat completions knows no tier {reply.service_tier}")
    _extras(out, reply.extra, "", dropped, own=own)
    return msgspec.json.encode(out)


def _extras(out: dict[str, Any], extra: dict[str, Any], path: str, dropped: Dropped, *, own: bool) -> None:
    if own:
        merge(out, extra)
        return
    for key in extra:
        dropped.add(f"{path}.{key}" if path else key, "chat completions has no such field")


def _write_choice(choice: Choice, dropped: Dropped, *, own: bool, functions: bool) -> dict[str, Any]:
    path = f"choices[{choice.index}]"
    message = _write_message(choice.content, f"{path}.message", dropped, own=own, functions=functions)
    word = write_finish(
        choice.finish_reason,
        calls="tool_calls" in message or "function_call" in message,
        refused=message["refusal"] is not None,
        functions=functions,
    )
    out: dict[str, Any] = {
        "index": choice.index,
        "message": message,
        "logprobs": choice.logprobs,
        "finish_reason": word,
    }
    if own and word == "tool_calls" and choice.native_finish_reason == "stop":
        out["finish_reason"] = "stop"
    elif choice.native_finish_reason not in (None, word):
        out["native_finish_reason"] = choice.native_finish_reason
    if choice.stop_sequence is not None:
        out["stop_reason"] = choice.stop_sequence
    _extras(out, choice.extra, path, dropped, own=own)
    return out


def _write_message(parts: list[Part], path: str, dropped: Dropped, *, own: bool, functions: bool) -> dict[str, Any]:
    out: dict[str, Any] = {"role": "assistant", "content": None, "refusal": None}
    calls: list[dict[str, Any]] = []
    for at, part in enumerate(parts):
        here = f"{path}.content[{at}]"
        if isinstance(part, ToolCall):
            call = write_tool_call(part)
            _extras(call, part.extra, here, dropped, own=own)
            calls.append(call)
            continue
        for key in unsaid(part, own=own):
            dropped.add(f"{here}.{key}", "chat completions has no such field")
        if not isinstance(part, Text | Thinking):
            _write_other(out, part, here, dropped)
    _write_text(out, parts, path, dropped)
    if out["content"] is None and not (calls or out["refusal"] is not None or "audio" in out):
        out["content"] = ""
    _write_thinking(out, [part for part in parts if isinstance(part, Thinking)], own=own)
    if calls and functions:
        out["function_call"] = calls[0].get("function") or {}
        if len(calls) > 1:
            dropped.add(f"{path}.tool_calls", "function_call holds one call only")
    elif calls:
        out["tool_calls"] = calls
    return out


def _write_text(out: dict[str, Any], parts: list[Part], path: str, dropped: Dropped) -> None:
    """All text as one string, and the citations of its pieces by their place in it."""
    texts: list[str] = []
    length = 0
    annotations: list[dict[str, Any]] = []
    for at, part in enumerate(parts):
        if isinstance(part, Text):
            found, lost = annotations_of(part.citations, length, length + len(part.text))
            annotations += found
            if lost:
                dropped.add(f"{path}.content[{at}].citations", "chat completions cites URLs only")
            for key in unsaid_of(part.citations):
                dropped.add(f"{path}.content[{at}].citations.{key}", "an annotation has no such field")
            texts.append(part.text)
            length += len(part.text)
    if texts:
        out["content"] = "".join(texts)
    if annotations:
        out["annotations"] = annotations


def _write_other(out: dict[str, Any], part: Part, path: str, dropped: Dropped) -> None:
    if isinstance(part, Refusal):
        out["refusal"] = (out["refusal"] or "") + part.text
    elif isinstance(part, Media) and part.kind == "image" and part.file_id is None:
        images = out.setdefault("images", [])
        images.append({"type": "image_url", "image_url": {"url": url_of(part)}, "index": len(images)})
    elif isinstance(part, Media) and part.kind == "audio" and part.data is not None:
        out["audio"] = audio_of(part)
    else:
        dropped.add(path, f"a chat completion has no place for {getattr(part, 'type', type(part).__name__)}")


def unsaid(part: Part, *, own: bool) -> tuple[str, ...]:
    """The unknown fields of a part that a message has no place for: a detail of thinking restores our own."""
    restored = own if isinstance(part, Thinking | ToolCall) else isinstance(part, Media) and part.kind == "audio"
    return () if restored else tuple(part.extra)


def audio_of(part: Media) -> dict[str, Any]:
    """The ``audio`` object of a message, with every key that OpenAI promises."""
    return {"id": "", "data": part.data, "expires_at": 0, "transcript": "", **part.extra}


def _write_thinking(out: dict[str, Any], thinking: list[Thinking], *, own: bool) -> None:
    text = "".join(part.text for part in thinking)
    if text:
        out["reasoning_content"] = text
    if not all(map(is_plain, thinking)):
        out["reasoning_details"] = write_details(thinking, own=own)


def _without_nulls(value: dict[str, Any]) -> dict[str, Any]:
    return {key: item for key, item in value.items() if item is not None}


def _text(value: Any) -> str:
    return value if isinstance(value, str) else ""
