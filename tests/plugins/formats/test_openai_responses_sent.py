"""Going on behind a response that the provider wrote: its numbers, its id and those of its items."""

from __future__ import annotations

import json
from typing import Any

from gateway.errors import UpstreamDisconnected
from gateway.protocol import End, Finish, PartDelta, PartStart, PartStop, Start, Text
from gateway.sse import decode_events
from gateway_plugins.formats.openai_responses import OpenAIResponses
from gateway_plugins.formats.openai_responses_fields import NAME
from gateway_plugins.formats.openai_responses_sent import next_number, read_sent
from gateway_plugins.formats.openai_responses_stream_writer import ResponsesStreamWriter

RESPONSE = {"id": "resp_7", "object": "response", "model": "m", "status": "in_progress", "output": [], "odd": 1}
DELTA = {"item_id": "msg_9", "output_index": 0, "content_index": 0, "delta": "One "}


def event(kind: str, number: int, **more: Any) -> bytes:
    body = json.dumps({"type": kind, **more, "sequence_number": number})
    return f"event: {kind}\ndata: {body}\n\n".encode()


BEGUN = (
    event("response.created", 0, response=RESPONSE)
    + event("response.output_item.added", 1, output_index=0, item={"id": "msg_9", "type": "message", "content": []})
    + event("response.output_text.delta", 2, **DELTA)
)


def values(data: bytes) -> list[dict[str, Any]]:
    return [json.loads(item.data) for item in decode_events(data)]


def test_what_was_sent_is_read_back() -> None:
    sent = read_sent(BEGUN + b": alive\n\ndata: [DONE]\n\n")
    assert sent == (RESPONSE, {0: "msg_9"}, 3)
    assert read_sent(b"data: 5\n\n") == (None, {}, 0)
    assert next_number(b"") == 0


def test_an_error_behind_passing_events_belongs_to_their_response() -> None:
    watch = OpenAIResponses().stream_watch(hide_usage=False)
    passed = watch.feed(BEGUN)
    writer = watch.writer()
    assert writer is not None
    writer.stand_behind(passed)
    error, failed = values(writer.write_error(UpstreamDisconnected("It broke."), "call"))
    assert (error["type"], error["sequence_number"]) == ("error", 3)
    assert (failed["type"], failed["sequence_number"]) == ("response.failed", 4)
    assert (failed["response"]["id"], failed["response"]["odd"]) == ("resp_7", 1)
    assert failed["response"]["status"] == "failed"


def test_an_error_of_no_known_shape_goes_on_in_the_numbering() -> None:
    watch = OpenAIResponses().stream_watch(hide_usage=False)
    watch.feed(BEGUN)
    told = values(watch.feed(b'data: {"error":{"message":"no","type":"server_error"}}\n\n'))
    assert [(item["type"], item["sequence_number"]) for item in told] == [("error", 3)]


def test_nothing_passes_behind_the_end() -> None:
    watch = OpenAIResponses().stream_watch(hide_usage=False)
    end = event("response.completed", 3, response={**RESPONSE, "status": "completed"})
    assert watch.feed(BEGUN + end + event("response.output_text.delta", 4, **DELTA)) == BEGUN + end
    assert watch.complete


def test_a_writer_goes_on_with_the_items_that_the_provider_began() -> None:
    writer = ResponsesStreamWriter(None)
    for item in (
        Start(id="resp_7", model="m", origin=NAME),
        PartStart(part=0, content=Text(text="")),
        PartDelta(part=0, kind="text", value="One "),
    ):
        writer.write(item)
    writer.stand_behind(BEGUN)
    rest = [PartDelta(part=0, kind="text", value="two."), PartStop(part=0), Finish(finish_reason="stop"), End()]
    told = values(b"".join(writer.write(item) for item in rest))
    assert [item["sequence_number"] for item in told] == list(range(3, 3 + len(told)))
    assert {item["item_id"] for item in told if "item_id" in item} == {"msg_9"}
    (message,) = told[-1]["response"]["output"]
    assert (message["id"], message["content"][0]["text"]) == ("msg_9", "One two.")
    assert told[-1]["response"]["id"] == "resp_7"
