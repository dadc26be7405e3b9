"""OpenAI's own API."""

from __future__ import annotations

from collections.abc import Mapping
from fnmatch import fnmatchcase
from typing import Any, ClassVar

from gateway.call import Call
from gateway.errors import ConfigError
from gateway.format import Format, Traits
from gateway.plugin import PluginContext
from gateway.provider import Provider, ProviderConfig
from gateway_plugins.providers.openai_settings import address_problems, key_problems


class OpenAI(Provider):
    """Asks OpenAI by /chat/completions and /embeddings."""

    class Config(ProviderConfig, frozen=True, kw_only=True):
        """``organization`` and ``project`` say who pays, where a key belongs to several."""

        organization: str | None = None
        project: str | None = None

    base_url: ClassVar[str | None] = "https://api.openai.com/v1"
    formats: ClassVar[Mapping[str, tuple[str | Format, ...]]] = {
        "chat": ("openai_chat",),
        "embeddings": ("openai_embeddings",),
    }

    def __init__(self, config: Any, context: PluginContext) -> None:
        super().__init__(config, context)
        problems = [*address_problems(config.base_url), *key_problems(config, "OpenAI", "OPENAI_API_KEY")]
        if problems:
            raise ConfigError(problems)

    def request_headers(self, call: Call, format_name: str, body: bytes) -> list[tuple[str, str]]:
        """The organization and the project, where they are set."""
        named = (("openai-organization", self.config.organization), ("openai-project", self.config.project))
        return [(name, value) for name, value in named if value is not None]

    def traits(self, model: str) -> Traits:
        """What the model's family takes."""
        return next(traits for pattern, traits in FAMILIES if fnmatchcase(model, pattern))


_SAMPLING = ("temperature", "top_p", "logprobs", "top_logprobs")
_WEIGHTS = ("frequency_penalty", "presence_penalty", "logit_bias")


def _reasons(
    *unsupported: str, efforts: tuple[str, ...] = (), roles: dict[str, str] | None = None, why: str = ""
) -> Traits:
    """A model that reasons. OpenAI takes none of a caller's reasoning back by this API."""
    reason = why or "OpenAI's reasoning models do not take it"
    options: dict[str, Any] = {"reasoning_field": False}
    if efforts:
        options["efforts"] = list(efforts)
    return Traits(unsupported=dict.fromkeys(unsupported, reason), roles=roles or {}, options=options)


_ANSWERS_AT_ONCE = Traits(
    unsupported=dict.fromkeys(("reasoning", "verbosity"), "the model does not reason"),
    options={"reasoning_field": False},
)
"""A model that does not reason refuses ``reasoning_effort`` and ``verbosity``."""

_O = ("low", "medium", "high")
_O1_PREVIEW = _reasons(
    *_SAMPLING, *_WEIGHTS, "reasoning", "stop", "tools", "tool_choice", roles={"system": "user", "developer": "user"}
)
_GPT_5 = _reasons(*_SAMPLING, *_WEIGHTS, "stop", efforts=("minimal", *_O))
_WHILE_THINKING = "the model takes it only with reasoning effort none, which is not its default"
_GPT_5_6 = _reasons(*_SAMPLING, "stop", efforts=("none", *_O, "xhigh", "max"), why=_WHILE_THINKING)

FAMILIES: tuple[tuple[str, Traits], ...] = (
    # https://developers.openai.com/api/docs/guides/reasoning and, for the list of refused parameters,
    # https://learn.microsoft.com/azure/ai-foundry/openai/how-to/reasoning; o1-mini's answers on the wire refuse the
    # system and developer roles. stop: the API reference, "Not supported with latest reasoning models o3 and o4-mini".
    ("o1-mini*", _O1_PREVIEW),
    ("o1-preview*", _O1_PREVIEW),
    ("o1*", _reasons(*_SAMPLING, *_WEIGHTS, efforts=_O)),
    ("o3*", _reasons(*_SAMPLING, *_WEIGHTS, "stop", efforts=_O)),
    ("o4*", _reasons(*_SAMPLING, *_WEIGHTS, "stop", efforts=_O)),
    ("gpt-5-chat*", _ANSWERS_AT_ONCE),
    # https://developers.openai.com/api/docs/guides/latest-model: temperature, top_p and logprobs "are only supported
    # when using GPT-5.2 with reasoning effort set to none", in gpt-5.1 likewise, in gpt-5 never. none is the default
    # from 5.1 to 5.4, so there they pass; with another effort OpenAI itself refuses them by name.
    ("gpt-5.1*", _reasons("stop", efforts=("none", *_O))),
    ("gpt-5.[234]*", _reasons("stop", efforts=("none", *_O, "xhigh"))),
    ("gpt-5.5*", _reasons(*_SAMPLING, "stop", efforts=("none", *_O, "xhigh"), why=_WHILE_THINKING)),
    ("gpt-5.*", _GPT_5_6),
    ("gpt-5*", _GPT_5),
    ("codex-*", _GPT_5),
    ("gpt-6*", _GPT_5_6),
    ("gpt-3*", _ANSWERS_AT_ONCE),
    ("gpt-4*", _ANSWERS_AT_ONCE),
    ("gpt-audio*", _ANSWERS_AT_ONCE),
    ("chatgpt-*", _ANSWERS_AT_ONCE),
    ("ft:gpt-[34]*", _ANSWERS_AT_ONCE),
    # A name that is not known here, or not OpenAI's: nothing is held back.
    ("*", Traits(options={"reasoning_field": False})),
)
"""Model name pattern → traits, the first match wins."""
