"""The top level of a JSON body: members found, replaced, and what must be refused."""

from __future__ import annotations

import json

import pytest
from hypothesis import given
from hypothesis import strategies as st

from gateway.errors import InvalidRequest
from gateway.jsonbody import JsonObject

VALUES = st.recursive(
    st.none()
    | st.booleans()
    | st.integers(-(2**53), 2**53)
    | st.floats(allow_nan=False, allow_infinity=False)
    | st.text(),
    lambda inner: st.lists(inner, max_size=4) | st.dictionaries(st.text(max_size=8), inner, max_size=4),
    max_leaves=12,
)
OBJECTS = st.dictionaries(st.text(max_size=10), VALUES, max_size=8)


@given(OBJECTS, st.sampled_from([None, 2]), st.booleans())
def test_every_member_is_found_in_any_layout(value: dict[str, object], indent: int | None, ascii_only: bool) -> None:
    body = json.dumps(value, indent=indent, ensure_ascii=ascii_only).encode("utf-8", "surrogatepass")
    found = JsonObject(body)
    assert {key: found.get(key) for key in found.spans} == value


@given(OBJECTS, st.dictionaries(st.text(max_size=10), VALUES, max_size=4), st.sampled_from([None, 1]))
def test_replaced_members_and_nothing_else_change(
    value: dict[str, object], changes: dict[str, object], indent: int | None
) -> None:
    body = json.dumps(value, indent=indent).encode()
    new = JsonObject(body).replaced({key: json.dumps(item).encode() for key, item in changes.items()})
    assert json.loads(new) == {**value, **changes}


@given(OBJECTS.filter(bool), st.data())
def test_a_key_that_occurs_twice_is_refused(value: dict[str, object], data: st.DataObject) -> None:
    again = data.draw(st.sampled_from(sorted(value)))
    other = data.draw(VALUES)
    text = json.dumps(value)
    extra = f"{json.dumps(again)}: {json.dumps(other)}"
    for body in (f"{text[:-1]}, {extra}}}", f"{{{extra}, {text[1:]}"):
        with pytest.raises(InvalidRequest, match="occurs twice") as refusal:
            JsonObject(body.encode())
        assert refusal.value.param == again


def test_a_key_hidden_behind_an_escape_is_the_same_key() -> None:
    with pytest.raises(InvalidRequest, match="'model' occurs twice"):
        JsonObject(rb'{"model":"cheap","mod\u0065l":"dear"}')


def test_a_nested_key_of_the_same_name_is_no_duplicate() -> None:
    body = JsonObject(b'{"tools":[{"model":"x"}],"model":"y","metadata":{"model":"z"}}')
    assert body.replaced({"model": b'"w"'}) == b'{"tools":[{"model":"x"}],"model":"w","metadata":{"model":"z"}}'


@pytest.mark.parametrize(
    ("body", "says"),
    [
        (b"", "not valid JSON"),
        (b"[1]", "must be a JSON object"),
        (b'"text"', "must be a JSON object"),
        (b'{"a":', "not valid JSON"),
        (b'{"a":1} {}', "not valid JSON"),
        (b'{"a":NaN}', "not valid JSON"),
        (b'{"a":1,}', "not valid JSON"),
        (b'\xef\xbb\xbf{"a":1}', "not valid JSON"),
        (b'{"a":"\xff"}', "not valid UTF-8"),
        (b'{"a":"\xc3"}', "not valid UTF-8"),
        (b'{"a":"\\ud800"}', "not valid JSON"),
        (b'{"a":' + b"[" * 100_000 + b"]" * 100_000 + b"}", "nested too deeply"),
        (b'{"a":' * 100_000 + b"1" + b"}" * 100_000, "nested too deeply"),
    ],
)
def test_what_is_no_json_object_is_refused_in_words(body: bytes, says: str) -> None:
    with pytest.raises(InvalidRequest, match=says):
        JsonObject(body)


def test_members_of_the_wrong_type_are_named() -> None:
    body = JsonObject(b'{"model": 5, "stream": "yes"}')
    with pytest.raises(InvalidRequest, match="'model' must be a string"):
        body.text("model")
    with pytest.raises(InvalidRequest, match="'stream' must be true or false"):
        body.flag("stream")


def test_utf8_is_checked_across_slices() -> None:
    euro = "€".encode()
    body = b'{"a":"' + b"x" * ((1 << 20) - 7) + euro + b'"}'
    assert JsonObject(body).get("a") == "x" * ((1 << 20) - 7) + "€"


@pytest.mark.parametrize(
    "value", [b"1e999", b"-1E+400", b"7" * 5000, b"7" * 1_000_000, b'[{"a":1e999}]', b'"' + b"x" * 5000 + b'",1e999']
)
def test_a_number_that_parsers_read_differently_is_refused_at_any_depth(value: bytes) -> None:
    with pytest.raises(InvalidRequest, match="not valid JSON"):
        JsonObject(b'{"model":"m","x":[' + value + b"]}")


@pytest.mark.parametrize(
    "value", [b"1" * 300, b"1e308", b'"' + b"7" * 1_000_000 + b'"', b'"1e999"', b"5e-324", b"1e-999"]
)
def test_large_numbers_and_texts_of_digits_pass(value: bytes) -> None:
    assert JsonObject(b'{"x":' + value + b"}").raw("x") == value
