"""The telling faults, told in each provider's own format: frames and lines as well as server-sent events."""

from __future__ import annotations

from collections.abc import Awaitable, Callable
from typing import NamedTuple

from gateway_plugins.formats.aws_event_stream import encode_event, encode_exception, encode_message
from tests.faults.faults import FAULTS, Fault, Weight
from tests.faults.wall import Break, Scene, until_left
from tests.faults.wires import HALF, WORDS, Wire

FRAMED = ("converse", "invoke")
_SHARED = (
    "silent",
    "reset_before_the_head",
    "cut",
    "reset",
    "stalled",
    "polite_end_without_a_reason",
    "chunk_longer_than_it_is",
    "an_error_event_first",
    "an_error_event_among_words",
    "an_error_event_and_then_silence",
    "a_rate_limit_among_words",
    "an_error_under_status_200",
    "an_empty_stream",
    "torn_tool_arguments",
    "torn_tool_arguments_with_a_polite_end",
    "a_page_under_status_200",
    "a_page_told_as_a_stream",
    "rate_limit_none",
    "rate_limit_date",
    "rate_limit_negative",
    "rate_limit_enormous",
    "rate_limit_word",
    "rate_limit_in_milliseconds",
    "unavailable_for_a_while",
    "status_500",
    "status_529",
    "status_400",
    "an_error_page",
    "another_content_type",
    "whole_though_a_stream_was_asked",
    "letters_split_between_chunks",
    "no_content_type",
    "byte_by_byte",
)


class FormatFault(NamedTuple):
    """A fault and the providers' formats in which it can happen; None for all."""

    fault: Fault
    wires: tuple[str, ...] | None = None
    not_in: tuple[str, ...] = ()

    def happens_in(self, wire: Wire) -> bool:
        """Whether a provider of this format can break so."""
        return (self.wires is None or wire.name in self.wires) and wire.name not in self.not_in


FORMAT_FAULTS: dict[str, FormatFault] = {}
for _name in _SHARED:
    # Whole calls cannot be torn, and legacy completions have none.
    without: tuple[str, ...] = ("gemini", "ollama", "completions") if FAULTS[_name].tools else ()
    if _name == "letters_split_between_chunks":
        without = ("invoke",)  # its letters are base64
    FORMAT_FAULTS[_name] = FormatFault(FAULTS[_name], not_in=without)


def told(
    stream: Weight, whole: Weight = "harmless", *, wires: tuple[str, ...] | None = None, not_in: tuple[str, ...] = ()
) -> Callable[[Break], Break]:
    """Enter a fault under its function's name."""

    def entered(run: Callable[[Scene], Awaitable[None]]) -> Break:
        name = run.__name__
        FORMAT_FAULTS[name] = FormatFault(Fault(name, run, stream, whole), wires, not_in)
        return run

    return entered


def _rest(wire: Wire) -> list[bytes]:
    return [*wire.words(HALF + 1), *wire.closing(), wire.end_mark]


@told("late", "early")
async def an_event_that_is_torn(scene: Scene) -> None:
    wire = scene.wire
    lost = wire.event(wire.payload(WORDS[HALF])[:-9])
    await scene.good([*wire.half(), lost, *_rest(wire)], wire.whole()[:-30] + b"}")


@told("early")
async def a_first_event_that_is_torn(scene: Scene) -> None:
    wire = scene.wire
    await scene.good([wire.event(b'{"id": "1'), *wire.words(), *wire.closing(), wire.end_mark])


@told("late", "early")
async def an_event_in_another_encoding(scene: Scene) -> None:
    wire = scene.wire
    odd = wire.event(wire.payload("jumps").replace(b"jumps", b"ju\xff\xfeps"))
    await scene.good([*wire.half(), odd, *_rest(wire)], wire.whole().replace(b"quick", b"qu\xff\xfeck"))


@told("late")
async def cut_within_a_word(scene: Scene) -> None:
    wire = scene.wire
    if not scene.stream:
        await scene.good()
        return
    await scene.head()
    await scene.events([*wire.half(), wire.words(HALF, HALF + 1)[0][:-12]])
    scene.exchange.close()


@told("late", not_in=("ollama", "gemini", "responses"))
async def an_end_without_a_reason(scene: Scene) -> None:
    wire = scene.wire
    mark = wire.end_mark.replace(b',"finish_reason":"COMPLETE"', b"").replace(b'"finish_reason":"COMPLETE",', b"")
    await scene.good([*wire.half(), mark])


@told("harmless", not_in=("gemini",))
async def no_end_behind_the_reason(scene: Scene) -> None:
    await scene.good(scene.wire.stream()[:-1])


@told("harmless", not_in=("gemini",))
async def cut_behind_the_reason(scene: Scene) -> None:
    if not scene.stream:
        await scene.good()
        return
    await scene.head()
    await scene.events(scene.wire.stream()[:-1])
    await scene.exchange.sleep(0.03)
    scene.exchange.close()


@told("harmless", not_in=("gemini",))
async def silence_behind_the_reason(scene: Scene) -> None:
    if not scene.stream:
        await scene.good()
        return
    await scene.head()
    await scene.events(scene.wire.stream()[:-1])
    await until_left(scene)


@told("harmless")
async def cut_behind_the_end(scene: Scene) -> None:
    if not scene.stream:
        await scene.good()
        return
    await scene.head()
    await scene.events(scene.wire.stream())
    await scene.exchange.sleep(0.03)
    scene.exchange.reset()


@told("harmless")
async def open_behind_the_end(scene: Scene) -> None:
    if not scene.stream:
        await scene.good()
        return
    await scene.head()
    await scene.events(scene.wire.stream())
    await until_left(scene)


@told("harmless", not_in=("gemini",))
async def words_behind_the_end(scene: Scene) -> None:
    await scene.good([*scene.wire.stream(), scene.wire.word("and more")])


@told("harmless", not_in=("gemini",))
async def words_behind_the_end_in_one_chunk(scene: Scene) -> None:
    await scene.good([b"".join([*scene.wire.stream(), scene.wire.word("and more")])])


@told("harmless")
async def another_answer_in_the_same_breath(scene: Scene) -> None:
    second = b"HTTP/1.1 200 OK\r\ncontent-type: application/json\r\ncontent-length: 2\r\n\r\n{}"
    if scene.stream:
        await scene.head()
        await scene.events(scene.wire.stream()[:-1])
        mark = scene.wire.end_mark
        last = b"%x\r\n%b\r\n" % (len(mark), mark) if mark else b""
        await scene.exchange.send(last + b"0\r\n\r\n" + second)
    else:
        body = scene.wire.whole()
        await scene.head(content_length=str(len(body)))
        await scene.exchange.send(body + second)


@told("early", not_in=("ollama", *FRAMED))
async def comments_and_nothing_else(scene: Scene) -> None:
    await scene.good([b": working\n\n"] * 3)


@told("early", not_in=("ollama", *FRAMED))
async def comments_without_end(scene: Scene) -> None:
    if not scene.stream:
        await scene.good()
        return
    await scene.head()
    for _ in range(30):
        await scene.events([b": working\n\n"])
        await scene.exchange.sleep(0.1)


@told("harmless")
async def an_event_nobody_knows(scene: Scene) -> None:
    wire = scene.wire
    odd = {
        "converse": encode_event("novelty", b'{"p":"ab"}'),
        "invoke": encode_event("novelty", b'{"p":"ab"}'),
        "ollama": b"\n",
        "gemini": b'data: {"usageMetadata":{"promptTokenCount":11},"modelVersion":"real","responseId":"gem-1"}\r\n\r\n',
        "completions": b'data: {"id":"cmpl-1","object":"text_completion","model":"real","choices":[]}\n\n',
        "responses": b": novelty\n\n",
    }.get(wire.name, b'event: novelty\ndata: {"type":"novelty"}\n\n')
    if wire.name == "openai":
        odd = b'data: {"id":"chatcmpl-1","object":"chat.completion.chunk","model":"real","choices":[]}\n\n'
    await scene.good([*wire.half(), odd, *wire.words(HALF), *wire.closing(), wire.end_mark])


# -- what only frames can suffer -------------------------------------------------------------------------------------


@told("late", wires=FRAMED)
async def a_frame_with_a_wrong_checksum(scene: Scene) -> None:
    wire = scene.wire
    frame = bytearray(wire.word(WORDS[HALF]))
    frame[-20] ^= 1
    await scene.good([*wire.half(), bytes(frame), *_rest(wire)])


@told("late", wires=FRAMED)
async def a_frame_with_a_wrong_prelude(scene: Scene) -> None:
    wire = scene.wire
    frame = bytearray(wire.word(WORDS[HALF]))
    frame[1] ^= 1
    await scene.good([*wire.half(), bytes(frame), *_rest(wire)])


@told("early", wires=FRAMED)
async def a_first_frame_with_a_wrong_checksum(scene: Scene) -> None:
    wire = scene.wire
    first, *rest = wire.stream()
    await scene.good([first[:-1] + bytes([first[-1] ^ 1]), *rest])


@told("late", wires=FRAMED)
async def an_exception_among_words(scene: Scene) -> None:
    wire = scene.wire
    told_why = encode_exception("modelStreamErrorException", b'{"message":"The model broke.","originalStatusCode":500}')
    await scene.good([*wire.half(), told_why, *_rest(wire)])


@told("late", wires=FRAMED)
async def an_exception_without_a_word(scene: Scene) -> None:
    await scene.good([*scene.wire.half(), encode_exception("serviceUnavailableException", b"")])


@told("late", wires=FRAMED)
async def an_error_frame(scene: Scene) -> None:
    head = {":message-type": "error", ":error-code": "InternalError", ":error-message": "Broken."}
    await scene.good([*scene.wire.half(), encode_message(head, b"")])


@told("early", wires=FRAMED)
async def an_exception_first(scene: Scene) -> None:
    await scene.good([encode_exception("throttlingException", b'{"message":"Slow down."}')])
