"""The items of a response's output as they grow: each part of a stream is one of the classes here.

A class says what its part has to say in the events of the stream, and keeps the item whole for the end. ``Emit`` takes
an event's type and members; it numbers and writes it.
"""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

import msgspec

from gateway.protocol import PartDelta, Refusal, Text, Thinking, ToolCall
from gateway_plugins.formats.openai_chat_finish import unsaid_of
from gateway_plugins.formats.openai_responses_carrier import carried_thinking
from gateway_plugins.formats.openai_responses_fields import NAME
from gateway_plugins.formats.openai_responses_local import call_item
from gateway_plugins.formats.openai_responses_usage import write_annotation, write_logprobs

Emit = Callable[[str, dict[str, Any]], None]


class OutputItem:
    """An item of the output: where it stands, its id, and its value as known by now."""

    __slots__ = ("done", "emit", "index", "value")

    def __init__(self, index: int, value: dict[str, Any], emit: Emit) -> None:
        self.index = index
        self.value = value
        self.emit = emit
        self.done = False
        emit("response.output_item.added", {"output_index": index, "item": value})

    def place(self, **more: Any) -> dict[str, Any]:
        """The members that say which item an event is about."""
        return {"item_id": self.value["id"], "output_index": self.index, **more}

    def finish(self, status: str | None = "completed") -> None:
        """The item is complete."""
        if self.done:
            return
        self.done = True
        if status is not None:
            self.value["status"] = status
        self.emit("response.output_item.done", {"output_index": self.index, "item": self.value})


class TextPart:
    """Text or a refusal within a message item."""

    __slots__ = ("_citations", "_item", "_lost", "_own", "_pieces", "_place", "_value", "open")

    def __init__(self, item: OutputItem, part: Text | Refusal, *, own: bool) -> None:
        self._item = item
        self._own = own
        self._pieces: list[str] = []
        self._citations: list[dict[str, Any]] = []
        self._lost = 0
        self.open = True
        if isinstance(part, Refusal):
            self._value: dict[str, Any] = {"type": "refusal", "refusal": ""}
        else:
            self._value = {"type": "output_text", "text": "", "annotations": [], "logprobs": []}
        content = item.value["content"]
        self._place = item.place(content_index=len(content))
        # The value itself grows and is put into the item only when whole: what was sent stays what it was.
        item.emit("response.content_part.added", {**self._place, "part": self._value})
        content.append(self._value)

    def name_item(self) -> None:
        """Take over the item's id, which has changed."""
        if self._place:
            self._place["item_id"] = self._item.value["id"]

    def delta(self, event: PartDelta) -> None:
        """More of it."""
        if event.data is not None:
            if self._own:
                self._annotate(event.data)
            else:
                self._citations.append(event.data)  # it may be of the whole text, whose end is not known yet
        elif self._value["type"] == "refusal":
            self._pieces.append(event.value)
            self._item.emit("response.refusal.delta", {**self._place, "delta": event.value})
        else:
            self._pieces.append(event.value)
            logprobs = write_logprobs(event.logprobs)
            self._value["logprobs"] += logprobs
            self._item.emit("response.output_text.delta", {**self._place, "delta": event.value, "logprobs": logprobs})

    def _annotate(self, annotation: dict[str, Any]) -> None:
        number = len(self._value["annotations"])
        self._value["annotations"].append(annotation)
        place = {**self._place, "annotation_index": number}
        self._item.emit("response.output_text.annotation.added", {**place, "annotation": annotation})

    def unsaid(self) -> list[str]:
        """What another provider's citations say beside their pages."""
        return unsaid_of(self._citations)

    def stop(self) -> int:
        """It is complete; returns how many citations had no place."""
        if not self.open:
            return 0
        self.open = False
        text = "".join(self._pieces)
        item, value = self._item, self._value
        if value["type"] == "refusal":
            value["refusal"] = text
            item.emit("response.refusal.done", {**self._place, "refusal": text})
        else:
            for citation in self._citations:
                annotation = write_annotation(citation, 0, len(text))
                if annotation is None:
                    self._lost += 1
                else:
                    self._annotate(annotation)
            value["text"] = text
            item.emit("response.output_text.done", {**self._place, "text": text, "logprobs": value["logprobs"]})
        item.emit("response.content_part.done", {**self._place, "part": value})
        return self._lost


class ThinkingPart:
    """A piece of a reasoning item: of its summary, or of the reasoning itself where an open model shows it."""

    __slots__ = ("_begun", "_item", "_part", "_pieces", "_place", "_plain")

    def __init__(self, item: OutputItem, part: Thinking, *, own: bool) -> None:
        self._item = item
        self._part = msgspec.structs.replace(part)
        self._pieces: list[str] = []
        self._plain = own and part.origin is None
        self._begun = False
        self._place: dict[str, Any] = {}

    def name_item(self) -> None:
        """Take over the item's id, which has changed."""
        if self._place:
            self._place["item_id"] = self._item.value["id"]

    def delta(self, event: PartDelta) -> None:
        """More of it. What lets it be replayed is given whole at the end."""
        if event.kind != "thinking":
            if event.kind in ("signature", "encrypted"):
                setattr(self._part, event.kind, (getattr(self._part, event.kind) or "") + event.value)
            return
        item = self._item
        if not self._begun:
            self._begin()
        self._pieces.append(event.value)
        kind = "response.reasoning_text.delta" if self._plain else "response.reasoning_summary_text.delta"
        item.emit(kind, {**self._place, "delta": event.value})

    def _begin(self) -> None:
        self._begun = True
        item = self._item
        if self._plain:
            content = item.value.setdefault("content", [])
            self._place = item.place(content_index=len(content))
            part = {"type": "reasoning_text", "text": ""}
            item.emit("response.content_part.added", {**self._place, "part": part})
            content.append(part)
        else:
            summary = item.value["summary"]
            self._place = item.place(summary_index=len(summary))
            part = {"type": "summary_text", "text": ""}
            item.emit("response.reasoning_summary_part.added", {**self._place, "part": part})
            summary.append(part)

    def stop(self) -> int:
        """It is complete; returns 0, for nothing of it is lost."""
        item = self._item
        if self._begun:
            text = "".join(self._pieces)
            if self._plain:
                part = item.value["content"][self._place["content_index"]]
                part["text"] = text
                item.emit("response.reasoning_text.done", {**self._place, "text": text})
                item.emit("response.content_part.done", {**self._place, "part": part})
            else:
                part = item.value["summary"][self._place["summary_index"]]
                part["text"] = text
                item.emit("response.reasoning_summary_text.done", {**self._place, "text": text})
                item.emit("response.reasoning_summary_part.done", {**self._place, "part": part})
            self._begun = False
        encrypted = None if self._plain else carried_thinking(self._part)
        if encrypted is not None:
            item.value["encrypted_content"] = encrypted
        return 0


class CallPart:
    """A call of a function or of a custom tool."""

    __slots__ = ("_event", "_field", "_item", "_pieces")

    def __init__(self, item: OutputItem) -> None:
        self._item = item
        self._pieces: list[str] = []
        custom = item.value["type"] == "custom_tool_call"
        self._event = "response.custom_tool_call_input" if custom else "response.function_call_arguments"
        self._field = "input" if custom else "arguments"

    @property
    def call_id(self) -> str:
        """The id by which its result is known."""
        call_id: str = self._item.value["call_id"]
        return call_id

    def delta(self, event: PartDelta) -> None:
        """More of its arguments."""
        if event.kind == "arguments" and event.value:
            self._pieces.append(event.value)
            self._item.emit(f"{self._event}.delta", {**self._item.place(), "delta": event.value})

    def stop(self) -> int:
        """It is complete; returns 0, for nothing of it is lost."""
        item = self._item
        if item.done:
            return 0
        text = "".join(self._pieces)
        if not text and self._field == "arguments":
            text = "{}"
            item.emit(f"{self._event}.delta", {**item.place(), "delta": text})
        item.value[self._field] = text
        said: dict[str, Any] = {**item.place(), self._field: text}
        if self._field == "arguments":
            said["name"] = item.value["name"]
        item.emit(f"{self._event}.done", said)
        item.finish()
        return 0


class LocalCallPart:
    """A call of a tool that the caller runs itself (apply_patch, shell): its item is written when it is whole."""

    __slots__ = ("_add", "_call", "_kind", "_pieces", "_stopped")

    def __init__(self, kind: str, call: ToolCall, add: Callable[[dict[str, Any]], OutputItem]) -> None:
        self._kind = kind
        self._call = call
        self._add = add
        self._pieces = [call.arguments] if call.arguments else []
        self._stopped = False

    @property
    def call_id(self) -> str:
        """The id by which its result is known."""
        return self._call.id

    def delta(self, event: PartDelta) -> None:
        """More of its arguments."""
        if event.kind == "arguments":
            self._pieces.append(event.value)

    def stop(self) -> int:
        """It is complete; returns 0, for nothing of it is lost."""
        if self._stopped:
            return 0
        self._stopped = True
        call = msgspec.structs.replace(self._call, arguments="".join(self._pieces))
        value = call_item(self._kind, "", call)
        if value is None:
            # The model's arguments fit no such call: the caller sees what it said.
            value = {"id": "", "type": "function_call", "call_id": call.id, "name": call.name}
            value |= {"arguments": call.arguments or "{}", "status": "completed"}
        self._add(value).finish()
        return 0


def reasoning_value(item_id: str) -> dict[str, Any]:
    """A reasoning item as it begins."""
    return {"id": item_id, "type": "reasoning", "summary": []}


def is_same_item(part: Thinking, last: Thinking | None) -> bool:
    """Whether two pieces of thinking belong to one item of OpenAI's."""
    if last is None or part.id is None or part.id != last.id:
        return False
    return part.origin in (None, NAME) and last.origin in (None, NAME)
