"""The keys of the TOML: who is let in, and what the others are told."""

from __future__ import annotations

import argparse
import io
import json
from collections.abc import Callable
from datetime import UTC, date, datetime
from typing import Any

import pytest

from gateway import AuthenticationFailed, Secret
from gateway.errors import ConfigError
from gateway_plugins.auth.api_keys import ApiKey, ApiKeys, ApiKeysConfig, hash_key, is_mistyped, new_key
from tests.plugins.made_calls import CONTEXT

KEY = "sk-team-a-0123456789abcdef"


def made(*keys: ApiKey) -> ApiKeys:
    return ApiKeys(ApiKeysConfig(keys=keys), CONTEXT)


def refusal(plugin: ApiKeys, credential: str | None) -> AuthenticationFailed:
    with pytest.raises(AuthenticationFailed) as caught:
        plugin.identify(credential)
    return caught.value


def problems(*keys: ApiKey) -> list[str]:
    with pytest.raises(ConfigError) as caught:
        made(*keys)
    return caught.value.problems


def run(plugin: ApiKeys, *arguments: str) -> int:
    parser = argparse.ArgumentParser()
    plugin.register_commands(parser.add_subparsers())
    args = parser.parse_args(arguments)
    code: int = args.run(args)
    return code


def test_a_key_is_known_by_its_value_and_by_its_hash() -> None:
    key = new_key()
    plugin = made(ApiKey(name="plain", key=Secret(KEY)), ApiKey(name="hashed", hash=hash_key(key)))
    assert plugin.identify(KEY).name == "plain"
    assert plugin.identify(key).id == "hashed"


def test_the_principal_carries_models_tags_and_the_limits_that_are_set() -> None:
    plugin = made(ApiKey(name="a", key=Secret(KEY), models=("fast", "openai/*"), tags=("t",), requests_per_minute=60))
    principal = plugin.identify(KEY)
    assert principal.settings == {"requests_per_minute": 60}
    assert principal.tags == ("t",)
    assert principal.may_use("openai/gpt-4o")
    assert not principal.may_use("slow")


def test_a_missing_key_is_told_how_to_send_one() -> None:
    plugin = made(ApiKey(name="a", key=Secret(KEY)))
    for nothing in (None, ""):
        assert "Authorization: Bearer" in refusal(plugin, nothing).message


@pytest.mark.parametrize("wrong", ["x", KEY[:-1], f"{KEY}x", KEY.upper(), "é", "☃", "a" * 10_000, "\ud800"])
def test_every_wrong_key_gets_the_same_answer_which_echoes_nothing(wrong: str) -> None:
    plugin = made(ApiKey(name="a", key=Secret(KEY)), ApiKey(name="b", hash=hash_key("other")))
    error = refusal(plugin, wrong)
    assert (error.message, error.code, error.status) == ("The API key is not valid.", "invalid_api_key", 401)


def test_a_key_outside_of_ascii_is_known_by_the_bytes_that_a_header_carries() -> None:
    plugin = made(ApiKey(name="a", key=Secret("schlüssel-0123456789")))
    assert plugin.identify("schlüssel-0123456789".encode().decode("latin-1")).name == "a"


@pytest.mark.parametrize("expires", [date(2020, 1, 1), datetime(2020, 1, 1, tzinfo=UTC), datetime(2020, 1, 1)])  # noqa: DTZ001
def test_an_expired_key_is_refused_and_its_holder_told_so(expires: Any) -> None:
    error = refusal(made(ApiKey(name="a", key=Secret(KEY), expires=expires)), KEY)
    assert "expired on 2020-01-01" in error.message
    assert KEY not in error.message


def test_a_key_that_expires_later_is_good() -> None:
    assert made(ApiKey(name="a", key=Secret(KEY), expires=date(2999, 1, 1))).identify(KEY).name == "a"


def test_a_key_that_is_switched_off_is_refused() -> None:
    assert "switched off" in refusal(made(ApiKey(name="a", key=Secret(KEY), enabled=False)), KEY).message


def test_all_mistakes_in_keys_are_named_at_once() -> None:
    found = problems(
        ApiKey(name="a"),
        ApiKey(name="b", key=Secret(KEY), hash=hash_key(KEY)),
        ApiKey(name="c", hash="blake2b:123"),
        ApiKey(name="d", key=Secret("")),
        ApiKey(name="e", key=Secret("good"), expires="2027-01-01"),
    )
    assert [text.split(":")[0] for text in found] == [f'keys[{n}] "{"abcde"[n]}"' for n in range(5)]
    assert "exactly one of key and hash, found neither" in found[0]
    assert "found both" in found[1]
    assert "64 hexadecimal digits" in found[2]
    assert "without quotes" in found[4]


def test_the_same_name_and_the_same_key_twice_are_mistakes() -> None:
    found = problems(
        ApiKey(name="a", key=Secret(KEY)), ApiKey(name="a", key=Secret("other")), ApiKey(name="b", hash=hash_key(KEY))
    )
    assert "the name is taken" in found[0]
    assert 'the same key as "a"' in found[1]
    assert not any(KEY in text for text in found)


def test_short_keys_and_no_keys_draw_a_warning() -> None:
    assert "short" in made(ApiKey(name="a", key=Secret("hunter2"))).warnings()[0]
    assert "hunter2" not in made(ApiKey(name="a", key=Secret("hunter2"))).warnings()[0]
    assert "every call is refused" in made().warnings()[0]
    assert made(ApiKey(name="a", key=Secret(KEY))).warnings() == []


def test_new_keys_differ_and_a_typing_mistake_in_one_shows() -> None:
    key = new_key()
    assert key != new_key()
    assert not is_mistyped(key)
    assert is_mistyped(key[:20] + ("a" if key[20] != "a" else "b") + key[21:])
    assert not is_mistyped("sk-somebody-elses-key")


def test_keys_new_prints_a_key_once_with_a_line_that_lets_it_in(capsys: pytest.CaptureFixture[str]) -> None:
    assert run(made(), "keys", "new", "--name", 'the "x" team') == 0
    lines = capsys.readouterr().out.splitlines()
    key, line = lines[0], lines[-1].strip().rstrip(",")
    import tomllib

    entry = tomllib.loads(f"keys = [{line}]")["keys"][0]
    assert entry == {"name": 'the "x" team', "hash": hash_key(key)}
    assert made(ApiKey(**entry)).identify(key).name == 'the "x" team'


def test_keys_hash_reads_standard_input(capsys: pytest.CaptureFixture[str], say: Callable[[str], None]) -> None:
    say(f"{KEY}\n")
    assert run(made(), "keys", "hash") == 0
    assert capsys.readouterr().out == f"{hash_key(KEY)}\n"
    say("\n")
    assert run(made(), "keys", "hash") == 1
    say(new_key()[:-1] + "x")
    assert run(made(), "keys", "hash") == 1
    assert "checksum" in capsys.readouterr().err


def test_keys_list_shows_all_but_the_keys(capsys: pytest.CaptureFixture[str]) -> None:
    plugin = made(
        ApiKey(name="a", key=Secret(KEY, "env:TEAM_A_KEY"), models=("fast",), requests_per_minute=60),
        ApiKey(name="b", hash=hash_key("other"), expires=date(2020, 1, 1)),
        ApiKey(name="c", hash=hash_key("third"), enabled=False),
    )
    assert run(plugin, "keys", "list") == 0
    table = capsys.readouterr().out
    assert run(plugin, "keys", "list", "--json") == 0
    rows = json.loads(text := capsys.readouterr().out)
    assert [(row["name"], row["state"], row["source"]) for row in rows] == [
        ("a", "on", "env:TEAM_A_KEY"),
        ("b", "expired", "hash"),
        ("c", "off", "hash"),
    ]
    assert rows[1]["expires"] == "2020-01-01"
    assert table.splitlines()[1].split()[:3] == ["a", "on", "fast"]
    assert not any(secret in table + text for secret in (KEY, hash_key("other"), hash_key("other")[8:20]))


def test_a_second_instance_has_its_commands_under_its_own_name() -> None:
    parser = argparse.ArgumentParser()
    commands = parser.add_subparsers()
    made().register_commands(commands)
    made().register_commands(commands)
    assert set(commands.choices) == {"keys", "tested"}


@pytest.fixture
def say(monkeypatch: pytest.MonkeyPatch) -> Callable[[str], None]:
    """Set what standard input holds."""
    return lambda text: monkeypatch.setattr("sys.stdin", io.StringIO(text))
