"""The anthropic package's own types as judges of what we write."""

from __future__ import annotations

import json
from typing import Any

import pytest
from pydantic import TypeAdapter, ValidationError

from gateway.sse import decode_events

types: Any = pytest.importorskip("anthropic.types")
beta: Any = pytest.importorskip("anthropic.types.beta")

_MESSAGE = (TypeAdapter(types.Message), TypeAdapter(beta.BetaMessage))
_EVENT = (TypeAdapter(types.RawMessageStreamEvent), TypeAdapter(beta.BetaRawMessageStreamEvent))
# What a stream has beside the events of the package's union.
_OTHERS = ("ping", "error")


def check_message(message: dict[str, Any]) -> None:
    """A whole message, or one with blocks that are still in beta."""
    _check(_MESSAGE, message)


def check_model(model: dict[str, Any]) -> None:
    """A model of a list."""
    TypeAdapter(types.ModelInfo).validate_python(model)


def check_stream_events(body: bytes) -> list[dict[str, Any]]:
    """A stream that we wrote: every event's type, the names of events, and the order that Anthropic promises."""
    found: list[dict[str, Any]] = []
    for event in decode_events(body):
        value = json.loads(event.data)
        assert event.event == value["type"]
        if value["type"] not in _OTHERS:
            _check(_EVENT, value)
        found.append(value)
    check_order([value for value in found if value["type"] not in _OTHERS])
    return found


def check_order(events: list[dict[str, Any]]) -> None:
    """One message_start, blocks that follow each other without overlap, one message_delta, one message_stop."""
    kinds = [event["type"] for event in events]
    assert kinds[0] == "message_start"
    assert kinds.count("message_start") == 1
    assert kinds[-2:] == ["message_delta", "message_stop"]
    assert kinds.count("message_delta") == kinds.count("message_stop") == 1
    index, is_open = -1, False
    for event in events[1:-2]:
        if event["type"] == "content_block_start":
            assert not is_open
            assert event["index"] == index + 1
            index, is_open = index + 1, True
        else:
            assert is_open
            assert event["index"] == index
            is_open = event["type"] != "content_block_stop"
    assert not is_open


def _check(adapters: tuple[TypeAdapter[Any], ...], value: Any) -> None:
    for adapter in adapters[:-1]:
        try:
            adapter.validate_python(value)
        except ValidationError:
            continue
        return
    adapters[-1].validate_python(value)
