"""Prints how much of the recorded traffic arrives right: replies by provider and caller, requests by dialect and wire.

    python -m tests.wire.audit

Right is what means the same, or what is named as dropped. The third table counts cuts that got an end nobody said.
"""

from __future__ import annotations

import sys
from collections import Counter

from pydantic import ValidationError

from gateway.errors import GatewayError
from gateway.format import Dropped
from tests.golden.cells import chat_formats
from tests.wire import recordings
from tests.wire.audit.asked import EXTRACT
from tests.wire.audit.callers import CALLERS, streamed, told_by, understood, whole
from tests.wire.audit.exchanges import audited, cuts, whole_events, wire_of
from tests.wire.audit.providers import meaning_of
from tests.wire.audit.test_replies import said_in
from tests.wire.audit.test_replies import unnamed as lost_of_reply
from tests.wire.audit.test_requests import DIALECTS
from tests.wire.audit.test_requests import unnamed as lost_of_request

Table = dict[tuple[str, str], list[bool]]


def reply_arrives(file: str, caller: str) -> bool:
    """Whether a recorded answer means the same to this caller, or what is lost is named."""
    exchange, formats, said, dropped = recordings.load(file), chat_formats(), said_in(file), Dropped()
    wire = formats[wire_of(file)]
    try:
        if not exchange.stream:
            return not lost_of_reply(said, whole(formats[caller], wire, exchange.response_body, dropped), dropped)
        stream = streamed(formats[caller], wire, [exchange.response_body], dropped)
        told = understood(caller, stream, foreign=caller != wire.name)
    except GatewayError:
        return said.error is not None
    except (AssertionError, ValidationError):
        return False
    return not told.ended if said.error or not said.ended else not lost_of_reply(said, told, dropped)


def cuts_with_an_end(file: str) -> Counter[bool]:
    """The cuts of a stream, by whether some caller was told of an end that nobody said."""
    body, wire, formats, found = recordings.load(file).response_body, wire_of(file), chat_formats(), Counter[bool]()
    for at in cuts(file, body, wire):
        said = meaning_of(wire, whole_events(wire, body, at), stream=True)
        finished = said.ended or (bool(said.answers) and all(answer.finish for answer in said.answers))
        ends = [
            told_by(caller, streamed(formats[caller], formats[wire], [body[:at]], Dropped())).ended
            for caller in CALLERS
        ]
        found[any(ends) and not finished] += 1
    return found


def show(title: str, table: Table) -> None:
    """A table with a row for each first key and a column for each second, and a last row of them all."""
    columns = list(dict.fromkeys(column for _, column in table))
    tell(f"\n{title:24}" + "".join(f"{column:>26}" for column in columns))
    for row in sorted({row for row, _ in table}):
        tell(f"{row:24}" + "".join(f"{share(table[row, column]):>26}" for column in columns))
    every = [[right for (_, column), cells in table.items() if column == one for right in cells] for one in columns]
    tell(f"{'all':24}" + "".join(f"{share(cells):>26}" for cells in every))


def tell(line: str) -> None:
    """Print a line."""
    sys.stdout.write(line + "\n")


def share(cells: list[bool]) -> str:
    """``31 of 32 (96.9 %)``."""
    return f"{sum(cells)} of {len(cells)} ({100 * sum(cells) / max(1, len(cells)):.1f} %)"


def main() -> None:
    """Print the tables."""
    replies: Table = {}
    for file in audited(good=True):
        for caller in CALLERS:
            replies.setdefault((file.partition("/")[0], caller), []).append(reply_arrives(file, caller))
    show("replies", replies)
    requests: Table = {}
    for file in audited():
        if wire_of(file) in DIALECTS and recordings.load(file).request_json:
            for wire in EXTRACT:
                requests.setdefault((wire_of(file), wire), []).append(not lost_of_request(file, wire))
    show("requests", requests)
    ends = sum((cuts_with_an_end(file) for file in audited(stream=True, good=True)), Counter[bool]())
    tell(f"\ncuts of streams: {ends.total()}, with an end that nobody said: {ends[True]}")


if __name__ == "__main__":
    main()
