"""Messages, written as Converse's turns.

The system prompt stands apart, tool results come first in the user turn behind their calls, turns of one role are one
turn, and empty text is left out: Converse refuses what is otherwise.
"""

from __future__ import annotations

from typing import Any

from gateway.errors import InvalidRequest
from gateway.protocol import CacheControl, ChatRequest, Message
from gateway_plugins.formats.bedrock_converse_blocks import BlockWriter, Unit
from gateway_plugins.formats.bedrock_converse_fields import CLAUDE, NAME, Outgoing


class Turns:
    """The turns being written, and the system prompt."""

    def __init__(self, to: Outgoing) -> None:
        self._to = to
        self.writer = BlockWriter(to)
        self.system: list[Unit] = []
        self.turns: list[tuple[str, list[Unit]]] = []
        # System messages in mid-conversation that wait for a place, each with its index and whether it moved.
        self._held: list[tuple[int, list[Unit], bool]] = []
        self._leading: list[int] = []

    def write(self, messages: list[Message]) -> None:
        """Write all messages."""
        for index, message in enumerate(messages):
            self._message(index, message)
        self._place_held()
        if self.system and self._to.options.get("system") is False:
            self._say_system_first()
        if not self.turns and self.system:
            self._ask_with_system()
        if not self.turns:
            raise InvalidRequest("messages: at least one message with content is required", param="messages")
        self._end_without_space(len(messages) - 1)

    def goes_on_unthought(self) -> bool:
        """Whether the last assistant turn called tools and did not begin with reasoning."""
        last = next((units for role, units in reversed(self.turns) if role == "assistant"), None)
        if last is None:
            return False
        return any("toolUse" in unit[0] for unit in last) and "reasoningContent" not in last[0][0]

    def cache_end(self, control: CacheControl | None) -> None:
        """Put a cache point at the very end, which is what a breakpoint of the whole request means."""
        last = self.turns[-1][1][-1]
        if not any("cachePoint" in block for block in last):
            last += self._to.cache_point(control, "messages", "")

    def _message(self, index: int, message: Message) -> None:
        path = f"messages[{index}]"
        if message.name is not None:
            self._to.lose(f"{path}.name", "Converse has no names of participants")
        self._to.lose_extra(message.extra, path)
        if message.role in ("system", "developer"):
            units = self.writer.write(message.content, path, "system")
            if not self.turns:
                self.system += units
                self._leading += [index] * len(units)
            elif units:
                self._held.append((index, units, False))
            return
        if message.role != "assistant":
            self._add("user", self.writer.write(message.content, path, "user"))
            return
        units = self.writer.write(message.content, path, "assistant")
        if self._to.origin not in (CLAUDE, NAME):
            # Wherever its reader put the thinking, Claude wants it first.
            units.sort(key=lambda unit: "reasoningContent" not in unit[0])
        self._add("assistant", units)

    def _add(self, role: str, units: list[Unit]) -> None:
        if not units:
            return
        if role == "assistant":
            self._place_held()
        else:
            self._held = [(index, held, True) for index, held, _ in self._held]
        if not self.turns or self.turns[-1][0] != role:
            self.turns.append((role, units))
            return
        # Results stand before everything else.
        there = self.turns[-1][1]
        results = [unit for unit in units if "toolResult" in unit[0]]
        at = next((at for at, unit in enumerate(there) if "toolResult" not in unit[0]), len(there))
        there[at:at] = results
        there += [unit for unit in units if "toolResult" not in unit[0]]

    def _place_held(self) -> None:
        """Put the waiting system messages behind the user turn, where the model allows it, else in the prompt."""
        held, self._held = self._held, []
        if not held:
            return
        if self._to.options.get("mid_system") and self.turns[-1][0] == "user":
            for index, _, moved in held:
                if moved:
                    self._to.lose(f"messages[{index}].role", "moved behind the user turn that follows it")
            self.turns.append(("system", [unit for _, units, _ in held for unit in units]))
            return
        for index, units, _ in held:
            self.system += units
            self._to.lose(
                f"messages[{index}].role", "moved into the system prompt: the model takes no system message here"
            )

    def _say_system_first(self) -> None:
        """Put the instructions at the beginning of the conversation, for a model that takes no system prompt."""
        for index in dict.fromkeys(self._leading):
            self._to.lose(f"messages[{index}].role", "sent as the user's: the model takes no system prompt")
        said, self.system = self.system, []
        if self.turns and self.turns[0][0] == "user":
            self.turns[0][1][0:0] = said
        else:
            self.turns.insert(0, ("user", said))

    def _ask_with_system(self) -> None:
        """A conversation needs a user turn: where there are instructions only, the last of them is it."""
        index = self._leading[-1]
        first = self._leading.index(index)
        units, self.system = self.system[first:], self.system[:first]
        self._to.lose(f"messages[{index}].role", "sent as the user's: Converse wants a user turn")
        self.turns.append(("user", units))

    def _end_without_space(self, index: int) -> None:
        """An assistant turn to be continued must not end in white space."""
        role, units = self.turns[-1]
        block = units[-1][0]
        text = block.get("text")
        if role == "assistant" and isinstance(text, str) and text != text.rstrip():
            block["text"] = text.rstrip()
            self._to.lose(f"messages[{index}].content", "white space at the end of an answer to be continued is cut")


def write_messages(out: dict[str, Any], request: ChatRequest, to: Outgoing) -> Turns:
    """``messages`` and ``system``; returns what was written, for what depends on it."""
    turns = Turns(to)
    turns.write(request.messages)
    if request.cache_control is not None:
        turns.cache_end(request.cache_control)
    if turns.system:
        out["system"] = flat(turns.system)
    out["messages"] = [{"role": role, "content": flat(units)} for role, units in turns.turns]
    return turns


def flat(units: list[Unit]) -> list[dict[str, Any]]:
    """The blocks of the units in their order."""
    return [block for unit in units for block in unit]
