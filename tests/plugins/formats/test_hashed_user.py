"""A user's name of another dialect that OpenAI's API would refuse for its length."""

from __future__ import annotations

import json
from hashlib import sha256

import pytest

from gateway.format import Dropped, Traits
from gateway_plugins.formats.anthropic_messages import AnthropicMessages
from gateway_plugins.formats.openai_chat import OpenAIChat
from gateway_plugins.formats.openai_responses import OpenAIResponses

LONG = json.dumps({"device_id": "1f" * 32, "account_uuid": "", "session_id": "ab509216-e78b-4c57-bbbe-39a983f5fb18"})


def asked(user: str) -> bytes:
    turn = {"role": "user", "content": "hi"}
    return json.dumps({"model": "m", "max_tokens": 5, "messages": [turn], "metadata": {"user_id": user}}).encode()


@pytest.mark.parametrize("form", [OpenAIChat(), OpenAIResponses()], ids=["chat", "responses"])
def test_a_users_long_name_is_sent_as_its_hash_and_named(form: OpenAIChat | OpenAIResponses) -> None:
    dropped = Dropped()
    sent = json.loads(form.write_request(AnthropicMessages().read_request(asked(LONG)), Traits(), dropped))
    assert sent["user"] == sha256(LONG.encode()).hexdigest()
    assert len(sent["user"]) == 64
    assert "user" in dropped.reasons


@pytest.mark.parametrize("form", [OpenAIChat(), OpenAIResponses()], ids=["chat", "responses"])
def test_a_users_short_name_is_sent_as_it_is(form: OpenAIChat | OpenAIResponses) -> None:
    dropped = Dropped()
    sent = json.loads(form.write_request(AnthropicMessages().read_request(asked("user-1")), Traits(), dropped))
    assert sent["user"] == "user-1"
    assert "user" not in dropped.reasons
