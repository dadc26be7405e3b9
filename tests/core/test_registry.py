"""Which plugins exist: found, loaded, configured, ordered, taken over on reload, and refused with a name."""

from __future__ import annotations

import asyncio
from pathlib import Path

import pytest

from gateway.config import parse_config
from gateway.errors import ConfigError
from gateway.registry import Gateway, build
from gateway.testing import ScriptedProvider, running_gateway

COUNTER = """
from gateway import Plugin, PluginConfig, Reply, hookimpl

class Config(PluginConfig, frozen=True):
    start: int = 0

class Counter(Plugin):
    Config = Config
    def __init__(self, config, context):
        super().__init__(config, context)
        self.count = config.start
    @hookimpl
    async def startup(self):
        with (self.context.folder / "log").open("a") as file:
            file.write(f"up {self.count}\\n")
    @hookimpl
    async def shutdown(self):
        with (self.context.folder / "log").open("a") as file:
            file.write(f"down {self.count}\\n")
    @hookimpl
    async def on_response(self, call, reply):
        self.count += 1
        reply.headers.append((b"x-count", str(self.count).encode()))
"""
ASK = {"model": "echo/echo", "messages": [{"role": "user", "content": "hi"}]}


def made(toml: str, folder: Path) -> Gateway:
    return build(parse_config(toml, path=folder / "gateway.toml", folder=folder))


def problems(toml: str, folder: Path) -> list[str]:
    with pytest.raises(ConfigError) as refusal:
        made(toml, folder)
    return refusal.value.problems


def test_an_instance_is_named_by_its_table_and_may_occur_several_times(tmp_path: Path) -> None:
    toml = '[plugins.echo]\n[plugins.other]\nuse = "echo"\n[plugins.third]\nuse = "echo"\n'
    assert list(made(toml, tmp_path).providers) == ["echo", "other", "third"]


def test_plugins_run_by_stage_then_by_place_in_the_file(tmp_path: Path) -> None:
    (tmp_path / "c.py").write_text(COUNTER)
    toml = (
        '[plugins.echo]\n[plugins.b]\nuse = "./c.py:Counter"\n[plugins.a]\nuse = "./c.py:Counter"\n'
        '[plugins.first]\nuse = "./c.py:Counter"\nstage = "auth"\n'
        '[plugins.last]\nuse = "./c.py:Counter"\nstage = "observe"\n'
    )
    names = [record.name for record in made(toml, tmp_path).records]
    assert names[:3] == ["first", "b", "a"]
    assert names[-1] == "last"
    assert names.index("echo") == len(names) - 2


def test_defaults_are_on_without_a_table_and_can_be_switched_off(tmp_path: Path) -> None:
    assert "weighted" in [record.name for record in made("[plugins.echo]\n", tmp_path).records]
    off = made("[plugins.echo]\n[plugins.weighted]\nenabled = false\n", tmp_path)
    assert "weighted" not in [record.name for record in off.records]
    assert off.manager.is_blocked("weighted")


@pytest.mark.parametrize(
    ("table", "says"),
    [
        ("[plugins.opnai_compatible]\n", 'no plugin of the name "opnai_compatible"; did you mean "openai_compatible"?'),
        ('[plugins.x]\nuse = "./missing.py:X"\n', "cannot read"),
        ('[plugins.x]\nuse = "./c.py:Conter"\n', 'c.py has no class "Conter"; did you mean "Counter"?'),
        ('[plugins.x]\nuse = "./c.py:Config"\n', "must derive from gateway.Plugin"),
        ('[plugins.x]\nuse = "./bad.py:X"\n', "bad.py cannot be imported: ZeroDivisionError"),
        ('[plugins.x]\nuse = "no.such.module:X"\n', "no.such.module cannot be imported: ModuleNotFoundError"),
        ('[plugins.x]\nuse = "./c.py:Counter"\nstage = "limits"\n', 'did you mean "limit"?'),
        ('[plugins.x]\nuse = "./c.py:Counter"\nstrat = 3\n', 'did you mean "start"?'),
        ('[plugins.x]\nuse = "echo"\nformat = "openai_chatt"\n', "openai_chatt"),
    ],
)
def test_a_plugin_that_cannot_be_had_is_a_problem_that_names_it(tmp_path: Path, table: str, says: str) -> None:
    (tmp_path / "c.py").write_text(COUNTER)
    (tmp_path / "bad.py").write_text("1 / 0\n")
    (problem,) = problems(f"[plugins.echo]\n{table}", tmp_path)
    assert says in problem


def test_all_problems_of_all_plugins_are_told_at_once(tmp_path: Path) -> None:
    model = '[models.m]\nstrategy = "weigthed"\ntargets = ["echo/echo"]\n'
    toml = f"[plugins.ecko]\n[plugins.rate_limit]\nrequests = 3\n{model}[plugins.echo]\n"
    text = "\n".join(problems(toml, tmp_path))
    assert 'did you mean "echo"?' in text
    assert "requests" in text
    assert 'did you mean "weighted"?' in text


@pytest.mark.parametrize(
    ("bind", "fine"),
    [
        ("127.0.0.1:0", True),
        ("127.8.8.8:80", True),
        ("[::1]:80", True),
        ("localhost:80", True),
        ("unix:/tmp/s", True),
        ("0.0.0.0:80", False),
        (":80", False),
        ("[::]:80", False),
        ("10.0.0.1:80", False),
    ],
)
def test_without_an_authentication_plugin_only_loopback_is_served(tmp_path: Path, bind: str, fine: bool) -> None:
    toml = f'[server]\nbind = "{bind}"\n[plugins.echo]\n'
    if fine:
        made(toml, tmp_path)
    else:
        (problem,) = problems(toml, tmp_path)
        assert "[plugins.api_keys]" in problem
        made(toml.replace("[plugins", "open = true\n[plugins"), tmp_path)
        made(toml + '[plugins.api_keys]\nkeys = [{ name = "a", key = "a-long-enough-key" }]\n', tmp_path)


def test_a_reload_takes_over_plugins_whose_table_did_not_change(tmp_path: Path) -> None:
    (tmp_path / "c.py").write_text(COUNTER)
    table = '[plugins.c]\nuse = "./c.py:Counter"\n'
    with running_gateway("[plugins.echo]\n" + table, folder=tmp_path) as gateway:
        assert gateway.post("/v1/chat/completions", ASK).headers["x-count"] == "1"
        gateway.reload("[plugins.echo]\n[models.new]\ntargets = ['echo/echo']\n" + table)
        assert gateway.post("/v1/chat/completions", {**ASK, "model": "new"}).headers["x-count"] == "2"
        gateway.reload("[plugins.echo]\n" + table + "start = 10\n")
        assert gateway.post("/v1/chat/completions", ASK).headers["x-count"] == "11"
    assert (tmp_path / "log").read_text().split("\n") == ["up 0", "up 10", "down 2", "down 11", ""]


def test_a_reload_that_is_refused_leaves_the_old_configuration_serving(tmp_path: Path) -> None:
    (tmp_path / "c.py").write_text(COUNTER)
    with running_gateway("[plugins.echo]\n", folder=tmp_path) as gateway:
        with pytest.raises(ConfigError):
            gateway.reload("[plugins.ecko]\n")
        (tmp_path / "c.py").write_text(COUNTER.replace("self.context.folder", "self.context.nowhere"))
        with pytest.raises(AttributeError):
            gateway.reload('[plugins.echo]\n[plugins.c]\nuse = "./c.py:Counter"\n')
        assert gateway.post("/v1/chat/completions", ASK).status == 200


def test_a_changed_plugin_file_is_loaded_anew_on_reload(tmp_path: Path) -> None:
    (tmp_path / "c.py").write_text(COUNTER)
    toml = '[plugins.echo]\n[plugins.c]\nuse = "./c.py:Counter"\n'
    with running_gateway(toml, folder=tmp_path) as gateway:
        gateway.post("/v1/chat/completions", ASK)
        (tmp_path / "c.py").write_text(COUNTER.replace("x-count", "x-number"))
        gateway.reload(toml)
        assert gateway.post("/v1/chat/completions", ASK).headers["x-number"] == "1"


def test_a_call_finishes_on_the_configuration_that_it_began_with(tmp_path: Path) -> None:
    import threading

    with ScriptedProvider() as up:
        up.reply(json={"id": "1", "object": "chat.completion", "model": "m", "choices": []}, delay=0.5)
        before = f'[plugins.up]\nuse = "openai_compatible"\nbase_url = "{up.url}/v1"\n'
        with running_gateway(before, folder=tmp_path) as gateway:
            statuses: list[int] = []
            ask = {**ASK, "model": "up/m"}
            thread = threading.Thread(
                target=lambda: statuses.append(gateway.post("/v1/chat/completions", ask).status), daemon=True
            )
            thread.start()
            while not up.requests:
                pass
            gateway.reload("[plugins.echo]\n")
            assert gateway.post("/v1/chat/completions", ask).status == 404
            thread.join(5)
    assert statuses == [200]


def test_a_configuration_lets_its_plugins_go_once_however_often_it_is_stopped() -> None:
    async def run() -> None:
        parsed = parse_config("[plugins.echo]\n", path=Path("gateway.toml"), folder=Path())
        old = build(parsed)
        await old.start()
        new = build(parsed, old)
        await new.start()
        for _ in range(2):
            await old.stop()
        life = next(record.life for record in new.records if record.name == "echo")
        assert (life.started, life.holders) == (True, 1)
        await new.stop()
        assert (life.started, life.holders) == (False, 0)

    asyncio.run(run())
