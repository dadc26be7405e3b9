"""What coding agents send, in their own headers and members: Codex CLI 0.169 and Claude Code 2.1, shortened."""

from __future__ import annotations

import json
from typing import Any

THREAD = "01a20da1-b60a-7023-948d-245f05c09739"
CODEX_HEADERS = {
    "accept": "text/event-stream",
    "originator": "codex_exec",
    "user-agent": "codex_exec/0.169.0 (Debian 12.0.0; x86_64) xterm (codex_exec; 0.169.0)",
    "session-id": THREAD,
    "thread-id": THREAD,
    "x-client-request-id": THREAD,
    "x-codex-beta-features": "remote_compaction_v2",
    "x-codex-window-id": f"{THREAD}:0",
    "x-codex-turn-metadata": json.dumps({"thread_id": THREAD, "sandbox": "none", "request_kind": "turn"}),
}
SHELL: dict[str, Any] = {
    "type": "function",
    "name": "exec_command",
    "description": "Runs a command in a PTY.",
    "strict": False,
    "parameters": {
        "type": "object",
        "properties": {"cmd": {"type": "string"}, "yield_time_ms": {"type": "number"}},
        "required": ["cmd"],
        "additionalProperties": False,
    },
}
GRAMMAR = 'start: begin_patch hunk+ end_patch\nbegin_patch: "*** Begin Patch" LF\n'
APPLY_PATCH: dict[str, Any] = {
    "type": "custom",
    "name": "apply_patch",
    "description": "Use the `apply_patch` tool to edit files. This is a FREEFORM tool.",
    "format": {"type": "grammar", "syntax": "lark", "definition": GRAMMAR},
}
PATCH = '*** Begin Patch\n*** Add File: "quoted".txt\n+héllo\t\\n\n*** End Patch\n'
TURN: list[dict[str, Any]] = [
    {"type": "message", "id": "msg_1", "role": "developer", "content": [{"type": "input_text", "text": "Be careful."}]},
    {"type": "message", "id": "msg_2", "role": "user", "content": [{"type": "input_text", "text": "Make two files."}]},
]


def codex(items: list[dict[str, Any]], *, namespaced: bool) -> dict[str, Any]:
    """A request of Codex's: tools as members, or as its newest models have them, in an item and in a namespace."""
    body: dict[str, Any] = {
        "model": "coder",
        "stream": True,
        "tool_choice": "auto",
        "parallel_tool_calls": True,
        "reasoning": {"effort": "medium", "summary": "auto"},
        "store": False,
        "include": ["reasoning.encrypted_content"],
        "prompt_cache_key": THREAD,
        "client_metadata": {"session_id": THREAD, "x-codex-turn-metadata": "{}"},
    }
    if not namespaced:
        return {**body, "instructions": "You are Codex.", "tools": [SHELL, APPLY_PATCH], "input": [*TURN, *items]}
    space = {"type": "namespace", "name": "functions", "description": "", "tools": [SHELL, APPLY_PATCH]}
    tools = {"type": "additional_tools", "id": "at_1", "role": "developer", "tools": [space]}
    return {**body, "text": {"verbosity": "low"}, "input": [tools, *TURN, *items]}


CLAUDE_HEADERS = {
    "anthropic-version": "2023-06-01",
    "anthropic-beta": "claude-code-20250219,interleaved-thinking-2025-05-14,thinking-token-count-2026-05-13,"
    "context-management-2025-06-27,prompt-caching-scope-2026-01-05,mid-conversation-system-2026-04-07,"
    "effort-2025-11-24",
    "anthropic-dangerous-direct-browser-access": "true",
    "user-agent": "claude-cli/2.1.197 (external, sdk-cli)",
    "x-app": "cli",
    "x-claude-code-session-id": "ab509216-e78b-4c57-bbbe-39a983f5fb18",
    "x-stainless-lang": "js",
    "x-stainless-retry-count": "0",
    "x-stainless-timeout": "600",
}
CACHED = {"cache_control": {"type": "ephemeral"}}
USER = json.dumps({"device_id": "1f" * 32, "account_uuid": "", "session_id": "ab509216-e78b-4c57-bbbe-39a983f5fb18"})
BASH: dict[str, Any] = {
    "name": "Bash",
    "description": "Executes a given bash command and returns its output.",
    "input_schema": {
        "$schema": "https://json-schema.org/draft/2020-12/schema",
        "type": "object",
        "properties": {
            "command": {"type": "string"},
            "description": {"type": "string"},
            "timeout": {"type": "number"},
        },
        "required": ["command"],
        "additionalProperties": False,
    },
}


def claude_code(turns: list[dict[str, Any]]) -> dict[str, Any]:
    """A request of Claude Code's: a first turn, and what has been said since."""
    reminder = {"type": "text", "text": "<system-reminder>\nToday's date is 2026-11-24.\n</system-reminder>"}
    first = {"role": "user", "content": [reminder, {"type": "text", "text": "Run two commands.", **CACHED}]}
    return {
        "model": "coder",
        "messages": [first, *turns],
        "system": [
            {"type": "text", "text": "x-anthropic-billing-header: cc_version=2.1.197;"},
            {"type": "text", "text": "You are a Claude agent.", **CACHED},
        ],
        "tools": [BASH],
        "metadata": {"user_id": USER},
        "max_tokens": 32000,
        "thinking": {"type": "adaptive"},
        "context_management": {"edits": [{"type": "clear_thinking_20251015", "keep": "all"}]},
        "output_config": {"effort": "high"},
        "stream": True,
    }
