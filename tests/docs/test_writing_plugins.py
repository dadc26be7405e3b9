"""docs/writing-plugins.md, done as it says: from an empty folder to an answer, with the code of the page."""

from __future__ import annotations

import importlib.util
import re
from collections.abc import Callable
from pathlib import Path
from typing import Any

import pytest

from gateway.testing import ScriptedProvider, running_gateway
from tests.docs.documents import ROOT, files_in, page

FILES = files_in("writing-plugins.md")
TESTS = [(file, name) for file in FILES for name in re.findall(r"^def (test_\w+)", FILES[file], re.MULTILINE)]


@pytest.fixture
def folder(tmp_path: Path) -> Path:
    """An empty folder with the page's files in it."""
    for name, text in FILES.items():
        (tmp_path / name).write_text(text, encoding="utf-8")
    return tmp_path


def test_the_plugin_is_one_file_of_under_30_lines() -> None:
    assert len(FILES["redact.py"].splitlines()) < 30


def test_the_provider_is_one_file_of_under_60_lines() -> None:
    assert len(FILES["acme.py"].splitlines()) < 60


def test_the_plugin_answers_the_pages_question_as_the_page_says(folder: Path) -> None:
    command = re.search(r"-d '(\{.*\})'", page("writing-plugins.md"))
    assert command is not None
    with running_gateway((folder / "gateway.toml").read_text(), folder=folder) as gateway:
        answer = gateway.post(
            "/v1/chat/completions", body=command[1].encode(), headers={"content-type": "application/json"}
        )
    said = answer.json()["choices"][0]["message"]["content"]
    assert said == "The password is [redacted]."
    assert f"answers `{said}`" in page("writing-plugins.md")


def test_a_word_cannot_hide_behind_an_escape(folder: Path) -> None:
    body = rb'{"model": "echo/echo", "messages": [{"role": "user", "content": "hunter\u0032 \u00e9"}]}'
    with running_gateway((folder / "gateway.toml").read_text(), folder=folder) as gateway:
        answer = gateway.post("/v1/chat/completions", body=body)
    assert answer.json()["choices"][0]["message"]["content"] == "[redacted] é"


def test_the_provider_answers_every_dialect(folder: Path) -> None:
    toml = (folder / "acme.toml").read_text()
    bill = {"heard": 1, "said": 2}
    with ScriptedProvider() as provider:
        provider.default_reply(json={"ticket": "t-1", "engine": "small", "say": "Hello.", "cut": True, "bill": bill})
        toml = toml.replace("http://127.0.0.1:9000", provider.url)
        with running_gateway(toml, folder=folder, env={"ACME_TOKEN": "t0ken"}) as gateway:
            request = {"model": "acme/small", "max_tokens": 5, "messages": [{"role": "user", "content": "Hi"}]}
            chat = gateway.post("/v1/chat/completions", request)
            messages = gateway.post("/v1/messages", request, headers={"anthropic-version": "2023-06-01"})
            streamed = gateway.post("/v1/chat/completions", {**request, "stream": True})
    assert chat.json()["choices"][0]["message"]["content"] == "Hello."
    assert chat.json()["choices"][0]["finish_reason"] == "length"
    assert messages.json()["content"][0]["text"] == "Hello."
    assert messages.json()["stop_reason"] == "max_tokens"
    # An API that answers whole although asked to stream is told as a stream.
    assert [event.data for event in streamed.events()][-1] == b"[DONE]"
    assert b"Hello." in streamed.body


def test_a_stream_of_the_provider_that_is_cut_is_no_good_end(folder: Path) -> None:
    with ScriptedProvider() as provider:
        provider.stream([b'event: word\ndata: {"say": "Hello "}\n\n'])
        toml = (folder / "acme.toml").read_text().replace("http://127.0.0.1:9000", provider.url)
        with running_gateway(toml, folder=folder, env={"ACME_TOKEN": "t0ken"}) as gateway:
            request = {"model": "machine", "stream": True, "messages": [{"role": "user", "content": "Hi"}]}
            answer = gateway.post("/v1/chat/completions", request)
    assert b"Hello " in answer.body
    assert b"[DONE]" not in answer.body
    assert b'"error"' in answer.events()[-1].data


@pytest.mark.parametrize(("file", "name"), TESTS)
def test_the_pages_own_tests_pass(folder: Path, file: str, name: str) -> None:
    test: Callable[[], Any] = vars(loaded(folder / file))[name]
    test()


def test_the_pages_own_tests_are_found() -> None:
    assert {file for file, _ in TESTS} == {"test_redact.py", "test_acme.py"}


def loaded(path: Path) -> Any:
    spec = importlib.util.spec_from_file_location(f"page_{path.stem}", path)
    assert spec is not None
    assert spec.loader is not None
    module = importlib.util.module_from_spec(spec)
    spec.loader.exec_module(module)
    return module


@pytest.mark.parametrize("name", FILES)
def test_the_examples_are_the_same_files(name: str) -> None:
    assert (ROOT / "examples" / "plugins" / name).read_text(encoding="utf-8") == FILES[name]
