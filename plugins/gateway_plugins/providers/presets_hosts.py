"""Services that run models of others, and that imitate OpenAI's interface.

Checked against each one's documentation in November 2026, and against recorded exchanges where there are any.
"""

from __future__ import annotations

from gateway_plugins.providers.preset import (
    LOGPROBS,
    OPENAI_ALONE,
    PENALTIES,
    SAMPLERS,
    SPLIT,
    SPLIT_CONTENT,
    Preset,
    traits_for,
)

_DATABRICKS = (*PENALTIES, "logit_bias", "seed", "user", "parallel_tool_calls", "service_tier", *OPENAI_ALONE)

HOSTS: dict[str, Preset] = {
    "cerebras": Preset(
        title="Cerebras",
        base_url="https://api.cerebras.ai/v1",
        key_env="CEREBRAS_API_KEY",
        completions=True,
        traits=traits_for(
            "Cerebras",
            *PENALTIES,
            "logit_bias",
            *OPENAI_ALONE,
            max_tokens="max_completion_tokens",
            reasoning_field="reasoning",
        ),
        docs="https://inference-docs.cerebras.ai/resources/openai",
        notes=(
            SPLIT,
            "Instructions have more weight than at OpenAI: `system` stands where OpenAI has `developer`.",
            "`time_info` of its replies reaches callers of chat completions.",
        ),
    ),
    "cloudflare": Preset(
        title="Cloudflare Workers AI",
        address="https://api.cloudflare.com/client/v4/accounts/ACCOUNT_ID/ai/v1",
        key_env="CLOUDFLARE_API_TOKEN",
        embeddings=True,
        responses=True,
        traits=traits_for(
            "Workers AI", "logit_bias", "n", *LOGPROBS, *OPENAI_ALONE, accepts=("top_k", "repetition_penalty")
        ),
        docs="https://developers.cloudflare.com/workers-ai/configuration/open-ai-compatibility",
        notes=(
            "Structured output comes as a JSON object where others send text: it is read as its text.",
            "A reply may lack token counts; its cost is then not known.",
            "Errors are `{errors: [{code, message}]}` and are read as such.",
        ),
    ),
    "databricks": Preset(
        title="Databricks",
        address="https://WORKSPACE.cloud.databricks.com/serving-endpoints",
        key_env="DATABRICKS_TOKEN",
        embeddings=True,
        completions=True,
        traits=traits_for("Databricks", *_DATABRICKS, accepts=("top_k",), stream_options=False),
        models=(
            (
                "*claude*",
                traits_for(
                    "Databricks",
                    *_DATABRICKS,
                    accepts=("top_k", "cache_control"),
                    stream_options=False,
                    reasoning="thinking",
                ),
            ),
        ),
        docs="https://docs.databricks.com/aws/machine-learning/foundation-model-apis/api-reference",
        notes=(
            "A model's name is its serving endpoint's.",
            "Claude's thinking comes as chunks of the content (`type: reasoning`) and is read as thinking.",
            "Streams tell the token counts with every chunk: the last ones count.",
            "Errors are `{error_code, message}` and are read as such.",
        ),
    ),
    "deepinfra": Preset(
        title="DeepInfra",
        base_url="https://api.deepinfra.com/v1/openai",
        key_env="DEEPINFRA_TOKEN",
        embeddings=True,
        completions=True,
        traits=traits_for("DeepInfra", accepts=SAMPLERS),
        docs="https://deepinfra.com/docs/openai_api",
        notes=(SPLIT_CONTENT,),
    ),
    "fireworks": Preset(
        title="Fireworks AI",
        base_url="https://api.fireworks.ai/inference/v1",
        key_env="FIREWORKS_API_KEY",
        embeddings=True,
        completions=True,
        responses=True,
        traits=traits_for("Fireworks", accepts=SAMPLERS),
        docs="https://docs.fireworks.ai/tools-sdks/openai-compatibility",
        notes=(
            SPLIT_CONTENT,
            (
                "A prompt that is too long together with `max_tokens` is not refused: Fireworks lowers the limit, "
                "unless the request says `context_length_exceeded_behavior: error`."
            ),
            "Which efforts a model knows differs; Fireworks refuses others, and its answer is passed on.",
        ),
    ),
    "github": Preset(
        title="GitHub Models",
        base_url="https://models.github.ai/inference",
        key_env="GITHUB_TOKEN",
        embeddings=True,
        traits=traits_for("GitHub Models", *OPENAI_ALONE),
        docs="https://docs.github.com/en/rest/models/inference",
        notes=(
            (
                "GitHub ended this service on 2026-07-30 for all customers. The preset remains for servers that speak "
                "as it did; `gateway check` warns of it."
            ),
        ),
        retired="2026-07-30",
    ),
    "groq": Preset(
        title="Groq",
        base_url="https://api.groq.com/openai/v1",
        key_env="GROQ_API_KEY",
        responses=True,
        traits=traits_for(
            "Groq",
            *LOGPROBS,
            "logit_bias",
            "messages.name",
            "n",
            *OPENAI_ALONE,
            max_tokens="max_completion_tokens",
            reasoning_field="reasoning",
        ),
        docs="https://console.groq.com/docs/openai",
        notes=(
            SPLIT,
            "A stream's token counts may stand in `x_groq`: they are counted.",
            "What its compound models ran (`executed_tools`) reaches callers of chat completions.",
            (
                "A tool call that the model got wrong is a 400 `tool_use_failed` with `failed_generation`, in a stream "
                "an `error` event without an end mark: both are told as errors."
            ),
        ),
    ),
    "huggingface": Preset(
        title="Hugging Face Inference Providers",
        base_url="https://router.huggingface.co/v1",
        key_env="HF_TOKEN",
        responses=True,
        traits=traits_for("Hugging Face"),
        docs="https://huggingface.co/docs/inference-providers/index",
        notes=(
            (
                "It passes requests on to other providers (`model:provider`, `model:fastest`, `model:cheapest`): what "
                "is taken depends on which one answers."
            ),
            "Some of them end a stream without `[DONE]`: it counts as whole where every choice has its finish reason.",
        ),
    ),
    "ion": Preset(
        title="Ion (IonRouter by Cumulus Labs)",
        base_url="https://api.ionrouter.io/v1",
        key_env="IONROUTER_API_KEY",
        traits=traits_for("Ion"),
        docs="https://cumuluslabs.io/glossary/ion-engine",
        notes=("Its documentation names no differences: it is sent the oldest spelling, which all servers read.",),
    ),
    "nvidia": Preset(
        title="NVIDIA NIM",
        base_url="https://integrate.api.nvidia.com/v1",
        key_env="NVIDIA_API_KEY",
        embeddings=True,
        traits=traits_for("NVIDIA"),
        docs="https://docs.api.nvidia.com/nim/reference/llm-apis",
        notes=(
            SPLIT_CONTENT,
            "A model's own switches (`chat_template_kwargs`) pass for callers of chat completions.",
            "For a NIM of one's own set `base_url`; no key is needed then.",
        ),
    ),
    "openrouter": Preset(
        title="OpenRouter",
        base_url="https://openrouter.ai/api/v1",
        key_env="OPENROUTER_API_KEY",
        embeddings=True,
        completions=True,
        responses=True,
        traits=traits_for(
            "OpenRouter",
            accepts=(*SAMPLERS, "cache_control", "reasoning_details", "video_url"),
            reasoning="reasoning",
            reasoning_field="reasoning",
        ),
        docs="https://openrouter.ai/docs/api-reference/parameters",
        notes=(
            "Thinking with signatures travels as `reasoning_details` and comes back on the next turn unchanged.",
            (
                "It tells the cost of each call, and with a key of your own at the maker what that one charged: both "
                "are booked."
            ),
            (
                "Which fields are taken depends on the provider that answers; `provider: {require_parameters: true}` "
                "in the request makes it choose one that takes them all."
            ),
            "An error may come inside a stream, or in a choice of a reply with status 200: it is told as an error.",
        ),
    ),
    "sambanova": Preset(
        title="SambaNova",
        base_url="https://api.sambanova.ai/v1",
        key_env="SAMBANOVA_API_KEY",
        embeddings=True,
        traits=traits_for("SambaNova", *LOGPROBS, *PENALTIES, "logit_bias", "n", "seed", accepts=("top_k",)),
        docs="https://docs.sambanova.ai/docs/en/features/openai-compatibility",
        notes=('It speaks Anthropic\'s messages as well: `use = "anthropic"` with its address asks by them.',),
    ),
    "together": Preset(
        title="Together AI",
        base_url="https://api.together.ai/v1",
        key_env="TOGETHER_API_KEY",
        embeddings=True,
        completions=True,
        rerank=True,
        traits=traits_for("Together", accepts=(*SAMPLERS, "video_url"), reasoning_field="reasoning"),
        docs="https://docs.together.ai/docs/inference/openai-compatibility",
        notes=(
            SPLIT,
            "The finish reason `eos` is read as `stop`; cached tokens stand in `cached_tokens` and are counted.",
            "`prompt` and `token_id` of its replies reach callers of chat completions.",
        ),
    ),
}
"""Preset name → preset."""
