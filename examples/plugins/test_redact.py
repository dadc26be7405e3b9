from pathlib import Path

from gateway.testing import running_gateway

TOML = """
[plugins.echo]

[plugins.redact]
use = "./redact.py:Redact"
words = ["hunter2"]
"""


def ask(toml, text):
    with running_gateway(toml, folder=Path(__file__).parent) as gateway:
        message = {"role": "user", "content": text}
        return gateway.post("/v1/chat/completions", {"model": "echo/echo", "messages": [message]})


def test_a_listed_word_is_masked():
    answer = ask(TOML, "The password is hunter2.")
    assert answer.json()["choices"][0]["message"]["content"] == "The password is [redacted]."


def test_a_listed_word_is_refused_where_the_table_says_so():
    answer = ask(TOML + "refuse = true", "The password is hunter2.")
    assert answer.status == 400
    assert answer.json()["error"]["code"] == "redacted"


def test_other_text_passes():
    answer = ask(TOML + "refuse = true", "Hello.")
    assert answer.json()["choices"][0]["message"]["content"] == "Hello."
