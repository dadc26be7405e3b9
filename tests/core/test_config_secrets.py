"""Secrets: followed by reference, and shown by nothing, whatever is wrong with them or around them."""

from __future__ import annotations

import logging
from pathlib import Path

import msgspec
import pytest

from gateway.cli import main
from gateway.config import Secret
from gateway.config_reader import Reader
from gateway.secret import UnreadableSecret, read_secret
from tests.core.config_texts import built, parsed, problems_of

CANARY = "sk-canary-7f3a91c2d4"
FORMS = 'expected { env = "NAME" } or { file = "path" }'


def key(toml: str, folder: Path) -> Secret:
    secret = built(f"[plugins.openai]\napi_key = {toml}\n", folder).providers["openai"].config.api_key
    assert isinstance(secret, Secret)
    return secret


def test_a_secret_comes_from_the_environment(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("MY_KEY", CANARY)
    secret = key('{ env = "MY_KEY" }', tmp_path)
    assert (secret.value, secret.source) == (CANARY, "env:MY_KEY")


@pytest.mark.parametrize("end", ["", "\n", "\r\n"])
def test_a_secret_comes_from_a_file_beside_the_toml_without_its_line_break(tmp_path: Path, end: str) -> None:
    (tmp_path / "keys").mkdir()
    (tmp_path / "keys" / "openai").write_bytes(f" {CANARY}{end}".encode())
    secret = key('{ file = "keys/openai" }', tmp_path)
    assert (secret.value, secret.source) == (f" {CANARY}", "file:keys/openai")
    assert key(f'{{ file = "{tmp_path}/keys/openai" }}', Path("/nonexistent")).value == secret.value


def test_a_plain_secret_is_taken_with_a_warning(tmp_path: Path) -> None:
    gateway = built(f'[plugins.openai]\napi_key = "{CANARY}"\n', tmp_path)
    assert gateway.providers["openai"].config.api_key == Secret(CANARY)
    assert gateway.warnings == [
        (
            "gateway.toml:2: [plugins.openai] api_key: the secret stands in the file itself; "
            '{ env = "NAME" } or { file = "path" } keeps it elsewhere'
        )
    ]


def test_the_word_forward_is_no_secret_in_api_key(tmp_path: Path) -> None:
    assert built('[plugins.openai]\napi_key = "forward"\n', tmp_path).warnings == []
    (warning,) = built('[plugins.api_keys]\nkeys = [{ name = "x", key = "forward" }]\n', tmp_path).warnings[:1]
    assert "the secret stands in the file itself" in warning


@pytest.mark.parametrize(
    ("value", "problem"),
    [
        ('{ env = "NO_SUCH" }', "api_key: the environment variable NO_SUCH is not set; export it before the start"),
        ('{ env = "BLANK" }', "api_key: the environment variable BLANK is empty; set it to the secret"),
        ('{ file = "no" }', "api_key: there is no file no; paths are relative to the configuration's folder"),
        ('{ file = "." }', "api_key: the file . cannot be read: Is a directory"),
        ('{ file = "blank" }', "api_key: the file blank is empty; write the secret into it"),
        ('{ file = "bytes" }', "api_key: the file bytes is not UTF-8 text"),
        ('{ file = "large" }', "api_key: the file large is larger than 1 MiB, which no secret is"),
        ('{ evn = "X" }', 'api_key.evn: unknown key; did you mean "env"?'),
        ('{ env = "X", flie = "y" }', 'api_key.flie: unknown key; did you mean "file"?'),
        ('{ vault = "X" }', f"api_key.vault: unknown key; {FORMS}"),
        ('{ env = "X", file = "y" }', f"api_key: {FORMS}"),
        ("{}", f"api_key: {FORMS}"),
        ("{ env = 1 }", f"api_key: {FORMS}"),
        ('{ env = "" }', f"api_key: {FORMS}"),
        ('""', f"api_key: is empty; {FORMS}"),
        ('" "', f"api_key: is empty; {FORMS}"),
        ("[]", f"api_key: {FORMS}"),
        ("true", f"api_key: {FORMS}"),
        ('{ file = "a\\u0000b" }', "api_key: file takes a path"),
    ],
)
def test_a_secret_that_cannot_be_had_is_a_problem_that_says_why(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, value: str, problem: str
) -> None:
    monkeypatch.setenv("BLANK", "\n")
    (tmp_path / "blank").write_text("\n")
    (tmp_path / "bytes").write_bytes(b"\xff\xfe")
    (tmp_path / "large").write_text("x" * (1024 * 1024 + 1))
    assert problems_of(f"[plugins.openai]\napi_key = {value}\n", tmp_path) == [
        f"gateway.toml:2: [plugins.openai] {problem}"
    ]


@pytest.mark.parametrize(
    "table",
    [
        f'[plugins.openai]\napi_key = "{CANARY}"\nbase_url = 1\n',
        f'[plugins.openai]\napi_key = ["{CANARY}"]\n',
        f'[plugins.openai]\napi_key = {{ evn = "{CANARY}" }}\n',
        f'[plugins.openai]\napi_key = {{ env = "{CANARY}" }}\n',
        f'[plugins.openai]\napi_key = {{ file = "{CANARY}" }}\n',
        f'[plugins.openai]\napi_kye = "{CANARY}"\n',
        f'[plugins.openai]\napi_key = {{ env = "CANARY" }}\ntimeouts = "{CANARY}"\n',
        f'[plugins.openai]\napi_key = "forward"\nheaders = "authorization: {CANARY}"\n',
        f'[plugins.openai]\napi_key = "forward"\nlimit = {{ x-key = "{CANARY}" }}\n',
        f"[plugins.openai]\napi_key = {CANARY}\n",
        f'[plugins.openai]\napi_key = "{CANARY}\n',
        f'[plugins.openai]\napi_key = "{CANARY}"\napi_key = "{CANARY}"\n',
        f'[plugins.openai]\napi_key = "{CANARY}"\nstage = "observed"\n',
        f'[plugins.openai]\napi_key = {{ env = "CANARY" }}\nbase_url = "ftp://{CANARY}@host"\n[server]\nx = 1\n',
        f'[plugins.api_keys]\nkeys = ["{CANARY}"]\n',
        f'[plugins.api_keys]\nkeys = [{{ name = "a", key = "{CANARY}", enabled = "{CANARY}" }}]\n',
        f'[plugins.api_keys]\nkeys = [{{ name = "a", key = "{CANARY}" }}, {{ name = "b", key = "{CANARY}" }}]\n',
        f'[plugins.leak]\nuse = "./leak.py:Leak"\ntoken = "{CANARY}"\n',
        '[plugins.leak]\nuse = "./leak.py:Leak"\ntoken = { env = "CANARY" }\npost = true\n',
    ],
)
@pytest.mark.parametrize("command", ["check", "plugins", "models"])
def test_no_command_shows_a_secret(
    tmp_path: Path,
    monkeypatch: pytest.MonkeyPatch,
    capsys: pytest.CaptureFixture[str],
    caplog: pytest.LogCaptureFixture,
    table: str,
    command: str,
) -> None:
    """In the right place with something wrong beside it, and in wrong places."""
    caplog.set_level(logging.DEBUG)
    monkeypatch.setenv("CANARY", CANARY)
    (tmp_path / "leak.py").write_text(LEAK)
    (tmp_path / "gateway.toml").write_text(table)
    code = main(["-c", str(tmp_path / "gateway.toml"), command])
    shown = capsys.readouterr()
    assert code == 1
    assert "gateway.toml:" in shown.err
    assert "canary-7" not in shown.out + shown.err + caplog.text


LEAK = """
from gateway import Plugin, PluginConfig, Secret


class Leak(Plugin):
    class Config(PluginConfig, frozen=True, kw_only=True):
        token: Secret
        post: bool = False

        def __post_init__(self):
            if self.post:
                raise ValueError(f"what use is {self.token.value}?")

    def __init__(self, config, context):
        raise RuntimeError(f"what use is {config.token.value}?")
"""


def test_neither_a_secret_nor_what_holds_one_shows_it_in_its_repr(tmp_path: Path) -> None:
    gateway = built(f'[plugins.openai]\napi_key = "{CANARY}"\n', tmp_path)
    config = gateway.config
    for thing in (
        config,
        config.plugins,
        gateway.providers["openai"].config,
        gateway.providers["openai"].config.api_key,
    ):
        assert CANARY not in repr(thing)
        assert CANARY not in str(thing)


def test_secrets_stand_wherever_a_config_wants_them(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    class Settings(msgspec.Struct, kw_only=True):
        by_name: dict[str, Secret]
        several: tuple[Secret, ...]
        either: Secret | list[str]

    monkeypatch.setenv("A", "first")
    reader = Reader("f", "", tmp_path)
    values = {"by_name": {"x": {"env": "A"}}, "several": [{"env": "A"}, "plain"], "either": ["a"]}
    settings = reader.struct(values, Settings, ("t",))
    assert settings == Settings(
        by_name={"x": Secret("first")}, several=(Secret("first"), Secret("plain")), either=["a"]
    )
    (warning,) = reader.warnings
    assert warning.startswith("f: [t] several[1]: the secret stands in the file itself; ")


def test_a_secret_is_equal_to_one_of_the_same_value_and_to_nothing_else() -> None:
    assert Secret("a", "env:A") == Secret("a")
    assert hash(Secret("a", "env:A")) == hash(Secret("a"))
    assert Secret("a") != Secret("b")
    assert Secret("a") != "a"
    assert Secret("ä") == Secret("ä")


def test_a_secret_is_read_when_the_configuration_is_so_a_reload_takes_up_a_new_one(tmp_path: Path) -> None:
    (tmp_path / "key").write_text("old")
    toml = '[plugins.openai]\napi_key = { file = "key" }\n'
    assert built(toml, tmp_path).providers["openai"].config.api_key.value == "old"
    (tmp_path / "key").write_text("new")
    assert built(toml, tmp_path).providers["openai"].config.api_key.value == "new"
    (tmp_path / "key").unlink()
    assert parsed(toml, tmp_path).plugins[0].values == {"api_key": {"file": "key"}}
    with pytest.raises(UnreadableSecret, match="there is no file key"):
        read_secret({"file": "key"}, tmp_path)
