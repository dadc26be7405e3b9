"""Another answer joined to a broken one: the caller reads one answer, or none of the second's words."""

from __future__ import annotations

from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st

from gateway.protocol import (
    ChatReply,
    Choice,
    End,
    Event,
    Finish,
    Part,
    PartDelta,
    PartStart,
    PartStop,
    Start,
    Text,
    Thinking,
    ToolCall,
    Usage,
    UsageUpdate,
)
from gateway.protocol.unroll import events_of
from gateway.rescue import SURE_REPEAT, Diverged, Said, Splice
from gateway.spent import added, guessed_usage


def answer(*parts: Part) -> list[Event]:
    return events_of(ChatReply(id="r", model="m", choices=[Choice(content=list(parts), finish_reason="stop")]))


def pieces(events: list[Event], size: int) -> list[Event]:
    """The same events with their words in pieces of ``size``."""
    out: list[Event] = []
    for event in events:
        if isinstance(event, PartDelta) and event.value:
            out += [
                PartDelta(part=event.part, kind=event.kind, value=event.value[at : at + size])
                for at in range(0, len(event.value), size)
            ]
        else:
            out.append(event)
    return out


def heard(events: list[Event]) -> list[tuple[str, str]]:
    """The parts of a stream, as a caller puts them together; fails where it is no good stream."""
    parts: dict[int, list[Any]] = {}
    open_parts: set[int] = set()
    finished = False
    for event in events:
        if isinstance(event, PartStart):
            assert event.part not in parts
            parts[event.part] = [type(event.content).__name__, getattr(event.content, "arguments", "")]
            open_parts.add(event.part)
        elif isinstance(event, PartDelta):
            assert event.part in open_parts
            parts[event.part][1] += event.value
        elif isinstance(event, PartStop):
            open_parts.remove(event.part)
        elif isinstance(event, Finish):
            assert not open_parts
            finished = True
    assert finished
    return [(kind, words) for kind, words in parts.values()]


def joined(said: list[Event], second: list[Event], *, prefilled: bool = False) -> list[Event]:
    splice = Splice(Said(said), prefilled=prefilled, spent=None)
    return said + [told for event in second for told in splice.take(event)]


words = st.text(alphabet="ab é\n", max_size=30)
part = st.one_of(
    words.map(lambda text: Text(text=text)),
    words.map(lambda text: ToolCall(id="c", name="f", arguments=text)),
)


@given(st.lists(part, min_size=1, max_size=4), st.integers(1, 5), st.integers(1, 5), st.data())
def test_a_second_answer_that_says_the_same_is_told_to_its_end(
    parts: list[Part], one: int, other: int, data: st.DataObject
) -> None:
    whole = answer(*parts)
    first = pieces(whole, one)
    finish = next(at for at, event in enumerate(first) if isinstance(event, Finish))
    cut = data.draw(st.integers(1, finish))
    assert heard(joined(first[:cut], pieces(whole, other))) == heard(whole)


@given(
    st.text(alphabet="abc ", min_size=1, max_size=40),
    st.text(alphabet="xyz ", min_size=1, max_size=30),
    st.integers(1, 7),
)
def test_a_continuation_is_told_behind_the_words_that_the_model_was_given(said: str, rest: str, size: int) -> None:
    begun = answer(Text(text=said))[:3]
    given_words = Said(begun).prefill()
    if given_words is None:
        return
    blanks = said[len(given_words) :]
    found = heard(joined(begun, pieces(answer(Text(text=blanks + rest)), size), prefilled=True))
    assert found == [("Text", said + rest)]


@given(
    st.text(alphabet="abcdefgh", min_size=SURE_REPEAT, max_size=60),
    st.text(alphabet="xyz", max_size=30),
    st.integers(1, 9),
)
def test_a_model_that_ignores_the_given_words_and_begins_again_is_noticed(said: str, rest: str, size: int) -> None:
    begun = answer(Text(text=said))[:3]
    found = heard(joined(begun, pieces(answer(Text(text=said + rest)), size), prefilled=True))
    assert found == [("Text", said + rest)]


@given(st.text(alphabet="ab", min_size=1, max_size=20), st.text(alphabet="ab", max_size=20), st.integers(1, 4))
def test_nothing_is_told_of_an_answer_that_says_something_else(said: str, other: str, size: int) -> None:
    begun = answer(Text(text=said))[:3]
    splice = Splice(Said(begun), prefilled=False, spent=None)
    told: list[Event] = []
    try:
        for event in pieces(answer(Text(text=other)), size):
            told += splice.take(event)
    except Diverged:
        assert not [event for event in told if isinstance(event, PartDelta | PartStart)]
        assert not other.startswith(said)
    else:
        assert other.startswith(said)


def test_thinking_that_was_cut_is_ended_and_the_second_answers_thinking_is_not_told() -> None:
    begun = answer(Thinking(text="hm, let me"))[:3]
    found = joined(begun, answer(Thinking(text="other thoughts"), Text(text="yes")))
    assert heard(found) == [("Thinking", "hm, let me"), ("Text", "yes")]


def test_a_tool_that_was_not_called_first_is_another_answer() -> None:
    begun = answer(ToolCall(id="1", name="f", arguments='{"a'))[:3]
    with pytest.raises(Diverged):
        joined(begun, answer(ToolCall(id="2", name="g", arguments='{"a": 1}')))


def test_several_choices_and_images_cannot_go_on() -> None:
    two: list[Event] = [PartStart(choice=number, part=0, content=Text(text="x")) for number in (0, 1)]
    assert Said(two).obstacle() == "it has several choices"
    assert Said(two[:1]).obstacle() is None


def test_the_callers_usage_is_that_of_both_answers() -> None:
    spent = Usage(prompt_tokens=5, completion_tokens=2, source="estimated")
    splice = Splice(Said([Start(id="r", model="m")]), prefilled=False, spent=spent)
    (told,) = splice.take(UsageUpdate(usage=Usage(prompt_tokens=6, completion_tokens=3, cache_read_tokens=1)))
    assert isinstance(told, UsageUpdate)
    assert told.usage == Usage(prompt_tokens=11, completion_tokens=5, cache_read_tokens=1, source="estimated")
    assert added(None, spent) == spent


def test_a_broken_answers_usage_is_guessed_at_four_bytes_a_token() -> None:
    said = Said(answer(Text(text="12345678"))[:3])
    assert guessed_usage(said, b"x" * 41) == Usage(prompt_tokens=11, completion_tokens=2, source="estimated")


def test_the_end_of_a_good_answer_is_the_end() -> None:
    splice = Splice(Said([Start(id="r", model="m")]), prefilled=False, spent=None)
    assert splice.take(End()) == [End()]
