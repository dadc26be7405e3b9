"""``gateway translate``: what it prints, without a key, without sending anything; and its exit codes."""

from __future__ import annotations

import io
import json
import sys
from pathlib import Path
from typing import Any, NamedTuple

import pytest

from gateway.cli import main

TOML = """
[plugins.cloud]
use = "anthropic"
api_key = { env = "NO_SUCH_VARIABLE" }
headers = { x-team = "blue", x-gate = { file = "no-such-file" } }

[plugins.box]
use = "openai_compatible"
base_url = "http://127.0.0.1:9/v1"
api_key = "sk-invented-and-secret"

[models.smart]
targets = ["cloud/claude-sonnet-4-5"]
fallbacks = ["box/llama"]
"""
ASK: dict[str, Any] = {"model": "smart", "messages": [{"role": "user", "content": "hi"}], "seed": 3, "max_tokens": 5}
REPLY: dict[str, Any] = {
    "id": "msg_1",
    "type": "message",
    "role": "assistant",
    "model": "claude-sonnet-4-5",
    "content": [{"type": "text", "text": "yo"}],
    "stop_reason": "end_turn",
    "usage": {"input_tokens": 2, "output_tokens": 1},
}
STREAM = """event: message_start
data: {"type":"message_start","message":{"id":"m","model":"c","content":[],"usage":{"input_tokens":2}}}

event: content_block_start
data: {"type":"content_block_start","index":0,"content_block":{"type":"text","text":""}}

event: content_block_delta
data: {"type":"content_block_delta","index":0,"delta":{"type":"text_delta","text":"yo"}}

event: message_delta
data: {"type":"message_delta","delta":{"stop_reason":"end_turn"},"usage":{"output_tokens":1}}

event: message_stop
data: {"type":"message_stop"}

"""


class Run(NamedTuple):
    code: int
    out: str
    err: str

    def json(self) -> Any:
        return json.loads(self.out)


class Program:
    """Runs ``gateway translate …`` in a folder of its own, with the request on standard input."""

    def __init__(self, folder: Path, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]) -> None:
        self.folder = folder
        self._patch = monkeypatch
        self._capsys = capsys

    def __call__(self, *arguments: str, ask: Any = ASK) -> Run:
        data = ask if isinstance(ask, bytes) else json.dumps(ask).encode()
        self._patch.setattr(sys, "stdin", io.TextIOWrapper(io.BytesIO(data)))
        try:
            code = main(["translate", *arguments])
        except SystemExit as ended:
            code = ended.code if isinstance(ended.code, int) else 99
        return Run(code, *self._capsys.readouterr())

    def file(self, name: str, text: str) -> str:
        (self.folder / name).write_text(text)
        return name


@pytest.fixture
def translate(tmp_path: Path, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]) -> Program:
    monkeypatch.chdir(tmp_path)
    (tmp_path / "gateway.toml").write_text(TOML)
    return Program(tmp_path, monkeypatch, capsys)


def test_each_target_of_the_model_is_shown_with_what_it_loses(translate: Program) -> None:
    run = translate("--json")
    assert run.code == 0
    found = run.json()
    assert (found["dialect"], found["model"], found["stream"]) == ("openai_chat", "smart", False)
    cloud, box = found["targets"]
    assert (cloud["target"], cloud["format"]) == ("cloud/claude-sonnet-4-5", "anthropic_messages")
    assert (cloud["method"], cloud["url"]) == ("POST", "https://api.anthropic.com/v1/messages")
    assert cloud["body"]["messages"] == ASK["messages"]
    assert cloud["body"]["max_tokens"] == 5
    assert [loss["field"] for loss in cloud["dropped"]] == ["seed"]
    assert (box["url"], box["dropped"]) == ("http://127.0.0.1:9/v1/chat/completions", [])
    assert box["body"] == {**ASK, "model": "llama"}


def test_no_secret_is_shown(translate: Program) -> None:
    run = translate("--json")
    cloud, box = run.json()["targets"]
    assert cloud["headers"]["x-api-key"] == "***"
    assert cloud["headers"]["x-team"] == "blue"
    assert cloud["headers"]["x-gate"] != "no-such-file"
    assert box["headers"]["authorization"] == "Bearer ***"
    assert "sk-invented" not in run.out + translate().out


def test_a_secret_in_a_header_that_the_configuration_names_is_hidden(
    translate: Program, monkeypatch: pytest.MonkeyPatch
) -> None:
    translate.file("no-such-file", "very-secret-value")
    assert "very-secret-value" not in translate("--json").out
    monkeypatch.setenv("NO_SUCH_VARIABLE", "sk-of-the-environment")
    run = translate("--json")
    assert run.json()["targets"][0]["headers"]["x-gate"] == "***"
    assert "sk-of-the-environment" not in run.out


def test_people_read_it_as_a_request_with_its_losses(translate: Program) -> None:
    run = translate("--to", "cloud/claude-sonnet-4-5")
    assert run.code == 0
    assert "POST https://api.anthropic.com/v1/messages\n" in run.out
    assert "\nx-api-key: ***\n" in run.out
    assert "\ndropped seed: Anthropic has nothing for it\n" in run.out
    assert "nothing was dropped" in translate("--to", "box/llama").out


def test_a_provider_without_a_table_needs_neither_table_nor_key(translate: Program) -> None:
    run = translate("--to", "groq/llama", "--json")
    assert run.code == 0
    assert run.json()["targets"][0]["url"] == "https://api.groq.com/openai/v1/chat/completions"
    anthropic = translate("--json", ask={**ASK, "model": "anthropic/claude-opus-5"}).json()
    assert anthropic["targets"][0]["body"]["model"] == "claude-opus-5"


def test_what_such_a_provider_cannot_do_without_is_stood_in_for(translate: Program) -> None:
    run = translate("--to", "openai_compatible/x", "--json")
    assert run.code == 0
    assert run.json()["targets"][0]["url"] == "https://address.invalid/chat/completions"


def test_another_dialect_and_a_file(translate: Program) -> None:
    request = translate.file("request.json", json.dumps({**ASK, "stream": True, "seed": None}))
    run = translate(request, "--dialect", "anthropic_messages", "--to", "box/llama", "--json", ask=b"")
    (target,) = run.json()["targets"]
    assert run.json()["stream"] is True
    assert target["body"]["stream_options"] == {"include_usage": True}


def test_strict_turns_a_loss_into_a_failure(translate: Program) -> None:
    assert translate("--strict").code == 1
    assert translate("--strict", "--to", "box/llama").code == 0


@pytest.mark.parametrize(
    ("arguments", "ask", "why"),
    [
        ((), b"not json", "refused: "),
        ((), {**ASK, "messages": "x"}, "refused: Invalid type for 'messages'"),
        ((), {"messages": ASK["messages"]}, "--to names none"),
        (("--to", "smrt"), ASK, "did you mean 'smart'"),
        (("--to", "nosuch/x"), ASK, '[plugins.nosuch] of --to use: no plugin of the name "nosuch"'),
        (("--dialect", "anthropic_mesages"), ASK, 'did you mean "anthropic_messages"'),
        (("no-such-request.json",), ASK, "cannot be read"),
        (("--reply", "no-such-reply.json"), ASK, "cannot be read"),
    ],
)
def test_what_cannot_be_done_is_named(translate: Program, arguments: tuple[str, ...], ask: Any, why: str) -> None:
    run = translate(*arguments, ask=ask)
    assert run.code == 1
    assert why in run.err
    assert run.out == ""


def test_a_wrong_command_line_is_a_usage_error(translate: Program) -> None:
    assert translate("--nosuch").code == 2


def test_a_request_that_the_target_cannot_take_is_an_error_of_that_target(translate: Program) -> None:
    call = {"id": "c", "type": "function", "function": {"name": "f", "arguments": "no json"}}
    messages = [*ASK["messages"], {"role": "assistant", "tool_calls": [call]}]
    run = translate("--json", ask={**ASK, "messages": messages})
    assert run.code == 1
    cloud, box = run.json()["targets"]
    assert "not a JSON object" in cloud["error"]
    assert box["error"] is None
    embeddings = {"model": "cloud/x", "input": "a"}
    run = translate("--dialect", "openai_embeddings", ask=embeddings)
    assert run.code == 1
    assert "error: cloud/x does not offer embeddings." in run.out


def test_a_recorded_reply_is_shown_as_the_caller_gets_it(translate: Program) -> None:
    file = translate.file("reply.json", json.dumps({**REPLY, "container": {"id": "c"}}))
    run = translate("--reply", file, "--json")
    assert run.code == 0
    reply = run.json()["reply"]
    assert reply["body"]["choices"][0]["message"]["content"] == "yo"
    assert (reply["finish_reason"], reply["usage"]["prompt_tokens"]) == ("stop", 2)
    assert [loss["field"] for loss in reply["dropped"]] == ["choices[0].container"]
    assert '"object": "chat.completion"' in translate("--reply", file).out


def test_a_recorded_stream_is_shown_event_by_event(translate: Program) -> None:
    run = translate("--reply", translate.file("reply.sse", STREAM), "--json", ask={**ASK, "stream": True})
    assert run.code == 0
    reply = run.json()["reply"]
    assert reply["events"].startswith("data: {")
    assert reply["events"].endswith("data: [DONE]\n\n")
    assert reply["finish_reason"] == "stop"


def test_a_stream_that_was_cut_is_shown_as_the_error_that_it_becomes(translate: Program) -> None:
    cut = STREAM.partition("event: message_delta")[0]
    run = translate("--reply", translate.file("reply.sse", cut), "--json", ask={**ASK, "stream": True})
    assert run.code == 1
    reply = run.json()["reply"]
    assert "before it was complete" in reply["error"]
    assert "[DONE]" not in reply["events"]
    assert "before it was complete" in reply["events"]


def test_a_recorded_error_is_shown_in_the_callers_words(translate: Program) -> None:
    error = {"type": "error", "error": {"type": "overloaded_error", "message": "later"}}
    run = translate("--reply", translate.file("e.json", json.dumps(error)), "--status", "529", "--json")
    assert run.code == 1
    reply = run.json()["reply"]
    assert reply["status"] == 529
    assert reply["body"]["error"]["message"] == "later"
    assert "error: later" in translate("--reply", "e.json", "--status", "529").out
