"""gateway.toml without mistakes: what is read from it, and what holds where it says nothing."""

from __future__ import annotations

from pathlib import Path

import pytest

from gateway.config import DEFAULT_TIMEOUTS, ServerConfig, TargetConfig, Timeouts, load_config
from gateway.errors import ConfigError
from gateway.registry import build
from gateway.settings import Hold
from tests.core.config_texts import built, parsed

SURFACE = Path(__file__).with_name("surface.toml")
REDACT = Path(__file__).parents[2] / "examples" / "plugins" / "redact.py"


def test_a_whole_file_of_every_kind_of_table_is_read_and_built(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("OPENAI_API_KEY", "sk-openai")
    (tmp_path / "anthropic").write_text("sk-anthropic\n")
    (tmp_path / "redact.py").write_text(REDACT.read_text())
    gateway = built(SURFACE.read_text().replace("/run/secrets/anthropic", "anthropic"), tmp_path)
    config = gateway.config
    assert [table.name for table in config.plugins] == ["openai", "anthropic", "local", "redact"]
    assert gateway.providers["openai"].config.api_key.value == "sk-openai"
    assert gateway.providers["anthropic"].config.api_key.value == "sk-anthropic"
    fast = config.models["fast"]
    assert [(str(target), target.weight) for target in fast.targets] == [
        ("openai/gpt-4o-mini", 90),
        ("anthropic/claude-haiku-4-5", 10),
    ]
    assert fast.fallbacks == (TargetConfig(provider="local", model="llama-3.1-8b"),)
    assert fast.timeouts == Timeouts(connect=5, first_token=15, idle=30, total=600)
    assert (fast.strategy, fast.retries, fast.rescue) == ("weighted", 2, "resume")
    assert gateway.warnings == []


def test_an_empty_file_is_a_configuration() -> None:
    config = parsed("")
    assert (config.server, config.plugins, config.models) == (ServerConfig(), (), {})


def test_what_a_model_does_not_say_the_defaults_say() -> None:
    config = parsed(
        "[plugins.echo]\n"
        '[defaults]\nstrategy = "weighted"\nretries = 5\ntimeouts = { connect = 1, idle = 9 }\n'
        '[models.a]\ntargets = ["echo/echo"]\ntimeouts = { idle = 3 }\n'
        '[models.b]\ntargets = ["echo/echo"]\nretries = 0\nstrategy = "ordered"\n'
    )
    a, b = config.models["a"], config.models["b"]
    assert (a.name, a.strategy, a.retries, a.timeouts) == ("a", "weighted", 5, Timeouts(connect=1, idle=3))
    assert (b.name, b.strategy, b.retries, b.timeouts) == ("b", "ordered", 0, Timeouts(connect=1, idle=9))
    assert config.defaults.retries == 5


def test_timeouts_are_filled_up_from_those_below() -> None:
    assert Timeouts(idle=3).over(DEFAULT_TIMEOUTS) == Timeouts(connect=10, first_token=120, idle=3, total=600)


def test_a_models_name_behind_the_providers_may_hold_slashes() -> None:
    config = parsed('[plugins.openrouter]\n[models.m]\ntargets = ["openrouter/meta/llama-3:free"]\n')
    assert config.models["m"].targets == (TargetConfig(provider="openrouter", model="meta/llama-3:free"),)


def test_a_fallback_may_name_a_model_and_gets_its_targets_with_its_time_limits() -> None:
    config = parsed(
        "[plugins.echo]\n[plugins.vllm]\n"
        '[models.quick]\ntargets = ["echo/echo"]\nfallbacks = ["deep", "vllm/last"]\ntimeouts = { first_token = 5 }\n'
        "[models.deep]\ntimeouts = { first_token = 300 }\n"
        'targets = ["vllm/one", { provider = "vllm", model = "two", timeouts = { first_token = 90, idle = 7 } }]\n'
        'fallbacks = ["quick"]\n'
    )
    assert config.models["quick"].fallbacks == (
        TargetConfig(provider="vllm", model="one", timeouts=Timeouts(first_token=300)),
        TargetConfig(provider="vllm", model="two", timeouts=Timeouts(first_token=90, idle=7)),
        TargetConfig(provider="vllm", model="last"),
    )
    assert [str(target) for target in config.models["deep"].fallbacks] == ["echo/echo"]


def test_a_plugins_own_keys_are_kept_apart_from_the_common_ones() -> None:
    (table,) = parsed('[plugins.slow]\nuse = "echo"\nenabled = false\nstage = "guard"\ndelay = 1\n').plugins
    assert (table.name, table.use, table.enabled, table.stage) == ("slow", "echo", False, "guard")
    assert table.values == {"delay": 1}


def test_what_is_held_back_is_a_models_own_setting() -> None:
    config = parsed(
        '[plugins.echo]\n[defaults]\nrescue = "hold"\nhold = { tokens = 5 }\n'
        '[models.a]\ntargets = ["echo/echo"]\n[models.b]\ntargets = ["echo/echo"]\nhold = { milliseconds = 50 }\n'
    )
    assert (config.models["a"].rescue, config.models["a"].hold) == ("hold", Hold(tokens=5))
    assert config.models["b"].hold == Hold(milliseconds=50)


@pytest.mark.parametrize("bind", ["127.0.0.1:8080", "localhost:1", ":8080", "[::1]:8080", "unix:/run/gw.sock", "h:0"])
def test_addresses_are_taken_in_every_form(bind: str) -> None:
    assert parsed(f'[server]\nbind = "{bind}"\n').server.bind == bind


def test_without_a_file_there_is_the_echo_model(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.chdir(tmp_path)
    monkeypatch.setenv("OPENAI_API_KEY", "")
    config = load_config(None)
    assert config.path is None
    assert [table.name for table in config.plugins] == ["echo"]
    assert [str(target) for target in config.models["echo"].targets] == ["echo/echo"]
    assert build(config).warnings == []


def test_without_a_file_the_keys_in_the_environment_switch_providers_on(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.chdir(tmp_path)
    monkeypatch.setenv("OPENAI_API_KEY", "sk-o")
    monkeypatch.setenv("ANTHROPIC_API_KEY", "sk-a")
    config = load_config(None)
    assert {"sk-o", "sk-a"} == {build(config).providers[name].config.api_key.value for name in ("openai", "anthropic")}
    assert "sk-" not in config.text


def test_the_file_beside_us_is_taken_where_none_is_named(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.chdir(tmp_path)
    Path("gateway.toml").write_text("[server]\nworkers = 3\n")
    config = load_config(None)
    assert (config.server.workers, config.path, config.folder) == (3, Path("gateway.toml"), tmp_path)


def test_a_file_with_windows_line_ends_and_a_byte_order_mark_is_read(tmp_path: Path) -> None:
    path = tmp_path / "gateway.toml"
    path.write_bytes(b"\xef\xbb\xbf[server]\r\nworkers = 2\r\n")
    assert load_config(path).server.workers == 2


def test_a_file_that_cannot_be_read_is_named(tmp_path: Path) -> None:
    path = tmp_path / "gateway.toml"
    with pytest.raises(ConfigError, match=r"gateway\.toml: there is no such file"):
        load_config(path)
    with pytest.raises(ConfigError, match="cannot be read: Is a directory"):
        load_config(tmp_path)
    path.write_bytes(b"[server]\n# \xff\n")
    with pytest.raises(ConfigError, match=r"gateway\.toml:2: is not UTF-8 text"):
        load_config(path)
