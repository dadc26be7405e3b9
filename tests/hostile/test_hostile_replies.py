"""Broken answers of every wire format, to every dialect: a good answer or an explicit error, and never half of one."""

from __future__ import annotations

import json
from collections.abc import Callable
from random import Random
from typing import Any

import pytest

from tests.hostile.mutations import NO_JSON, ODD, encoded, mutated
from tests.hostile.seeds import HI, OTHERS, VECTOR, dialects, wires
from tests.hostile.stage import Provider, Stage, framed, model_of, problem, stream_end

CALLERS = ("chat", "responses", "completions", "messages", "gemini", "gemini_array")
ROUNDS = 18
"""Broken answers for each dialect and wire format, whole and streamed."""

PAIRS = [(caller, wire) for caller in CALLERS for wire in wires()]
Stream = list[tuple[str, Any]]


def plain(caller: str, model: str, *, stream: bool) -> bytes:
    """A request without features."""
    said: dict[str, dict[str, Any]] = {
        "chat": {"messages": [HI]},
        "responses": {"input": "hi", "store": False},
        "completions": {"prompt": "hi"},
        "messages": {"messages": [HI], "max_tokens": 4000},
    }
    if caller not in said:
        return b'{"contents":[{"parts":[{"text":"hi"}]}]}'
    return json.dumps({"model": model, **said[caller], "stream": stream}).encode()


def told(stage: Stage, caller: str, provider: Provider, *, stream: bool) -> tuple[str, bool]:
    """What is wrong with what the caller gets, and whether it is a complete answer."""
    known = len(stage.notes.defects)
    speech, model = dialects()[caller], model_of(provider.name)
    answer = stage.ask(speech, model, plain(caller, model, stream=stream), stream=stream)
    if stream and caller == "gemini_array" and answer.status == 200 and not answer.body.endswith(b"]"):
        # Behind an error the array stays open: nobody takes it for an end.
        wrong, complete = ("" if b'"error"' in answer.body else f"a cut array: {answer.body!r}"), False
    else:
        wrong = problem(speech, answer, good_upstream=False)
        complete = answer.status == 200
        if complete and answer.headers["content-type"].startswith("text/event-stream"):
            complete = stream_end(speech, answer.body) == "clean"
    stage.check_upstream()
    return "\n".join([wrong, *stage.notes.defects[known:]]).strip(), complete


@pytest.mark.parametrize(("caller", "wire"), PAIRS)
def test_good_answers_arrive(stage: Stage, caller: str, wire: str) -> None:
    provider = stage.providers[wire]
    for reply in provider.wire.replies:
        provider.good()
        provider.answer = json.dumps(reply).encode()
        wrong, _ = told(stage, caller, provider, stream=False)
        assert wrong == "", reply
    for events in provider.wire.streams:
        provider.good()
        provider.pieces = framed(wire, events)
        assert told(stage, caller, provider, stream=True) == ("", True), events


@pytest.mark.parametrize(("caller", "wire"), PAIRS)
def test_broken_answers_never_break_the_gateway(stage: Stage, caller: str, wire: str) -> None:
    provider = stage.providers[wire]
    random = Random(f"{caller} {wire}")
    for number in range(ROUNDS):
        provider.good()
        if number % 6 == 0:
            provider.answer = encoded(random.choice(ODD + NO_JSON))
        else:
            provider.answer = encoded(mutated(random.choice(provider.wire.replies), random, no_json=0.08))
        wrong, _ = told(stage, caller, provider, stream=False)
        assert wrong == "", provider.answer[:3000]


def of_broken_events(name: str, events: Stream, random: Random) -> list[bytes]:
    """Events of which some say something else."""
    broken: list[tuple[str, Any]] = []
    for event, value in events:
        changed = mutated(value, random, no_json=0.08) if random.random() < 0.3 else value
        broken.append((event, changed))
    return framed(name, broken, encoded)


def of_moved_events(name: str, events: Stream, random: Random) -> list[bytes]:
    """Events of which one is missing, one comes twice, or all come in another order."""
    moved = list(events)
    at = random.randrange(len(moved))
    how = random.randrange(3)
    if how == 0:
        del moved[at]
    elif how == 1:
        moved.insert(at, moved[at])
    else:
        random.shuffle(moved)
    return framed(name, moved)


def of_a_broken_byte(name: str, events: Stream, random: Random) -> list[bytes]:
    """Good events, of which one has another byte somewhere."""
    pieces = framed(name, events)
    at = random.randrange(len(events))
    piece = bytearray(pieces[at])
    piece[random.randrange(len(piece))] = random.randrange(256)
    pieces[at] = bytes(piece)
    return pieces


@pytest.mark.parametrize(
    "broken", [of_broken_events, of_moved_events, of_a_broken_byte], ids=lambda made: made.__name__
)
@pytest.mark.parametrize(("caller", "wire"), PAIRS)
def test_broken_streams_never_break_the_gateway(
    stage: Stage, caller: str, wire: str, broken: Callable[[str, Stream, Random], list[bytes]]
) -> None:
    provider = stage.providers[wire]
    random = Random(f"{caller} {wire} {broken.__name__}")
    for _ in range(ROUNDS // 2):
        provider.good()
        provider.pieces = broken(wire, random.choice(provider.wire.streams), random)
        wrong, _ = told(stage, caller, provider, stream=True)
        assert wrong == "", b"".join(provider.pieces)[:4000]


@pytest.mark.parametrize(("caller", "wire"), PAIRS)
def test_a_stream_that_is_cut_never_looks_whole(stage: Stage, caller: str, wire: str) -> None:
    provider = stage.providers[wire]
    random = Random(f"cut {caller} {wire}")
    for number in range(ROUNDS):
        events = random.choice(provider.wire.streams)
        end = next(at for at, (name, value) in enumerate(events) if provider.wire.ends(name, value))
        said = b"".join(framed(wire, events[:end])[:-1])
        said = said[: random.randrange(len(said) + 1)]
        provider.good()
        provider.pieces = [said[at : at + 97] for at in range(0, len(said), 97)]
        provider.cut = number % 2 == 0
        assert told(stage, caller, provider, stream=True) == ("", False), said


@pytest.mark.parametrize("wire", wires())
def test_absurd_counts_are_borne_and_kept_in_the_books(stage: Stage, wire: str) -> None:
    provider = stage.providers[wire]

    def counting(value: Any, count: Any) -> Any:
        if isinstance(value, dict):
            return {key: counting(item, count) for key, item in value.items()}
        if isinstance(value, list):
            return [counting(item, count) for item in value]
        return count if isinstance(value, int | float) and not isinstance(value, bool) else value

    for count in (10**40, 1e308, -5, 2**63, True, "7", None, [1], 1.5):
        for caller in CALLERS:
            provider.good()
            provider.answer = json.dumps(counting(provider.wire.replies[0], count)).encode()
            assert told(stage, caller, provider, stream=False)[0] == "", count
            provider.good()
            events = [(name, counting(value, count)) for name, value in provider.wire.streams[0]]
            provider.pieces = framed(wire, events)
            assert told(stage, caller, provider, stream=True)[0] == "", count
    assert not [line for line in stage.notes.lines if "rows since the start held" in line]


STILL = [name for name, speech in dialects().items() if not speech.streams]
OTHER_REPLIES = [*OTHERS.values(), {"embeddings": [{"values": VECTOR}]}, {"id": "e1", "embeddings": [VECTOR]}]


@pytest.mark.parametrize("wire", wires())
@pytest.mark.parametrize("name", STILL)
def test_broken_counts_vectors_and_lists_never_break_the_gateway(stage: Stage, name: str, wire: str) -> None:
    speech, provider = dialects()[name], stage.providers[wire]
    random = Random(f"{name} {wire}")
    body = speech.bodies[0]
    if speech.errors != "gemini":
        body = {**body, "model": model_of(wire)}
    for _ in range(ROUNDS):
        provider.good()
        provider.answer = encoded(mutated(random.choice(OTHER_REPLIES), random, no_json=0.08))
        known = len(stage.notes.defects)
        answer = stage.ask(speech, model_of(wire), json.dumps(body).encode())
        assert problem(speech, answer, good_upstream=False) == "", provider.answer
        assert stage.notes.defects[known:] == []


ERRORS: list[Any] = [
    {"error": {"message": "bad", "type": "invalid_request_error", "param": None, "code": "x"}},
    {"type": "error", "error": {"type": "overloaded_error", "message": "m"}, "request_id": "r"},
    {
        "error": {
            "code": 429,
            "message": "m",
            "status": "RESOURCE_EXHAUSTED",
            "details": [
                {"@type": "type.googleapis.com/google.rpc.RetryInfo", "retryDelay": "3s"},
                {"@type": "type.googleapis.com/google.rpc.QuotaFailure", "violations": [{"quotaId": "PerDay"}]},
            ],
        }
    },
    [{"error": {"code": 400, "message": "m", "status": "INVALID_ARGUMENT"}}],
    {"message": "m", "__type": "ThrottlingException"},
    {"id": "1", "message": "m"},
    {"error": "model not found"},
    {"detail": [{"loc": ["body"], "msg": "x", "type": "y"}]},
]
STATUSES = (302, 400, 404, 408, 409, 413, 422, 429, 500, 502, 503, 529, 599)
WAITS = ("1", "-5", "nan", "inf", "1e999", "soon", "", "9" * 30, "Wed, 21 Oct 2099 07:28:00 GMT", "0.5")


@pytest.mark.parametrize("wire", wires())
@pytest.mark.parametrize("name", dialects())
def test_broken_errors_are_told_in_the_callers_shape(stage: Stage, name: str, wire: str) -> None:
    speech, provider = dialects()[name], stage.providers[wire]
    random = Random(f"error {name} {wire}")
    for number in range(ROUNDS // 2):
        model = model_of(wire, number + 1000 * [*dialects()].index(name))
        body = speech.bodies[0] if speech.errors == "gemini" else {**speech.bodies[0], "model": model}
        provider.good()
        provider.status = random.choice(STATUSES)
        provider.answer = encoded(mutated(random.choice(ERRORS), random, no_json=0.1))
        provider.headers = {
            "retry-after": random.choice(WAITS),
            "retry-after-ms": random.choice(("5", "nan", "-1", "1e400")),
            "location": provider.server.url,
        }
        known = len(stage.notes.defects)
        answer = stage.ask(speech, model, json.dumps(body).encode())
        assert problem(speech, answer, good_upstream=False) == "", provider.answer
        assert stage.notes.defects[known:] == []
        if answer.status in (429, 503):
            assert answer.headers["retry-after"].isdigit()
