"""Embeddings on Vertex: predict for the models that were there before embedContent, which takes one content."""

from __future__ import annotations

from typing import Any, ClassVar

import msgspec

from gateway.call import Call, Target
from gateway.errors import InvalidRequest, UpstreamRejected
from gateway.protocol import Embedding, EmbeddingsReply, Usage
from gateway.simple_format import SimpleFormat
from gateway.translation import Composed, Pair, StreamTranslator, Translator
from gateway_plugins.formats import gemini_errors
from gateway_plugins.formats.gemini_embeddings import TASKS
from gateway_plugins.formats.gemini_lanes import own_lane

PREDICT = "vertex_predict"


class VertexPredict(SimpleFormat):
    """``models/{model}:predict`` of the text embedding models; it serves providers, not dialects.

    https://cloud.google.com/vertex-ai/generative-ai/docs/model-reference/text-embeddings-api
    """

    name: ClassVar[str] = PREDICT
    operation: ClassVar[str] = "embeddings"
    carries: ClassVar[tuple[str, ...]] = ("dimensions", "input_type", "encoding_format")

    def to_wire(self, request: Any) -> Any:
        """The texts as instances."""
        if not all(isinstance(text, str) for text in request.input):
            raise InvalidRequest("Vertex embeds texts, not token ids.", param="input")
        word = request.input_type
        task = {} if word is None else {"task_type": TASKS.get(word, word)}
        out: dict[str, Any] = {"instances": [{"content": text, **task} for text in request.input]}
        if request.dimensions is not None:
            out["parameters"] = {"outputDimensionality": request.dimensions}
        return out

    def from_wire(self, body: Any) -> EmbeddingsReply:
        """The vectors, and the tokens of all texts together."""
        found = [prediction["embeddings"] for prediction in body["predictions"]]
        tokens = sum(int(one.get("statistics", {}).get("token_count", 0)) for one in found)
        return EmbeddingsReply(
            model="",
            embeddings=[Embedding(index=at, vector=[float(x) for x in one["values"]]) for at, one in enumerate(found)],
            usage=Usage(prompt_tokens=tokens),
            origin=PREDICT,
        )

    def read_error(self, status: int, headers: dict[str, str], body: bytes) -> UpstreamRejected:
        """As all of Google's."""
        return gemini_errors.read_error(status, headers, body)


class EmbeddingsLane(Translator):
    """Chooses for each call by its model."""

    def __init__(self, pair: Pair) -> None:
        self._predict = Composed(msgspec.structs.replace(pair, wire=VertexPredict()))
        self._embed = own_lane(pair, single=True) or Composed(pair)

    def _of(self, target: Target) -> Translator:
        return self._predict if predicts(target.model) else self._embed

    def wire_name(self, call: Call, target: Target, lane: str) -> str:
        """The format of the way that the call takes."""
        return PREDICT if predicts(target.model) else lane

    def request(self, call: Call, target: Target) -> bytes:
        """The body, by the way of the model."""
        return self._of(target).request(call, target)

    def reply(self, call: Call, body: bytes) -> bytes:
        """The caller's body, by the way that the request took."""
        assert call.target is not None
        return self._of(call.target).reply(call, body)

    def stream(self, call: Call) -> StreamTranslator:
        """Refuse: vectors are not streamed."""
        raise InvalidRequest("Embeddings are not streamed.", param="stream", code="unsupported_parameter")


def predicts(model: str) -> bool:
    """Whether a model is asked by predict."""
    name = model.rpartition("/")[2]
    return name.startswith(("text-", "textembedding-", "gemini-embedding-001"))
