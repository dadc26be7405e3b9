"""Messages, written as Anthropic's turns.

Another format's conversation is made to fit: the system prompt apart, tool results first in the user turn behind
their calls, turns of one role merged, empty text left out. Our own goes out as it came in.
"""

from __future__ import annotations

from typing import Any

from gateway.errors import InvalidRequest
from gateway.protocol import ChatRequest, Message
from gateway_plugins.formats.anthropic_blocks_writer import BlockWriter, plain
from gateway_plugins.formats.anthropic_fields import Outgoing
from gateway_plugins.formats.anthropic_request_reader import IN_MESSAGES

Blocks = list[dict[str, Any]]
_THINKING = ("thinking", "redacted_thinking")


class Turns:
    """The turns being written, and the system prompt."""

    def __init__(self, to: Outgoing) -> None:
        self._to = to
        self._writer = BlockWriter(to)
        self.system: Blocks = []
        self.turns: list[dict[str, Any]] = []
        # System messages in mid-conversation that wait for a place, each with its index and whether it moved.
        self._held: list[tuple[int, Blocks, bool]] = []
        self._leading: list[int] = []

    def write(self, request: ChatRequest) -> None:
        """Write all messages."""
        for index, message in enumerate(request.messages):
            self._write(index, message)
        if self._to.own:
            return
        self._place_held()
        if not self.turns and self.system:
            self._ask_with_system()
        if not self.turns:
            raise InvalidRequest("messages: at least one message with content is required", param="messages")
        self._end_without_space(len(request.messages) - 1)

    def goes_on_unthought(self) -> bool:
        """Whether the last assistant turn called tools and did not begin with thinking."""
        last = next((turn for turn in reversed(self.turns) if turn["role"] == "assistant"), None)
        if last is None:
            return False
        kinds = [block.get("type") for block in last["content"]]
        return "tool_use" in kinds and kinds[0] not in _THINKING

    def _write(self, index: int, message: Message) -> None:
        path = f"messages[{index}]"
        if message.name is not None:
            self._to.lose(f"{path}.name", "Anthropic has no names of participants")
        if message.role in ("system", "developer"):
            self._system(index, message, path)
            return
        if message.role == "assistant":
            blocks = self._writer.write(message.content, path, "assistant")
            if not self._to.own:
                # Wherever its reader put the thinking, Anthropic wants it first.
                blocks.sort(key=lambda block: block["type"] not in _THINKING)
        else:
            blocks = self._writer.write(message.content, path, "user")
        self._add("assistant" if message.role == "assistant" else "user", blocks, message.extra, path)

    def _add(self, role: str, blocks: Blocks, extra: dict[str, Any], path: str) -> None:
        if not self._to.own:
            for key in extra:
                self._to.lose(f"{path}.{key}", "it has no place in Anthropic's Messages")
            if not blocks:
                return
            if role == "assistant":
                self._place_held()
            else:
                self._held = [(index, held, True) for index, held, _ in self._held]
        last = self.turns[-1] if self.turns else None
        if last is None or last["role"] != role or (self._to.own and extra):
            self.turns.append({"role": role, "content": blocks, **(extra if self._to.own else {})})
        elif self._to.own:
            last["content"] += blocks
        else:
            # Results stand before everything else.
            there = last["content"]
            results = [block for block in blocks if block["type"] == "tool_result"]
            at = next((at for at, block in enumerate(there) if block["type"] != "tool_result"), len(there))
            others = [block for block in blocks if block["type"] != "tool_result"]
            last["content"] = [*there[:at], *results, *there[at:], *others]

    def _system(self, index: int, message: Message, path: str) -> None:
        blocks = self._writer.write(message.content, path, "system")
        if self._to.own:
            if message.spelling.get("place") == IN_MESSAGES:
                self._add("system", blocks, message.extra, path)
            else:
                self.system += blocks
            return
        for key in message.extra:
            self._to.lose(f"{path}.{key}", "it has no place in Anthropic's Messages")
        if not self.turns:
            self.system += blocks
            self._leading += [index] * len(blocks)
        elif blocks:
            self._held.append((index, blocks, False))

    def _place_held(self) -> None:
        """Put the waiting system messages behind the user turn, where Anthropic allows it, else in the prompt."""
        held, self._held = self._held, []
        if not held:
            return
        behind_user = self.turns[-1]["role"] == "user"
        if self._to.options.get("mid_system") and behind_user:
            content: Blocks = []
            for index, blocks, moved in held:
                content += blocks
                if moved:
                    self._to.lose(f"messages[{index}].role", "moved behind the user turn that follows it")
            self.turns.append({"role": "system", "content": content})
            return
        why = "moved into the system prompt: Anthropic takes no system message here"
        for index, blocks, _ in held:
            self.system += blocks
            self._to.lose(f"messages[{index}].role", why)

    def _ask_with_system(self) -> None:
        """A conversation needs a user turn: where there are instructions only, the last of them is it."""
        index = self._leading[-1]
        first = self._leading.index(index)
        blocks, self.system = self.system[first:], self.system[:first]
        self._to.lose(f"messages[{index}].role", "sent as the user's: Anthropic wants a user turn")
        self.turns.append({"role": "user", "content": blocks})

    def _end_without_space(self, index: int) -> None:
        """An assistant turn to be continued must not end in white space."""
        last = self.turns[-1]
        block = last["content"][-1]
        if last["role"] == "assistant" and block["type"] == "text" and block["text"] != block["text"].rstrip():
            block["text"] = block["text"].rstrip()
            self._to.lose(f"messages[{index}].content", "white space at the end of an answer to be continued is cut")


def write_messages(out: dict[str, Any], request: ChatRequest, to: Outgoing) -> bool:
    """``system`` and ``messages``; returns whether the turn to go on with called tools without thinking."""
    turns = Turns(to)
    turns.write(request)
    unthought = turns.goes_on_unthought()
    if turns.system:
        out["system"] = plain(turns.system)
    for turn in turns.turns:
        turn["content"] = plain(turn["content"]) or ""
    out["messages"] = turns.turns
    return unthought
