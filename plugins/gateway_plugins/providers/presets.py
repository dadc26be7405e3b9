"""Providers that speak OpenAI's chat completions, as data: where they are, which key they want, how they differ.

``python -m gateway_plugins.providers.presets`` prints the table of docs/providers.md. The differences of Groq and
Cerebras were checked against their documentation (November 2026), those of others are as commonly known and wait for
the same check. They matter where a caller of another dialect is translated; one of OpenAI's own passes unchanged.
"""

from __future__ import annotations

import sys
from typing import Any

import msgspec

from gateway.format import Traits


class Preset(msgspec.Struct, frozen=True, kw_only=True):
    """One provider. ``key_env`` is the environment variable its documentation uses, None where no key is needed.

    ``models`` refines ``traits`` for models by pattern, the first match wins. ``embeddings`` says whether it offers
    ``/embeddings`` beside ``/chat/completions``.
    """

    title: str
    base_url: str
    key_env: str | None = None
    embeddings: bool = False
    traits: Traits
    models: tuple[tuple[str, Traits], ...] = ()
    docs: str


def _traits(
    by: str,
    *unsupported: str,
    accepts: tuple[str, ...] = (),
    renames: dict[str, str] | None = None,
    max_tokens: str = "max_tokens",
    **options: Any,
) -> Traits:
    """The traits of a server that knows no ``developer`` role and limits an answer by ``max_tokens``."""
    return Traits(
        unsupported=dict.fromkeys(unsupported, f"{by} does not take it"),
        renames=renames or {},
        roles={"developer": "system"},
        options={"max_tokens_field": max_tokens, "accepts": list(accepts), **options},
    )


COMPATIBLE = _traits("the provider")
"""What is assumed of a server that no preset describes: the oldest spelling, which all of them read."""

_SAMPLERS = ("top_k", "min_p", "repetition_penalty")
_PENALTIES = ("frequency_penalty", "presence_penalty")
_LOGPROBS = ("logprobs", "top_logprobs")
_XAI = _traits("xAI", "logit_bias", max_tokens="max_completion_tokens")

PRESETS: dict[str, Preset] = {
    # Servers on one's own machine: the address is the one that each listens on unless told otherwise.
    "ollama": Preset(
        title="Ollama",
        base_url="http://127.0.0.1:11434/v1",
        embeddings=True,
        traits=_traits("Ollama", "tool_choice", "logit_bias", "user", "n", reasoning_field="reasoning"),
        docs="https://docs.ollama.com/api/openai-compatibility",
    ),
    "vllm": Preset(
        title="vLLM",
        base_url="http://127.0.0.1:8000/v1",
        embeddings=True,
        traits=_traits("vLLM", accepts=(*_SAMPLERS, "video_url", "audio_url"), reasoning_field="reasoning"),
        docs="https://docs.vllm.ai/en/latest/serving/openai_compatible_server.html",
    ),
    "llama_cpp": Preset(
        title="llama.cpp server",
        base_url="http://127.0.0.1:8080/v1",
        embeddings=True,
        traits=_traits("llama.cpp", accepts=_SAMPLERS, renames={"repetition_penalty": "repeat_penalty"}),
        docs="https://github.com/ggml-org/llama.cpp/tree/master/tools/server",
    ),
    "lm_studio": Preset(
        title="LM Studio",
        base_url="http://127.0.0.1:1234/v1",
        embeddings=True,
        traits=_traits(
            "LM Studio", accepts=("top_k", "repetition_penalty"), renames={"repetition_penalty": "repeat_penalty"}
        ),
        docs="https://lmstudio.ai/docs/developer/openai-compat",
    ),
    "sglang": Preset(
        title="SGLang",
        base_url="http://127.0.0.1:30000/v1",
        embeddings=True,
        traits=_traits("SGLang", accepts=(*_SAMPLERS, "video_url", "audio_url")),
        docs="https://docs.sglang.ai/basic_usage/openai_api_completions.html",
    ),
    "tgi": Preset(
        title="Text Generation Inference",
        base_url="http://127.0.0.1:8080/v1",
        traits=_traits("TGI", "logit_bias", "n"),
        docs="https://huggingface.co/docs/text-generation-inference/messages_api",
    ),
    # Services: each wants a key.
    "cerebras": Preset(
        title="Cerebras",
        base_url="https://api.cerebras.ai/v1",
        key_env="CEREBRAS_API_KEY",
        traits=_traits(
            "Cerebras", *_PENALTIES, "logit_bias", max_tokens="max_completion_tokens", reasoning_field="reasoning"
        ),
        docs="https://inference-docs.cerebras.ai/resources/openai",
    ),
    "dashscope": Preset(
        title="Alibaba Cloud Model Studio",
        base_url="https://dashscope-intl.aliyuncs.com/compatible-mode/v1",
        key_env="DASHSCOPE_API_KEY",
        embeddings=True,
        traits=_traits(
            "Model Studio",
            "logit_bias",
            "frequency_penalty",
            "tool_choice.required",
            accepts=("top_k", "repetition_penalty", "video_url"),
        ),
        docs="https://www.alibabacloud.com/help/en/model-studio/compatibility-of-openai-with-dashscope",
    ),
    "deepinfra": Preset(
        title="DeepInfra",
        base_url="https://api.deepinfra.com/v1/openai",
        key_env="DEEPINFRA_TOKEN",
        embeddings=True,
        traits=_traits("DeepInfra", accepts=_SAMPLERS),
        docs="https://deepinfra.com/docs/openai_api",
    ),
    "deepseek": Preset(
        title="DeepSeek",
        base_url="https://api.deepseek.com",
        key_env="DEEPSEEK_API_KEY",
        traits=_traits(
            "DeepSeek",
            "n",
            "logit_bias",
            "parallel_tool_calls",
            "user",
            "response_format.json_schema",
            reasoning="thinking",
        ),
        docs="https://api-docs.deepseek.com/api/create-chat-completion",
    ),
    "fireworks": Preset(
        title="Fireworks AI",
        base_url="https://api.fireworks.ai/inference/v1",
        key_env="FIREWORKS_API_KEY",
        embeddings=True,
        traits=_traits("Fireworks", accepts=_SAMPLERS),
        docs="https://docs.fireworks.ai/tools-sdks/openai-compatibility",
    ),
    "groq": Preset(
        title="Groq",
        base_url="https://api.groq.com/openai/v1",
        key_env="GROQ_API_KEY",
        traits=_traits(
            "Groq",
            *_LOGPROBS,
            "logit_bias",
            "messages.name",
            "n",
            max_tokens="max_completion_tokens",
            reasoning_field="reasoning",
        ),
        docs="https://console.groq.com/docs/openai",
    ),
    "huggingface": Preset(
        title="Hugging Face Inference Providers",
        base_url="https://router.huggingface.co/v1",
        key_env="HF_TOKEN",
        traits=_traits("Hugging Face"),
        docs="https://huggingface.co/docs/inference-providers/index",
    ),
    "ion": Preset(
        title="Ion (IonRouter by Cumulus Labs)",
        base_url="https://api.ionrouter.io/v1",
        key_env="IONROUTER_API_KEY",
        traits=_traits("Ion"),
        docs="https://cumuluslabs.io/glossary/ion-engine",
    ),
    "minimax": Preset(
        title="MiniMax",
        base_url="https://api.minimax.io/v1",
        key_env="MINIMAX_API_KEY",
        traits=_traits("MiniMax", *_PENALTIES, "logit_bias", "n"),
        docs="https://platform.minimax.io/docs/api-reference/text-openai-api",
    ),
    "mistral": Preset(
        title="Mistral AI",
        base_url="https://api.mistral.ai/v1",
        key_env="MISTRAL_API_KEY",
        embeddings=True,
        traits=_traits(
            "Mistral",
            *_LOGPROBS,
            "logit_bias",
            "messages.name",
            "service_tier",
            "store",
            "user",
            "verbosity",
            accepts=("document_url",),
            renames={"seed": "random_seed"},
            stream_options=False,
            reasoning_field=False,
        ),
        docs="https://docs.mistral.ai/api/endpoint/chat",
    ),
    "moonshot": Preset(
        title="Moonshot AI (Kimi)",
        base_url="https://api.moonshot.ai/v1",
        key_env="MOONSHOT_API_KEY",
        traits=_traits("Moonshot", "logit_bias", "tool_choice.required"),
        docs="https://platform.moonshot.ai/docs/guide/migrating-from-openai-to-kimi",
    ),
    "nvidia": Preset(
        title="NVIDIA NIM",
        base_url="https://integrate.api.nvidia.com/v1",
        key_env="NVIDIA_API_KEY",
        embeddings=True,
        traits=_traits("NVIDIA"),
        docs="https://docs.api.nvidia.com/nim/reference/llm-apis",
    ),
    "openrouter": Preset(
        title="OpenRouter",
        base_url="https://openrouter.ai/api/v1",
        key_env="OPENROUTER_API_KEY",
        embeddings=True,
        traits=_traits(
            "OpenRouter",
            accepts=(*_SAMPLERS, "cache_control", "reasoning_details", "video_url"),
            reasoning="reasoning",
            reasoning_field="reasoning",
        ),
        docs="https://openrouter.ai/docs/api-reference/parameters",
    ),
    "perplexity": Preset(
        title="Perplexity Sonar",
        base_url="https://api.perplexity.ai",
        key_env="PERPLEXITY_API_KEY",
        traits=_traits(
            "Perplexity", *_LOGPROBS, "logit_bias", "n", "seed", "tools", "tool_choice", "user", accepts=("top_k",)
        ),
        docs="https://docs.perplexity.ai/api-reference/chat-completions-post",
    ),
    "sambanova": Preset(
        title="SambaNova",
        base_url="https://api.sambanova.ai/v1",
        key_env="SAMBANOVA_API_KEY",
        embeddings=True,
        traits=_traits("SambaNova", *_LOGPROBS, *_PENALTIES, "logit_bias", "n", "seed", accepts=("top_k",)),
        docs="https://docs.sambanova.ai/docs/en/features/openai-compatibility",
    ),
    "together": Preset(
        title="Together AI",
        base_url="https://api.together.ai/v1",
        key_env="TOGETHER_API_KEY",
        embeddings=True,
        traits=_traits("Together", accepts=(*_SAMPLERS, "video_url"), reasoning_field="reasoning"),
        docs="https://docs.together.ai/docs/inference/openai-compatibility",
    ),
    "xai": Preset(
        title="xAI",
        base_url="https://api.x.ai/v1",
        key_env="XAI_API_KEY",
        traits=_XAI,
        models=(
            ("*non-reasoning*", _XAI),
            ("grok-3", _XAI),
            ("*", _traits("xAI's reasoning", *_PENALTIES, "stop", "logit_bias", max_tokens="max_completion_tokens")),
        ),
        docs="https://docs.x.ai/docs/guides/reasoning",
    ),
    "zai": Preset(
        title="Z.ai (GLM)",
        base_url="https://api.z.ai/api/paas/v4",
        key_env="ZAI_API_KEY",
        traits=_traits(
            "Z.ai",
            *_LOGPROBS,
            *_PENALTIES,
            "logit_bias",
            "n",
            "seed",
            "response_format.json_schema",
            "tool_choice.required",
            "tool_choice.named",
            renames={"user": "user_id"},
            reasoning="thinking",
        ),
        docs="https://docs.z.ai/api-reference/llm/chat-completion",
    ),
}


def table() -> str:
    """The presets as a Markdown table, one row each."""
    rows = [
        "| preset | provider | base URL | key | embeddings | not taken (named when translated) |",
        "| --- | --- | --- | --- | --- | --- |",
    ]
    for name, preset in PRESETS.items():
        key = f"`{preset.key_env}`" if preset.key_env else "none needed"
        refused = dict.fromkeys(preset.traits.unsupported)
        for _, traits in preset.models:
            refused |= dict.fromkeys(traits.unsupported)
        rows.append(
            f"| `{name}` | [{preset.title}]({preset.docs}) | `{preset.base_url}` | {key} "
            f"| {'yes' if preset.embeddings else 'no'} | {', '.join(f'`{field}`' for field in refused) or '-'} |"
        )
    return "\n".join(rows) + "\n"


if __name__ == "__main__":
    sys.stdout.write(table())
