"""What a generateContent request or reply means, freed from the wordings that say the same.

The differences that are forgiven, each with its reason: null and absence; snake_case and camelCase, of which Google
takes either; a repeated field with one object or a list of one; several tool objects or one, for a request's tools are
all of theirs; consecutive contents of the model as one, with the text of two pieces as one; no arguments and empty
ones; base64 in either alphabet; an enum's number for its word; ``models/`` before a model's name.
"""

from __future__ import annotations

from typing import Any

from gateway_plugins.formats.gemini_fields import camel

_KEPT_WHOLE = (
    "args",
    "response",
    "parameters",
    "parametersJsonSchema",
    "responseSchema",
    "responseJsonSchema",
    "customMetadata",
    "labels",
)
_LISTS = ("parts", "contents", "tools", "functionDeclarations", "allowedFunctionNames")


def plain(value: Any) -> Any:
    """Without nulls, in camelCase, with lists where Google documents lists."""
    if isinstance(value, list):
        return [plain(item) for item in value]
    if not isinstance(value, dict):
        return value
    if isinstance(value.get("data"), str):
        value = {**value, "data": value["data"].replace("-", "+").replace("_", "/")}
    out: dict[str, Any] = {}
    for raw, item in value.items():
        key = camel(raw)
        if item is None:
            continue
        found = item if key in _KEPT_WHOLE else plain(item)
        out[key] = [found] if key in _LISTS and isinstance(found, dict) else found
    return out


def request_meaning(request: dict[str, Any]) -> dict[str, Any]:
    out: dict[str, Any] = plain(request)
    out["contents"] = _joined(out.get("contents", []))
    functions: list[Any] = []
    others: list[Any] = []
    for tool in out.pop("tools", []):
        functions += tool.pop("functionDeclarations", [])
        others += [{key: item} for key, item in tool.items()]
    if functions:
        out["functions"] = functions
    if others:
        out["tools"] = others
    for key in ("generationConfig", "toolConfig", "labels", "safetySettings"):
        if not out.get(key, True):
            del out[key]
    return out


def _joined(contents: list[dict[str, Any]]) -> list[dict[str, Any]]:
    out: list[dict[str, Any]] = []
    for content in contents:
        content["parts"] = [_part(part) for part in content.get("parts", [])]
        if out and content.get("role") == "model" == out[-1].get("role"):
            for part in content["parts"]:
                last = out[-1]["parts"][-1] if out[-1]["parts"] else {}
                if last.keys() == {"text"} and "text" in part and not part.get("thought"):
                    last.update({**part, "text": last["text"] + part["text"]})
                else:
                    out[-1]["parts"].append(part)
        else:
            out.append(content)
    return out


def _part(part: dict[str, Any]) -> dict[str, Any]:
    call = part.get("functionCall")
    if isinstance(call, dict) and not call.get("args"):
        call["args"] = {}
    return part


def reply_meaning(reply: dict[str, Any]) -> dict[str, Any]:
    """The meaning of a whole reply."""
    out: dict[str, Any] = plain(reply)
    usage = out.get("usageMetadata", {})
    for key in [key for key, item in usage.items() if item == 0]:
        del usage[key]
    if "modelVersion" in out:
        out["modelVersion"] = out["modelVersion"].removeprefix("models/")
    for candidate in out.get("candidates", []):
        if candidate.get("finishReason") == 1:
            candidate["finishReason"] = "STOP"
        candidate.setdefault("index", 0)
        candidate.setdefault("content", {}).setdefault("parts", [])
        candidate["content"].setdefault("role", "model")
        candidate["content"]["parts"] = [_part(part) for part in candidate["content"]["parts"]]
    return out
