"""The models of the scripted providers, and what each of them says and keeps."""

from __future__ import annotations

import scripted_anthropic
from tests.clients import scripted_answers, scripted_bedrock, scripted_gemini, scripted_openai, scripted_scenes

ECHO = "echo/echo"
COMPATIBLE = "compatible/gpt-scripted"
ANTHROPIC = "anthropic/claude-sonnet-4-6"
GEMINI = "gemini/gemini-3-flash-preview"
CONVERSE = "converse/us.anthropic.claude-sonnet-4-5-20250929-v1:0"
INVOKE = "bedrock/us.anthropic.claude-sonnet-4-5-20250929-v1:0"
COHERE = "cohere/command-a-reasoning-08-2025"

THOUGHT = scripted_scenes.THOUGHT
INPUTS = [given for _, given in scripted_scenes.CALLS]
CALL_IDS = [call_id for call_id, _ in scripted_scenes.CALLS]
RESULTS = ["sunny in Paris", "sunny in London"]
TEXTS = {
    ECHO: "What is the weather in Paris?",
    COMPATIBLE: scripted_openai.TEXT,
    ANTHROPIC: scripted_anthropic.TEXT,
    GEMINI: scripted_answers.TEXT,
    CONVERSE: scripted_answers.TEXT,
    INVOKE: scripted_anthropic.TEXT,
    COHERE: scripted_answers.TEXT,
}
THINKING = {
    COMPATIBLE: [THOUGHT],
    ANTHROPIC: [THOUGHT, scripted_scenes.REDACTED],
    GEMINI: [THOUGHT],
    CONVERSE: [THOUGHT, scripted_bedrock.REDACTED],
    INVOKE: [THOUGHT, scripted_scenes.REDACTED],
    COHERE: [THOUGHT],
}
"""What the provider must get back of its own thinking on the next turn, the hidden pieces included."""
SIGNATURES = {
    COMPATIBLE: None,
    ANTHROPIC: [scripted_scenes.SIGNATURE],
    GEMINI: [scripted_gemini.SIGNATURE],
    CONVERSE: [scripted_bedrock.SIGNATURE],
    INVOKE: [scripted_scenes.SIGNATURE],
    COHERE: None,
}
"""The signatures that it must get back byte by byte; None where it signs nothing."""
RETRY_AFTER = {COMPATIBLE: "7", ANTHROPIC: "7", GEMINI: "7", CONVERSE: "1", INVOKE: "1", COHERE: "1"}
"""Seconds; 1 is the gateway's own where the provider did not say."""


def check_replay(model: str, got: dict[str, object]) -> None:
    """Hold what the provider got on the second turn to what it said on the first."""
    assert got["results"] == RESULTS
    assert got["thinking"] == THINKING[model]
    assert got.get("signatures") == SIGNATURES[model]
    if model == GEMINI:
        assert got["signed_calls"] == INPUTS[:1], "a signature belongs to the call that it came with"
