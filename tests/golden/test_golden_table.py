"""Nothing is lost in silence: each feature, each member of each request and reply, between every pair of formats."""

from __future__ import annotations

import pytest

from tests.golden.cells import (
    callers,
    chat_formats,
    reply_cell,
    request_cell,
    said_anyway,
    silent_losses,
    silent_reply_losses,
    wires,
)
from tests.golden.page import PAGE, page
from tests.golden.replies import REPLIES
from tests.golden.requests import REQUESTS

PLAIN = "openai_chat"
DIALECTS = [name for name in callers() if any(name in row.said for row in REQUESTS)]
WIRES = list(wires())
ANSWERING = [name for name in chat_formats() if any(name in row.said for row in REPLIES)]


def test_there_are_formats_and_rows() -> None:
    assert {PLAIN, "anthropic_messages"} <= set(DIALECTS) <= set(callers())
    assert {PLAIN, "anthropic_messages"} <= set(WIRES)
    names = [(row.group, row.name) for row in REQUESTS]
    assert len(set(names)) == len(names)


@pytest.mark.parametrize("wire", WIRES)
@pytest.mark.parametrize("dialect", DIALECTS)
def test_no_feature_of_a_request_is_lost_in_silence(dialect: str, wire: str) -> None:
    source, target = callers()[dialect], wires()[wire]
    rows = [row for row in REQUESTS if dialect in row.said]
    lost = [row.name for row in rows if request_cell(source, target, row).verdict == "lost"]
    assert not lost


@pytest.mark.parametrize("wire", WIRES)
@pytest.mark.parametrize("dialect", DIALECTS)
def test_no_member_of_a_request_is_lost_in_silence(dialect: str, wire: str) -> None:
    """Each member is taken away in turn: what then changes neither the upstream body nor what is named was lost."""
    source, target = callers()[dialect], wires()[wire]
    lost = {
        f"{row.name}: {path}"
        for row in REQUESTS
        if dialect in row.said
        for path in silent_losses(source, target, row.said[dialect].with_it)
        if not said_anyway(row.name, path)
    }
    assert not lost


@pytest.mark.parametrize("dialect", list(callers()))
@pytest.mark.parametrize("wire", ANSWERING)
def test_no_feature_of_a_reply_is_lost_in_silence(dialect: str, wire: str) -> None:
    source, target = callers()[dialect], chat_formats()[wire]
    rows = [row for row in REPLIES if wire in row.said]
    lost = [row.name for row in rows if reply_cell(source, target, row).verdict == "lost"]
    assert not lost


@pytest.mark.parametrize("dialect", list(callers()))
@pytest.mark.parametrize("wire", ANSWERING)
def test_no_member_of_a_reply_is_lost_in_silence(dialect: str, wire: str) -> None:
    source, target = callers()[dialect], chat_formats()[wire]
    lost = {
        f"{row.name}: {path}"
        for row in REPLIES
        if wire in row.said
        for path in silent_reply_losses(source, target, row.said[wire].with_it)
        if not said_anyway(row.name, path.partition(" ")[0])
    }
    assert not lost


@pytest.mark.parametrize("dialect", DIALECTS)
def test_a_dialect_says_each_of_its_rows(dialect: str) -> None:
    """A row whose two bodies mean the same would prove nothing."""
    source = callers()[dialect]
    rows = [row for row in REQUESTS if dialect in row.said]
    cells = {row.name: request_cell(source, chat_formats()[dialect], row) for row in rows}
    assert {name for name, cell in cells.items() if cell.verdict != "carried"} == set()


def test_the_page_is_what_the_codecs_do() -> None:
    assert PAGE.read_text(encoding="utf-8") == page(), "docs/translation-table.md is out of date: make table writes it"
