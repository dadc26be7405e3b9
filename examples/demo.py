"""A real open-weight model behind the gateway, seen through the unmodified openai package. ``make demo`` runs it.

Starts SmolLM2-135M-Instruct in llama.cpp's server, the gateway in front of it from local-model.toml, and asks: a whole
answer, a streamed one, one parsed into a typed object, an embedding; then with a wrong key and for an unknown model.
Last, the same code asks Anthropic (a scripted stand-in on this machine), with no change but the model's name.
"""

from __future__ import annotations

import contextlib
import socket
import subprocess
import sys
import tempfile
import time
import urllib.error
import urllib.request
from collections.abc import Iterator
from pathlib import Path
from typing import Literal

import openai
from openai import OpenAI
from openai.types.chat import ChatCompletionUserMessageParam
from pydantic import BaseModel

from gateway.testing import ScriptedProvider
from scripted_anthropic import anthropic_messages

HERE = Path(__file__).resolve().parent
MODEL_PYTHON = HERE.parent / ".venvs" / "model" / "bin" / "python"
KEY = "gw-demo-not-a-secret-0001"
LOCAL = "small"
CLAUDE = "anthropic/claude-sonnet-4-6"


# -- the application: it knows a base_url, a key, and a model's name ---------------------------------------------------


class City(BaseModel):
    """What the model is asked to fill in."""

    name: str
    country: str
    continent: Literal["Africa", "America", "Asia", "Australia", "Europe"]


def user(text: str) -> list[ChatCompletionUserMessageParam]:
    """A conversation of one message."""
    return [{"role": "user", "content": text}]


QUESTION = user("Tell me about the city of Paris in one sentence.")


def whole(client: OpenAI, model: str) -> str:
    """A whole answer."""
    answer = client.chat.completions.create(model=model, messages=QUESTION, max_tokens=60)
    return answer.choices[0].message.content or ""


def streamed(client: OpenAI, model: str) -> Iterator[str]:
    """An answer, token by token."""
    with client.chat.completions.create(model=model, messages=QUESTION, max_tokens=60, stream=True) as stream:
        for chunk in stream:
            if chunk.choices and chunk.choices[0].delta.content:
                yield chunk.choices[0].delta.content


def typed(client: OpenAI, model: str) -> City:
    """An answer held to a JSON schema and parsed into an object."""
    answer = client.chat.completions.parse(
        model=model,
        messages=user("Describe the city of Paris, France, in Europe."),
        response_format=City,
        max_tokens=200,
    )
    city = answer.choices[0].message.parsed
    assert city is not None
    return city


def embedding(client: OpenAI, model: str) -> list[float]:
    """A vector for a text."""
    return client.embeddings.create(model=model, input="The quick brown fox").data[0].embedding


def wrong_key(base_url: str, model: str) -> openai.AuthenticationError:
    """What a caller with a wrong key is told."""
    with OpenAI(base_url=base_url, api_key="sk-not-mine", max_retries=0) as client:
        try:
            whole(client, model)
        except openai.AuthenticationError as error:
            return error
    raise AssertionError("a wrong key was let in")


def unknown_model(client: OpenAI) -> openai.NotFoundError:
    """What a caller is told who mistypes a model's name."""
    try:
        whole(client, "smal")
    except openai.NotFoundError as error:
        return error
    raise AssertionError("a model that does not exist has answered")


# -- what runs behind it -----------------------------------------------------------------------------------------------


@contextlib.contextmanager
def model_server() -> Iterator[str]:
    """Run the model's server until the block ends; its address, without /v1."""
    command = [str(MODEL_PYTHON), str(HERE / "model_server.py"), "--port", "0"]
    with subprocess.Popen(
        [*command, "--stop-with-stdin"],
        stdin=subprocess.PIPE,
        stdout=subprocess.PIPE,
        stderr=subprocess.DEVNULL,
        text=True,
    ) as process:
        assert process.stdout is not None
        try:
            line = process.stdout.readline()
            if "serves" not in line:
                raise RuntimeError(f"the model's server did not start (exit code {process.wait()})")
            yield line.split()[-1].removesuffix("/v1")
        finally:
            process.terminate()


@contextlib.contextmanager
def gateway(toml: str, port: int) -> Iterator[str]:
    """Run ``gateway serve`` with this configuration, which binds ``port``, until the block ends; its address."""
    url = f"http://127.0.0.1:{port}"
    with tempfile.TemporaryDirectory() as folder:
        file = Path(folder) / "gateway.toml"
        file.write_text(toml)
        log = Path(folder) / "log"
        command = [str(Path(sys.executable).with_name("gateway")), "serve", "-c", str(file)]
        with log.open("w") as sink, subprocess.Popen(command, stdout=sink, stderr=sink) as process:
            try:
                wait_until_ready(url, process, log)
                yield url
            finally:
                process.terminate()
                process.wait(20)


def wait_until_ready(url: str, process: subprocess.Popen[bytes], log: Path, seconds: float = 20.0) -> None:
    """Ask /readyz until it answers."""
    end = time.monotonic() + seconds
    while time.monotonic() < end and process.poll() is None:
        with contextlib.suppress(urllib.error.URLError, ConnectionError):
            urllib.request.urlopen(f"{url}/readyz", timeout=5).close()
            return
        time.sleep(0.02)
    raise RuntimeError(f"the gateway did not get ready:\n{log.read_text()}")


def free_port() -> int:
    """A port on 127.0.0.1 that nobody listens on at this moment."""
    with socket.create_server(("127.0.0.1", 0)) as server:
        return int(server.getsockname()[1])


def configuration(*, model: str, anthropic: str, port: int) -> str:
    """local-model.toml with these addresses in place of its own."""
    text = (HERE / "local-model.toml").read_text()
    addresses = {
        "http://127.0.0.1:8000": model,
        "http://127.0.0.1:8001": anthropic,
        "127.0.0.1:8080": f"127.0.0.1:{port}",
    }
    for written, used in addresses.items():
        assert written in text, written
        text = text.replace(written, used)
    return text


@contextlib.contextmanager
def everything() -> Iterator[str]:
    """Run the model, the scripted Anthropic and the gateway in front of both; the base_url for clients."""
    port = free_port()
    with model_server() as model, ScriptedProvider() as provider:
        provider.default_script(anthropic_messages)
        with gateway(configuration(model=model, anthropic=provider.url, port=port), port) as url:
            yield f"{url}/v1"


# -- the show ----------------------------------------------------------------------------------------------------------


def say(title: str, text: str = "") -> None:
    """A line of the show."""
    bold, plain = ("\033[1m", "\033[0m") if sys.stdout.isatty() else ("", "")
    print(f"{bold}{title:<18}{plain}{text}", flush=True)


def converse(client: OpenAI, model: str) -> None:
    """What any chat model can do: the same code for all of them."""
    say("whole", " ".join(whole(client, model).split()))
    print(f"{'streamed':<18}", end="", flush=True)
    count = 0
    for token in streamed(client, model):
        print("|" * bool(count) + token.replace("\n", " "), end="", flush=True)
        count += 1
    print(f"\n{'':<18}({count} pieces)")
    say("typed", repr(typed(client, model)))


def show(base_url: str) -> None:
    """All of it, against a gateway that runs."""
    with OpenAI(base_url=base_url, api_key=KEY, max_retries=0) as client:
        print(f'model="{LOCAL}"')
        converse(client, LOCAL)
        vector = embedding(client, LOCAL)
        say("embedding", f"{len(vector)} numbers: {', '.join(f'{x:.3f}' for x in vector[:4])}, …")
        for title, error in (("wrong key", wrong_key(base_url, LOCAL)), ("unknown model", unknown_model(client))):
            say(title, f"{type(error).__name__} {error.status_code}: {told(error)}")
        print(f'\nmodel="{CLAUDE}" (scripted on this machine), the same code')
        converse(client, CLAUDE)


def told(error: openai.APIStatusError) -> str:
    """The message of an error as the gateway wrote it."""
    return str(error.response.json()["error"]["message"])


def main() -> None:
    """Start everything and run the show."""
    say("starting", "SmolLM2-135M-Instruct in llama.cpp's server, and the gateway on examples/local-model.toml")
    with everything() as base_url:
        say("base_url", f"{base_url}\n")
        show(base_url)


if __name__ == "__main__":
    main()
