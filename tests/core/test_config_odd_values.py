"""gateway.toml with values that have the right type and still cannot be meant, and with secrets in wrong places."""

from __future__ import annotations

from pathlib import Path

import pytest

from tests.core.config_texts import built, parsed, problems_of

ECHO = "[plugins.echo]\n"
FORMS = 'expected "host:port", ":port", "[IPv6]:port" or "unix:/path", got text'


@pytest.mark.parametrize(
    ("bind", "problem"),
    [
        ("http://127.0.0.1:80", f'{FORMS} "http://127.0.0.1:80"'),
        ("[::1:80", f'{FORMS} "[::1:80"'),
        ("[]:80", f'{FORMS} "[]:80"'),
        ("[host]:80", f'{FORMS} "[host]:80"'),
        ("a b:80", f'{FORMS} "a b:80"'),
        ("127.0.0.1:", f'{FORMS} "127.0.0.1:"'),
        ("127.0.0.1:٨٠", f'{FORMS} "127.0.0.1:٨٠"'),
        ("h:65536", f'{FORMS} "h:65536"'),
        ("unix:", f'{FORMS} "unix:"'),
        ("unix:/a\\u0000b", FORMS),
        ("a\\nb:80", FORMS),
        ("fe80::1%eth0:80", 'an IPv6 address stands in brackets: "[fe80::1%eth0]:80"'),
    ],
)
def test_an_address_that_cannot_be_one_is_told_with_the_forms_that_can(bind: str, problem: str) -> None:
    assert problems_of(f'[server]\nadmin_bind = "{bind}"\n') == [f"gateway.toml:2: [server] admin_bind: {problem}"]


@pytest.mark.parametrize(
    "bind", ["[fe80::1%eth0]:80", "[::ffff:1.2.3.4]:80", "my_host-1.example:80", "bücher.example:80"]
)
def test_addresses_with_unusual_hosts_are_taken(bind: str) -> None:
    assert parsed(f'[server]\nadmin_bind = "{bind}"\n').server.admin_bind == bind


@pytest.mark.parametrize(
    ("toml", "problem"),
    [
        (
            ECHO + '[models.x]\ntargets = [{ provider = "", model = "m" }]\n',
            "3: [models.x] targets[0].provider: expected text that is not empty, got text",
        ),
        (
            ECHO + '[models.x]\ntargets = [{ provider = "echo", model = "" }]\n',
            "3: [models.x] targets[0].model: expected text that is not empty, got text",
        ),
        (ECHO + "enabld = false\n", '2: [plugins.echo] enabld: unknown key; did you mean "enabled"?'),
        (ECHO + 'stge = "guard"\n', '2: [plugins.echo] stge: unknown key; did you mean "stage"?'),
        (
            ECHO + "timeouts.enabled = 1\n",
            "2: [plugins.echo] timeouts.enabled: unknown key; known are connect, first_token, idle, total",
        ),
    ],
)
def test_a_value_that_cannot_be_meant_is_a_mistake(toml: str, problem: str) -> None:
    assert problems_of(toml) == [f"gateway.toml:{problem}"]


def test_a_target_of_weight_0_stands_in_for_others() -> None:
    config = parsed(ECHO + '[models.x]\ntargets = ["echo/echo", { provider = "echo", model = "b", weight = 0 }]\n')
    assert [target.weight for target in config.models["x"].targets] == [1.0, 0.0]


def test_a_target_that_is_a_plugin_and_no_provider_is_a_mistake() -> None:
    toml = (
        ECHO + '[plugins.exact_cache]\n[models.x]\ntargets = ["echo/echo", "exact_cache/m"]\n'
        '[models.y]\ntargets = ["echo/echo"]\nfallbacks = ["x", "exact_cache/n"]\n'
    )
    assert problems_of(toml) == [
        'gateway.toml:4: [models.x] targets: "exact_cache/m": [plugins.exact_cache] is no provider',
        'gateway.toml:7: [models.y] fallbacks: "exact_cache/n": [plugins.exact_cache] is no provider',
    ]


def test_a_plugin_that_fails_while_it_is_asked_for_warnings_is_a_mistake_of_its_table(tmp_path: Path) -> None:
    (tmp_path / "doubt.py").write_text(
        "from gateway import Plugin, PluginConfig, Secret\n\n\n"
        "class Doubt(Plugin):\n"
        "    class Config(PluginConfig, frozen=True):\n        word: Secret\n\n"
        "    def warnings(self):\n        raise RuntimeError(f'what is {self.config.word.value}?')\n"
    )
    toml = '[plugins.doubt]\nuse = "./doubt.py:Doubt"\nword = "canary-0123"\n'
    assert problems_of(toml, tmp_path) == [
        "gateway.toml:1: [plugins.doubt]: cannot say what it warns of: RuntimeError: what is …?"
    ]


A_DOZEN = """\
wrkers = 2

[servr]
bind = "127.0.0.1:8080"

[server]
"max body bytes" = 1
http1.kind = "httptools"

[plugins.echo]
models = [
  "echo",
  # a comment with "quotes" and ]
  7,
]
timeouts.idel = 3

[plugins."my cache"]
use = "exact_cash"

[plugins.rate_limit]
per = "kye"
concurrency = 0

[models."gpt-4.1"]
targets = [
  "echo/echo",
  "echo",
]
fallbacks = [
  "gpt-4.1",
  { provider = "echo", model = "b", wieght = 1 },
]

[defaults]
rescue = "resum"
"""


def test_a_dozen_mistakes_are_told_at_once_with_the_lines_where_they_stand() -> None:
    told = [problem.removeprefix("gateway.toml:").split(": ")[:2] for problem in problems_of(A_DOZEN)]
    assert told == [
        ["1", "wrkers"],
        ["3", "[servr]"],
        ["7", '[server] "max body bytes"'],
        ["8", "[server] http1"],
        ["14", "[plugins.echo] models[1]"],
        ["16", "[plugins.echo] timeouts.idel"],
        ["19", '[plugins."my cache"] use'],
        ["22", "[plugins.rate_limit] per"],
        ["23", "[plugins.rate_limit] concurrency"],
        ["28", '[models."gpt-4.1"] targets[1]'],
        ["31", '[models."gpt-4.1"] fallbacks[0]'],
        ["32", '[models."gpt-4.1"] fallbacks[1].wieght'],
        ["36", "[defaults] rescue"],
    ]


KEYS = [
    "sk-canary7f3a91c2d4",
    "sk-ant-api03-canary7f3a91c2d4canary7f3a91c2d4",
    "gsk_canary7f3a91c2d4canary7f3a91c2d4",
    "AIzacanary7f3a91c2d4canary7f3a91c2d4",
]


@pytest.mark.parametrize("key", KEYS)
@pytest.mark.parametrize(
    "toml",
    [
        '[plugins.echo]\nenabled = "KEY"\n',
        '[plugins.echo]\nuse = "KEY"\n',
        '[plugins.echo]\nstage = "KEY"\n',
        '[plugins.echo]\n[models.x]\nstrategy = "KEY"\ntargets = ["echo/echo"]\n',
        '[plugins.echo]\n[models.x]\ntargets = ["KEY"]\n',
        '[server]\nbind = "KEY"\n',
        '[plugins.openai]\napi_key = "forward"\nbase_url = "KEY"\n',
        '[plugins.openai]\napi_key = "forward"\nformat = "KEY"\n',
        '[plugins.rate_limit]\nper = "KEY"\n',
        '[plugins.openai_compatible]\npreset = "KEY"\n',
    ],
)
def test_a_key_in_a_place_where_none_belongs_is_not_repeated(toml: str, key: str) -> None:
    told = "\n".join(problems_of(toml.replace("KEY", key)))
    assert "canary" not in told
    assert told.startswith("gateway.toml:")


def test_the_password_of_an_address_is_not_repeated() -> None:
    for url in ("user:canary@host/v1", "ftp://user:canary@host/v1", "https://user:canary@host/v1"):
        told = "\n".join(problems_of(f'[plugins.openai]\napi_key = "forward"\nbase_url = "{url}"\n'))
        assert "base_url" in told
        assert "canary" not in told


def test_names_that_only_begin_like_a_key_are_told_as_they_are(tmp_path: Path) -> None:
    (problem,) = problems_of('[plugins.echo]\n[models.x]\ntargets = ["hf-internal-testing/tiny-2"]\n', tmp_path)
    assert '"hf-internal-testing"' in problem
    assert built("[plugins.sk-local]\nuse = 'echo'\n").warnings == []
