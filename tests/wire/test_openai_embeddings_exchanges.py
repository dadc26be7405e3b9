"""Recorded embeddings: requests and replies of OpenAI and of those who imitate it."""

from __future__ import annotations

import json
from typing import Any

from gateway.format import Dropped, Traits
from gateway_plugins.formats.openai_embeddings import OpenAIEmbeddings
from tests.wire import recordings

IMITATORS = ("azure", "local-openai-compat", "mistral", "openai", "voyage")
FILES = [file for file in recordings.files("embeddings") if file.split("/")[0] in IMITATORS]
GOOD = [file for file in recordings.files("embeddings", good=True) if file.split("/")[0] in IMITATORS]
BAD = [file for file in recordings.files("embeddings", good=False) if file.split("/")[0] in IMITATORS]


def meaning(request: dict[str, Any]) -> dict[str, Any]:
    """Null is absence, float the default, and a list of one what it holds."""
    out = {key: value for key, value in request.items() if value is not None}
    if out.get("encoding_format") == "float":
        del out["encoding_format"]
    if isinstance(out["input"], list) and len(out["input"]) == 1 and isinstance(out["input"][0], str | list):
        out["input"] = out["input"][0]
    return out


@recordings.each_of(FILES)
def test_a_recorded_request_comes_back_by_meaning(file: str) -> None:
    exchange = recordings.load(file)
    form, dropped = OpenAIEmbeddings(), Dropped()
    written = json.loads(form.write_request(form.read_request(exchange.request_body), Traits(), dropped))
    assert meaning(written) == meaning(exchange.request_json)
    assert dropped.reasons == {}


@recordings.each_of(GOOD)
def test_a_recorded_reply_comes_back_with_every_vector_in_either_packing(file: str) -> None:
    body = recordings.load(file).response_body
    form, said = OpenAIEmbeddings(), json.loads(body)
    reply = form.read_reply(body)
    written = json.loads(form.write_reply(reply, Dropped()))
    assert written["data"] == sorted(said["data"], key=lambda item: item["index"])
    assert written["model"] == said["model"]
    assert written["usage"]["total_tokens"] == said["usage"]["total_tokens"]
    reply.encoding_format = "float"
    floats = json.loads(form.write_reply(reply, Dropped()))["data"][0]["embedding"]
    assert isinstance(floats, list)
    reply.encoding_format = "base64"
    assert isinstance(json.loads(form.write_reply(reply, Dropped()))["data"][0]["embedding"], str)
    facts = form.read_facts(body)
    assert facts.model == said["model"]
    assert facts.usage is not None
    assert facts.usage.prompt_tokens == said["usage"]["total_tokens"]


@recordings.each_of(BAD)
def test_a_recorded_error_is_understood(file: str) -> None:
    exchange = recordings.load(file)
    error = OpenAIEmbeddings().read_error(exchange.status, exchange.response_headers, exchange.response_body)
    assert error.message
    assert error.kind in ("authentication", "invalid_request", "model_not_found", "quota", "rate_limit")
    assert error.status == exchange.status
