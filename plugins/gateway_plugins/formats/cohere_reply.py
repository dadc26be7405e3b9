"""A whole answer of Cohere's v2 chat, read into the normalised protocol."""

from __future__ import annotations

from typing import Any

from gateway.errors import UpstreamProtocolError
from gateway.protocol import ChatReply, Choice, FinishReason, Part, Text, Thinking
from gateway_plugins.formats.answer_json import decode_object
from gateway_plugins.formats.cohere_errors import read_usage
from gateway_plugins.formats.cohere_messages import NAME, PLAN
from gateway_plugins.formats.openai_chat_tools import tool_call_of

_FINISH: dict[str, FinishReason] = {
    "COMPLETE": "stop",
    "STOP_SEQUENCE": "stop",
    "MAX_TOKENS": "length",
    "TOOL_CALL": "tool_calls",
    "ERROR": "error",
    "TIMEOUT": "error",
    "ERROR_TOXIC": "content_filter",
    "ERROR_LIMIT": "length",
}
_NOT_ONE = "The provider's answer is not a chat of Cohere's"


def read_reply(body: bytes) -> ChatReply:
    """A provider's whole reply; raises UpstreamProtocolError when it is none."""
    rest = {key: value for key, value in decode_object(body, "a chat of Cohere's").items() if value is not None}
    message = rest.pop("message", None)
    if not isinstance(message, dict):
        raise UpstreamProtocolError(f"{_NOT_ONE}: it has no message.")
    reply_id = rest.pop("id", "")
    choice = Choice(logprobs=read_logprobs(rest.pop("logprobs", None)))
    choice.finish_reason, choice.native_finish_reason = read_finish(rest.pop("finish_reason", None))
    left = {key: value for key, value in message.items() if value is not None}
    choice.content = _read_message(left, str(reply_id))
    if left:
        choice.extra = {"message": left}
    return ChatReply(
        id=reply_id if isinstance(reply_id, str) else "",
        model="",
        choices=[choice],
        usage=read_usage(rest.pop("usage", None)),
        origin=NAME,
        extra=rest,
    )


def read_finish(word: Any) -> tuple[FinishReason | None, str | None]:
    """The finish reason, and Cohere's own word where the reason does not say as much."""
    if not isinstance(word, str) or not word:
        return None, None
    plain = word in ("COMPLETE", "MAX_TOKENS", "TOOL_CALL")
    return _FINISH.get(word.upper(), "stop"), None if plain else word


def read_logprobs(value: Any) -> dict[str, Any] | None:
    """Log probabilities in the normalised shape: a chunk of text of several tokens has the sum of theirs."""
    items = [value] if isinstance(value, dict) else value if isinstance(value, list) else []
    content = []
    for item in items:
        if not isinstance(item, dict) or not isinstance(item.get("logprobs"), list):
            continue
        text = item["text"] if isinstance(item.get("text"), str) else ""
        total = float(sum(one for one in item["logprobs"] if isinstance(one, int | float)))
        raw = list(text.encode("utf-8", "surrogatepass"))
        content.append({"token": text, "logprob": total, "bytes": raw, "top_logprobs": []})
    return {"content": content} if content else None


def _read_message(left: dict[str, Any], reply_id: str) -> list[Part]:
    """The parts of a message; what has no place stays in ``left``."""
    left.pop("role", None)
    parts: list[Part] = []
    plan = left.pop(PLAN, None)
    if isinstance(plan, str) and plan:
        parts.append(Thinking(text=plan, origin=NAME, extra={PLAN: True}))
    content = left.pop("content", None)
    blocks = content if isinstance(content, list) else [content] if isinstance(content, str) and content else []
    at_index: dict[int, Part] = {}
    for index, block in enumerate(blocks):
        at_index[index] = part = _read_block(block)
        parts.append(part)
    _cite(left, at_index)
    calls = left.pop("tool_calls", None)
    for index, raw in enumerate(calls if isinstance(calls, list) else ()):
        if not isinstance(raw, dict):
            raise UpstreamProtocolError(f"{_NOT_ONE}: a tool call is no object.")
        parts.append(tool_call_of(raw, f"call_{reply_id}_{index}"))
    return parts


def _read_block(block: Any) -> Part:
    if isinstance(block, str):
        return Text(text=block)
    if isinstance(block, dict):
        rest = {key: value for key, value in block.items() if value is not None}
        kind = rest.pop("type", "text")
        found = rest.pop(kind, "") if kind in ("text", "thinking") else None
        if isinstance(found, str):
            return Text(text=found, extra=rest) if kind == "text" else Thinking(text=found, origin=NAME, extra=rest)
    raise UpstreamProtocolError(f"{_NOT_ONE}: a block of its content is not known.")


def _cite(left: dict[str, Any], at_index: dict[int, Part]) -> None:
    """Give each citation to the text that it stands for; those of a plan or of thinking stay in ``left``."""
    citations = left.pop("citations", None)
    others: list[Any] = []
    texts = [part for part in at_index.values() if isinstance(part, Text)]
    for citation in citations if isinstance(citations, list) else ():
        index = citation.get("content_index") if isinstance(citation, dict) else None
        kind = citation.get("type") if isinstance(citation, dict) else None
        text = at_index.get(index) if isinstance(index, int) else None
        if not isinstance(text, Text):
            text = texts[-1] if texts else None
        if text is None or not isinstance(citation, dict) or kind in ("PLAN", "THINKING_CONTENT"):
            others.append(citation)
        else:
            text.citations = [*text.citations, citation]
    if others:
        left["citations"] = others
