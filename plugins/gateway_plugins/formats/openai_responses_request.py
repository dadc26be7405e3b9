"""A responses request, read into the normalised protocol."""

from __future__ import annotations

from gateway.errors import InvalidRequest
from gateway.protocol import ChatRequest, Message, Reasoning, ResponseFormat, Text
from gateway_plugins.formats.openai_responses_fields import NAME, Fields
from gateway_plugins.formats.openai_responses_input import InputReader
from gateway_plugins.formats.openai_responses_tools import added_tools, read_tool_choice, read_tools

INSTRUCTIONS = "instructions"
"""``Message.spelling`` of the message that was the request's ``instructions``, under the key ``place``."""
LOGPROBS = "message.output_text.logprobs"
ENCRYPTED = "reasoning.encrypted_content"


def read_request(body: bytes) -> ChatRequest:
    """A caller's request; raises InvalidRequest, naming the field, for what the dialect does not allow."""
    fields = Fields.of_body(body)
    spelling: dict[str, str] = {}
    request = ChatRequest(model=fields.text("model") or "", origin=NAME)
    request.tools = read_tools(fields.array("tools") or [], spelling)
    _read_messages(request, fields, spelling)
    choice = fields.take("tool_choice")
    if choice is not None:
        request.tool_choice = read_tool_choice(choice, spelling)
        if request.tool_choice is None:
            fields.rest["tool_choice"] = choice
    request.parallel_tool_calls = fields.flag("parallel_tool_calls")
    _read_text(request, fields)
    _read_reasoning(request, fields)
    _read_include(request, fields, spelling)
    _read_rest(request, fields, spelling)
    request.extra = fields.left()
    request.spelling = spelling
    return request


def _read_messages(request: ChatRequest, fields: Fields, spelling: dict[str, str]) -> None:
    instructions = fields.take(INSTRUCTIONS)
    reader = InputReader(spelling)
    if isinstance(instructions, list):
        # Responses echo such lists; a request may hold one as well.
        reader.read(instructions)
        spelling[INSTRUCTIONS] = "array"
        for message in reader.messages:
            message.spelling["place"] = INSTRUCTIONS
    elif isinstance(instructions, str):
        content = Text(text=instructions)
        reader.messages.append(Message(role="system", content=[content], spelling={"place": INSTRUCTIONS}))
    elif instructions is not None:
        raise fields.wrong_type(INSTRUCTIONS, "string", instructions)
    value = fields.take("input")
    request.tools += added_tools(value, request.tools, spelling)
    if value is not None:
        reader.read(value)
    elif not any(fields.rest.get(key) for key in ("prompt", "previous_response_id", "conversation")):
        fields.missing("input")
    else:
        spelling["input"] = "absent"
    request.messages = reader.messages


def _read_text(request: ChatRequest, fields: Fields) -> None:
    text = fields.nested("text")
    if text is None:
        return
    request.verbosity = text.text("verbosity")
    form = text.nested("format")
    if form is not None:
        kind = form.required_text("type")
        if kind == "json_schema":
            request.response_format = ResponseFormat(
                type="json_schema",
                name=form.text("name"),
                description=form.text("description"),
                schema=form.object("schema"),
                strict=form.flag("strict"),
            )
        elif kind == "json_object":
            request.response_format = ResponseFormat(type="json_object")
        elif kind == "text":
            request.response_format = ResponseFormat(type="text")
        else:
            form.rest["type"] = kind
        text.keep("format", form)
    fields.keep("text", text)


def _read_reasoning(request: ChatRequest, fields: Fields) -> None:
    inner = fields.nested("reasoning")
    if inner is None:
        return
    reasoning = Reasoning(effort=inner.text("effort"), summary=inner.text("summary"))
    if reasoning.summary is None:
        reasoning.summary = inner.text("generate_summary")
    fields.keep("reasoning", inner)
    if reasoning != Reasoning():
        request.reasoning = reasoning


def _read_include(request: ChatRequest, fields: Fields, spelling: dict[str, str]) -> None:
    """``include``. Encrypted reasoning is always given back, and logprobs have a field of their own."""
    include = fields.array("include")
    if include is None:
        return
    if not all(isinstance(word, str) for word in include):
        raise InvalidRequest("Invalid type for 'include': expected an array of strings.", param="include")
    spelling["include"] = ",".join(include)
    if LOGPROBS in include:
        request.logprobs = True
    left = [word for word in include if word not in (LOGPROBS, ENCRYPTED)]
    if left:
        fields.rest["include"] = left


def _read_rest(request: ChatRequest, fields: Fields, spelling: dict[str, str]) -> None:
    request.max_tokens = fields.integer("max_output_tokens")
    for name in ("temperature", "top_p", "frequency_penalty", "presence_penalty"):
        value = fields.number(name)
        if value is not None:
            setattr(request, name, value)
    request.top_logprobs = fields.integer("top_logprobs")
    if request.top_logprobs:
        request.logprobs = True
    _read_identity(request, fields, spelling)
    _read_keeping(fields, spelling)
    if fields.flag("background"):
        fields.rest["background"] = True
    request.stream = bool(fields.flag("stream"))
    request.include_usage = request.stream


def _read_identity(request: ChatRequest, fields: Fields, spelling: dict[str, str]) -> None:
    request.user = fields.text("user")
    if request.user is None and fields.rest.get("safety_identifier") is not None:
        request.user = fields.text("safety_identifier")
        spelling["user"] = "safety_identifier"
    for name in ("service_tier", "prompt_cache_key"):
        setattr(request, name, fields.text(name))
    request.metadata = fields.object("metadata") or None


def _read_keeping(fields: Fields, spelling: dict[str, str]) -> None:
    """``store`` and ``truncation``, whose defaults say nothing elsewhere."""
    store = fields.flag("store")
    if store is False:
        # Nothing is stored elsewhere unless it is asked for.
        spelling["store"] = "false"
    elif store:
        fields.rest["store"] = True
    truncation = fields.text("truncation")
    if truncation == "disabled":
        spelling["truncation"] = truncation
    elif truncation is not None:
        fields.rest["truncation"] = truncation
