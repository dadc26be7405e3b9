"""What a request asks for, straight from its JSON, without any of the gateway's readers: one extractor for each format.

Turns are a flat list of what was said, in order: ``(role, kind, value)``, neighbouring texts of one role joined.
"""

from __future__ import annotations

import base64
import hashlib
import json
import re
from dataclasses import dataclass, field
from typing import Any

from tests.wire.audit.meaning import decoded, squeezed

Said = tuple[str, str, Any]


NEUTRAL: dict[str, tuple[Any, ...]] = {
    "top_p": (1,),
    "frequency_penalty": (0,),
    "presence_penalty": (0,),
    "stop": ([],),
}
"""What asks for what happens anyway."""
_MARK = re.compile(r"Fromtheresultoftoolcall[^:]*:")


@dataclass
class Asked:
    """A request's meaning; what was not said is None, or empty."""

    system: str = ""
    turns: list[Said] = field(default_factory=list)
    tools: list[tuple[str, str, tuple[str, ...]]] = field(default_factory=list)
    choice: str = "auto"
    limits: dict[str, Any] = field(default_factory=dict)
    shape: Any = None
    titles: list[str] = field(default_factory=list)

    def say(self, role: str, kind: str, value: Any) -> None:
        """One more thing said; texts that follow each other are one."""
        if kind == "media" and value.startswith("text:"):
            kind, value = "text", value.removeprefix("text:")  # a document of plain text is text
        if kind == "call" and isinstance(value[1], str):
            value = (value[0], {"input": value[1]})  # a custom tool's, which a function stands for elsewhere
        if kind == "text":
            value = squeezed(value or "")
            if not value:
                return
            if self.turns and self.turns[-1][:2] == (role, kind):
                value = self.turns.pop()[2] + value
        self.turns.append((role, kind, value))


def differences(said: Asked, told: Asked) -> dict[str, tuple[Any, Any]]:
    """Where two requests differ: aspect → (said, told). What is told beyond what was said does not count."""
    pairs: dict[str, tuple[Any, Any]] = {
        "system": (said.system, told.system),
        "turns": (untitled(said.turns, said.titles), untitled(told.turns, said.titles)),
        "tools": (_callable(said.tools, said.choice), _callable(told.tools, said.choice)),
        "shape": (said.shape, told.shape),
    }
    if said.tools and not (said.choice == "none" and not told.tools):
        pairs["choice"] = (_forced(said), _forced(told, _allows(said, told)))
    pairs |= {
        name: (value, told.limits.get(name))
        for name, value in said.limits.items()
        if value not in NEUTRAL.get(name, ())
    }
    return {name: pair for name, pair in pairs.items() if pair[0] != pair[1]}


def _callable(tools: list[Any], choice: str) -> list[Any]:
    """The tools that may be called: where one is forced, or some are allowed, others need not be told of."""
    if choice == "none":
        return []
    kind, _, wanted = choice.partition(":")
    found = [tool for tool in tools if kind not in ("named", "allowed") or tool[0] in wanted.split(",")]
    # A custom tool, which takes free text, is a function of one argument elsewhere, and its grammar is described.
    return [(name, said[:20], () if shape == ("input",) else shape) for name, said, shape in found]


def untitled(turns: list[Said], titles: list[str]) -> list[Said]:
    """The turns in order, without the titles of documents, which may stand in front of their text."""
    found = ordered(turns)
    for title in filter(None, titles):
        found = [(r, k, value.replace(title, "") if k == "text" else value) for r, k, value in found]
    return found


def ordered(turns: list[Said]) -> list[Said]:
    """The turns in the one order that all formats can say.

    Most cannot say a text behind a call within one turn of the model, and media of a tool's result may have to go to
    the user's turn behind it.
    """
    found: list[Said] = []
    run: list[Said] = []
    for role, kind, value in [*turns, ("", "end", None)]:
        if role == "assistant":
            run.append((role, kind, value))
            continue
        texts = "".join(item[2] for item in run if item[1] == "text")
        found += [("assistant", "text", texts)] if texts else []
        found += [item for item in run if item[1] != "text"]
        run = []
        left = _MARK.sub("", value) if kind == "text" else value
        if kind != "text" or left:
            found.append(("" if kind in ("media", "text") else role, kind, left))
    # Results stand before whatever else the user's side says.
    start = 0
    for at, item in enumerate([*found, ("assistant", "", None)]):
        if item[0] == "assistant":
            found[start:at] = sorted(found[start:at], key=lambda one: one[1] != "result")
            start = at + 1
    return found[:-1] if found and found[-1][1] == "end" else [one for one in found if one[1] != "end"]


def _allows(said: Asked, told: Asked) -> str | None:
    """A choice among some tools, where only those are told of."""
    kind, _, wanted = said.choice.partition(":")
    told_of = ",".join([told.choice, *sorted(name for name, _, _ in told.tools)])
    return said.choice if kind == "allowed" and wanted == told_of else None


def _forced(told: Asked, allowed: str | None = None) -> str:
    """Of one tool only, any call is a call of that tool."""
    if allowed is not None:
        return allowed
    if told.choice == "required" and len(told.tools) == 1:
        return f"named:{told.tools[0][0]}"
    return told.choice


def digest(data: Any) -> str:
    """Media by a digest of its data, or by its address."""
    text = str(data)
    if text.startswith("data:"):
        text = text.partition(",")[2]
    if "://" in text:
        return text
    try:
        return f"text:{squeezed(base64.b64decode(text, validate=True).decode())}"
    except ValueError:
        pass
    plain = text.replace("-", "+").replace("_", "/").rstrip("=")  # Google takes both alphabets of base64
    return hashlib.sha256(plain.encode()).hexdigest()[:12]


def names(schema: Any) -> tuple[str, ...]:
    """The names of all properties in a schema, wherever they stand."""
    found: set[str] = set()

    def walk(value: Any) -> None:
        if isinstance(value, dict):
            found.update((value.get("properties") or {}).keys() if isinstance(value.get("properties"), dict) else ())
            for item in value.values():
                walk(item)
        elif isinstance(value, list):
            for item in value:
                walk(item)

    walk(schema)
    return tuple(sorted(found))


def result(value: Any) -> Any:
    """A tool's result: JSON decoded, text without white space, a lone wrapping member taken off."""
    if isinstance(value, str):
        try:
            value = json.loads(value)
        except ValueError:
            return squeezed(value)
    if isinstance(value, dict) and len(value) == 1 and next(iter(value)) in ("output", "result", "content", "error"):
        return result(next(iter(value.values())))
    return squeezed(value) if isinstance(value, str) else value


def _tool(asked: Asked, name: str, description: Any, schema: Any) -> None:
    asked.tools.append((name, squeezed(description or ""), names(schema)))


def _limits(asked: Asked, body: dict[str, Any], **where: str) -> None:
    for name, key in where.items():
        value: Any = body
        for step in key.split("."):
            value = value.get(step) if isinstance(value, dict) else None
        if name == "stop" and isinstance(value, str):
            value = [value]
        if value is not None:
            asked.limits[name] = value


# -- chat completions ------------------------------------------------------------------------------------------------


def chat(body: dict[str, Any]) -> Asked:
    asked = Asked()
    for message in body["messages"]:
        _chat_message(asked, message)
    for tool in body.get("tools") or []:
        inner = tool.get("function") or tool.get("custom")
        if inner:
            _tool(asked, inner["name"], inner.get("description"), inner.get("parameters"))
    for tool in body.get("functions") or []:
        _tool(asked, tool["name"], tool.get("description"), tool.get("parameters"))
    choice = body.get("tool_choice") or body.get("function_call") or "auto"
    if isinstance(choice, dict):
        inner = choice.get("function") or choice.get("custom") or choice
        choice = "named:" + inner["name"] if "name" in inner else _allowed(choice["allowed_tools"])
    asked.choice = {"any": "required"}.get(choice, choice)
    _limits(
        asked,
        {**body, "max_tokens": body.get("max_completion_tokens") or body.get("max_tokens")},
        max_tokens="max_tokens",
        temperature="temperature",
        top_p="top_p",
        top_k="top_k",
        stop="stop",
        seed="seed",
        frequency_penalty="frequency_penalty",
        presence_penalty="presence_penalty",
    )
    form = body.get("response_format") or {}
    if form.get("type") == "json_schema":
        asked.shape = names(form["json_schema"].get("schema"))
    elif form.get("type") == "json_object":
        asked.shape = "object"
    return asked


def _chat_message(asked: Asked, message: dict[str, Any]) -> None:
    role = message["role"]
    if role in ("system", "developer"):
        asked.system += squeezed(_texts(message["content"]))
        return
    if role in ("tool", "function"):
        _chat_result(asked, message)
        return
    for part in _parts(message.get("content")):
        _chat_part(asked, role, part)
    if isinstance(message.get("refusal"), str):
        asked.say(role, "text", message["refusal"])
    calls = [call.get("function") or call.get("custom") or {} for call in message.get("tool_calls") or []]
    for call in [*calls, *filter(None, [message.get("function_call")])]:
        asked.say("assistant", "call", (call["name"], decoded(call.get("arguments") or call.get("input"))))


def _allowed(choice: dict[str, Any]) -> str:
    tools = choice.get("tools")
    if tools is None:
        return f"server:{choice['type']}"
    found = sorted((tool.get("function") or tool)["name"] for tool in tools)
    return "allowed:" + ",".join([choice["mode"], *found])


def _parts(content: Any) -> list[dict[str, Any]]:
    if content is None:
        return []
    if isinstance(content, str):
        return [{"type": "text", "text": content}]
    return [part if isinstance(part, dict) else {"type": "text", "text": part} for part in content]


def _texts(content: Any) -> str:
    return "".join(part.get("text") or "" for part in _parts(content))


def _chat_part(asked: Asked, role: str, part: dict[str, Any]) -> None:
    kind = part["type"]
    if kind in ("text", "refusal"):
        asked.say(role, "text", part.get("text") or part.get("refusal"))
    elif kind == "image_url":
        url = part["image_url"]
        asked.say(role, "media", digest(url["url"] if isinstance(url, dict) else url))
    elif kind == "input_audio":
        asked.say(role, "media", digest(part["input_audio"]["data"]))
    elif kind == "file":
        inner = part["file"]
        asked.titles.append(squeezed(inner.get("filename") or ""))
        asked.say(role, "media", digest(inner.get("file_data") or inner.get("file_id")))
    elif kind in ("video_url", "document_url"):
        url = part[kind]
        asked.say(role, "media", digest(url["url"] if isinstance(url, dict) else url))


def _chat_result(asked: Asked, message: dict[str, Any]) -> None:
    asked.say("tool", "result", result(_texts(message.get("content"))))
    for part in _parts(message.get("content")):
        if part["type"] != "text":
            _chat_part(asked, "tool", part)


# -- messages --------------------------------------------------------------------------------------------------------


def messages(body: dict[str, Any]) -> Asked:
    asked = Asked(system=squeezed(_texts(body.get("system"))))
    for message in body["messages"]:
        if message["role"] == "system":
            asked.system += squeezed(_texts(message["content"]))
            continue
        for part in _parts(message["content"]):
            _block(asked, message["role"], part)
    for tool in body.get("tools") or []:
        if tool.get("type") in (None, "custom"):
            _tool(asked, tool["name"], tool.get("description"), tool.get("input_schema"))
    choice = body.get("tool_choice") or {"type": "auto"}
    kind = choice["type"]
    asked.choice = "named:" + choice["name"] if kind == "tool" else {"any": "required"}.get(kind, kind)
    _limits(
        asked,
        body,
        max_tokens="max_tokens",
        temperature="temperature",
        top_p="top_p",
        top_k="top_k",
        stop="stop_sequences",
    )
    form = (body.get("output_config") or {}).get("format") or body.get("output_format")
    if form and form.get("type") == "json_schema":
        asked.shape = names(form["schema"])
    return asked


def _block(asked: Asked, role: str, part: dict[str, Any]) -> None:
    kind = part["type"]
    if kind == "text":
        asked.say(role, "text", part["text"])
    elif kind in ("image", "document"):
        source = part["source"]
        if source["type"] == "content":
            for inner in _parts(source["content"]):
                _block(asked, role, inner)
        elif source["type"] == "text":
            asked.titles.append(squeezed(part.get("title") or ""))
            asked.say(role, "media", f"text:{squeezed(source['data'])}")
        else:
            asked.say(role, "media", digest(source.get("data") or source.get("url") or source.get("file_id")))
    elif kind == "tool_use":
        asked.say("assistant", "call", (part["name"], part.get("input") or {}))
    elif kind == "tool_result":
        asked.say("tool", "result", result(_texts(part.get("content"))))
        for one in _parts(part.get("content")):
            if one["type"] != "text":
                _block(asked, "tool", one)


# -- responses -------------------------------------------------------------------------------------------------------


def responses(body: dict[str, Any]) -> Asked:
    asked = Asked(system=squeezed(body.get("instructions") or ""))
    items = body.get("input") or []
    found = list(body.get("tools") or [])
    for item in [{"role": "user", "content": items}] if isinstance(items, str) else items:
        if item.get("type") == "additional_tools":
            found += item["tools"]
        else:
            _item(asked, item)
    for tool in found:
        for one in tool["tools"] if tool["type"] == "namespace" else [tool]:
            if one["type"] in ("function", "custom"):
                _tool(asked, one["name"], one.get("description"), one.get("parameters"))
            elif one["type"] == "tool_search" and one.get("execution") == "client":
                _tool(asked, "tool_search", one.get("description"), one.get("parameters"))
    choice = body.get("tool_choice") or "auto"
    if isinstance(choice, dict):
        choice = "named:" + choice["name"] if "name" in choice else _allowed(choice)
    asked.choice = choice
    _limits(asked, body, max_tokens="max_output_tokens", temperature="temperature", top_p="top_p")
    form = (body.get("text") or {}).get("format") or {}
    if form.get("type") == "json_schema":
        asked.shape = names(form["schema"])
    elif form.get("type") == "json_object":
        asked.shape = "object"
    return asked


def _item(asked: Asked, item: dict[str, Any]) -> None:
    kind = item.get("type", "message")
    if kind == "message" and item["role"] in ("system", "developer"):
        asked.system += squeezed(_texts(item["content"]))
    elif kind == "message":
        for part in _parts(item["content"]):
            _input(asked, item["role"], part)
    elif kind in ("function_call", "custom_tool_call", "tool_search_call"):
        said = item.get("arguments") or item.get("input")
        asked.say("assistant", "call", (item.get("name", "tool_search"), decoded(said)))
    elif kind == "tool_search_output":
        asked.say("tool", "result", item["tools"])
    elif kind in ("function_call_output", "custom_tool_call_output"):
        asked.say("tool", "result", result(_texts(item["output"])))
        for part in _parts(item["output"]):
            if part["type"] not in ("input_text", "text"):
                _input(asked, "tool", part)


def _input(asked: Asked, role: str, part: dict[str, Any]) -> None:
    kind = part["type"]
    if kind in ("input_text", "output_text", "refusal", "text"):
        asked.say(role, "text", part.get("text") or part.get("refusal"))
    elif kind == "input_image":
        asked.say(role, "media", digest(part.get("image_url") or part.get("file_id")))
    elif kind == "input_file":
        asked.titles.append(squeezed(part.get("filename") or ""))
        asked.say(role, "media", digest(part.get("file_data") or part.get("file_url") or part.get("file_id")))
    elif kind == "input_audio":
        asked.say(role, "media", digest(part["input_audio"]["data"]))


# -- gemini ----------------------------------------------------------------------------------------------------------


def gemini(body: dict[str, Any]) -> Asked:
    asked = Asked()
    system = _key(body, "systemInstruction", "system_instruction") or {}
    system = {"parts": [{"text": system}]} if isinstance(system, str) else system
    asked.system = squeezed("".join(part.get("text") or "" for part in _list(system.get("parts"))))
    contents = body.get("contents") or []
    for content in _list(contents):
        role = {"model": "assistant"}.get(content.get("role") or "user", "user")
        for part in _list(content.get("parts")):
            _gemini_part(asked, role, part)
    for tool in _list(body.get("tools")):
        for one in _key(tool, "functionDeclarations", "function_declarations") or []:
            schema = one.get("parametersJsonSchema") or one.get("parameters_json_schema") or one.get("parameters")
            _tool(asked, one["name"], one.get("description"), schema)
    config = (
        _key(_key(body, "toolConfig", "tool_config") or {}, "functionCallingConfig", "function_calling_config") or {}
    )
    allowed = _key(config, "allowedFunctionNames", "allowed_function_names") or []
    mode = str(config.get("mode") or "AUTO").upper()
    asked.choice = {"AUTO": "auto", "NONE": "none", "ANY": "required", "VALIDATED": "auto"}.get(mode, mode)
    if mode == "ANY" and allowed:
        asked.choice = "named:" + allowed[0] if len(allowed) == 1 else "allowed:required," + ",".join(sorted(allowed))
    made = _key(body, "generationConfig", "generation_config") or {}
    _limits(
        asked,
        made,
        max_tokens="maxOutputTokens",
        temperature="temperature",
        top_p="topP",
        top_k="topK",
        stop="stopSequences",
        seed="seed",
        frequency_penalty="frequencyPenalty",
        presence_penalty="presencePenalty",
    )
    schema = _key(made, "responseJsonSchema", "responseSchema", "response_json_schema", "response_schema")
    if schema:
        asked.shape = names(schema)
    elif made.get("responseMimeType") == "application/json":
        asked.shape = "object"
    return asked


def _list(value: Any) -> list[Any]:
    return value if isinstance(value, list) else [value] if value else []


def _key(holder: dict[str, Any], *keys: str) -> Any:
    return next((holder[key] for key in keys if key in holder), None)


def _gemini_part(asked: Asked, role: str, part: dict[str, Any]) -> None:
    call = _key(part, "functionCall", "function_call")
    answer = _key(part, "functionResponse", "function_response")
    inline = _key(part, "inlineData", "inline_data")
    file = _key(part, "fileData", "file_data")
    if part.get("thought"):
        return
    if "text" in part:
        asked.say(role, "text", part["text"])
    elif call:
        asked.say("assistant", "call", (call["name"], call.get("args") or {}))
    elif answer:
        asked.say("tool", "result", result(answer.get("response")))
        for one in answer.get("parts") or []:
            _gemini_part(asked, "tool", one)
    elif inline:
        asked.say(role, "media", digest(inline["data"]))
    elif file:
        asked.say(role, "media", digest(_key(file, "fileUri", "file_uri")))


# -- bedrock converse ------------------------------------------------------------------------------------------------


def converse(body: dict[str, Any]) -> Asked:
    asked = Asked(system=squeezed("".join(part.get("text") or "" for part in body.get("system") or [])))
    for message in body["messages"]:
        for part in message["content"]:
            _converse_block(asked, message["role"], part)
    config = body.get("toolConfig") or {}
    for tool in config.get("tools") or []:
        if "toolSpec" in tool:
            spec = tool["toolSpec"]
            _tool(asked, spec["name"], spec.get("description"), spec["inputSchema"].get("json"))
    choice = config.get("toolChoice") or {"auto": {}}
    kind, inner = next(iter(choice.items()))
    asked.choice = "named:" + inner["name"] if kind == "tool" else {"any": "required"}.get(kind, kind)
    more = body.get("additionalModelRequestFields") or {}
    _limits(
        asked,
        {**(body.get("inferenceConfig") or {}), "topK": more.get("top_k")},
        max_tokens="maxTokens",
        temperature="temperature",
        top_p="topP",
        top_k="topK",
        stop="stopSequences",
    )
    form = body.get("outputConfig") or {}
    if form:
        asked.shape = names(json.loads(form["textFormat"]["structure"]["jsonSchema"]["schema"]))
    return asked


def _converse_block(asked: Asked, role: str, part: dict[str, Any]) -> None:
    if "text" in part:
        asked.say(role, "text", part["text"])
    for kind in ("image", "document", "video", "audio"):
        if kind in part:
            _converse_media(asked, role, part[kind]["source"])
    if "toolUse" in part:
        asked.say("assistant", "call", (part["toolUse"]["name"], part["toolUse"].get("input") or {}))
    if "toolResult" in part:
        inner = part["toolResult"]["content"]
        whole = [one["json"] for one in inner if "json" in one]
        text = "".join(one.get("text") or "" for one in inner)
        asked.say("tool", "result", result(whole[0]) if whole else result(text))
        for one in inner:
            if "text" not in one:
                _converse_block(asked, "tool", one)


def _converse_media(asked: Asked, role: str, source: dict[str, Any]) -> None:
    if "text" in source:
        asked.say(role, "text", source["text"])
        return
    for one in source.get("content") or []:
        _converse_block(asked, role, one)
    if "content" not in source:
        asked.say(role, "media", digest(source.get("bytes") or source.get("s3Location", {}).get("uri")))


# -- cohere, ollama --------------------------------------------------------------------------------------------------


def cohere(body: dict[str, Any]) -> Asked:
    plain = {key: value for key, value in body.items() if key not in ("tool_choice", "response_format")}
    plain["messages"] = [
        {
            **message,
            "content": "".join(
                (one.get("document") or {}).get("data") or one.get("text") or "" for one in _parts(message["content"])
            )
            if message["role"] == "tool"
            else message.get("content"),
        }
        for message in body["messages"]
    ]
    asked = chat(plain)
    asked.choice = {"REQUIRED": "required", "NONE": "none"}.get(body.get("tool_choice") or "", "auto")
    _limits(asked, body, top_p="p", top_k="k", stop="stop_sequences")
    form = body.get("response_format") or {}
    if form.get("type") == "json_object":
        schema = form.get("json_schema") or form.get("schema")
        asked.shape = names(schema) if schema else "object"
    return asked


def ollama(body: dict[str, Any]) -> Asked:
    asked = Asked()
    for message in body["messages"]:
        role = message["role"]
        if role == "system":
            asked.system += squeezed(message["content"])
        elif role == "tool":
            asked.say("tool", "result", result(message["content"]))
        else:
            asked.say(role, "text", message.get("content"))
            for call in message.get("tool_calls") or []:
                asked.say("assistant", "call", (call["function"]["name"], call["function"].get("arguments") or {}))
        for image in message.get("images") or []:
            asked.say(role, "media", digest(image))
    for tool in body.get("tools") or []:
        inner = tool["function"]
        _tool(asked, inner["name"], inner.get("description"), inner.get("parameters"))
    _limits(
        asked,
        body.get("options") or {},
        max_tokens="num_predict",
        temperature="temperature",
        top_p="top_p",
        top_k="top_k",
        stop="stop",
        seed="seed",
        frequency_penalty="frequency_penalty",
        presence_penalty="presence_penalty",
    )
    form = body.get("format")
    if form:
        asked.shape = "object" if form == "json" else names(form)
    return asked


EXTRACT = {
    "openai_chat": chat,
    "openai_responses": responses,
    "anthropic_messages": messages,
    "bedrock_invoke_anthropic": messages,
    "gemini": gemini,
    "bedrock_converse": converse,
    "cohere_chat": cohere,
    "ollama_chat": ollama,
}
