"""What ``gateway new-plugin`` writes, in service."""

from __future__ import annotations

from pathlib import Path

import pytest

from gateway.cli import main
from gateway.testing import ScriptedProvider, running_gateway

HELLO = {"model": "echo/echo", "messages": [{"role": "user", "content": "Hello"}]}


@pytest.fixture(autouse=True)
def _folder(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.chdir(tmp_path)


def new_plugin(capsys: pytest.CaptureFixture[str], *arguments: str) -> str:
    """The table that the command says to add."""
    assert main(["new-plugin", *arguments]) == 0
    return capsys.readouterr().out.partition("\n\n")[2]


def test_the_provider_asks_the_server_at_its_address(capsys: pytest.CaptureFixture[str]) -> None:
    table = new_plugin(capsys, "house", "--kind", "provider").replace("# api_key", "api_key")
    choice = {"index": 0, "message": {"role": "assistant", "content": "Good day."}, "finish_reason": "stop"}
    with ScriptedProvider() as server:
        server.default_reply(json={"id": "1", "object": "chat.completion", "model": "big", "choices": [choice]})
        toml = f'{table}base_url = "{server.url}/v1"\n'
        with running_gateway(toml, env={"HOUSE_API_KEY": "house-key"}) as gateway:
            answer = gateway.post("/v1/chat/completions", {**HELLO, "model": "house/big"})
            whole = gateway.post("/v1/messages", {**HELLO, "model": "house/big", "max_tokens": 5})
        asked = server.requests[0]
    assert answer.json()["choices"][0]["message"]["content"] == "Good day."
    assert whole.json()["content"][0]["text"] == "Good day."
    assert (asked.path, asked.json()["model"]) == ("/v1/chat/completions", "big")
    assert asked.headers["authorization"] == "Bearer house-key"


def test_no_word_passes_the_guard_behind_an_escape(capsys: pytest.CaptureFixture[str]) -> None:
    table = new_plugin(capsys, "words").replace('"hunter2"', '"hunter2", "größe"')
    with running_gateway("[plugins.echo]\n" + table) as gateway:
        for word in (rb"hunter\u0032", rb"Gr\u00f6\u00dfe", "GRÖSSE und größe".encode()):
            body = b'{"model": "echo/echo", "messages": [{"role": "user", "content": "%b"}]}' % word
            assert gateway.post("/v1/chat/completions", body=body).status == 400
        assert gateway.post("/v1/chat/completions", HELLO).status == 200


@pytest.mark.parametrize("name", ["invalid_request", "plugin", "call", "config", "self", "refuses"])
def test_a_name_that_the_file_uses_otherwise_is_no_trouble(capsys: pytest.CaptureFixture[str], name: str) -> None:
    table = new_plugin(capsys, name)
    with running_gateway("[plugins.echo]\n" + table) as gateway:
        assert gateway.post("/v1/chat/completions", HELLO).status == 200
        body = {**HELLO, "messages": [{"role": "user", "content": "hunter2"}]}
        answer = gateway.post("/v1/chat/completions", body)
    assert answer.status == 400
    assert answer.json()["error"]["message"] == "The request holds a word that is not allowed here."


def test_a_provider_whose_name_is_that_of_its_parent_is_made(capsys: pytest.CaptureFixture[str]) -> None:
    table = new_plugin(capsys, "provider", "--kind", "provider")
    assert 'use = "./provider.py:OwnProvider"' in table
    with running_gateway(table) as gateway:
        assert list(gateway.app.current.providers) == ["provider"]


def test_a_folder_that_cannot_be_written_to_is_told(
    capsys: pytest.CaptureFixture[str], tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    (tmp_path / "gone").mkdir()
    monkeypatch.chdir(tmp_path / "gone")
    (tmp_path / "gone").rmdir()
    assert main(["new-plugin", "lost"]) == 1
    assert capsys.readouterr().err == "lost.py cannot be written: No such file or directory\n"
