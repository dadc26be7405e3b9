"""The features of requests."""

from __future__ import annotations

from tests.golden.speech import (
    CLOSED,
    PART,
    PDF,
    PNG,
    SCHEMA,
    USER,
    WAV,
    Feature,
    Json,
    chat,
    feature,
    gemini,
    input_of,
    messages,
    of_user,
    parts_of,
    responses,
)

C_TOOL: Json = {"type": "function", "function": {"name": "mktool", "description": "mkwhat", "parameters": SCHEMA}}
A_TOOL: Json = {"name": "mktool", "description": "mkwhat", "input_schema": SCHEMA}
R_TOOL: Json = {"type": "function", "name": "mktool", "description": "mkwhat", "parameters": SCHEMA}
G_TOOL: Json = {"functionDeclarations": [{"name": "mktool", "description": "mkwhat", "parametersJsonSchema": SCHEMA}]}
TOOLS: dict[str, Json] = {
    "chat": {"tools": [C_TOOL]},
    "messages": {"tools": [A_TOOL]},
    "responses": {"tools": [R_TOOL]},
    "gemini": {"tools": [G_TOOL]},
}
G_TWO = [{"functionDeclarations": [*G_TOOL["functionDeclarations"], {"name": "other", "description": "x"}]}]
ARGUMENTS = '{"mkcity":"mkparis"}'

C_CALL: Json = {"id": "call_1", "type": "function", "function": {"name": "mktool", "arguments": ARGUMENTS}}
C_ASKED: Json = {"role": "assistant", "content": None, "tool_calls": [C_CALL]}
C_RESULT: Json = {"role": "tool", "tool_call_id": "call_1", "content": "mkresult"}
A_CALL: Json = {"type": "tool_use", "id": "call_1", "name": "mktool", "input": {"mkcity": "mkparis"}}
A_RESULT: Json = {"type": "tool_result", "tool_use_id": "call_1", "content": "mkresult"}
R_CALL: Json = {"type": "function_call", "call_id": "call_1", "name": "mktool", "arguments": ARGUMENTS}
R_RESULT: Json = {"type": "function_call_output", "call_id": "call_1", "output": "mkresult"}
G_CALL: Json = {"functionCall": {"name": "mktool", "args": {"mkcity": "mkparis"}}}
G_RESULT: Json = {"functionResponse": {"name": "mktool", "response": {"output": "mkresult"}}}


def a_turns(*blocks: Json, result: Json = A_RESULT) -> list[Json]:
    """A conversation of messages in which the assistant called the tool."""
    return [USER, {"role": "assistant", "content": [*blocks, A_CALL]}, {"role": "user", "content": [result]}]


def g_turns(call: Json = G_CALL, result: Json = G_RESULT) -> list[Json]:
    """The same of Gemini."""
    return [PART, {"role": "model", "parts": [call]}, {"role": "user", "parts": [result]}]


PATCH: Json = {"name": "mkpatch", "description": "mkwhat"}
GRAMMAR: Json = {"syntax": "lark", "definition": "mkgrammar"}
C_IMAGE: Json = {"type": "image_url", "image_url": {"url": f"data:image/png;base64,{PNG}"}}
A_IMAGE: Json = {"type": "image", "source": {"type": "base64", "media_type": "image/png", "data": PNG}}
R_IMAGE: Json = {"type": "input_image", "image_url": f"data:image/png;base64,{PNG}"}
CACHE: Json = {"cache_control": {"type": "ephemeral", "ttl": "1h"}}
THOUGHT: Json = {"type": "thinking", "thinking": "mkthought", "signature": "mksignature"}
REDACTED: Json = {"type": "redacted_thinking", "data": "mkredacted"}

REQUESTS: list[Feature] = [
    feature(
        "Tools",
        "tool definitions",
        chat=chat(**TOOLS["chat"]),
        messages=messages(**TOOLS["messages"]),
        responses=responses(**TOOLS["responses"]),
        gemini=gemini(**TOOLS["gemini"]),
    ),
    feature(
        "Tools",
        "strict tool schema",
        chat=chat(
            tools=[{"type": "function", "function": {"name": "t", "parameters": CLOSED, "strict": True}}],
            without={"tools": [{"type": "function", "function": {"name": "t", "parameters": CLOSED}}]},
        ),
        messages=messages(
            tools=[{"name": "t", "input_schema": CLOSED, "strict": True}],
            without={"tools": [{"name": "t", "input_schema": CLOSED}]},
        ),
        responses=responses(
            tools=[{"type": "function", "name": "t", "parameters": CLOSED, "strict": True}],
            without={"tools": [{"type": "function", "name": "t", "parameters": CLOSED, "strict": False}]},
        ),
    ),
    feature(
        "Tools",
        "choice: must call",
        chat=chat(**TOOLS["chat"], tool_choice="required", without=TOOLS["chat"]),
        messages=messages(**TOOLS["messages"], tool_choice={"type": "any"}, without=TOOLS["messages"]),
        responses=responses(**TOOLS["responses"], tool_choice="required", without=TOOLS["responses"]),
        gemini=gemini(
            **TOOLS["gemini"], toolConfig={"functionCallingConfig": {"mode": "ANY"}}, without=TOOLS["gemini"]
        ),
    ),
    feature(
        "Tools",
        "choice: must not call",
        chat=chat(**TOOLS["chat"], tool_choice="none", without=TOOLS["chat"]),
        messages=messages(**TOOLS["messages"], tool_choice={"type": "none"}, without=TOOLS["messages"]),
        responses=responses(**TOOLS["responses"], tool_choice="none", without=TOOLS["responses"]),
        gemini=gemini(
            **TOOLS["gemini"], toolConfig={"functionCallingConfig": {"mode": "NONE"}}, without=TOOLS["gemini"]
        ),
    ),
    feature(
        "Tools",
        "choice: one tool",
        chat=chat(
            **TOOLS["chat"],
            tool_choice={"type": "function", "function": {"name": "mktool"}},
            without=TOOLS["chat"],
        ),
        messages=messages(
            **TOOLS["messages"], tool_choice={"type": "tool", "name": "mktool"}, without=TOOLS["messages"]
        ),
        responses=responses(
            **TOOLS["responses"], tool_choice={"type": "function", "name": "mktool"}, without=TOOLS["responses"]
        ),
        gemini=gemini(
            tools=G_TWO,
            toolConfig={"functionCallingConfig": {"mode": "ANY", "allowedFunctionNames": ["mktool"]}},
            without={"tools": G_TWO, "toolConfig": {"functionCallingConfig": {"mode": "ANY"}}},
        ),
    ),
    feature(
        "Tools",
        "no parallel calls",
        chat=chat(**TOOLS["chat"], parallel_tool_calls=False, without=TOOLS["chat"]),
        messages=messages(
            **TOOLS["messages"],
            tool_choice={"type": "auto", "disable_parallel_tool_use": True},
            without={**TOOLS["messages"], "tool_choice": {"type": "auto"}},
        ),
        responses=responses(**TOOLS["responses"], parallel_tool_calls=False, without=TOOLS["responses"]),
    ),
    feature(
        "Tools",
        "custom tool (free text)",
        chat=chat(tools=[{"type": "custom", "custom": PATCH}]),
        responses=responses(tools=[{"type": "custom", **PATCH}]),
    ),
    feature(
        "Tools",
        "custom tool's grammar",
        chat=chat(
            tools=[{"type": "custom", "custom": {**PATCH, "format": {"type": "grammar", "grammar": GRAMMAR}}}],
            without={"tools": [{"type": "custom", "custom": PATCH}]},
        ),
        responses=responses(
            tools=[{"type": "custom", **PATCH, "format": {"type": "grammar", **GRAMMAR}}],
            without={"tools": [{"type": "custom", **PATCH}]},
        ),
    ),
    feature(
        "Tools",
        "call and result in the history",
        chat=chat([USER, C_ASKED, C_RESULT], **TOOLS["chat"]),
        messages=messages(a_turns(), **TOOLS["messages"]),
        responses=responses([USER, R_CALL, R_RESULT], **TOOLS["responses"]),
        gemini=gemini(g_turns(), **TOOLS["gemini"]),
    ),
    feature(
        "Tools",
        "custom call in the history",
        chat=chat(
            [
                USER,
                {
                    "role": "assistant",
                    "tool_calls": [{"id": "c", "type": "custom", "custom": {"name": "mkpatch", "input": "mktext"}}],
                },
                {"role": "tool", "tool_call_id": "c", "content": "mkresult"},
            ],
            tools=[{"type": "custom", "custom": PATCH}],
        ),
        responses=responses(
            [
                USER,
                {"type": "custom_tool_call", "call_id": "c", "name": "mkpatch", "input": "mktext"},
                {"type": "custom_tool_call_output", "call_id": "c", "output": "mkresult"},
            ],
            tools=[{"type": "custom", **PATCH}],
        ),
    ),
    feature(
        "Tools",
        "failed result",
        messages=messages(
            a_turns(result={**A_RESULT, "is_error": True}),
            **TOOLS["messages"],
            without={"messages": a_turns(), **TOOLS["messages"]},
        ),
    ),
    feature(
        "Tools",
        "image in a result",
        chat=chat([USER, C_ASKED, {**C_RESULT, "content": [C_IMAGE]}], **TOOLS["chat"]),
        messages=messages(a_turns(result={**A_RESULT, "content": [A_IMAGE]}), **TOOLS["messages"]),
        responses=responses([USER, R_CALL, {**R_RESULT, "output": [R_IMAGE]}], **TOOLS["responses"]),
    ),
    feature(
        "Tools",
        "web search at the provider",
        chat=chat(web_search_options={}),
        messages=messages(tools=[{"type": "web_search_20250305", "name": "web_search"}]),
        responses=responses(tools=[{"type": "web_search"}]),
        gemini=gemini(tools=[{"googleSearch": {}}]),
    ),
    feature(
        "Tools",
        "thought signature of a call",
        chat=chat(
            [
                USER,
                {
                    "role": "assistant",
                    "tool_calls": [{**C_CALL, "extra_content": {"google": {"thought_signature": "bWs="}}}],
                },
                C_RESULT,
            ],
            **TOOLS["chat"],
            without={"messages": [USER, C_ASKED, C_RESULT], **TOOLS["chat"]},
        ),
        gemini=gemini(
            g_turns({**G_CALL, "thoughtSignature": "bWs="}),
            **TOOLS["gemini"],
            without={"contents": g_turns(), **TOOLS["gemini"]},
        ),
    ),
    feature(
        "Structured output",
        "JSON schema",
        chat=chat(
            response_format={"type": "json_schema", "json_schema": {"name": "mkshape", "schema": CLOSED}},
        ),
        messages=messages(output_config={"format": {"type": "json_schema", "schema": CLOSED}}),
        responses=responses(text={"format": {"type": "json_schema", "name": "mkshape", "schema": CLOSED}}),
        gemini=gemini(generationConfig={"responseMimeType": "application/json", "responseJsonSchema": CLOSED}),
    ),
    feature(
        "Structured output",
        "any JSON object",
        chat=chat(response_format={"type": "json_object"}),
        responses=responses(text={"format": {"type": "json_object"}}),
        gemini=gemini(generationConfig={"responseMimeType": "application/json"}),
    ),
    feature(
        "Messages",
        "system prompt",
        chat=chat([{"role": "system", "content": "mksystem"}, USER]),
        messages=messages(system="mksystem"),
        responses=responses(instructions="mksystem"),
        gemini=gemini(systemInstruction={"parts": [{"text": "mksystem"}]}),
    ),
    feature(
        "Messages",
        "developer message",
        chat=chat([{"role": "developer", "content": "mkdeveloper"}, USER]),
        responses=responses([{"role": "developer", "content": "mkdeveloper"}, USER]),
    ),
    feature(
        "Messages",
        "system message in mid-conversation",
        chat=chat(
            [USER, {"role": "assistant", "content": "Yes."}, {"role": "system", "content": "mksystem"}, USER],
            without={"messages": [USER, {"role": "assistant", "content": "Yes."}, USER]},
        ),
        messages=messages(
            [USER, {"role": "system", "content": "mksystem"}, {"role": "assistant", "content": "Yes."}, USER],
            without={"messages": [USER, {"role": "assistant", "content": "Yes."}, USER]},
        ),
    ),
    feature(
        "Messages",
        "name of a participant",
        chat=chat([{**USER, "name": "mkname"}]),
    ),
    feature(
        "Messages",
        "refusal in the history",
        chat=chat([USER, {"role": "assistant", "content": None, "refusal": "mkrefusal"}, USER]),
        responses=responses(
            [USER, {"role": "assistant", "content": [{"type": "refusal", "refusal": "mkrefusal"}]}, USER]
        ),
    ),
    feature(
        "Media",
        "image by URL",
        chat=chat(of_user({"type": "image_url", "image_url": {"url": "https://x/mkimage.png"}})),
        messages=messages(of_user({"type": "image", "source": {"type": "url", "url": "https://x/mkimage.png"}})),
        responses=responses(input_of({"type": "input_image", "image_url": "https://x/mkimage.png"})),
        gemini=gemini(parts_of({"fileData": {"mimeType": "image/png", "fileUri": "https://x/mkimage.png"}})),
    ),
    feature(
        "Media",
        "image as data",
        chat=chat(of_user(C_IMAGE)),
        messages=messages(of_user(A_IMAGE)),
        responses=responses(input_of(R_IMAGE)),
        gemini=gemini(parts_of({"inlineData": {"mimeType": "image/png", "data": PNG}})),
    ),
    feature(
        "Media",
        "image resolution",
        chat=chat(
            of_user({"type": "image_url", "image_url": {"url": f"data:image/png;base64,{PNG}", "detail": "low"}}),
            without={"messages": of_user(C_IMAGE)},
        ),
        responses=responses(input_of({**R_IMAGE, "detail": "low"}), without={"input": input_of(R_IMAGE)}),
    ),
    feature(
        "Media",
        "PDF as data",
        chat=chat(
            of_user(
                {"type": "file", "file": {"filename": "mkname.pdf", "file_data": f"data:application/pdf;base64,{PDF}"}}
            )
        ),
        messages=messages(
            of_user(
                {
                    "type": "document",
                    "title": "mkname.pdf",
                    "source": {"type": "base64", "media_type": "application/pdf", "data": PDF},
                }
            )
        ),
        responses=responses(
            input_of(
                {"type": "input_file", "filename": "mkname.pdf", "file_data": f"data:application/pdf;base64,{PDF}"}
            )
        ),
        gemini=gemini(parts_of({"inlineData": {"mimeType": "application/pdf", "data": PDF}})),
    ),
    feature(
        "Media",
        "PDF by URL",
        messages=messages(of_user({"type": "document", "source": {"type": "url", "url": "https://x/mk.pdf"}})),
        responses=responses(input_of({"type": "input_file", "file_url": "https://x/mk.pdf"})),
        gemini=gemini(parts_of({"fileData": {"mimeType": "application/pdf", "fileUri": "https://x/mk.pdf"}})),
    ),
    feature(
        "Media",
        "document of text",
        messages=messages(
            of_user(
                {
                    "type": "document",
                    "title": "mktitle",
                    "source": {"type": "text", "media_type": "text/plain", "data": "mkcontent"},
                }
            )
        ),
    ),
    feature(
        "Media",
        "citations of a document asked for",
        messages=messages(
            of_user(
                {
                    "type": "document",
                    "source": {"type": "text", "media_type": "text/plain", "data": "mkcontent"},
                    "citations": {"enabled": True},
                }
            ),
            without={
                "messages": of_user(
                    {"type": "document", "source": {"type": "text", "media_type": "text/plain", "data": "mkcontent"}}
                )
            },
        ),
    ),
    feature(
        "Media",
        "audio",
        chat=chat(of_user({"type": "input_audio", "input_audio": {"data": WAV, "format": "wav"}})),
        gemini=gemini(parts_of({"inlineData": {"mimeType": "audio/wav", "data": WAV}})),
    ),
    feature(
        "Media",
        "video by URL",
        chat=chat(of_user({"type": "video_url", "video_url": {"url": "https://x/mkvideo.mp4"}})),
        gemini=gemini(parts_of({"fileData": {"mimeType": "video/mp4", "fileUri": "https://x/mkvideo.mp4"}})),
    ),
    feature(
        "Media",
        "file by id",
        chat=chat(of_user({"type": "file", "file": {"file_id": "mkfile"}})),
        messages=messages(of_user({"type": "document", "source": {"type": "file", "file_id": "mkfile"}})),
        responses=responses(input_of({"type": "input_file", "file_id": "mkfile"})),
    ),
    feature(
        "Media",
        "audio as an answer",
        chat=chat(modalities=["text", "audio"], audio={"voice": "mkvoice", "format": "wav"}),
    ),
    feature(
        "Reasoning",
        "effort",
        chat=chat(reasoning_effort="high"),
        messages=messages(output_config={"effort": "high"}, thinking={"type": "adaptive"}),
        responses=responses(reasoning={"effort": "high"}),
        gemini=gemini(generationConfig={"thinkingConfig": {"thinkingLevel": "HIGH"}}),
    ),
    feature(
        "Reasoning",
        "budget in tokens",
        chat=chat(reasoning={"max_tokens": 2048}),
        messages=messages(thinking={"type": "enabled", "budget_tokens": 2048}),
        gemini=gemini(generationConfig={"thinkingConfig": {"thinkingBudget": 2048}}),
    ),
    feature(
        "Reasoning",
        "none",
        chat=chat(reasoning_effort="none"),
        messages=messages(thinking={"type": "disabled"}),
        responses=responses(reasoning={"effort": "none"}),
        gemini=gemini(generationConfig={"thinkingConfig": {"thinkingBudget": 0}}),
    ),
    feature(
        "Reasoning",
        "summary shown",
        messages=messages(
            thinking={"type": "adaptive", "display": "summarized"}, without={"thinking": {"type": "adaptive"}}
        ),
        responses=responses(reasoning={"effort": "high", "summary": "auto"}, without={"reasoning": {"effort": "high"}}),
        gemini=gemini(
            generationConfig={"thinkingConfig": {"thinkingLevel": "HIGH", "includeThoughts": True}},
            without={"generationConfig": {"thinkingConfig": {"thinkingLevel": "HIGH"}}},
        ),
    ),
    feature(
        "Reasoning",
        "signed thinking of Anthropic replayed",
        chat=chat(
            [
                USER,
                {
                    **C_ASKED,
                    "reasoning_details": [
                        {
                            "type": "reasoning.text",
                            "text": "mkthought",
                            "signature": "mksignature",
                            "format": "anthropic-claude-v1",
                            "index": 0,
                        }
                    ],
                },
                C_RESULT,
            ],
            **TOOLS["chat"],
        ),
        messages=messages(a_turns(THOUGHT), **TOOLS["messages"]),
    ),
    feature(
        "Reasoning",
        "redacted thinking of Anthropic replayed",
        chat=chat(
            [
                USER,
                {
                    **C_ASKED,
                    "reasoning_details": [
                        {
                            "type": "reasoning.encrypted",
                            "data": "mkredacted",
                            "format": "anthropic-claude-v1",
                            "index": 0,
                        }
                    ],
                },
                C_RESULT,
            ],
            **TOOLS["chat"],
        ),
        messages=messages(a_turns(REDACTED), **TOOLS["messages"]),
    ),
    feature(
        "Reasoning",
        "plain reasoning replayed",
        chat=chat([USER, {**C_ASKED, "reasoning_content": "mkthought"}, C_RESULT], **TOOLS["chat"]),
    ),
    feature(
        "Reasoning",
        "encrypted reasoning of OpenAI replayed",
        chat=chat(
            [
                USER,
                {
                    **C_ASKED,
                    "reasoning_details": [
                        {
                            "type": "reasoning.encrypted",
                            "data": "mkencrypted",
                            "id": "rs_1",
                            "format": "openai-responses-v1",
                            "index": 0,
                        }
                    ],
                },
                C_RESULT,
            ],
            **TOOLS["chat"],
        ),
        responses=responses(
            [
                USER,
                {"type": "reasoning", "id": "rs_1", "summary": [], "encrypted_content": "mkencrypted"},
                R_CALL,
                R_RESULT,
            ],
            **TOOLS["responses"],
        ),
    ),
    feature(
        "Prompt cache",
        "breakpoint with ttl",
        chat=chat(
            [{"role": "user", "content": [{"type": "text", "text": "Hello.", **CACHE}]}],
        ),
        messages=messages([{"role": "user", "content": [{"type": "text", "text": "Hello.", **CACHE}]}]),
    ),
    feature(
        "Prompt cache",
        "breakpoint at a tool",
        messages=messages(tools=[{**A_TOOL, **CACHE}], without=TOOLS["messages"]),
    ),
    feature(
        "Prompt cache",
        "cache key",
        chat=chat(prompt_cache_key="mkcache"),
        responses=responses(prompt_cache_key="mkcache"),
    ),
    feature(
        "Sampling",
        "limit of the answer",
        chat=chat(max_completion_tokens=1234),
        messages=messages(max_tokens=1234),
        responses=responses(max_output_tokens=1234),
        gemini=gemini(generationConfig={"maxOutputTokens": 1234}),
    ),
    feature(
        "Sampling",
        "temperature",
        chat=chat(temperature=0.25),
        messages=messages(temperature=0.25),
        responses=responses(temperature=0.25),
        gemini=gemini(generationConfig={"temperature": 0.25}),
    ),
    feature(
        "Sampling",
        "top_p",
        chat=chat(top_p=0.5),
        messages=messages(top_p=0.5),
        responses=responses(top_p=0.5),
        gemini=gemini(generationConfig={"topP": 0.5}),
    ),
    feature(
        "Sampling",
        "top_k",
        chat=chat(top_k=7),
        messages=messages(top_k=7),
        gemini=gemini(generationConfig={"topK": 7}),
    ),
    feature(
        "Sampling",
        "penalties",
        chat=chat(frequency_penalty=0.5, presence_penalty=0.25),
        gemini=gemini(generationConfig={"frequencyPenalty": 0.5, "presencePenalty": 0.25}),
    ),
    feature(
        "Sampling",
        "seed",
        chat=chat(seed=7),
        gemini=gemini(generationConfig={"seed": 7}),
    ),
    feature(
        "Sampling",
        "stop strings",
        chat=chat(stop=["mkstop"]),
        messages=messages(stop_sequences=["mkstop"]),
        gemini=gemini(generationConfig={"stopSequences": ["mkstop"]}),
    ),
    feature("Sampling", "logit bias", chat=chat(logit_bias={"50256": -100})),
    feature(
        "Sampling",
        "several answers",
        chat=chat(n=2),
        gemini=gemini(generationConfig={"candidateCount": 2}),
    ),
    feature(
        "Sampling",
        "log probabilities",
        chat=chat(logprobs=True, top_logprobs=3),
        responses=responses(top_logprobs=3, include=["message.output_text.logprobs"]),
        gemini=gemini(generationConfig={"responseLogprobs": True, "logprobs": 3}),
    ),
    feature("Sampling", "predicted output", chat=chat(prediction={"type": "content", "content": "mkpredicted"})),
    feature(
        "Sampling",
        "verbosity",
        chat=chat(verbosity="low"),
        responses=responses(text={"verbosity": "low"}),
    ),
    feature(
        "Account",
        "user",
        chat=chat(user="mkuser"),
        messages=messages(metadata={"user_id": "mkuser"}),
        responses=responses(safety_identifier="mkuser"),
    ),
    feature(
        "Account",
        "metadata",
        chat=chat(metadata={"mkkey": "mkvalue"}),
        responses=responses(metadata={"mkkey": "mkvalue"}),
    ),
    feature(
        "Account",
        "service tier",
        chat=chat(service_tier="flex"),
        messages=messages(service_tier="standard_only"),
        responses=responses(service_tier="flex"),
    ),
    feature("Account", "stored", chat=chat(store=True), responses=responses(store=True)),
    feature(
        "Account",
        "field that nobody knows",
        chat=chat(mkfield="mkvalue"),
        messages=messages(mkfield="mkvalue"),
        responses=responses(mkfield="mkvalue"),
        gemini=gemini(mkfield="mkvalue"),
    ),
]
"""Every row of the table of requests, in the order in which the page shows them."""
