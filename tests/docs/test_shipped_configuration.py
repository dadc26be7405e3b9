"""The shipped gateway.toml shows every setting of the core, and serves with everything in it switched on."""

from __future__ import annotations

import re
import shutil
import tomllib
from importlib.metadata import entry_points
from pathlib import Path

import msgspec
import pytest

from gateway.config import DEFAULT_TIMEOUTS, PLUGIN_KEYS, ServerConfig, TlsConfig
from gateway.config_models import _Defaults
from gateway.loading import DEFAULTS
from gateway.testing import running_gateway
from tests.docs.documents import ROOT

TOML = (ROOT / "gateway.toml").read_text(encoding="utf-8")
ALL_ON = re.sub(r"^#(?=[^\s#])", "", TOML, flags=re.MULTILINE)
TREE = tomllib.loads(ALL_ON)


def test_every_setting_of_the_core_is_shown() -> None:
    server, defaults = TREE["server"], TREE["defaults"]
    assert server.keys() == set(ServerConfig.__struct_fields__)
    assert server["tls"].keys() == set(TlsConfig.__struct_fields__)
    assert defaults.keys() == set(_Defaults.__struct_fields__)
    assert defaults["timeouts"] == msgspec.structs.asdict(DEFAULT_TIMEOUTS)


def test_what_is_shown_of_server_and_defaults_says_what_holds_anyway_or_the_opposite() -> None:
    """A number that is uncommented as it stands changes nothing; a switch does what its comment says."""
    for field in msgspec.structs.fields(ServerConfig):
        shown = TREE["server"][field.name]
        if isinstance(field.default, bool):
            assert shown is not field.default, field.name
        elif field.name not in ("tls", "http1"):
            assert shown == field.default, field.name


def test_every_strategy_and_reserved_key_is_shown() -> None:
    strategies = {model.get("strategy", "ordered") for model in TREE["models"].values()}
    known = {word for point in entry_points(group=DEFAULTS) for word in point.load().strategies}
    assert strategies == known
    keys = {key for table in TREE["plugins"].values() for key in table}
    assert {"use", "enabled"} <= keys & set(PLUGIN_KEYS)


def test_a_comment_is_prose_or_toml_and_the_file_says_which() -> None:
    for line in TOML.splitlines():
        if line.startswith("#") and not line.startswith("# ") and line != "#":
            assert re.match(r'#(\[[\w./"-]+\]$|\w+ = )', line), line
        assert "\t" not in line


@pytest.fixture
def folder(tmp_path: Path) -> Path:
    """The files that the tables name."""
    for name in ("server.pem", "server.key", "clients.pem"):
        (tmp_path / name).touch()
    shutil.copytree(ROOT / "examples" / "plugins", tmp_path / "examples" / "plugins")
    return tmp_path


def test_it_serves_with_everything_on(folder: Path, capfd: pytest.CaptureFixture[str]) -> None:
    env = {name: f"gw-{name.lower()}-0123456789abcdef" for name in re.findall(r'env = "(\w+)"', ALL_ON)}
    body = {"model": "echo", "messages": [{"role": "user", "content": "The word is hunter2."}]}
    with running_gateway(ALL_ON, folder=folder, env=env) as gateway:
        assert gateway.post("/v1/chat/completions", body).status == 401
        key = {"authorization": f"Bearer {env['TEAM_A_KEY']}"}
        answers = [gateway.post("/v1/chat/completions", body, headers=key) for _ in range(2)]
    assert [answer.status for answer in answers] == [200, 200]
    assert answers[1].json()["choices"][0]["message"]["content"] == "The word is [redacted]."
    assert answers[1].headers["x-ratelimit-limit-requests"] == "60"
    assert "age" in answers[1].headers
    assert capfd.readouterr().out.count('"model":"echo"') == 2
    assert (folder / "audit.sqlite").stat().st_size > 0
