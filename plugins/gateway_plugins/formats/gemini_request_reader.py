"""A generateContent request, read."""

from __future__ import annotations

from typing import Any

import msgspec

from gateway.protocol import ChatRequest, Message, Part, ResponseFormat, Text, Thinking, ToolCall
from gateway_plugins.formats.gemini_fields import MADE_UP, NAME, Fields, wrong
from gateway_plugins.formats.gemini_parts_reader import read_part, read_result
from gateway_plugins.formats.gemini_reasoning import read_reasoning
from gateway_plugins.formats.gemini_schema import read_openapi
from gateway_plugins.formats.gemini_tools import read_tool_config, read_tools

_JSON = "application/json"
_ROLES = ("user", "model", "function", "tool")
_RESULT = ("functionResponse", "function_response")


def read_request(body: bytes) -> ChatRequest:
    """The request; the model's name is in the path."""
    return request_of(Fields.of_body(body))


def request_of(fields: Fields) -> ChatRequest:
    """The request in an object's members."""
    request = ChatRequest(model=(fields.text("model") or "").removeprefix("models/"), origin=NAME)
    system = fields.take("systemInstruction")
    if system is not None:
        request.messages.append(_read_system(system))
    request.messages += _Conversation().read(fields.items("contents"))
    request.tools = read_tools(fields, request.spelling)
    request.tool_choice = read_tool_config(fields, request.spelling)
    config = fields.nested("generationConfig")
    if config is not None:
        _read_config(config, request)
        fields.keep("generationConfig", config)
    labels = fields.rest.get("labels")
    if isinstance(labels, dict) and labels:
        request.metadata = fields.object("labels")
    request.service_tier = fields.text("serviceTier")
    request.store = fields.flag("store")
    request.extra = fields.left()
    return request


def _read_system(value: Any) -> Message:
    if isinstance(value, str):
        return Message(role="system", content=[Text(text=value)])
    fields = Fields(value, "systemInstruction")
    message = Message(role="system")
    # It has a role for no purpose; most clients say user.
    role = fields.text("role")
    if role is not None:
        message.spelling["role"] = role
    for index, item in enumerate(fields.items("parts")):
        message.content.append(_plain_part(item, f"systemInstruction.parts[{index}]"))
    message.extra = fields.left()
    return message


def _plain_part(item: Any, path: str) -> Part:
    part, signature = read_part(item, path, lambda _name, _arguments: MADE_UP)
    if signature is not None:
        part.extra = {**part.extra, "thoughtSignature": signature}
    return part


class _Conversation:
    """Reads ``contents``. Answers of functions become messages of their own, and calls without an id get one."""

    def __init__(self) -> None:
        self._messages: list[Message] = []
        self._unanswered: list[tuple[str, str]] = []
        self._count = 0

    def read(self, contents: list[Any]) -> list[Message]:
        """The messages of all contents."""
        for index, item in enumerate(contents):
            fields = Fields(item, f"contents[{index}]")
            role = fields.text("role")
            if role is not None and role not in _ROLES:
                raise wrong(fields.at("role"), "use a valid role: user, model")
            if role == "model":
                self._model(fields)
            else:
                self._user(fields, role)
        return self._messages

    def _made_up(self, *_said: str) -> str:
        self._count += 1
        return f"{MADE_UP}{self._count}"

    def _model(self, fields: Fields) -> None:
        parts: list[Part] = []
        for index, item in enumerate(fields.items("parts")):
            part = self._part(item, f"{fields.at('parts')}[{index}]")
            if isinstance(part, ToolCall):
                self._unanswered.append((part.name, part.id))
            parts.append(part)
        extra = fields.left()
        last = self._messages[-1] if self._messages else None
        if last is None or last.role != "assistant" or extra or last.extra:
            self._messages.append(Message(role="assistant", content=parts, extra=extra))
        else:
            # The pieces of a streamed answer, which official clients send back one by one.
            _go_on(last.content, parts)
        _join_carried(self._messages[-1].content)

    def _part(self, item: Any, path: str) -> Part:
        part, signature = read_part(item, path, self._made_up)
        if signature is not None:
            part.extra = {**part.extra, "thoughtSignature": signature}
        return part

    def _user(self, fields: Fields, role: str | None) -> None:
        first = len(self._messages)
        for index, item in enumerate(fields.items("parts")):
            path = f"{fields.at('parts')}[{index}]"
            is_answer = isinstance(item, dict) and any(item.get(key) is not None for key in _RESULT)
            message = self._messages[-1] if len(self._messages) > first else None
            wanted = "tool" if is_answer else "user"
            if message is None or message.role != wanted:
                message = Message(role="tool" if is_answer else "user")
                if len(self._messages) > first:
                    message.spelling["content"] = "same"
                self._messages.append(message)
            if is_answer:
                result, key = read_result(item, path, self._answered)
                self._unanswered = [pair for pair in self._unanswered if pair[1] != result.tool_call_id]
                if key is not None:
                    message.spelling[str(len(message.content))] = key
                message.content.append(result)
            else:
                message.content.append(self._part(item, path))
        if len(self._messages) == first:
            self._messages.append(Message(role="user"))
        if role != "user":
            self._messages[first].spelling["role"] = role or ""
        self._messages[first].extra = fields.left()

    def _answered(self, name: str) -> str:
        """The id of the first call of this name that has no answer yet."""
        return next((call_id for called, call_id in self._unanswered if called == name), None) or self._made_up()


def _go_on(there: list[Part], parts: list[Part]) -> None:
    if there and parts:
        last, first = there[-1], parts[0]
        if isinstance(last, Text) and isinstance(first, Text) and not last.extra:
            last.text += first.text
            last.extra = first.extra
            parts = parts[1:]
        elif isinstance(last, Thinking) and isinstance(first, Thinking) and last.signature is None and first.text:
            first.text = last.text + first.text
            there.pop()
    there += parts


def _join_carried(parts: list[Part]) -> None:
    """Give the text of a thought that came in pieces to the piece that brought what belongs to all of it."""
    at = len(parts) - 1
    while at > 0:
        part, before = parts[at], parts[at - 1]
        foreign = isinstance(part, Thinking) and part.origin != NAME and not part.redacted
        if foreign and isinstance(before, Thinking) and before.origin == NAME and before.signature is None:
            assert isinstance(part, Thinking)
            part.text = before.text + part.text
            del parts[at - 1]
        at -= 1


def _read_config(config: Fields, request: ChatRequest) -> None:
    request.max_tokens = config.integer("maxOutputTokens")
    request.temperature = config.number("temperature")
    request.top_p = config.number("topP")
    top_k = config.number("topK")
    request.top_k = None if top_k is None else int(top_k)
    request.seed = config.integer("seed")
    request.n = config.integer("candidateCount")
    request.presence_penalty = config.number("presencePenalty")
    request.frequency_penalty = config.number("frequencyPenalty")
    request.logprobs = config.flag("responseLogprobs")
    request.top_logprobs = config.integer("logprobs")
    stops = config.items("stopSequences")
    if not all(isinstance(stop, str) for stop in stops):
        raise wrong(config.at("stopSequences"), "it must be an array of strings")
    request.stop = stops
    modalities = config.items("responseModalities")
    if modalities and all(isinstance(word, str) for word in modalities):
        request.modalities = [word.lower() for word in modalities]
    elif modalities:
        raise wrong(config.at("responseModalities"), "it must be an array of strings")
    thinking = config.nested("thinkingConfig")
    request.reasoning = read_reasoning(thinking)
    if thinking is not None:
        config.keep("thinkingConfig", thinking)
    _read_response_format(config, request)


def _read_response_format(config: Fields, request: ChatRequest) -> None:
    mime = config.text("responseMimeType")
    older, newer = config.object("responseSchema"), config.object("responseJsonSchema")
    if mime not in (None, _JSON, "text/plain"):
        # An answer of one word, say, for which others have no place.
        kept = {"responseMimeType": mime, "responseSchema": older, "responseJsonSchema": newer}
        config.rest.update({key: value for key, value in kept.items() if value is not None})
    elif older is not None or newer is not None:
        schema = read_openapi(older) if newer is None else newer
        request.response_format = ResponseFormat(type="json_schema", schema=schema)
        if older is not None:
            request.spelling["response_format.schema"] = msgspec.json.encode(older).decode()
            if newer is not None:
                request.spelling["response_format"] = "both"
        if mime is None:
            request.spelling["response_mime_type"] = ""
    elif mime is not None:
        request.response_format = ResponseFormat(type="json_object" if mime == _JSON else "text")
