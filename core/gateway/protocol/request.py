"""What a caller asks for, in no dialect's words."""

from __future__ import annotations

from typing import Any, Literal

import msgspec

from gateway.protocol.content import CacheControl, Message


class Tool(msgspec.Struct, kw_only=True):
    """A tool that the model may call.

    ``function`` tools have a JSON Schema in ``parameters``; ``custom`` tools take free text, optionally bound by
    ``grammar``. ``server`` tools (web search and the like) run at the provider: ``type`` is the provider's own word,
    ``origin`` the format that said it, and ``extra`` its settings.
    """

    kind: Literal["function", "custom", "server"] = "function"
    name: str
    description: str | None = None
    parameters: dict[str, Any] | None = None
    strict: bool | None = None
    grammar: dict[str, Any] | None = None
    type: str | None = None
    origin: str | None = None
    cache_control: CacheControl | None = None
    extra: dict[str, Any] = {}


class ToolChoice(msgspec.Struct, kw_only=True):
    """Whether and which tool to call: ``named`` forces ``name``; ``allowed`` limits the choice to ``names``."""

    mode: Literal["auto", "none", "required", "named", "allowed"]
    name: str | None = None
    names: list[str] = []
    allowed_mode: Literal["auto", "required"] = "auto"
    extra: dict[str, Any] = {}


class ResponseFormat(msgspec.Struct, kw_only=True):
    """The shape that the answer must have. ``schema`` is a JSON Schema when ``type`` is ``json_schema``."""

    type: Literal["text", "json_object", "json_schema"]
    name: str | None = None
    description: str | None = None
    schema: dict[str, Any] | None = None
    strict: bool | None = None


class Reasoning(msgspec.Struct, kw_only=True):
    """How much to think. ``effort`` is a word (``none`` … ``max``), ``budget_tokens`` a count; either may be unset.

    ``mode`` is ``enabled``, ``adaptive`` or ``disabled`` where a caller said so; ``summary`` is OpenAI's
    (``auto``, ``concise``, ``detailed``); ``display`` is Anthropic's (``summarized``, ``omitted``).
    """

    effort: str | None = None
    budget_tokens: int | None = None
    mode: Literal["enabled", "adaptive", "disabled"] | None = None
    summary: str | None = None
    display: str | None = None


class ChatRequest(msgspec.Struct, kw_only=True):
    """A request for a chat completion.

    System and developer instructions are messages at the place where they were said. ``origin`` names the format that
    was read, ``extra`` its fields without a place here: a writer of that format restores them, another names them as
    dropped. ``max_tokens`` counts output tokens, reasoning included. ``spelling`` is as in ``Message``.
    """

    model: str
    messages: list[Message] = []
    tools: list[Tool] = []
    tool_choice: ToolChoice | None = None
    parallel_tool_calls: bool | None = None
    response_format: ResponseFormat | None = None
    reasoning: Reasoning | None = None
    max_tokens: int | None = None
    temperature: float | None = None
    top_p: float | None = None
    top_k: int | None = None
    min_p: float | None = None
    frequency_penalty: float | None = None
    presence_penalty: float | None = None
    repetition_penalty: float | None = None
    seed: int | None = None
    stop: list[str] = []
    logit_bias: dict[str, float] | None = None
    logprobs: bool | None = None
    top_logprobs: int | None = None
    n: int | None = None
    user: str | None = None
    metadata: dict[str, Any] | None = None
    service_tier: str | None = None
    prompt_cache_key: str | None = None
    verbosity: str | None = None
    modalities: list[str] | None = None
    audio: dict[str, Any] | None = None
    prediction: dict[str, Any] | None = None
    store: bool | None = None
    stream: bool = False
    include_usage: bool = False
    cache_control: CacheControl | None = None
    origin: str = ""
    extra: dict[str, Any] = {}
    spelling: dict[str, str] = {}


class EmbeddingsRequest(msgspec.Struct, kw_only=True):
    """A request for embeddings of ``input``: texts, or token-id lists where the caller tokenised."""

    model: str
    input: list[str] | list[list[int]]
    dimensions: int | None = None
    encoding_format: Literal["float", "base64"] = "float"
    user: str | None = None
    input_type: str | None = None
    origin: str = ""
    extra: dict[str, Any] = {}


class RerankRequest(msgspec.Struct, kw_only=True):
    """A request to order ``documents`` by how well they answer ``query``; ``top_n`` limits the answer."""

    model: str
    query: str
    documents: list[str] = []
    top_n: int | None = None
    return_documents: bool = False
    max_tokens_per_doc: int | None = None
    origin: str = ""
    extra: dict[str, Any] = {}
