"""Every fault by its name: how a provider breaks, and what a caller has to see all the same."""

from __future__ import annotations

import gzip
import zlib
from collections.abc import Awaitable, Callable
from typing import Literal, NamedTuple

from tests.faults.wall import Break, Scene, until_left
from tests.faults.wires import TEXT, WORDS

Weight = Literal["harmless", "early", "late", "final", "any"]
"""``harmless``: complete whatever is configured. ``early``: complete with a fallback, else an error. ``late``: what
breaks behind the first words: complete where it is rescued, else an error; whole, it is early. ``final``: an error that
is no other target's business. ``any``: complete or an error, never something between."""


class Fault(NamedTuple):
    """How a provider breaks. ``whole`` is the weight for a whole answer where that differs from the stream's.

    ``resent``: on a connection used before, the request may be sent once more. ``costly`` faults run in few cells.
    """

    name: str
    run: Break
    stream: Weight
    whole: Weight
    resent: bool = False
    costly: bool = False
    tools: bool = False
    refused: bool = False


FAULTS: dict[str, Fault] = {}


def fault(
    stream: Weight,
    whole: Weight | None = None,
    *,
    name: str | None = None,
    resent: bool = False,
    costly: bool = False,
    tools: bool = False,
) -> Callable[[Break], Break]:
    """Enter a fault under its function's name."""

    def enter(run: Callable[[Scene], Awaitable[None]]) -> Break:
        own = name or run.__name__
        like: Weight = "early" if stream == "late" else stream
        FAULTS[own] = Fault(own, run, stream, whole or like, resent, costly, tools)
        return run

    return enter


# -- the connection --------------------------------------------------------------------------------------------------


async def _unused(scene: Scene) -> None:
    raise AssertionError("nothing listens there")


FAULTS["refused"] = Fault("refused", _unused, "early", "early", refused=True)


@fault("early")
async def silent(scene: Scene) -> None:
    await until_left(scene)


@fault("early", resent=True)
async def reset_before_the_head(scene: Scene) -> None:
    scene.exchange.reset()


@fault("early", resent=True)
async def closed_before_the_head(scene: Scene) -> None:
    scene.exchange.close()


@fault("early")
async def half_a_head_then_silence(scene: Scene) -> None:
    await scene.exchange.send(b"HTTP/1.1 200 OK\r\ncontent-ty")
    await until_left(scene)


@fault("early")
async def half_a_head_then_closed(scene: Scene) -> None:
    await scene.exchange.send(b"HTTP/1.1 200 OK\r\ncontent-ty")
    await scene.exchange.sleep(0.01)
    scene.exchange.close()


@fault("early")
async def head_then_silence(scene: Scene) -> None:
    await scene.head(**({} if scene.stream else {"content_length": "900"}))
    await until_left(scene)


@fault("early")
async def slow_first_token(scene: Scene) -> None:
    await scene.exchange.sleep(3)
    await scene.good()


@fault("early")
async def head_then_slow_first_token(scene: Scene) -> None:
    body = scene.wire.whole()
    await scene.head(**({} if scene.stream else {"content_length": str(len(body))}))
    await scene.exchange.sleep(3)
    await scene.events(scene.wire.stream())


# -- a body that ends before its time --------------------------------------------------------------------------------


@fault("late")
async def cut(scene: Scene) -> None:
    await scene.begin()
    scene.exchange.close()


@fault("late")
async def reset(scene: Scene) -> None:
    await scene.begin()
    scene.exchange.reset()


@fault("late")
async def stalled(scene: Scene) -> None:
    await scene.begin()
    await until_left(scene)


@fault("late")
async def cut_within_an_event(scene: Scene) -> None:
    if scene.stream:
        await scene.head()
        await scene.events([*scene.wire.half(), scene.wire.word(WORDS[4])[:-12]])
    else:
        await scene.begin()
    scene.exchange.close()


@fault("late")
async def polite_end_without_a_reason(scene: Scene) -> None:
    await scene.good(scene.wire.half(), scene.wire.whole()[:-40])


@fault("late")
async def end_mark_without_a_reason(scene: Scene) -> None:
    await scene.good([*scene.wire.half(), scene.wire.end_mark], scene.wire.whole()[:-1])


@fault("late")
async def chunk_longer_than_it_is(scene: Scene) -> None:
    await scene.begin()
    await scene.exchange.send(b"fff\r\n" + scene.wire.word(WORDS[4]))
    scene.exchange.close()


@fault("late", "any")
async def chunk_shorter_than_it_is(scene: Scene) -> None:
    if not scene.stream:
        body = scene.wire.whole()
        await scene.exchange.send_head(200, {"content-type": "application/json", "transfer-encoding": "chunked"})
        await scene.exchange.send(b"%x\r\n%b\r\n0\r\n\r\n" % (len(body) - 5, body))
        return
    await scene.begin()
    await scene.exchange.send(b"10\r\n" + scene.wire.word(WORDS[4]) + b"\r\n0\r\n\r\n")
    scene.exchange.close()


@fault("late")
async def chunk_size_that_is_no_number(scene: Scene) -> None:
    if scene.stream:
        await scene.begin()
    else:
        await scene.exchange.send_head(200, {"content-type": "application/json", "transfer-encoding": "chunked"})
        await scene.exchange.send_chunk(scene.wire.whole()[:50])
    await scene.exchange.send(b"-zz\r\n" + scene.wire.word(WORDS[4]) + b"\r\n0\r\n\r\n")
    await until_left(scene)


@fault("late")
async def content_length_too_long(scene: Scene) -> None:
    body = b"".join(scene.wire.half()) if scene.stream else scene.wire.whole()
    kind = "text/event-stream" if scene.stream else "application/json"
    await scene.exchange.send_head(200, {"content-type": kind, "content-length": str(len(body) + 50)})
    await scene.exchange.send(body)
    await scene.exchange.sleep(0.02)
    scene.exchange.close()


@fault("late")
async def content_length_too_short(scene: Scene) -> None:
    body = b"".join(scene.wire.stream()) if scene.stream else scene.wire.whole()
    kind = "text/event-stream" if scene.stream else "application/json"
    length = len(b"".join(scene.wire.half())) if scene.stream else len(body) - 9
    await scene.exchange.send_head(200, {"content-type": kind, "content-length": str(length)})
    await scene.exchange.send(body[: length // 2])
    await scene.exchange.sleep(0.03)
    await scene.exchange.send(body[length // 2 :])
    scene.exchange.close()


# -- events ----------------------------------------------------------------------------------------------------------


@fault("late")
async def malformed_event(scene: Scene) -> None:
    lost = scene.wire.word(WORDS[4])
    pieces = [*scene.wire.half(), lost[:-9] + b"\n\n", *scene.wire.words(5), *scene.wire.closing()]
    await scene.good([*pieces, scene.wire.end_mark], scene.wire.whole()[:-30] + b"}")


@fault("early")
async def malformed_first_event(scene: Scene) -> None:
    wire = scene.wire
    await scene.good([wire.event(b'{"id": "chatcmpl'), *wire.words(), *wire.closing(), wire.end_mark], b'{"id":')


@fault("late")
async def malformed_event_alone_in_a_chunk_of_good_ones(scene: Scene) -> None:
    lost = scene.wire.word(WORDS[4])[:-9] + b"\n\n"
    pieces = [*scene.wire.words(3, 4), lost, *scene.wire.words(5), *scene.wire.closing(), scene.wire.end_mark]
    first = scene.wire.half()[:-1]
    await scene.good([*first, b": together\n\n", b"".join(pieces)], b"{" + scene.wire.whole())


@fault("late")
async def invalid_utf8(scene: Scene) -> None:
    torn = scene.wire.word("jumps").replace(b"jumps", b"ju\xff\xfeps")
    pieces = [*scene.wire.half(), torn, *scene.wire.words(5), *scene.wire.closing(), scene.wire.end_mark]
    await scene.good(pieces, scene.wire.whole().replace(b"quick", b"qu\xff\xfeck"))


@fault("any")
async def an_event_of_ten_megabytes(scene: Scene) -> None:
    padding = b'{"padding":"' + b"x" * 10_000_000 + b'",'
    word = scene.wire.word(WORDS[4]).replace(b"{", padding, 1)
    pieces = [*scene.wire.half(), word, *scene.wire.words(5), *scene.wire.closing(), scene.wire.end_mark]
    await scene.good(pieces, scene.wire.whole().replace(b"{", padding, 1))


FAULTS["an_event_of_ten_megabytes"] = FAULTS["an_event_of_ten_megabytes"]._replace(costly=True)


@fault("late", "any", costly=True)
async def an_event_without_end(scene: Scene) -> None:
    await scene.begin()
    for _ in range(40):
        await scene.events([b"x" * 1_000_000])


@fault("harmless")
async def byte_by_byte(scene: Scene) -> None:
    if scene.stream:
        await scene.head()
        await scene.exchange.send(b"".join(b"1\r\n%c\r\n" % byte for byte in b"".join(scene.wire.stream())))
        await scene.finish()
    else:
        body = scene.wire.whole()
        await scene.head(content_length=str(len(body)))
        for at in range(0, len(body), 7):
            await scene.exchange.send(body[at : at + 7])


@fault("harmless")
async def letters_split_between_chunks(scene: Scene) -> None:
    data = b"".join(scene.wire.stream())
    at = data.index("🦊".encode()) + 2
    await scene.good([data[:at], data[at : at + 1], data[at + 1 :]])


@fault("harmless")
async def lines_that_end_in_crlf(scene: Scene) -> None:
    await scene.good([piece.replace(b"\n", b"\r\n") for piece in scene.wire.stream()])


@fault("harmless")
async def a_byte_order_mark(scene: Scene) -> None:
    first, *rest = scene.wire.stream()
    await scene.good([b"\xef\xbb\xbf" + first, *rest])


@fault("harmless")
async def a_slow_drip(scene: Scene) -> None:
    if scene.stream:
        await scene.head()
        await scene.events(scene.wire.stream(), gap=0.08)
        await scene.finish()
    else:
        await scene.exchange.sleep(0.2)
        await scene.good()


@fault("harmless")
async def comments_among_events(scene: Scene) -> None:
    await scene.good([piece for event in scene.wire.stream() for piece in (b": alive\n\n", event)])


@fault("harmless")
async def an_unknown_event(scene: Scene) -> None:
    first, *rest = scene.wire.stream()
    odd = b'event: novelty\ndata: {"type":"novelty","id":"chatcmpl-1","object":"novelty"}\n\n'
    if scene.wire.name == "openai":
        odd = b'data: {"id":"chatcmpl-1","object":"chat.completion.chunk","model":"real","choices":[]}\n\n'
    await scene.good([first, odd, *rest])


@fault("any")
async def events_that_are_no_objects(scene: Scene) -> None:
    first, *rest = scene.wire.stream()
    await scene.good([first, *(scene.wire.event(data) for data in (b"5", b"null", b"[]", b'"x"')), *rest], b"[]")


@fault("early")
async def an_empty_stream(scene: Scene) -> None:
    await scene.good([], b"")


@fault("early")
async def only_a_comment(scene: Scene) -> None:
    await scene.good([b": working\n\n"], b" ")


@fault("early")
async def only_an_end_mark(scene: Scene) -> None:
    await scene.good([scene.wire.end_mark], b"null")


@fault("early")
async def a_comment_then_silence(scene: Scene) -> None:
    await scene.head(**({} if scene.stream else {"content_length": "900"}))
    if scene.stream:
        await scene.events([b": working\n\n"])
    await until_left(scene)


@fault("early", "any")
async def comments_for_ever(scene: Scene) -> None:
    await scene.head(**({} if scene.stream else {"content_length": "9000"}))
    for _ in range(50):
        await (scene.events([b": working\n\n"]) if scene.stream else scene.exchange.send(b" "))
        await scene.exchange.sleep(0.1)


# -- the end mark, and what comes behind it --------------------------------------------------------------------------


@fault("harmless")
async def no_end_mark(scene: Scene) -> None:
    await scene.good(scene.wire.stream()[:-1])


@fault("harmless")
async def no_end_mark_and_cut(scene: Scene) -> None:
    if scene.stream:
        await scene.head()
        await scene.events(scene.wire.stream()[:-1])
        scene.exchange.close()
    else:
        await scene.good()


@fault("harmless")
async def no_end_mark_and_reset(scene: Scene) -> None:
    if scene.stream:
        await scene.head()
        await scene.events(scene.wire.stream()[:-1])
        await scene.exchange.sleep(0.05)
        scene.exchange.reset()
    else:
        await scene.good()


@fault("harmless")
async def no_end_mark_and_silence(scene: Scene) -> None:
    if scene.stream:
        await scene.head()
        await scene.events(scene.wire.stream()[:-1])
        await until_left(scene)
    else:
        await scene.good()


@fault("harmless")
async def no_blank_line_behind_the_end_mark(scene: Scene) -> None:
    await scene.good([*scene.wire.stream()[:-1], scene.wire.end_mark.rstrip()])


@fault("harmless")
async def two_end_marks(scene: Scene) -> None:
    await scene.good([*scene.wire.stream(), scene.wire.end_mark])


@fault("harmless")
async def two_end_marks_in_one_chunk(scene: Scene) -> None:
    await scene.good([b"".join([*scene.wire.stream(), scene.wire.end_mark])])


@fault("harmless")
async def more_words_behind_the_end_mark(scene: Scene) -> None:
    await scene.good([*scene.wire.stream(), scene.wire.word("and more")])


@fault("harmless")
async def more_words_behind_the_end_mark_in_one_chunk(scene: Scene) -> None:
    await scene.good([b"".join([*scene.wire.stream(), scene.wire.word("and more")])])


@fault("harmless")
async def open_behind_the_end_mark(scene: Scene) -> None:
    if scene.stream:
        await scene.head()
        await scene.events(scene.wire.stream())
        await until_left(scene)
    else:
        await scene.good()


@fault("harmless")
async def a_second_answer_behind_the_first(scene: Scene) -> None:
    await scene.good()
    await scene.reply(200, scene.wire.whole(text="another caller's secret"))


# -- usage -----------------------------------------------------------------------------------------------------------


@fault("harmless")
async def no_usage(scene: Scene) -> None:
    wire = scene.wire
    await scene.good([*wire.opening({}), *wire.words(), *wire.closing({}), wire.end_mark], wire.whole({}))


@fault("harmless")
async def usage_twice(scene: Scene) -> None:
    wire = scene.wire
    *closing, last = wire.closing()
    await scene.good(
        [*wire.opening(), *wire.words(), *closing, last, *([last] if wire.name == "openai" else []), wire.end_mark]
    )


@fault("harmless")
async def negative_usage(scene: Scene) -> None:
    wire, usage = scene.wire, scene.wire.usage(-5, -7)
    await scene.good([*wire.opening(usage), *wire.words(), *wire.closing(usage), wire.end_mark], wire.whole(usage))


@fault("harmless")
async def usage_that_is_no_number(scene: Scene) -> None:
    wire, usage = scene.wire, scene.wire.usage("many", None)
    await scene.good([*wire.opening(usage), *wire.words(), *wire.closing(usage), wire.end_mark], wire.whole(usage))


# -- tool calls ------------------------------------------------------------------------------------------------------


@fault("late", tools=True)
async def torn_tool_arguments(scene: Scene) -> None:
    wire = scene.wire
    await scene.head()
    await scene.events([*wire.tool_opening(), wire.arguments('{"x":'), wire.arguments('1,"y"')])
    await scene.exchange.sleep(0.02)
    scene.exchange.close()


@fault("late", tools=True)
async def torn_tool_arguments_with_a_polite_end(scene: Scene) -> None:
    wire = scene.wire
    await scene.good([*wire.tool_opening(), wire.arguments('{"x":'), wire.arguments('1,"y"')])


@fault("late", tools=True)
async def torn_tool_arguments_with_an_end_mark(scene: Scene) -> None:
    wire = scene.wire
    await scene.good([*wire.tool_opening(), wire.arguments('{"x":'), wire.arguments('1,"y"'), wire.end_mark])


# -- errors ----------------------------------------------------------------------------------------------------------


@fault("early")
async def an_error_under_status_200(scene: Scene) -> None:
    await scene.reply(200, scene.wire.error())


@fault("early")
async def an_error_event_first(scene: Scene) -> None:
    await scene.good([scene.wire.error_event()], scene.wire.error())


@fault("late")
async def an_error_event_among_words(scene: Scene) -> None:
    await scene.good([*scene.wire.half(), scene.wire.error_event()], scene.wire.error())


@fault("late")
async def an_error_event_and_then_an_end_mark(scene: Scene) -> None:
    await scene.good([*scene.wire.half(), scene.wire.error_event(), scene.wire.end_mark], scene.wire.error())


@fault("late")
async def an_error_event_and_then_silence(scene: Scene) -> None:
    if scene.stream:
        await scene.head()
        await scene.events([*scene.wire.half(), scene.wire.error_event()])
        await until_left(scene)
    else:
        await scene.reply(200, scene.wire.error())


@fault("late")
async def a_rate_limit_among_words(scene: Scene) -> None:
    kind = "rate_limit_error"
    await scene.good([*scene.wire.half(), scene.wire.error_event(kind)], scene.wire.error(kind))


def _status(status: int, weight: Weight, kind: str, name: str | None = None, **headers: str) -> None:
    async def run(scene: Scene) -> None:
        await scene.reply(status, scene.wire.error(kind), **headers)

    fault(weight, name=name or f"status_{status}")(run)


for number in (500, 502, 503, 504, 529, 408):
    _status(number, "early", "server_error")
_status(400, "final", "invalid_request_error")
_status(401, "final", "authentication_error")
_status(403, "final", "permission_error")
_status(404, "any", "not_found_error")
_status(413, "any", "request_too_large")
_status(422, "final", "invalid_request_error")

RETRY_AFTER = {
    "none": None,
    "zero": "0",
    "one": "1",
    "fraction": "2.5",
    "date": "Wed, 21 Oct 2037 07:28:00 GMT",
    "past_date": "Wed, 21 Oct 2015 07:28:00 GMT",
    "negative": "-5",
    "enormous": "1000000000",
    "word": "abc",
    "nan": "nan",
    "infinite": "inf",
    "long": "9" * 400,
}
for label, value in RETRY_AFTER.items():
    _status(
        429, "early", "rate_limit_error", f"rate_limit_{label}", **({} if value is None else {"retry_after": value})
    )
_status(429, "early", "rate_limit_error", "rate_limit_in_milliseconds", retry_after_ms="250")
_status(503, "early", "server_error", "unavailable_for_a_while", retry_after="3")


@fault("early")
async def an_error_page(scene: Scene) -> None:
    await scene.reply(502, b"<html><h1>Bad gateway</h1></html>", content_type="text/html")


@fault("early")
async def an_error_of_a_hundred_megabytes(scene: Scene) -> None:
    await scene.exchange.send_head(500, {"content-type": "application/json", "content-length": "104857600"})
    for _ in range(100):
        await scene.exchange.send(b" " * 1_048_576)


@fault("early")
async def an_error_that_never_ends(scene: Scene) -> None:
    await scene.exchange.send_head(500, {"content-type": "application/json", "content-length": "900"})
    await scene.exchange.send(b'{"error":')
    await until_left(scene)


# -- what is no answer -----------------------------------------------------------------------------------------------


@fault("early")
async def a_page_under_status_200(scene: Scene) -> None:
    page = b"<!doctype html><title>Maintenance</title><p>We will be back."
    await scene.reply(200, page, content_type="text/html; charset=utf-8")


@fault("early")
async def a_page_told_as_a_stream(scene: Scene) -> None:
    page = b"<!doctype html>\n<title>Maintenance</title>\n\n<p>We will be back.\n\n"
    await scene.good([page], page)


@fault("harmless")
async def another_content_type(scene: Scene) -> None:
    await scene.good(content_type="text/plain; charset=utf-8")


@fault("harmless")
async def no_content_type(scene: Scene) -> None:
    if scene.stream:
        await scene.exchange.send_head(200, {"transfer-encoding": "chunked"})
        await scene.events(scene.wire.stream())
        await scene.finish()
    else:
        body = scene.wire.whole()
        await scene.exchange.send_head(200, {"content-length": str(len(body))})
        await scene.exchange.send(body)


@fault("harmless")
async def whole_though_a_stream_was_asked(scene: Scene) -> None:
    await scene.reply(200, scene.wire.whole())


@fault("any", "early")
async def an_empty_object(scene: Scene) -> None:
    await scene.good([*scene.wire.half(), scene.wire.event(b"{}")], b"{}")


@fault("early")
async def a_list(scene: Scene) -> None:
    await scene.good([scene.wire.event(b"[]")], b"[1,2]")


@fault("early")
async def no_content(scene: Scene) -> None:
    await scene.exchange.send(b"HTTP/1.1 204 No Content\r\n\r\n")


@fault("early")
async def a_redirect(scene: Scene) -> None:
    await scene.reply(307, b"", location="http://127.0.0.1:9/elsewhere")


@fault("early")
async def a_permanent_redirect(scene: Scene) -> None:
    await scene.reply(301, b"", location="https://evil.example/v1/chat/completions")


@fault("early")
async def another_protocol(scene: Scene) -> None:
    await scene.exchange.send(b"HTTP/1.1 101 Switching Protocols\r\nupgrade: h2c\r\nconnection: upgrade\r\n\r\nPRI *")
    await until_left(scene)


@fault("early")
async def a_flood_of_interim_answers(scene: Scene) -> None:
    await scene.exchange.send(b"HTTP/1.1 103 Early Hints\r\nlink: </x>\r\n\r\n" * 2000)
    await scene.good()


@fault("harmless")
async def an_interim_answer(scene: Scene) -> None:
    await scene.exchange.send(b"HTTP/1.1 100 Continue\r\n\r\n")
    await scene.good()


@fault("early")
async def no_http(scene: Scene) -> None:
    await scene.exchange.send(b"SSH-2.0-OpenSSH_9.6\r\n\r\n")
    await until_left(scene)


@fault("early")
async def a_length_and_chunks(scene: Scene) -> None:
    await scene.exchange.send_head(200, {"content-length": "5", "transfer-encoding": "chunked"})
    await scene.events([scene.wire.whole()])
    await scene.finish()


@fault("early")
async def two_lengths(scene: Scene) -> None:
    body = scene.wire.whole()
    head = b"HTTP/1.1 200 OK\r\ncontent-type: application/json\r\ncontent-length: 5\r\ncontent-length: %d\r\n\r\n"
    await scene.exchange.send(head % len(body) + body)


@fault("early")
async def a_negative_length(scene: Scene) -> None:
    await scene.exchange.send_head(200, {"content-type": "application/json", "content-length": "-5"})
    await scene.exchange.send(scene.wire.whole())


@fault("early")
async def a_nul_in_a_header(scene: Scene) -> None:
    await scene.exchange.send(b"HTTP/1.1 200 OK\r\nx-odd: a\x00b\r\ncontent-length: 2\r\n\r\n{}")


@fault("early")
async def a_line_end_in_a_header(scene: Scene) -> None:
    await scene.exchange.send(b"HTTP/1.1 200 OK\r\nx-odd: a\rset-cookie: b\r\ncontent-length: 2\r\n\r\n{}")


@fault("early")
async def a_head_of_a_hundred_kilobytes(scene: Scene) -> None:
    await scene.good(x_padding="x" * 100_000)


@fault("harmless")
async def a_cookie(scene: Scene) -> None:
    await scene.good(set_cookie="session=1; Path=/", server="secret/1.0")


@fault("harmless")
async def http_1_0(scene: Scene) -> None:
    kind, body = b"application/json", scene.wire.whole()
    if scene.stream:
        kind, body = b"text/event-stream", b"".join(scene.wire.stream())
    await scene.exchange.send(b"HTTP/1.0 200 OK\r\ncontent-type: " + kind + b"\r\n\r\n" + body)
    scene.exchange.close()


@fault("harmless", "harmless")
async def compressed_unasked(scene: Scene) -> None:
    body = gzip.compress(b"".join(scene.wire.stream()) if scene.stream else scene.wire.whole())
    kind = "text/event-stream" if scene.stream else "application/json"
    await scene.reply(200, body, content_type=kind, content_encoding="gzip")


@fault("early", costly=True)
async def a_gzip_bomb(scene: Scene) -> None:
    packer = zlib.compressobj(9, wbits=31)
    packed = packer.compress(b" " * 1_048_576) + packer.flush(zlib.Z_FULL_FLUSH)
    again = packer.compress(b" " * 1_048_576) + packer.flush(zlib.Z_FULL_FLUSH)
    body = packed + again * 200
    kind = "text/event-stream" if scene.stream else "application/json"
    await scene.reply(200, body, content_type=kind, content_encoding="gzip")


@fault("early")
async def compressed_and_torn(scene: Scene) -> None:
    body = gzip.compress(TEXT.encode() * 50)[:-20]
    kind = "text/event-stream" if scene.stream else "application/json"
    await scene.reply(200, body, content_type=kind, content_encoding="gzip")
