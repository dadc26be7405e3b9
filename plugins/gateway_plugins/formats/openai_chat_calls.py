"""Tool calls of one streamed choice: which delta belongs to which call.

OpenAI numbers the calls, names a call in its first delta and says its id there. Others leave the number out, give all
calls the number 0, repeat or omit ids, send a call in one piece, several in one delta, or a name in pieces. A call is
announced when its arguments begin, or when something else does: until then its name may still grow.
"""

from __future__ import annotations

from typing import Any

import msgspec

from gateway.errors import UpstreamProtocolError
from gateway.json_text import BAD_JSON
from gateway.protocol import Event, Part, PartDelta, PartStart, PartStop, ToolCall
from gateway_plugins.formats.openai_chat_reply import call_id
from gateway_plugins.formats.openai_chat_tools import argument_text, take_signature

FUNCTION_CALL = -1
"""The number given to the one call of the deprecated ``function_call``."""

_KNOWN = frozenset(("index", "id", "type", "function", "custom", "extra_content"))


class Parts:
    """Numbers the parts of one choice in the order of their appearance."""

    __slots__ = ("choice", "count")

    def __init__(self, choice: int) -> None:
        self.choice = choice
        self.count = 0

    def start(self, content: Part, out: list[Event]) -> int:
        """Announce a part; returns its number."""
        part = self.count
        self.count += 1
        out.append(PartStart(choice=self.choice, part=part, content=content))
        return part


class _Call:
    __slots__ = ("closed", "extra", "id", "kind", "name", "part", "pieces", "signature")

    def __init__(self) -> None:
        self.id = ""
        self.name = ""
        self.kind = "function"
        self.part: int | None = None
        self.pieces: list[str] = []
        self.closed = False
        self.signature: str | None = None
        self.extra: dict[str, Any] = {}

    def whole(self) -> bool:
        """Whether the arguments cannot go on: JSON that is complete, or any free text once something else begins."""
        if not self.pieces or self.kind == "custom":
            return bool(self.pieces)
        try:
            msgspec.json.decode("".join(self.pieces))
        except BAD_JSON:
            return False
        return True


class CallReader:
    """The calls of one choice."""

    __slots__ = ("_by_id", "_by_index", "_calls", "_parts", "_reply_id")

    def __init__(self, parts: Parts, reply_id: str) -> None:
        self._parts = parts
        self._reply_id = reply_id
        self._calls: list[_Call] = []
        self._by_index: dict[int, _Call] = {}
        self._by_id: dict[str, _Call] = {}

    def __bool__(self) -> bool:
        return bool(self._calls)

    def take(self, entry: dict[str, Any], position: int, out: list[Event]) -> None:
        """One object of a delta's ``tool_calls``, at ``position`` in it."""
        function, custom = entry.get("function"), entry.get("custom")
        is_custom = isinstance(custom, dict) and (entry.get("type") == "custom" or not isinstance(function, dict))
        inner = custom if is_custom else function
        if not isinstance(inner, dict):
            inner = {}
        found = inner.get("name")
        name = found if isinstance(found, str) else ""
        arguments = argument_text(inner.get("input" if is_custom else "arguments"))
        found = entry.get("id")
        said_id = found if isinstance(found, str) else ""
        call = self._find(entry.get("index"), said_id, name, arguments, position)
        if call is None:
            self.settle(out)
            call = self._new(entry, said_id, is_custom)
        elif name and arguments and call.whole() and arguments == "".join(call.pieces):
            return  # the whole call said again
        self._grow(call, name, arguments, entry.get("extra_content"), out)

    def _find(self, index: Any, said_id: str, name: str, arguments: str, position: int) -> _Call | None:
        """The call that a delta goes on with; None where it begins one."""
        numbered = isinstance(index, int)
        call = self._by_index.get(index) if numbered else self._by_id.get(said_id)
        if not name:
            if call is None and not said_id and self._calls:
                return self._calls[-1]
            return call
        if numbered and call is None:
            return None
        if said_id and (call is None or call.id):
            # The same number with another id and a name: a provider that numbers every call 0.
            return call if call is not None and said_id == call.id and (numbered or not call.whole()) else None
        if call is None and position == 0 and self._calls:
            call = self._calls[-1]
        if call is None or not call.whole() or (name == call.name and not arguments):
            return call
        return call if name == call.name and arguments == "".join(call.pieces) else None

    def _new(self, entry: dict[str, Any], said_id: str, is_custom: bool) -> _Call:
        call = _Call()
        if said_id and said_id not in self._by_id:
            call.id = said_id
        if is_custom:
            call.kind = "custom"
        if not entry.keys() <= _KNOWN:
            call.extra = {key: value for key, value in entry.items() if key not in _KNOWN and value is not None}
        self._calls.append(call)
        index = entry.get("index")
        if isinstance(index, int):
            self._by_index[index] = call
        if said_id:
            self._by_id[said_id] = call
        return call

    def _grow(self, call: _Call, name: str, arguments: str, content: Any, out: list[Event]) -> None:
        if name and call.part is None and name != call.name:
            call.name += name
        if content is not None:
            signature, left = take_signature(content)
            if signature is not None and call.part is not None:
                out.append(self._delta(call.part, "signature", signature))
            elif signature is not None:
                call.signature = signature
            if left and call.part is None:
                call.extra["extra_content"] = left
        if not arguments:
            return
        if call.closed:
            if arguments.strip():
                raise UpstreamProtocolError("The provider went on with a tool call that was complete.")
            return
        part = self._announce(call, out)
        call.pieces.append(arguments)
        out.append(self._delta(part, "arguments", arguments))

    def _announce(self, call: _Call, out: list[Event]) -> int:
        if call.part is None:
            if not call.id:
                call.id = call_id(self._reply_id, self._parts.choice, self._calls.index(call))
            content = ToolCall(id=call.id, name=call.name, signature=call.signature, extra=call.extra)
            if call.kind == "custom":
                content.kind = "custom"
            call.part = self._parts.start(content, out)
        return call.part

    def _delta(self, part: int, kind: Any, value: str) -> PartDelta:
        return PartDelta(choice=self._parts.choice, part=part, kind=kind, value=value)

    def settle(self, out: list[Event], *, end: bool = False) -> None:
        """Something else begins: announce what is known, and close the calls whose arguments are complete.

        Others stay open, for a provider may send the arguments of several calls by turns. ``end`` closes all.
        """
        for call in self._calls:
            if call.closed:
                continue
            part = self._announce(call, out)
            if end or call.whole():
                call.closed = True
                out.append(PartStop(choice=self._parts.choice, part=part))
