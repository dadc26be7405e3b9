"""A whole legacy completion, both ways."""

from __future__ import annotations

from typing import Any

import msgspec

from gateway.errors import UpstreamProtocolError
from gateway.format import Dropped
from gateway.protocol import ChatReply, ChatRequest, Choice, Part, Refusal, Text, Thinking, Usage
from gateway_plugins.formats.answer_json import decode_answer
from gateway_plugins.formats.json_fields import index_of, merge
from gateway_plugins.formats.openai_chat_finish import native_word, read_finish, write_finish
from gateway_plugins.formats.openai_chat_reply import read_created
from gateway_plugins.formats.openai_chat_usage import read_usage, write_usage
from gateway_plugins.formats.openai_completions_logprobs import read_logprobs, write_logprobs
from gateway_plugins.formats.openai_completions_request import NAME
from gateway_plugins.formats.openai_errors import is_error, rejected

REFUSED = "a completion does not tell a refusal from other text"
_NOT_ONE = "The provider's answer is not a completion"


def read_reply(body: bytes) -> ChatReply:
    """A provider's whole reply; raises UpstreamRejected for an error under a good status.

    What is neither a completion nor an error raises UpstreamProtocolError.
    """
    value = decode_answer(body)
    rest = _without_nulls(value) if isinstance(value, dict) else {}
    choices = rest.pop("choices", None)
    if not isinstance(choices, list) or not choices:
        if isinstance(value, dict) and is_error(value):
            raise rejected(value)
        raise UpstreamProtocolError(f"{_NOT_ONE}: it has no choices.")
    rest.pop("object", None)
    reply = ChatReply(
        id=_text(rest.pop("id", None)),
        model=_text(rest.pop("model", None)),
        created=read_created(rest.pop("created", None)),
        usage=read_usage(rest.pop("usage", None)),
        origin=NAME,
    )
    reply.choices = [_read_choice(choice, at) for at, choice in enumerate(choices)]
    reply.extra = rest
    return reply


def _read_choice(value: Any, at: int) -> Choice:
    if not isinstance(value, dict):
        raise UpstreamProtocolError(f"{_NOT_ONE}: a choice is no object.")
    rest = _without_nulls(value)
    text = rest.pop("text", "")
    if not isinstance(text, str):
        raise UpstreamProtocolError(f"{_NOT_ONE}: a text is no string.")
    index = rest.pop("index", at)
    reason, native = read_finish(rest.pop("finish_reason", None))
    choice = Choice(index=index_of(index, at), finish_reason=reason)
    choice.native_finish_reason = native_word(value, native)
    rest.pop("native_finish_reason", None)
    if isinstance(rest.get("stop_reason"), str):
        choice.stop_sequence = rest.pop("stop_reason")  # vLLM: the stop string that was met
    choice.logprobs = read_logprobs(rest.pop("logprobs", None))
    choice.content = [Text(text=text)] if text else []
    choice.extra = rest
    return choice


def write_reply(reply: ChatReply, dropped: Dropped, request: ChatRequest | None) -> bytes:
    """The caller's whole reply; what a completion cannot say is named in ``dropped``."""
    own = reply.origin == NAME
    out: dict[str, Any] = {"id": reply.id, "object": "text_completion", "created": reply.created or 0}
    out["model"] = reply.model
    start = 0 if request is None else sum(len(message.text()) for message in request.messages)
    out["choices"] = [_write_choice(choice, start, dropped, own=own) for choice in reply.choices]
    if reply.usage is not None:
        out["usage"] = usage_of(reply.usage, own=own)
        for key in () if own else reply.usage.extra:
            dropped.add(f"usage.{key}", "completions has no such field")
    if reply.service_tier is not None:
        dropped.add("service_tier", "completions has no such field")
    if own:
        merge(out, reply.extra)
    else:
        for key in reply.extra:
            dropped.add(key, "completions has no such field")
    return msgspec.json.encode(out)


def usage_of(usage: Usage, *, own: bool) -> dict[str, Any]:
    """OpenAI's usage object, with details only where they say something."""
    out = write_usage(usage, own=own)
    for key in ("prompt_tokens_details", "completion_tokens_details"):
        if not any(out[key].values()):
            del out[key]
    return out


def loss_of(part: Part) -> str | None:
    """Why a part of an answer has no place in a completion; None for text."""
    if isinstance(part, Text | Refusal):
        return None
    if isinstance(part, Thinking):
        return "a completion does not show thinking"
    return f"a completion is text and has no place for {getattr(part, 'type', type(part).__name__)}"


def finish_word(reason: Any) -> str:
    """``stop``, ``length`` or ``content_filter``; a call of a tool counts as a stop."""
    word = write_finish(reason, calls=False)
    return "stop" if word == "tool_calls" else word


def _write_choice(choice: Choice, start: int, dropped: Dropped, *, own: bool) -> dict[str, Any]:
    path = f"choices[{choice.index}]"
    out: dict[str, Any] = {
        "text": _words(choice.content, path, dropped),
        "index": choice.index,
        "logprobs": write_logprobs(choice.logprobs, start),
        "finish_reason": finish_word(choice.finish_reason),
    }
    if own and choice.finish_reason is None:
        out["finish_reason"] = None
    if choice.native_finish_reason not in (None, out["finish_reason"]):
        out["native_finish_reason"] = choice.native_finish_reason
    if choice.stop_sequence is not None:
        out["stop_reason"] = choice.stop_sequence
    if own:
        merge(out, choice.extra)
    else:
        for key in choice.extra:
            dropped.add(f"{path}.{key}", "completions has no such field")
    return out


def _words(parts: list[Part], path: str, dropped: Dropped) -> str:
    texts: list[str] = []
    for at, part in enumerate(parts):
        here = f"{path}.message.content[{at}]"
        reason = loss_of(part)
        if reason is not None:
            dropped.add(here, reason)
        elif isinstance(part, Text | Refusal):
            texts.append(part.text)
            if isinstance(part, Refusal):
                dropped.add(f"{here}.refusal", REFUSED)
            elif part.citations:
                dropped.add(f"{here}.citations", "a completion cites nothing")
    return "".join(texts)


def _without_nulls(value: dict[str, Any]) -> dict[str, Any]:
    return {key: item for key, item in value.items() if item is not None}


def _text(value: Any) -> str:
    return value if isinstance(value, str) else ""
