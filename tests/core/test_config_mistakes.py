"""gateway.toml with mistakes: each told with file, line, table, key, expectation and nearest name; all at once."""

from __future__ import annotations

import pytest

from tests.core.config_texts import built, problems_of

ECHO = "[plugins.echo]\n"
SIX = """\
[server]
bnid = "127.0.0.1:8080"
workers = "two"

[plugins.opnai]
api_key = "forward"

[plugins.exact_cache]
ttl = -1

[plugins.echo]

[models.fast]
strategy = "wieghted"
targets = [
  { provider = "echo", model = "echo" },
  { provider = "ehco", model = "echo" },
]
"""


def test_six_mistakes_are_told_at_once_in_the_order_of_the_file() -> None:
    assert problems_of(SIX) == [
        'gateway.toml:2: [server] bnid: unknown key; did you mean "bind"?',
        'gateway.toml:3: [server] workers: expected a whole number from 0 to 1024, got text "two"',
        'gateway.toml:5: [plugins.opnai] use: no plugin of the name "opnai"; did you mean "openai"?',
        "gateway.toml:9: [plugins.exact_cache] ttl: expected a number greater than 0, got -1",
        (
            'gateway.toml:14: [models.fast] strategy: no routing plugin offers "wieghted"; known are '
            "cheapest, latency_budget, least_busy, least_latency, ordered, prefix_affinity, rules, weighted; "
            'did you mean "weighted"?'
        ),
        'gateway.toml:17: [models.fast] targets[1].provider: no plugin of the name "ehco"; did you mean "echo"?',
    ]


@pytest.mark.parametrize(
    ("toml", "problem"),
    [
        ("[modles.x]\n", '1: [modles]: unknown table; did you mean "models"?'),
        (
            "[zzz]\n",
            "1: [zzz]: unknown table; known are [server], [plugins], [models], [defaults], [catalogue], [health]",
        ),
        ("workers = 2\n", "1: workers: unknown key; it belongs below [server]"),
        ("x = 2\n", "1: x: unknown key; every key stands in a table, such as [server]"),
        ("server = 2\n", "1: server: expected tables, [server]"),
        ("plugins = 2\n", "1: plugins: expected tables, [plugins.<name>]"),
        ("[server]\nworkers = true\n", "2: [server] workers: expected a whole number from 0 to 1024, got true"),
        ("[server]\nworkers = 1.5\n", "2: [server] workers: expected a whole number from 0 to 1024, got 1.5"),
        ("[server]\nworkers = -1\n", "2: [server] workers: expected a whole number from 0 to 1024, got -1"),
        ("[server]\nworkers = []\n", "2: [server] workers: expected a whole number from 0 to 1024, got a list"),
        ("[server]\nopen = 1\n", "2: [server] open: expected true or false, got 1"),
        ("[server]\nopen = 2020-01-01\n", "2: [server] open: expected true or false, got a date or time"),
        ("[server]\nbind = 8080\n", "2: [server] bind: expected text, got a number"),
        ("[server]\ndrain_seconds = -0.5\n", "2: [server] drain_seconds: expected a number of at least 0, got -0.5"),
        ("[server]\ndrain_seconds = nan\n", "2: [server] drain_seconds: expected a number of at least 0, got nan"),
        ("[server]\nbody_timeout = inf\n", "2: [server] body_timeout: expected a number greater than 0, got inf"),
        (
            '[server]\nbind = "localhost"\n',
            '2: [server] bind: expected "host:port", ":port", "[IPv6]:port" or "unix:/path", got text "localhost"',
        ),
        (
            '[server]\nadmin_bind = "h:99999"\n',
            '2: [server] admin_bind: expected "host:port", ":port", "[IPv6]:port" or "unix:/path", got text "h:99999"',
        ),
        (
            '[server]\nbind = "::1:80"\n',
            '2: [server] bind: an IPv6 address stands in brackets: "[::1]:80"',
        ),
        ('[server]\ntls = "x"\n', "2: [server] tls: expected a table, got text"),
        ('[server.tls]\ncert = "c"\n', "1: [server] tls.key: is missing; expected text"),
        ('[plugins]\necho = "on"\n', "2: [plugins] echo: expected a table; write [plugins.echo]"),
        (
            '[plugins."a/b"]\nuse = "echo"\n',
            '1: [plugins."a/b"]: a plugin\'s name has at least one letter and no slash',
        ),
        ("[plugins.echo]\nenabled = 0\n", "2: [plugins.echo] enabled: expected true or false, got 0"),
        ("[plugins.echo]\nuse = 1\n", "2: [plugins.echo] use: expected text, got a number"),
        (
            '[plugins.echo]\nuse = ""\n',
            '2: [plugins.echo] use: is empty; expected the name of a plugin, or "./file.py:Class"',
        ),
        ("[plugins.echo]\ndely = 1\n", '2: [plugins.echo] dely: unknown key; did you mean "delay"?'),
        (
            "[plugins.echo]\ntimeouts = { idle = 0 }\n",
            "2: [plugins.echo] timeouts.idle: expected a number greater than 0, got 0",
        ),
        ("[plugins.echo.timeouts]\nidel = 1\n", '2: [plugins.echo] timeouts.idel: unknown key; did you mean "idle"?'),
        ("[plugins.echo.headers]\nx-a = 1\n", "2: [plugins.echo] headers.x-a: expected text, got a number"),
        (
            '[plugins.rate_limit]\nper = "kye"\n',
            (
                '2: [plugins.rate_limit] per: expected one of "key", "model", "key+model", "all", got text "kye"; '
                'did you mean "key"?'
            ),
        ),
        ("[defaults]\nretries = 11\n", "2: [defaults] retries: expected a whole number from 0 to 10, got 11"),
        ("[models]\nx = 1\n", "2: [models.x]: expected a table, got a number"),
        ("[models.x]\n", "1: [models.x] targets: is missing; expected a list"),
        ("[models.x]\ntargets = []\n", "2: [models.x] targets: is empty; a model needs at least one target"),
        (ECHO + '[models.x]\ntargets = "echo/echo"\n', "3: [models.x] targets: expected a list, got text"),
        (ECHO + "[models.x]\ntargets = [1]\n", "3: [models.x] targets[0]: expected text, got a number"),
        (
            ECHO + '[models.x]\ntargets = ["echo/"]\n',
            (
                '3: [models.x] targets[0]: "echo/" is no target; '
                'expected { provider = "…", model = "…" } or "provider/model"'
            ),
        ),
        (
            ECHO + '[models.y]\ntargets = ["echo/echo"]\n[models.x]\ntargets = ["y"]\n',
            (
                '5: [models.x] targets[0]: "y" is no target; '
                'expected { provider = "…", model = "…" } or "provider/model"; another model can stand in fallbacks'
            ),
        ),
        (
            ECHO
            + '[models.smart]\ntargets = ["echo/echo"]\n[models.x]\ntargets = ["echo/echo"]\nfallbacks = ["smrt"]\n',
            (
                '6: [models.x] fallbacks[0]: "smrt" is no model of this file and no target; '
                'expected { provider = "…", model = "…" } or "provider/model"; did you mean "smart"?'
            ),
        ),
        (
            ECHO + '[models.x]\ntargets = ["echo/echo"]\nfallbacks = ["x"]\n',
            '4: [models.x] fallbacks[0]: "x" is this model itself; name another',
        ),
        (
            ECHO + '[models.x]\ntargets = ["ehco/echo"]\n',
            '3: [models.x] targets[0]: no plugin of the name "ehco"; did you mean "echo"?',
        ),
        (
            ECHO + '[models.x]\ntargets = ["azure/gpt"]\n',
            '3: [models.x] targets[0]: no plugin of the name "azure"; switch it on with a table [plugins.azure]',
        ),
        (
            ECHO + 'enabled = false\n[models.x]\ntargets = ["echo/echo"]\n',
            "4: [models.x] targets[0]: [plugins.echo] is switched off with enabled = false",
        ),
        (
            ECHO + '[models.x]\ntargets = [{ provider = "echo", modle = "echo" }]\n',
            '3: [models.x] targets[0].modle: unknown key; did you mean "model"?',
        ),
        (
            ECHO + '[models.x]\ntargets = [{ provider = "echo" }]\n',
            "3: [models.x] targets[0].model: is missing; expected text that is not empty",
        ),
        (
            ECHO + '[models.x]\ntargets = [{ provider = "echo", model = "echo", weight = -1 }]\n',
            "3: [models.x] targets[0].weight: expected a number of at least 0, got -1",
        ),
        (
            ECHO + '[models.x]\nrescue = "resum"\ntargets = ["echo/echo"]\n',
            '3: [models.x] rescue: expected one of "resume", "hold", "error", got text "resum"; did you mean "resume"?',
        ),
        (
            ECHO + '[models."gpt-4.1"]\ntargets = ["echo/echo"]\nretires = 1\n',
            '4: [models."gpt-4.1"] retires: unknown key; did you mean "retries"?',
        ),
    ],
)
def test_a_mistake_is_told_with_its_place_and_its_mend(toml: str, problem: str) -> None:
    assert problems_of(toml) == [f"gateway.toml:{problem}"]


def test_a_mistake_in_one_target_hides_none_in_another() -> None:
    toml = (
        '[plugins.echo]\n[models.x]\ntargets = [\n  { provider = "ehco", model = "a", weight = -1 },\n'
        '  "ohce/b",\n]\nfallbacks = [{ provider = "no" }]\nretries = "x"\nstrategy = "wieghted"\n'
    )
    lines = [problem.split(" ")[0] for problem in problems_of(toml)]
    assert lines == [f"gateway.toml:{n}:" for n in (4, 4, 5, 7, 7, 8, 9)]


def test_mistakes_in_the_file_and_in_plugins_are_told_together() -> None:
    told = "\n".join(problems_of('[server]\nworkrs = 1\n[plugins.echo]\ndelay = "x"\n[plugins.groq]\n'))
    assert '[server] workrs: unknown key; did you mean "workers"?' in told
    assert '[plugins.echo] delay: expected a number, got text "x"' in told
    assert "gateway.toml:5: [plugins.groq] api_key: " in told


def test_a_header_that_could_not_be_sent_is_a_mistake_of_the_file_and_its_value_is_not_shown() -> None:
    toml = '[plugins.o]\nuse = "ollama"\nheaders = { "bad name" = "x", host = "y", good = "a", broken = "hid\\nden" }\n'
    told = problems_of(toml)
    place = "gateway.toml:3: [plugins.o] headers: The header"
    assert [problem.removeprefix(place).split(" cannot")[0] for problem in told] == [
        " 'bad name'",
        " 'host'",
        " 'broken'",
    ]
    assert "hid" not in "".join(told)


def test_an_address_that_others_reach_needs_keys_or_a_word() -> None:
    toml = '[server]\nbind = ":8080"\n'
    (problem,) = problems_of(toml)
    assert problem.startswith('gateway.toml:2: [server] bind: ":8080" is reachable by others and nothing checks keys')
    assert built(toml + "open = true\n").config.server.open


def test_a_bad_server_table_is_not_called_open_to_others_as_well() -> None:
    (problem,) = problems_of('[server]\nbind = ":8080"\nopne = true\n')
    assert problem == 'gateway.toml:3: [server] opne: unknown key; did you mean "open"?'
