"""Services of those who make the models that they serve, and who imitate OpenAI's interface.

Checked against each one's documentation in November 2026, and against recorded exchanges where there are any.
"""

from __future__ import annotations

from gateway_plugins.providers.preset import LOGPROBS, PENALTIES, SPLIT_CONTENT, Preset, traits_for
from gateway_plugins.providers.preset_mistral import mistral_traits

_EFFORTS = ("minimal", "low", "medium", "high", "xhigh", "max")
_XAI_OFF = ("logit_bias", "reasoning")
_XAI_THINKS = (*PENALTIES, "stop", "logit_bias")
_KIMI_FIXED = ("temperature", "top_p", "n", *PENALTIES)
_KIMI = ("logit_bias", "tools.strict", "tool_choice.required")
_ZAI = (
    *LOGPROBS,
    *PENALTIES,
    "logit_bias",
    "n",
    "seed",
    "messages.name",
    "tools.strict",
    "response_format.json_schema",
    "tool_choice.none",
    "tool_choice.required",
    "tool_choice.named",
)
_DEEPSEEK = ("n", "logit_bias", "parallel_tool_calls", "tools.strict", "response_format.json_schema")
_DEEPSEEK_RENAMES = {"user": "user_id"}

MAKERS: dict[str, Preset] = {
    "dashscope": Preset(
        title="Alibaba Cloud Model Studio",
        base_url="https://dashscope-intl.aliyuncs.com/compatible-mode/v1",
        key_env="DASHSCOPE_API_KEY",
        embeddings=True,
        responses=True,
        traits=traits_for(
            "Model Studio",
            "logit_bias",
            "frequency_penalty",
            "tool_choice.required",
            accepts=("top_k", "repetition_penalty", "video_url"),
            reasoning="enable_thinking",
        ),
        docs="https://www.alibabacloud.com/help/en/model-studio/compatibility-of-openai-with-dashscope",
        notes=(
            (
                "Reasoning is switched by `enable_thinking` and bounded by `thinking_budget`: an effort is sent as on "
                "or off and named, a budget is sent as it is."
            ),
            SPLIT_CONTENT,
            (
                "Keys belong to a region: for mainland China set "
                '`base_url = "https://dashscope.aliyuncs.com/compatible-mode/v1"`.'
            ),
            "Prompts of some models cost more by their length: the catalogue has the steps.",
        ),
    ),
    "deepseek": Preset(
        title="DeepSeek",
        base_url="https://api.deepseek.com",
        key_env="DEEPSEEK_API_KEY",
        responses=True,
        traits=traits_for(
            "DeepSeek",
            *_DEEPSEEK,
            renames=_DEEPSEEK_RENAMES,
            reasoning="thinking",
            efforts=("none", *_EFFORTS),
            while_reasoning=("temperature", *PENALTIES),
        ),
        models=(
            ("deepseek-chat*", traits_for("DeepSeek", *_DEEPSEEK, renames=_DEEPSEEK_RENAMES, reasoning="thinking")),
        ),
        docs="https://api-docs.deepseek.com/api/create-chat-completion",
        notes=(
            (
                "It thinks unless told not to: an effort of `none` is sent as `thinking: {type: disabled}`, others as "
                "`reasoning_effort`."
            ),
            (
                "`temperature` and the penalties have no effect while it thinks and draw no error there: they are "
                "named instead of sent."
            ),
            (
                "With tools it wants its `reasoning_content` back on every turn of the assistant: it is sent back, "
                "also where it went through another dialect."
            ),
            "A JSON schema is not enforced: it is asked for any JSON object, and the schema is named.",
            (
                "Cached tokens (`prompt_cache_hit_tokens`) are counted. Its cheaper hours are not: the full price is "
                "booked."
            ),
            "While it is busy it sends empty lines and `: keep-alive` comments, which are passed over.",
        ),
    ),
    "minimax": Preset(
        title="MiniMax",
        base_url="https://api.minimax.io/v1",
        key_env="MINIMAX_API_KEY",
        responses=True,
        traits=traits_for(
            "MiniMax",
            *PENALTIES,
            "logit_bias",
            "n",
            "tools.strict",
            accepts=("reasoning_details",),
            max_tokens="max_completion_tokens",
            defaults={"reasoning_split": True},
            reasoning="thinking_switch",
            thinking_on="adaptive",
        ),
        docs="https://platform.minimax.io/docs/api-reference/text-openai-api",
        notes=(
            "Translated requests ask for `reasoning_split`: otherwise thinking stands in `<think>` tags in the text.",
            "Thinking is on or off: an effort or a budget is sent as on and named. M2 models cannot stop thinking.",
            "`temperature` must be above 0 and at most 1; other values are refused by MiniMax.",
            "An error may come with status 200 in `base_resp`: it is read as the error that it is.",
        ),
    ),
    "mistral": Preset(
        title="Mistral AI",
        base_url="https://api.mistral.ai/v1",
        key_env="MISTRAL_API_KEY",
        embeddings=True,
        rewrites=True,
        traits=mistral_traits(),
        models=(("magistral*", mistral_traits(thinking=True)),),
        docs="https://docs.mistral.ai/api/endpoint/chat",
    ),
    "moonshot": Preset(
        title="Moonshot AI (Kimi)",
        base_url="https://api.moonshot.ai/v1",
        key_env="MOONSHOT_API_KEY",
        traits=traits_for("Moonshot", *_KIMI, "reasoning", max_tokens="max_completion_tokens"),
        models=(
            (
                "kimi-k3*",
                traits_for(
                    "Kimi K3",
                    *_KIMI,
                    *_KIMI_FIXED,
                    max_tokens="max_completion_tokens",
                    efforts=("low", "high", "max"),
                ),
            ),
            (
                "kimi-*",
                traits_for(
                    "Kimi K2",
                    *_KIMI,
                    *_KIMI_FIXED,
                    max_tokens="max_completion_tokens",
                    reasoning="thinking_switch",
                ),
            ),
        ),
        docs="https://platform.moonshot.ai/docs/guide/migrating-from-openai-to-kimi",
        notes=(
            "Kimi models have fixed sampling parameters and refuse others; the older `moonshot-v1` models take them.",
            "Kimi K3 takes an effort (`low`, `high`, `max`), K2 thinks or does not; K2.7-code and K3 always think.",
            SPLIT_CONTENT + " It is sent back on the next turn, as Kimi wants it.",
            'For mainland China set `base_url = "https://api.moonshot.cn/v1"`.',
        ),
    ),
    "perplexity": Preset(
        title="Perplexity",
        base_url="https://api.perplexity.ai/v1",
        key_env="PERPLEXITY_API_KEY",
        chat=False,
        responses=True,
        traits=traits_for("Perplexity"),
        docs="https://docs.perplexity.ai/docs/agent-api/openai-compatibility",
        notes=(
            (
                "Its Sonar chat completions ended on 2026-09-27. Its Agent API speaks OpenAI's responses, by which it "
                "is asked whatever the caller's dialect."
            ),
            "`sonar` is now `perplexity/sonar`; models of others are named `openai/…`, `anthropic/…`.",
            "It tells the cost of each call, with that of its searches and tools, and is believed.",
        ),
    ),
    "xai": Preset(
        title="xAI",
        base_url="https://api.x.ai/v1",
        key_env="XAI_API_KEY",
        responses=True,
        traits=traits_for("xAI", *_XAI_THINKS, max_tokens="max_completion_tokens", efforts=("low", "medium", "high")),
        models=(
            ("*non-reasoning*", traits_for("xAI", *_XAI_OFF, max_tokens="max_completion_tokens")),
            (
                "grok-3-mini*",
                traits_for("xAI", *_XAI_THINKS, max_tokens="max_completion_tokens", efforts=("low", "high")),
            ),
            ("grok-3*", traits_for("xAI", *_XAI_OFF, max_tokens="max_completion_tokens")),
            (
                "grok-4.3*",
                traits_for(
                    "xAI",
                    *_XAI_THINKS,
                    max_tokens="max_completion_tokens",
                    efforts=("none", "low", "medium", "high"),
                ),
            ),
            # These think, and refuse to be told how much.
            *(
                (pattern, traits_for("xAI", *_XAI_THINKS, "reasoning", max_tokens="max_completion_tokens"))
                for pattern in ("grok-4.20*", "grok-4", "grok-4-*", "grok-code*")
            ),
        ),
        docs="https://docs.x.ai/developers/model-capabilities/text/reasoning",
        notes=(
            "Its reasoning models refuse `stop` and the penalties; which efforts are known depends on the model.",
            "It tells the cost of each call (`cost_in_usd_ticks`), with that of its own tools, and is believed.",
            (
                'Reasoning is not shown in chat completions; with `format = "openai_responses"` its encrypted form '
                "comes, and goes back on the next turn."
            ),
        ),
    ),
    "zai": Preset(
        title="Z.ai (GLM)",
        base_url="https://api.z.ai/api/paas/v4",
        key_env="ZAI_API_KEY",
        traits=traits_for("Z.ai", *_ZAI, renames={"user": "user_id"}, reasoning="thinking_switch"),
        models=(
            (
                "glm-5.[23]*",
                traits_for(
                    "Z.ai",
                    *_ZAI,
                    renames={"user": "user_id"},
                    reasoning="thinking",
                    efforts=("none", "low", "high", "max"),
                ),
            ),
        ),
        docs="https://docs.z.ai/api-reference/llm/chat-completion",
        notes=(
            "Models up to GLM-5.1 think or do not; GLM-5.2 and 5.3 take an effort, and GLM-5.3 always thinks.",
            "The model chooses its tools itself: every `tool_choice` but `auto` is named and left out.",
            SPLIT_CONTENT + " It is sent back with tool results, as GLM wants it.",
            "A JSON schema is not enforced: it is asked for any JSON object, and the schema is named.",
        ),
    ),
}
"""Preset name → preset."""
