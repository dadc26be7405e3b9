"""The gateway program: its commands, in this process; what it prints, and its exit codes."""

from __future__ import annotations

import json
import re
from pathlib import Path
from typing import NamedTuple

import pytest

from gateway.cli import COMMANDS, main
from gateway.testing import running_gateway
from gateway.version import __version__

TOML = """\
[plugins.echo]

[plugins.twin]
use = "echo"

[plugins.weighted]

[plugins.exact_cache]

[plugins.off]
use = "echo"
enabled = false

[models.fast]
strategy = "weighted"
targets = [{ provider = "echo", model = "echo", weight = 9 }, "twin/echo"]
fallbacks = ["twin/other"]
"""


class Run(NamedTuple):
    code: int
    out: str
    err: str


class Program:
    """Runs ``gateway …`` in a folder of its own."""

    def __init__(self, folder: Path, capsys: pytest.CaptureFixture[str]) -> None:
        self.file = folder / "gateway.toml"
        self.file.write_text(TOML)
        self._capsys = capsys

    def __call__(self, *arguments: str) -> Run:
        try:
            code = main(arguments)
        except SystemExit as ended:
            code = ended.code if isinstance(ended.code, int) else 99
        return Run(code, *self._capsys.readouterr())


@pytest.fixture
def gateway(tmp_path: Path, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]) -> Program:
    monkeypatch.chdir(tmp_path)
    monkeypatch.setenv("COLUMNS", "120")
    return Program(tmp_path, capsys)


def test_check_says_that_a_configuration_is_good_and_what_is_in_it(gateway: Program) -> None:
    assert gateway("check") == (0, "gateway.toml: ok (4 plugins, 1 model)\n", "")
    assert gateway("check", "-c", str(gateway.file)).out == f"{gateway.file}: ok (4 plugins, 1 model)\n"


def test_check_works_without_a_file(gateway: Program) -> None:
    gateway.file.unlink()
    assert gateway("check") == (0, "the built-in configuration: ok (1 plugin, 1 model)\n", "")


def test_check_prints_warnings_of_the_file_and_of_plugins(gateway: Program) -> None:
    gateway.file.write_text('[server]\nworkers = 2\n[plugins.exact_cache]\n[plugins.up]\nuse = "groq"\napi_key = "k"\n')
    code, out, err = gateway("check")
    assert (code, out) == (0, "gateway.toml: ok (2 plugins, 0 models)\n")
    assert err.splitlines()[0].startswith("warning: gateway.toml:6: [plugins.up] api_key")
    assert err.splitlines()[1].startswith("warning: gateway.toml:3: [plugins.exact_cache]")


def test_check_prints_every_problem_on_a_line_and_their_number(gateway: Program) -> None:
    gateway.file.write_text('[server]\nbnid = "x"\n[plugins.echo]\ndelay = "x"\n[models.x]\n')
    code, out, err = gateway("check")
    assert (code, out) == (1, "")
    assert [line.split(" ")[0] for line in err.splitlines()] == [f"gateway.toml:{n}:" for n in (2, 4, 5)] + ["3"]
    assert err.endswith("\n3 problems\n")


def test_check_reads_the_files_of_tls_alone_or_with_other_mistakes(gateway: Program) -> None:
    gateway.file.write_text('[server.tls]\ncert = "server.pem"\nkey = "server.key"\n')
    missing = [
        'gateway.toml:2: [server.tls] cert = "server.pem": cannot be read (No such file or directory)',
        'gateway.toml:3: [server.tls] key = "server.key": cannot be read (No such file or directory)',
    ]
    assert gateway("check").err.splitlines() == [*missing, "2 problems"]
    gateway.file.write_text(gateway.file.read_text() + "[plugins.echo]\nx = 1\n[models.y]\n")
    told = gateway("check").err.splitlines()
    assert told[:2] == missing
    assert told[-1] == "4 problems"
    gateway.file.write_text('[server.tls]\ncert = "server.pem"\nkey = "server.key"\n')
    for name in ("server.pem", "server.key"):
        Path(name).write_text("not PEM")
    (problem,) = gateway("check").err.splitlines()
    assert problem.startswith("gateway.toml:2: [server.tls] cert and key: not a matching pair of PEM files")


def test_a_problem_that_is_alone_is_not_counted(gateway: Program) -> None:
    assert gateway("check", "-c", "no.toml") == (1, "", "no.toml: there is no such file\n")


def test_plugins_lists_what_runs_in_which_order_with_which_hooks(gateway: Program) -> None:
    code, out, err = gateway("plugins")
    assert (code, err) == (0, "")
    head, *rows = [line.split() for line in out.splitlines()]
    assert head == ["#", "name", "use", "stage", "on", "by", "hooks"]
    assert [row[0] for row in rows] == [str(number) for number in range(1, len(rows) + 1)]
    assert rows[0][1:5] == ["exact_cache", "exact_cache", "cache", "table"]
    assert "on_request," in rows[0]
    assert [row[1:] for row in rows if row[1] == "weighted"] == [["weighted", "weighted", "route", "table", "route"]]
    assert [row[1:] for row in rows[-2:]] == [
        ["echo", "echo", "provider", "table"],
        ["twin", "echo", "provider", "table"],
    ]
    assert not [row for row in rows if row[1] == "off"]


def test_plugins_in_json(gateway: Program) -> None:
    rows = json.loads(gateway("plugins", "--json").out)
    (weighted,) = [row for row in rows if row["name"] == "weighted"]
    assert weighted == {"name": "weighted", "use": "weighted", "stage": "route", "on": "table", "hooks": ["route"]}
    on = {row["name"]: row["on"] for row in rows}
    assert (on["weighted"], on["ordered"], on["twin"]) == ("table", "default", "table")


def test_models_lists_names_strategies_targets_and_fallbacks(gateway: Program) -> None:
    code, out, err = gateway("models")
    assert (code, err) == (0, "")
    rows = [line.split() for line in out.splitlines()]
    assert rows[0] == ["name", "strategy", "targets", "fallbacks", "context", "$/M", "in", "$/M", "out"]
    assert rows[1] == ["fast", "weighted", "echo/echo,", "twin/echo", "twin/other", "-", "-", "-"]


def test_models_tells_what_the_catalogue_knows_of_the_first_target(gateway: Program) -> None:
    gateway.file.write_text('[plugins.echo]\n[catalogue."echo/echo"]\nbase_model = "gpt-4o-mini"\n')
    assert gateway("models").out.splitlines()[1].split()[-3:] == ["128000", "-", "-"]
    gateway.file.write_text('[plugins.echo]\n[catalogue."echo/echo"]\nprices = { input = 0.15, output = 0 }\n')
    assert gateway("models").out.splitlines()[1].split()[-3:] == ["-", "0.15", "0"]


def test_models_in_json(gateway: Program) -> None:
    rows = json.loads(gateway("models", "--json").out)
    facts = rows[0].pop("facts")
    assert list(facts) == ["echo/echo", "twin/echo", "twin/other"]
    assert facts["echo/echo"]["dollars_per_million"]["input"] is None
    assert rows[0] == {
        "name": "fast",
        "strategy": "weighted",
        "targets": ["echo/echo", "twin/echo"],
        "fallbacks": ["twin/other"],
    }
    assert [row["name"] for row in rows[1:]] == ["echo/echo", "twin/echo"]


@pytest.mark.parametrize(
    "arguments",
    [
        ("-c", "x.toml", "check"),
        ("check", "-c", "x.toml"),
        ("--config", "x.toml", "check"),
        ("check", "--config=x.toml"),
        ("-cx.toml", "check"),
    ],
)
def test_the_configuration_is_named_before_or_behind_the_command(gateway: Program, arguments: tuple[str, ...]) -> None:
    Path("x.toml").write_text("[plugins.echo]\n")
    assert gateway(*arguments) == (0, "x.toml: ok (1 plugin, 0 models)\n", "")


def test_a_plugin_adds_commands_when_its_table_is_there(gateway: Program) -> None:
    code, _, err = gateway("hello", "you")
    assert code == 2
    assert 'there is no command "hello"' in err
    Path("greeter.py").write_text(GREETER)
    gateway.file.write_text('[plugins.greeter]\nuse = "./greeter.py:Greeter"\ngreeting = "Good day"\n')
    assert gateway("hello", "you", "--loud") == (7, "GOOD DAY, YOU\n", "")
    assert gateway("hello", "-c", "gateway.toml", "you").out == "Good day, you\n"
    assert gateway("hello").code == 2
    assert 'there is no command "helo"; did you mean "hello"?' in gateway("helo").err


GREETER = """
import sys

from gateway import Plugin, PluginConfig, hookimpl


class Greeter(Plugin):
    class Config(PluginConfig, frozen=True, kw_only=True):
        greeting: str

    @hookimpl
    def register_commands(self, commands):
        hello = commands.add_parser("hello")
        hello.add_argument("name")
        hello.add_argument("--loud", action="store_true")
        hello.set_defaults(run=self.hello)

    def hello(self, args):
        text = f"{self.config.greeting}, {args.name}\\n"
        sys.stdout.write(text.upper() if args.loud else text)
        return 7
"""


@pytest.mark.parametrize(
    ("arguments", "message"),
    [
        ((), "the following arguments are required: COMMAND"),
        (("chekc",), 'there is no command "chekc"; did you mean "check"?'),
        (("zzz",), 'there is no command "zzz"; known are serve, check, plan, plugins, models, route, translate, '),
        (("zzz",), "version (a plugin's command needs its table)"),
        (("models", "--js"), "unrecognized arguments: --js"),
        (("check", "-c"), "argument -c/--config: expected one argument"),
        (("check", "--jsno"), "unrecognized arguments: --jsno"),
        (("new-plugin",), "the following arguments are required: NAME"),
        (("new-plugin", "x", "--kind", "y"), "invalid choice: 'y'"),
    ],
)
def test_what_the_program_does_not_understand_is_usage(
    gateway: Program, arguments: tuple[str, ...], message: str
) -> None:
    code, out, err = gateway(*arguments)
    assert (code, out) == (2, "")
    assert message in err


def test_a_slip_in_a_command_is_told_although_the_configuration_is_bad(gateway: Program) -> None:
    gateway.file.write_text("[server]\nx = 1\n")
    code, _, err = gateway("chek")
    assert code == 2
    assert 'there is no command "chek"; did you mean "check"?' in err
    code, _, err = gateway("keys")
    assert code == 1
    assert err.startswith("gateway.toml:2: [server] x: unknown key")


def test_help_is_one_screen_for_each_command(gateway: Program) -> None:
    for arguments in ((), *((command,) for command in COMMANDS)):
        code, out, err = gateway(*arguments, "--help")
        assert (code, err) == (0, "")
        assert re.search(r"\n\n[A-Z].*\.\n\n", out), "it says what it does"
        assert len(out.splitlines()) <= 24
        assert max(map(len, out.splitlines())) <= 120


def test_version_prints_the_version(gateway: Program) -> None:
    assert gateway("version") == (0, f"gateway {__version__}\n", "")


def test_serve_says_what_keeps_it_from_starting(gateway: Program) -> None:
    gateway.file.write_text("[server]\nbnid = 1\n")
    code, _, err = gateway("serve")
    assert code == 1
    assert 'gateway.toml:2: [server] bnid: unknown key; did you mean "bind"?' in err


@pytest.mark.parametrize("kind", ["guard", "provider"])
def test_new_plugin_writes_a_plugin_that_works_as_its_table_says(gateway: Program, kind: str) -> None:
    code, out, err = gateway("new-plugin", "my_part", "--kind", kind)
    assert (code, err) == (0, "")
    text = Path("my_part.py").read_text()
    assert len(text.splitlines()) < 30
    table = out.partition("\n\n")[2]
    assert table.startswith('[plugins.my_part]\nuse = "./my_part.py:MyPart"\n')
    gateway.file.write_text("[plugins.echo]\n" + table)
    assert gateway("check") == (0, "gateway.toml: ok (2 plugins, 0 models)\n", "")


def test_the_guard_that_new_plugin_writes_refuses_a_word(gateway: Program) -> None:
    table = gateway("new-plugin", "guarded").out.partition("\n\n")[2]
    body = {"model": "echo/echo", "messages": [{"role": "user", "content": "Hello"}]}
    with running_gateway("[plugins.echo]\n" + table, folder=Path.cwd()) as running:
        assert running.post("/v1/chat/completions", json=body).status == 200
        body["messages"] = [{"role": "user", "content": "It is Hunter2."}]
        answer = running.post("/v1/chat/completions", json=body)
        assert answer.status == 400
        assert answer.json()["error"]["message"] == "The request holds a word that is not allowed here."


def test_new_plugin_overwrites_nothing(gateway: Program) -> None:
    Path("mine.py").write_text("precious")
    assert gateway("new-plugin", "mine") == (1, "", "mine.py exists already; nothing was written\n")
    assert Path("mine.py").read_text() == "precious"


@pytest.mark.parametrize("name", ["../x", "a b", "A", "1a", "x.py", "-"])
def test_new_plugin_takes_only_names_that_a_file_and_a_table_can_have(gateway: Program, name: str) -> None:
    code, out, err = gateway("new-plugin", "--", name)
    assert (code, out) == (1, "")
    assert err.startswith(f'"{name}" is no plugin name')
    assert list(Path().iterdir()) == [Path("gateway.toml")]
