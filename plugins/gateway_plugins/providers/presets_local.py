"""Servers on one's own machine: the address is the one that each listens on unless told otherwise."""

from __future__ import annotations

from gateway_plugins.providers.preset import SAMPLERS, SPLIT_CONTENT, Preset, traits_for

LOCAL: dict[str, Preset] = {
    "ollama": Preset(
        title="Ollama",
        base_url="http://127.0.0.1:11434/v1",
        embeddings=True,
        completions=True,
        responses=True,
        traits=traits_for("Ollama", "tool_choice", "logit_bias", "user", "n", reasoning_field="reasoning"),
        docs="https://docs.ollama.com/api/openai-compatibility",
    ),
    "vllm": Preset(
        title="vLLM",
        base_url="http://127.0.0.1:8000/v1",
        embeddings=True,
        completions=True,
        rerank=True,
        responses=True,
        traits=traits_for("vLLM", accepts=(*SAMPLERS, "video_url", "audio_url"), reasoning_field="reasoning"),
        docs="https://docs.vllm.ai/en/latest/serving/openai_compatible_server.html",
        notes=(
            (
                "Thinking comes as `reasoning` (older versions: `reasoning_content`) when the server was started with "
                "a reasoning parser, and is read as thinking in every dialect."
            ),
            (
                "Tools need `--enable-auto-tool-choice` and a tool parser; without them the server answers 400, which "
                "is passed on."
            ),
            "A model's own switches (`chat_template_kwargs`) pass for callers of chat completions.",
        ),
    ),
    "llama_cpp": Preset(
        title="llama.cpp server",
        base_url="http://127.0.0.1:8080/v1",
        embeddings=True,
        completions=True,
        rerank=True,
        responses=True,
        traits=traits_for("llama.cpp", accepts=SAMPLERS, renames={"repetition_penalty": "repeat_penalty"}),
        docs="https://github.com/ggml-org/llama.cpp/tree/master/tools/server",
        notes=(SPLIT_CONTENT, "Tools need `--jinja`.", "`timings` of its replies reach callers of chat completions."),
    ),
    "lm_studio": Preset(
        title="LM Studio",
        base_url="http://127.0.0.1:1234/v1",
        embeddings=True,
        completions=True,
        responses=True,
        traits=traits_for(
            "LM Studio", accepts=("top_k", "repetition_penalty"), renames={"repetition_penalty": "repeat_penalty"}
        ),
        docs="https://lmstudio.ai/docs/developer/openai-compat",
        notes=(SPLIT_CONTENT,),
    ),
    "sglang": Preset(
        title="SGLang",
        base_url="http://127.0.0.1:30000/v1",
        embeddings=True,
        completions=True,
        rerank=True,
        traits=traits_for("SGLang", accepts=(*SAMPLERS, "video_url", "audio_url")),
        docs="https://docs.sglang.ai/basic_usage/openai_api_completions.html",
        notes=(SPLIT_CONTENT, "Thinking is told apart when the server was started with `--reasoning-parser`."),
    ),
    "tgi": Preset(
        title="Text Generation Inference",
        base_url="http://127.0.0.1:8080/v1",
        completions=True,
        traits=traits_for("TGI", "logit_bias", "n"),
        docs="https://huggingface.co/docs/text-generation-inference/messages_api",
        notes=(
            "`n` and `logit_bias` are in its interface and have no effect, so they are named instead of sent.",
            "Errors are `{error, error_type}`, and in streams an `error` event: both are read.",
        ),
    ),
}
"""Preset name → preset."""
