"""Recorded requests and replies of real applications: between chat completions and messages nothing is lost unnamed."""

from __future__ import annotations

import json

import pytest

from gateway.errors import InvalidRequest
from gateway.format import Dropped
from tests.golden.cells import chat_formats, read, said_anyway, silent_losses, silent_reply_losses, written
from tests.golden.test_random_requests import says_nothing, shape, told, value_at
from tests.wire.recordings import each_of, files, load

OTHER = {"openai_chat": "anthropic_messages", "anthropic_messages": "openai_chat"}
MOST = 12_000
"""Longer bodies say the same things more often."""

# What leaves no trace and loses nothing, beside cells.SAID_ANYWAY.
DOUBLED = (
    "response_format.json_schema.description",  # the schema itself says it again, and the name as its title
    "response_format.json_schema.name",
    "response_format.json_schema.schema.description",
    "response_format.json_schema.schema.title",
    "web_search_options.user_location.type",
    "created",  # a message has no time; the gateway's logs have it
)


def bodies(endpoint: str) -> list[str]:
    """The recordings whose request is JSON of a handy length."""
    return [file for file in files(endpoint) if 0 < len(load(file).request_body) <= MOST]


def answers(endpoint: str) -> list[str]:
    """The good whole answers of a handy length that the format of this endpoint reads."""
    found = [file for file in files(endpoint, stream=False, good=True) if len(load(file).response_body) <= MOST]
    return [file for file in found if load(file).provider != "cohere"]  # its endpoint has the name, not the format


def check_request(dialect: str, file: str) -> None:
    """A recorded request goes to the other format: only what is named is lost."""
    body = load(file).request_json
    source, target = chat_formats()[dialect], chat_formats()[OTHER[dialect]]
    dropped = Dropped()
    try:
        request = read(source, body)
        written(target, request, dropped)
    except InvalidRequest:
        pytest.skip("the request is refused")
    named = [shape(source.caller_field(field, request)) for field in dropped.reasons]
    lost = [
        path
        for path in silent_losses(source, target, body)
        if not (says_nothing(path, body) or told(shape(path), named) or shape(path) in DOUBLED)
        if not path.endswith((".type", "reasoning_details[0].id"))  # a schema's, filled in; Anthropic has no such ids
        if value_at(body, path) != "web_search"  # the tool that has one name only
    ]
    assert not lost, dropped.reasons


def check_reply(wire: str, file: str) -> None:
    """A recorded reply goes to a caller of the other format: only what is named is lost, whole and streamed."""
    body = json.loads(load(file).response_body)
    if body.get("error") or not (body.get("choices") or body.get("content")):
        pytest.skip("the answer is an error")
    paths = silent_reply_losses(chat_formats()[OTHER[wire]], chat_formats()[wire], body)
    lost = [
        path
        for path in (found.partition(" ")[0] for found in paths)
        if not (said_anyway("", path) or path in DOUBLED or path.endswith("reasoning_details[0].id"))
        if value_at(body, path) not in (0, "", False)
    ]
    assert not lost


@each_of(bodies("chat"))
def test_a_recorded_chat_completions_request_loses_only_what_is_named(file: str) -> None:
    check_request("openai_chat", file)


@each_of(bodies("messages"))
def test_a_recorded_messages_request_loses_only_what_is_named(file: str) -> None:
    check_request("anthropic_messages", file)


@each_of(answers("chat"))
def test_a_recorded_chat_completion_loses_only_what_is_named(file: str) -> None:
    check_reply("openai_chat", file)


@each_of(answers("messages"))
def test_a_recorded_message_loses_only_what_is_named(file: str) -> None:
    check_reply("anthropic_messages", file)
