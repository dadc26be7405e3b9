"""Each hook, seen from a plugin in one file: when it fires, in which order, and what its failure does."""

from __future__ import annotations

import json
from pathlib import Path

import pytest

from gateway.config import parse_config
from gateway.errors import ConfigError
from gateway.registry import build
from gateway.testing import ScriptedProvider, running_gateway

HEAD = """
from __future__ import annotations
import json
from pathlib import Path
from gateway import *
from gateway import hookimpl

class Config(PluginConfig, frozen=True):
    word: str = ""

def note(plugin, text):
    with (plugin.context.folder / "notes").open("a") as file:
        file.write(f"{plugin.name} {text}\\n")

"""
ASK = {"model": "echo/echo", "messages": [{"role": "user", "content": "hello there"}]}


def plugin(folder: Path, body: str, *, name: str = "p.py") -> None:
    (folder / name).write_text(HEAD + "class P(Plugin):\n    Config = Config\n" + body)


def notes(folder: Path) -> list[str]:
    file = folder / "notes"
    return file.read_text().splitlines() if file.exists() else []


def toml(*tables: str) -> str:
    return "[plugins.echo]\n" + "".join(f'[plugins.{table}]\nuse = "./p.py:P"\n' for table in tables)


def test_hook_startup_runs_once_in_order_and_shutdown_in_reverse(tmp_path: Path) -> None:
    plugin(
        tmp_path,
        """
    @hookimpl
    async def startup(self, gateway):
        note(self, f"up {len(gateway.providers)}")
    @hookimpl
    async def shutdown(self):
        note(self, "down")
""",
    )
    with running_gateway(toml("a", "b"), folder=tmp_path):
        assert notes(tmp_path) == ["a up 1", "b up 1"]
    assert notes(tmp_path)[2:] == ["b down", "a down"]


def test_hook_startup_that_fails_stops_those_that_had_started(tmp_path: Path) -> None:
    plugin(
        tmp_path,
        """
    @hookimpl
    async def startup(self):
        note(self, "up")
        if self.name == "b":
            raise OSError("no disk")
    @hookimpl
    async def shutdown(self):
        note(self, "down")
""",
    )
    with pytest.raises(OSError, match="no disk"), running_gateway(toml("a", "b", "c"), folder=tmp_path):
        pass
    assert notes(tmp_path) == ["a up", "b up", "a down"]


def test_hook_shutdown_that_fails_hinders_no_other(tmp_path: Path) -> None:
    plugin(
        tmp_path,
        """
    @hookimpl
    async def shutdown(self):
        note(self, "down")
        if self.name == "b":
            raise OSError("no disk")
""",
    )
    with running_gateway(toml("a", "b", "c"), folder=tmp_path):
        pass
    assert notes(tmp_path) == ["c down", "b down", "a down"]


def test_hook_register_routes_adds_paths_that_can_ask_for_the_key(tmp_path: Path) -> None:
    plugin(
        tmp_path,
        """
    @hookimpl
    def register_routes(self, gateway):
        from starlette.responses import PlainTextResponse
        from starlette.routing import Route
        async def who(request):
            principal = gateway.authenticate(request.scope)
            return PlainTextResponse(principal.name if principal else "nobody")
        return [Route(f"/{self.name}", who)]
""",
    )
    with running_gateway(toml("a", "b"), folder=tmp_path) as gateway:
        assert gateway.get("/a").body == gateway.get("/b").body == b"nobody"
        assert gateway.get("/c").status == 404


def test_hook_register_commands_adds_a_command(tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    from gateway.cli import main

    plugin(
        tmp_path,
        """
    @hookimpl
    def register_commands(self, commands):
        parser = commands.add_parser("greet")
        parser.add_argument("who")
        def run(args):
            print("hello", args.who)
            return 0
        parser.set_defaults(run=run)
""",
    )
    (tmp_path / "gateway.toml").write_text(toml("a"))
    assert main(["-c", str(tmp_path / "gateway.toml"), "greet", "you"]) == 0
    assert capsys.readouterr().out == "hello you\n"


def test_hook_translate_replaces_the_default_for_its_pair(tmp_path: Path) -> None:
    plugin(
        tmp_path,
        """
    @hookimpl
    def translate(self, pair):
        from gateway.translation import default_translator
        note(self, f"{pair.source.name} {pair.provider.name} {pair.wire.name}")
        if pair.source.name != "openai_chat":
            return None
        class Shouting(type(default_translator(pair))):
            def request(self, call, target):
                return super().request(call, target).replace(b"hello", b"HELLO")
        return Shouting(pair)
""",
    )
    with running_gateway(toml("a"), folder=tmp_path) as gateway:
        answer = gateway.post("/v1/chat/completions", ASK).json()
    assert "HELLO there" in answer["choices"][0]["message"]["content"]
    assert "a openai_chat echo openai_chat" in notes(tmp_path)


def test_hook_on_request_walks_stages_then_file_order_and_the_first_reply_ends_it(tmp_path: Path) -> None:
    plugin(
        tmp_path,
        """
    @hookimpl
    async def on_request(self, call):
        note(self, f"request {call.model} {call.stream}")
        if self.name == "second":
            return Reply(body=b'{"from":"plugin"}', source=self.name, headers=[(b"content-type", b"application/json")])
    @hookimpl
    async def on_response(self, call, reply):
        note(self, f"response {reply.source}")
    @hookimpl
    def on_complete(self, call, reply):
        note(self, f"complete {call.outcome}")
""",
    )
    text = toml("third", "second", "first") + 'stage = "limit"\n'
    with running_gateway(text, folder=tmp_path) as gateway:
        assert gateway.post("/v1/chat/completions", ASK).json() == {"from": "plugin"}
    assert notes(tmp_path) == [
        "first request echo/echo False",
        "third request echo/echo False",
        "second request echo/echo False",
        "third response second",
        "first response second",
        "first complete ok",
        "third complete ok",
        "second complete ok",
    ]


def test_hook_on_request_refuses_with_a_gateway_error_in_the_callers_dialect(tmp_path: Path) -> None:
    plugin(
        tmp_path,
        """
    @hookimpl
    async def on_request(self, call):
        raise PermissionDenied("Not today.")
""",
    )
    with running_gateway(toml("a"), folder=tmp_path) as gateway:
        openai = gateway.post("/v1/chat/completions", ASK)
        anthropic = gateway.post("/v1/messages", {**ASK, "max_tokens": 5})
    assert openai.status == anthropic.status == 403
    assert openai.json()["error"]["message"] == anthropic.json()["error"]["message"] == "Not today."
    assert anthropic.json()["type"] == "error"


@pytest.mark.parametrize("stage", ["auth", "guard"])
def test_hook_on_request_that_breaks_lets_nothing_through_and_names_its_plugin(tmp_path: Path, stage: str) -> None:
    plugin(
        tmp_path,
        """
    @hookimpl
    async def on_request(self, call):
        raise KeyError("secret-in-a-traceback")
""",
    )
    with running_gateway(toml("broken") + f'stage = "{stage}"\n', folder=tmp_path) as gateway:
        answer = gateway.post("/v1/chat/completions", ASK)
    assert answer.status == 500
    assert "'broken'" in answer.json()["error"]["message"]
    assert b"secret-in-a-traceback" not in answer.body


def test_hook_on_request_of_the_auth_stage_runs_before_the_body_is_taken(tmp_path: Path) -> None:
    plugin(
        tmp_path,
        """
    @hookimpl
    async def on_request(self, call):
        note(self, f"{len(call.body)} {call.credential}")
        raise AuthenticationFailed("no")
""",
    )
    with running_gateway(toml("a") + 'stage = "auth"\n', folder=tmp_path) as gateway:
        headers = {"authorization": "Bearer k1"}
        answer = gateway.post("/v1/chat/completions", body=b"x" * 3_000_000, headers=headers)
    assert answer.status == 401
    assert notes(tmp_path) == ["a 0 k1"]


def test_hook_route_chooses_among_the_models_targets(tmp_path: Path) -> None:
    plugin(
        tmp_path,
        """
    strategies = ("last",)
    @hookimpl
    def route(self, call):
        if call.model_config.strategy == "last":
            return call.targets[-1:]
""",
    )
    with ScriptedProvider() as one, ScriptedProvider() as two:
        two.default_reply(json={"id": "x", "object": "chat.completion", "model": "m2", "choices": []})
        text = toml("a") + (
            f'[plugins.one]\nuse = "openai_compatible"\nbase_url = "{one.url}/v1"\n'
            f'[plugins.two]\nuse = "openai_compatible"\nbase_url = "{two.url}/v1"\n'
            '[models.m]\nstrategy = "last"\ntargets = ["one/m1", "two/m2"]\n'
        )
        with running_gateway(text, folder=tmp_path) as gateway:
            answer = gateway.post("/v1/chat/completions", {**ASK, "model": "m"})
        assert answer.headers["x-gateway-provider"] == "two"
        assert not one.requests
        assert two.requests[0].json()["model"] == "m2"


def test_hook_on_response_wraps_a_stream_of_whole_events(tmp_path: Path) -> None:
    plugin(
        tmp_path,
        """
    @hookimpl
    async def on_response(self, call, reply):
        reply.headers.append((b"x-seen-by", self.name.encode()))
        inner = reply.stream
        async def shouting():
            async for chunk in inner:
                assert chunk.endswith(b"\\n\\n")
                yield chunk.replace(b"hello", b"HELLO")
        reply.stream = shouting()
""",
    )
    with running_gateway(toml("a"), folder=tmp_path) as gateway:
        answer = gateway.post("/v1/chat/completions", {**ASK, "stream": True})
    assert answer.headers["x-seen-by"] == "a"
    events = [json.loads(event.data) for event in answer.events() if event.data != b"[DONE]"]
    text = "".join(e["choices"][0]["delta"].get("content") or "" for e in events if e["choices"])
    assert "HELLO there" in text
    assert answer.events()[-1].data == b"[DONE]"


def test_hook_on_complete_runs_once_also_for_refusals_and_a_broken_one_hinders_nobody(tmp_path: Path) -> None:
    plugin(
        tmp_path,
        """
    @hookimpl
    def on_complete(self, call, reply):
        note(self, f"{call.outcome} {call.status} {type(call.error).__name__}")
        if self.name == "a":
            raise RuntimeError("broken")
""",
    )
    with running_gateway(toml("a", "b"), folder=tmp_path) as gateway:
        assert gateway.post("/v1/chat/completions", ASK).status == 200
        assert gateway.post("/v1/chat/completions", {**ASK, "model": "nope"}).status == 404
        assert gateway.post("/v1/chat/completions", body=b"{").status == 400
    assert notes(tmp_path) == [
        "a ok 200 NoneType",
        "b ok 200 NoneType",
        "a error 404 ModelNotFound",
        "b error 404 ModelNotFound",
        "a error 400 InvalidRequest",
        "b error 400 InvalidRequest",
    ]


@pytest.mark.parametrize(
    ("body", "says"),
    [
        ("    @hookimpl\n    def on_request(self, call): ...\n", "on_request must be written with 'async def'"),
        ("    @hookimpl\n    async def route(self, call): ...\n", "route must be written with 'def'"),
        ("    async def on_request(self, call): ...\n", "on_request is not marked with @hookimpl"),
        ("    @hookimpl\n    async def on_reqest(self, call): ...\n", 'did you mean "on_request"'),
        ("    @hookimpl\n    async def on_request(self, request): ...\n", "request"),
        ("    stage = 'gard'\n", 'did you mean "guard"'),
        ("    def __init__(self, config, context):\n        raise OSError('x')\n", "cannot be made: OSError: x"),
    ],
)
def test_a_plugin_that_is_written_wrongly_is_refused_with_its_name(tmp_path: Path, body: str, says: str) -> None:
    plugin(tmp_path, body)
    config = parse_config(toml("a"), path=tmp_path / "gateway.toml", folder=tmp_path)
    with pytest.raises(ConfigError) as refusal:
        build(config)
    (problem,) = refusal.value.problems
    assert says in problem
    assert "[plugins.a]" in problem
