"""A stream whose provider died, told on: what the caller has is known, and only the rest of another answer is told.

Sans-IO. ``Said`` is what the caller has by now, read back from the very bytes that it got. ``Splice`` joins the events
of another answer to it: either a continuation (the other model was given what was said, and goes on from there), or a
second answer from the start, of which nothing is told while it repeats the first. What contradicts what was said is
never told: it raises Diverged, always before a new word.
"""

from __future__ import annotations

import msgspec

from gateway.errors import UpstreamDisconnected
from gateway.protocol import (
    End,
    Event,
    Finish,
    Part,
    PartDelta,
    PartStart,
    PartStop,
    Refusal,
    Start,
    Text,
    Thinking,
    ToolCall,
    Usage,
    UsageUpdate,
)
from gateway.protocol.reply import DeltaKind
from gateway.spent import added

SURE_REPEAT = 12
"""So many letters in a row that are the beginning of what was said are a second start, not a continuation."""


class Diverged(UpstreamDisconnected):
    """A second answer says something else than what the caller already has."""

    code: str | None = "rescue_diverged"


class SaidPart:
    """A part as far as the caller has it; ``index`` is its number in the caller's stream."""

    __slots__ = ("content", "index", "stopped", "text")

    def __init__(self, index: int, content: Part) -> None:
        self.index = index
        self.content = content
        self.text = words_of(content)
        self.stopped = False


class Said:
    """What the caller has of an answer."""

    def __init__(self, events: list[Event]) -> None:
        self.events = events
        self.start: Start | None = None
        self.finish: Finish | None = None
        self.usage: Usage | None = None
        self.parts: list[SaidPart] = []
        self.choices: set[int] = set()
        self.finished: set[int] = set()
        self.ended = False
        self._by_number: dict[tuple[int, int], SaidPart] = {}
        for event in events:
            if isinstance(event, PartStart | PartDelta | PartStop):
                self._take_part(event)
            elif isinstance(event, Start):
                self.start = event
                self.usage = event.usage
            elif isinstance(event, Finish):
                self.finished.add(event.choice)
                self.finish = event
            elif isinstance(event, UsageUpdate):
                self.usage = event.usage
            elif isinstance(event, End):
                self.ended = True

    def _take_part(self, event: PartStart | PartDelta | PartStop) -> None:
        if isinstance(event, PartStart):
            self.choices.add(event.choice)
            part = self._by_number[event.choice, event.part] = SaidPart(event.part, event.content)
            self.parts.append(part)
            return
        known = self._by_number.get((event.choice, event.part))
        if known is None:
            return
        if isinstance(event, PartStop):
            known.stopped = True
        elif event.kind in _WORDS:
            known.text += event.value

    @property
    def visible(self) -> list[SaidPart]:
        """The parts that another answer has to agree with: all but thinking."""
        return [part for part in self.parts if not isinstance(part.content, Thinking)]

    def obstacle(self) -> str | None:
        """Why no other answer can be joined to this; None where one can."""
        if self.choices - {0}:
            return "it has several choices"
        strange = next((p for p in self.visible if not isinstance(p.content, Text | Refusal | ToolCall)), None)
        return None if strange is None else f"it has a part of type {type(strange.content).__name__}"

    def prefill(self) -> str | None:
        """The words that another model can be given to go on from; None where there is no such place."""
        visible = self.visible
        if len(visible) != 1 or not isinstance(visible[0].content, Text) or visible[0].stopped:
            return None
        # Providers refuse a prompt whose last words end in blanks.
        return visible[0].text.rstrip() or None


class Splice:
    """Turns the events of another answer into those that the caller still lacks."""

    def __init__(self, said: Said, *, prefilled: bool, spent: Usage | None) -> None:
        self._said = said.visible
        self._open = [part for part in said.parts if not part.stopped]
        self._next = max((part.index for part in said.parts), default=-1) + 1
        self._matched = 0
        """How many visible parts the other answer has repeated to their end."""
        self._at: dict[int, _Place] = {}
        self._spent = spent
        self._usage: Usage | None = None
        self._prefilled = self._said[-1] if prefilled else None

    def take(self, event: Event) -> list[Event]:
        """The events to tell for one of the other answer. Raises Diverged."""
        if isinstance(event, Start):
            self._usage = event.usage
            return []
        if isinstance(event, PartStart):
            return self._begin(event)
        if isinstance(event, PartDelta):
            return self._more(event)
        if isinstance(event, PartStop):
            return self._stop(event)
        if isinstance(event, Finish):
            if event.choice != 0 or self._matched < len(self._said):
                raise _diverged()
            return [*self._close_open(), event]
        if isinstance(event, UsageUpdate):
            return [UsageUpdate(usage=added(self._spent, event.usage))]
        return [event]

    def _begin(self, event: PartStart) -> list[Event]:
        if event.choice != 0:
            raise _diverged()
        content = event.content
        if isinstance(content, Thinking) and (self._matched < len(self._said) or self._open):
            self._at[event.part] = _Place(None, told=False)
            return []
        if self._matched == len(self._said):
            self._at[event.part] = _Place(self._next, told=True)
            self._next += 1
            return [*self._close_open(), PartStart(part=self._next - 1, content=content)]
        expected = self._prefilled or self._said[self._matched]
        if not _alike(expected.content, content):
            raise _diverged()
        place = self._at[event.part] = _Place(expected.index, told=False, expected=expected)
        if self._prefilled is not None:
            self._matched = len(self._said) - 1
            place.blanks = expected.text[len(expected.text.rstrip()) :]
            place.guess = ""
        return self._words(place, words_of(content), PartDelta(part=0, kind=_word_of(content)))

    def _more(self, event: PartDelta) -> list[Event]:
        place = self._at.get(event.part)
        if event.choice != 0 or place is None or place.index is None:
            return []
        if place.told:
            return [msgspec.structs.replace(event, part=place.index)]
        if event.kind in _WORDS:
            return self._words(place, event.value, event)
        return []

    def _words(self, place: _Place, value: str, event: PartDelta) -> list[Event]:
        """What of ``value`` is new, at a place where the other answer may still repeat the first."""
        expected = place.expected
        assert expected is not None
        assert place.index is not None
        if place.guess is not None:
            place.guess += value
            if expected.text.startswith(place.guess) and len(place.guess) < SURE_REPEAT:
                return []
            value, guess = place.guess, place.guess
            place.guess = None
            if len(guess) < SURE_REPEAT or not expected.text.startswith(guess[:SURE_REPEAT]):
                place.matched = len(expected.text)
                return self._continue(place, value, event)
            # The prompt's last words were ignored: it begins again.
        left = expected.text[place.matched : place.matched + len(value)]
        if not value.startswith(left):
            raise _diverged()
        place.matched += len(left)
        return self._continue(place, value[len(left) :], event) if len(value) > len(left) else []

    def _continue(self, place: _Place, value: str, event: PartDelta) -> list[Event]:
        expected = place.expected
        assert expected is not None
        assert place.index is not None
        while place.blanks and value.startswith(place.blanks[0]):
            place.blanks, value = place.blanks[1:], value[1:]
        if not value:
            return []
        if expected is not self._said[-1] or expected.stopped:
            raise _diverged()
        place.blanks = ""
        place.matched = len(expected.text)
        place.told = True
        return [msgspec.structs.replace(event, part=place.index, value=value)]

    def _stop(self, event: PartStop) -> list[Event]:
        place = self._at.pop(event.part, None)
        if event.choice != 0 or place is None or place.index is None:
            return []
        out: list[Event] = []
        expected = place.expected
        if expected is not None:
            if place.guess:
                value, place.guess = place.guess, None
                place.matched = len(expected.text)
                out += self._continue(place, value, PartDelta(part=0, kind=_word_of(expected.content)))
            elif place.guess == "":
                place.matched = len(expected.text)  # it had nothing to add
            if place.matched < len(expected.text):
                raise _diverged()
            self._matched += 1
            if expected.stopped:
                return out
            expected.stopped = True
            self._open.remove(expected)
        return [*out, msgspec.structs.replace(event, part=place.index)]

    def _close_open(self) -> list[Event]:
        """End what the first answer left open."""
        stops: list[Event] = [PartStop(part=part.index) for part in self._open]
        for part in self._open:
            part.stopped = True
        self._open = []
        return stops


class _Place:
    """Where a part of the other answer goes: ``index`` in the caller's stream, None for nowhere.

    ``told`` says that its words are new; until then they are matched against ``expected``. ``guess`` gathers the first
    words of a continuation, for it may be a second start; ``blanks`` were said and not given to the model.
    """

    __slots__ = ("blanks", "expected", "guess", "index", "matched", "told")

    def __init__(self, index: int | None, *, told: bool, expected: SaidPart | None = None) -> None:
        self.index = index
        self.told = told
        self.expected = expected
        self.matched = 0
        self.guess: str | None = None
        self.blanks = ""


_WORDS = ("text", "refusal", "arguments")


def words_of(part: Part) -> str:
    """What a part says, as the deltas of its stream would have told it."""
    if isinstance(part, Text | Refusal):
        return part.text
    return part.arguments if isinstance(part, ToolCall) else ""


def _word_of(part: Part) -> DeltaKind:
    return "arguments" if isinstance(part, ToolCall) else "refusal" if isinstance(part, Refusal) else "text"


def _alike(one: Part, other: Part) -> bool:
    if isinstance(one, ToolCall) and isinstance(other, ToolCall):
        return one.name == other.name and one.kind == other.kind
    return type(one) is type(other)


def _diverged() -> Diverged:
    return Diverged("The stream broke off, and a second answer does not go on as the first began.")
