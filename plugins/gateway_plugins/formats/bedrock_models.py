"""What each family of models on Bedrock takes through Converse, as data.

Sources, as of November 2026, below https://docs.aws.amazon.com/bedrock/latest/userguide/: model-parameters.html (what
goes into additionalModelRequestFields), conversation-inference-supported-models-features.html (tools, system prompts),
prompt-caching.html, structured-output.html, and https://docs.aws.amazon.com/nova/latest/nova2-userguide/. Claude's own
rules (sampling, thinking, efforts) are those of ``anthropic_models``. The recorded exchanges agree with it.

``traits.options`` of ``bedrock_converse``: ``family``; ``cache`` (where cache points may stand: ``system``,
``messages``, ``tools``); ``ttl`` (a cache point may say how long); ``top_k`` (its path in the additional fields);
``reasoning`` (``claude``, ``nova`` or ``effort``); ``structured`` (held to JSON schemas); ``choices`` (what toolChoice
may be); ``tools`` and ``system`` (False: none); ``status`` (a tool's result may say that it failed); ``replays`` (takes
back its reasoning); ``system_tools`` (Bedrock's own tools for ``web_search`` and ``code``); ``limit`` (sent where the
caller sets none); and for Claude what ``anthropic_request_writer`` documents.
"""

from __future__ import annotations

import re
from functools import lru_cache
from typing import Any

import msgspec

from gateway.format import Traits
from gateway_plugins.formats.anthropic_models import traits_of as claude_traits

ANTHROPIC = "anthropic"

_EVERYWHERE = ("system", "messages", "tools")
_CHOICES = ("auto", "any", "tool")


def _family(name: str, **options: Any) -> Traits:
    return Traits(options={"family": name, **options})


_UNKNOWN = _family("unknown", cache=_EVERYWHERE, ttl=True, status=True, structured=True, choices=_CHOICES, replays=True)
"""A model whose id does not say what it is (an ARN, say): what Converse itself allows is sent."""

_OPEN: dict[str, Any] = {"choices": _CHOICES}
_STRUCTURED: dict[str, Any] = {**_OPEN, "structured": True}
_NO_TOOLS: dict[str, Any] = {"tools": False, "choices": ()}

FAMILIES: tuple[tuple[str, Traits], ...] = (
    # Nova takes cache points in system and messages only, of five minutes.
    (
        r"amazon\.nova-2",
        _family(
            "nova",
            cache=("system", "messages"),
            top_k=("inferenceConfig", "topK"),
            status=True,
            choices=_CHOICES,
            reasoning="nova",
            replays=True,
            system_tools={"web_search": "nova_grounding", "code": "nova_code_interpreter"},
        ),
    ),
    (
        r"amazon\.nova",
        _family("nova", cache=("system", "messages"), top_k=("inferenceConfig", "topK"), status=True, choices=_CHOICES),
    ),
    (r"amazon\.titan", _family("titan", system=False, **_NO_TOOLS)),
    (r"openai\.", _family("openai", reasoning="effort", replays=True, **_STRUCTURED)),
    # R1 takes no tools; no DeepSeek takes its reasoning back.
    (r"deepseek\.r1", _family("deepseek", **_NO_TOOLS)),
    (r"deepseek\.", _family("deepseek", **_STRUCTURED)),
    (r"qwen\.", _family("qwen", replays=True, **_STRUCTURED)),
    (r"(google\.gemma|minimax\.|moonshot(ai)?\.|nvidia\.|zai\.)", _family("open", replays=True, **_STRUCTURED)),
    (
        r"mistral\.(magistral|ministral|voxtral|mistral-large-3|devstral)",
        _family("mistral", choices=("auto", "any"), structured=True),
    ),
    (r"mistral\.mi[sx]tral-\d+x?\d*b", _family("mistral", top_k=("top_k",), system=False, **_NO_TOOLS)),
    (r"mistral\.", _family("mistral", choices=("auto", "any"), top_k=("top_k",))),
    (r"meta\.llama", _family("meta", choices=("auto",))),
    (r"cohere\.", _family("cohere", choices=("auto",), top_k=("k",))),
    (r"ai21\.", _family("ai21", choices=("auto",))),
    (r"writer\.", _family("writer", choices=("auto",))),
)
"""Part of a model's id → traits; the first match wins."""

_PATTERNS = tuple((re.compile(r"(?:^|[./])" + pattern), traits) for pattern, traits in FAMILIES)
# The only Claude that Anthropic holds to a schema and Bedrock does not.
_UNSTRUCTURED_CLAUDE = re.compile(r"claude-opus-4-1(?![0-9])")
_OLD_CLAUDE = re.compile(r"claude-(?:v2|2|instant)")
# The oldest that caches prompts are 3.5 Haiku, 3.5 Sonnet v2 and 3.7 Sonnet.
_UNCACHED_CLAUDE = re.compile(r"claude-3-(?:haiku|sonnet|opus|5-sonnet-20240620)")
# An hour is for 4.5 and later.
_FIVE_MINUTES_CLAUDE = re.compile(r"claude-(?:3|opus-4-[01]|opus-4-20|sonnet-4-20)")


def is_claude(model: str) -> bool:
    """Whether a model's id says that it is one of Anthropic's."""
    return "claude" in model


@lru_cache(maxsize=512)
def traits_of(model: str, max_tokens_default: int | None = None) -> Traits:
    """The traits of a model by its id, its inference profile's, or an ARN that names it.

    ``max_tokens_default`` is sent where the caller sets no limit; unset, the model's own rules, which is its most.
    """
    if is_claude(model):
        traits = _claude(model)
    else:
        traits = next((traits for pattern, traits in _PATTERNS if pattern.search(model)), _UNKNOWN)
    if max_tokens_default is not None:
        options = {**traits.options, "limit": max_tokens_default}
        traits = msgspec.structs.replace(traits, max_tokens_default=max_tokens_default, options=options)
    return traits


def _claude(model: str) -> Traits:
    """Anthropic's rules for the model, and Bedrock's."""
    traits = claude_traits(model)
    old = _OLD_CLAUDE.search(model) is not None
    options = {
        **traits.options,
        "family": ANTHROPIC,
        "replays": True,
        "reasoning": "claude",
        "top_k": ("top_k",),
        "status": True,
        "choices": () if old else _CHOICES,
        "tools": not old,
        "cache": () if old or _UNCACHED_CLAUDE.search(model) else _EVERYWHERE,
        "ttl": _FIVE_MINUTES_CLAUDE.search(model) is None,
        "structured": bool(traits.options.get("structured", True)) and _UNSTRUCTURED_CLAUDE.search(model) is None,
    }
    return msgspec.structs.replace(traits, options=options)
