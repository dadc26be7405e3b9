"""What an application does with the openai package; run by the package's own environment, prints JSON.

    python ask_with_openai.py BASE_URL KEY MODEL...

For each model: what each scene came to, or the error that ended it.
"""

from __future__ import annotations

import asyncio
import json
import sys
from collections.abc import Callable
from secrets import token_hex
from typing import Any

import openai
from openai import AsyncOpenAI, OpenAI
from pydantic import BaseModel

QUESTION: Any = [
    {"role": "system", "content": "Be brief."},
    {"role": "user", "content": "What is the weather in Paris?"},
]
WEATHER: Any = {
    "type": "function",
    "function": {
        "name": "get_weather",
        "description": "The weather of a city.",
        "parameters": {
            "type": "object",
            "properties": {"city": {"type": "string"}},
            "required": ["city"],
            "additionalProperties": False,
        },
    },
}


class City(BaseModel):
    name: str
    country: str
    population: int


def whole(client: OpenAI, model: str) -> Any:
    answer = client.chat.completions.create(model=model, messages=QUESTION, max_tokens=50)
    return {"text": answer.choices[0].message.content, **facts(answer)}


def raw(client: OpenAI, model: str) -> Any:
    answer = client.chat.completions.with_raw_response.create(model=model, messages=QUESTION, max_tokens=50)
    return {"headers": {name.lower(): value for name, value in answer.headers.items()}, "status": answer.status_code}


def streamed(client: OpenAI, model: str) -> Any:
    texts, ends, usage, ids = [], [], None, set()
    with client.chat.completions.create(
        model=model, messages=QUESTION, max_tokens=50, stream=True, stream_options={"include_usage": True}
    ) as stream:
        for chunk in stream:
            ids.add(chunk.id)
            usage = chunk.usage or usage
            for choice in chunk.choices:
                texts.append(choice.delta.content or "")
                ends.append(choice.finish_reason)
    assert usage is not None
    return {
        "text": "".join(texts),
        "pieces": len([text for text in texts if text]),
        "finish": [end for end in ends if end],
        "usage": usage.model_dump(include={"prompt_tokens", "completion_tokens", "total_tokens"}),
        "ids": len(ids),
    }


def tools(client: OpenAI, model: str) -> Any:
    first = client.chat.completions.create(
        model=model, messages=QUESTION, max_tokens=50, tools=[WEATHER], tool_choice="required"
    )
    message = first.choices[0].message
    assert message.tool_calls
    call: Any = message.tool_calls[0]
    turn: Any = [
        *QUESTION,
        message.model_dump(exclude_none=True),
        {"role": "tool", "tool_call_id": call.id, "content": "sunny, 21 degrees"},
    ]
    second = client.chat.completions.create(
        model=model, messages=turn, max_tokens=50, tools=[WEATHER], tool_choice="auto"
    )
    return {
        "name": call.function.name,
        "arguments": json.loads(call.function.arguments),
        "finish": first.choices[0].finish_reason,
        "answer": second.choices[0].message.content,
        "answer_finish": second.choices[0].finish_reason,
    }


def streamed_tools(client: OpenAI, model: str) -> Any:
    with client.chat.completions.stream(
        model=model, messages=QUESTION, max_tokens=50, tools=[WEATHER], tool_choice="required"
    ) as stream:
        kinds = {event.type for event in stream}
        answer = stream.get_final_completion()
    message: Any = answer.choices[0].message
    call = message.tool_calls[0]
    return {
        "kinds": sorted(kinds),
        "name": call.function.name,
        "arguments": json.loads(call.function.arguments),
        "finish": answer.choices[0].finish_reason,
    }


TWICE: Any = [{"role": "user", "content": "Call for Paris and for London."}]
PIXEL = "iVBORw0KGgoAAAANSUhEUgAAAAEAAAABCAYAAAAfFcSJAAAADUlEQVR42mNk+M9QDwADhgGAWjR9awAAAABJRU5ErkJggg=="


def second_turn(client: OpenAI, model: str, message: Any, **more: Any) -> Any:
    """Answer the calls of the first turn, and read what the provider says it got."""
    calls = message["tool_calls"]
    inputs = [json.loads(call["function"]["arguments"]) for call in calls]
    results: Any = [
        {"role": "tool", "tool_call_id": call["id"], "content": f"sunny in {given['city']}"}
        for call, given in zip(calls, inputs, strict=True)
    ]
    answer = client.chat.completions.create(
        model=model, messages=[*TWICE, message, *results], max_tokens=4000, tools=[WEATHER], **more
    )
    got = json.loads(answer.choices[0].message.content or "")
    return {
        "inputs": inputs,
        "thinking": message.get("reasoning_content"),
        "same_ids": got["calls"] == [call["id"] for call in calls],
        "got": got,
    }


def first_turn(client: OpenAI, model: str, **more: Any) -> Any:
    answer = client.chat.completions.create(model=model, messages=TWICE, max_tokens=4000, tools=[WEATHER], **more)
    return answer.choices[0].message.model_dump(exclude_none=True)


def streamed_turn(client: OpenAI, model: str, **more: Any) -> Any:
    """The message that an application puts together from the chunks, as OpenAI's and OpenRouter's pages show."""
    message: Any = {"role": "assistant", "content": None, "tool_calls": []}
    with client.chat.completions.create(
        model=model, messages=TWICE, max_tokens=4000, tools=[WEATHER], stream=True, **more
    ) as stream:
        for chunk in stream:
            for choice in chunk.choices:
                delta: Any = choice.delta.model_dump(exclude_none=True)
                if "reasoning_content" in delta:
                    message["reasoning_content"] = message.get("reasoning_content", "") + delta["reasoning_content"]
                for detail in delta.get("reasoning_details", ()):
                    add_detail(message.setdefault("reasoning_details", []), detail)
                for call in delta.get("tool_calls") or ():
                    if call["index"] == len(message["tool_calls"]):
                        message["tool_calls"].append({key: value for key, value in call.items() if key != "index"})
                    else:
                        arguments = call["function"]["arguments"]
                        message["tool_calls"][call["index"]]["function"]["arguments"] += arguments
    return message


def add_detail(details: list[Any], detail: Any) -> None:
    """Join a piece of reasoning to the one with its index and type."""
    same = [item for item in details if (item["index"], item["type"]) == (detail["index"], detail["type"])]
    if not same:
        details.append(detail)
        return
    same[0]["text"] = same[0].get("text", "") + detail.get("text", "")
    same[0].update({key: value for key, value in detail.items() if key != "text"})


def parallel(client: OpenAI, model: str) -> Any:
    return second_turn(client, model, first_turn(client, model))


def streamed_parallel(client: OpenAI, model: str) -> Any:
    return second_turn(client, model, streamed_turn(client, model))


def thinking(client: OpenAI, model: str) -> Any:
    think: Any = {"reasoning_effort": "low"}
    return second_turn(client, model, first_turn(client, model, **think), **think)


def streamed_thinking(client: OpenAI, model: str) -> Any:
    think: Any = {"reasoning_effort": "low"}
    return second_turn(client, model, streamed_turn(client, model, **think), **think)


def image(client: OpenAI, model: str) -> Any:
    url = {"url": f"data:image/png;base64,{PIXEL}"}
    content: Any = [{"type": "text", "text": "Describe what you got."}, {"type": "image_url", "image_url": url}]
    answer = client.chat.completions.create(model=model, messages=[{"role": "user", "content": content}])
    return json.loads(answer.choices[0].message.content or "")["images"]


def structured(client: OpenAI, model: str) -> Any:
    answer = client.chat.completions.parse(model=model, messages=QUESTION, max_tokens=100, response_format=City)
    city = answer.choices[0].message.parsed
    assert city is not None
    return city.model_dump()


def embeddings(client: OpenAI, model: str) -> Any:
    default = client.embeddings.create(model=model, input=["one", "two"])
    floats = client.embeddings.create(model=model, input="one", encoding_format="float")
    same = all(abs(a - b) < 1e-6 for a, b in zip(default.data[0].embedding, floats.data[0].embedding, strict=True))
    return {"vectors": len(default.data), "size": len(default.data[0].embedding), "base64_equals_float": same}


def asynchronous(client: OpenAI, model: str) -> Any:
    async def ask() -> Any:
        async with AsyncOpenAI(base_url=client.base_url, api_key=client.api_key, max_retries=0) as other:
            answer = await other.chat.completions.create(model=model, messages=QUESTION, max_tokens=50)
            stream = await other.chat.completions.create(model=model, messages=QUESTION, max_tokens=50, stream=True)
            pieces = [chunk.choices[0].delta.content or "" async for chunk in stream if chunk.choices]
            return {"text": answer.choices[0].message.content, "streamed": "".join(pieces)}

    return asyncio.run(ask())


def listed(client: OpenAI, model: str) -> Any:
    return {"ids": [m.id for m in client.models.list()], "one": client.models.retrieve(model).id}


def wrong_key(client: OpenAI, model: str) -> Any:
    client.with_options(api_key="sk-not-mine").chat.completions.create(model=model, messages=QUESTION)


def unknown_model(client: OpenAI, model: str) -> Any:
    client.chat.completions.create(model=f"{model.partition('/')[0]}x/none", messages=QUESTION)


def bad_request(client: OpenAI, model: str) -> Any:
    nothing: Any = "this is no list"
    client.chat.completions.create(model=model, messages=nothing)


def failures(client: OpenAI, model: str) -> Any:
    """What an application catches for what a provider refuses: whole, then as a stream.

    Each of a model of its own: the gateway leaves alone for a while who asked for it.
    """

    def ask(kind: str, *, stream: bool) -> Any:
        turn: Any = [{"role": "user", "content": f"Fail: {kind}"}]
        try:
            client.chat.completions.create(model=f"{model}-{token_hex(2)}", messages=turn, max_tokens=50, stream=stream)
        except openai.APIStatusError as error:
            shown = {"code": error.code, "retry_after": error.response.headers.get("retry-after")}
            return {"error": type(error).__name__, "status": error.status_code, **shown}
        return "no error"

    kinds = ("context_length", "authentication", "overloaded", "rate_limit")
    return {kind: [ask(kind, stream=False), ask(kind, stream=True)] for kind in kinds}


def facts(answer: Any) -> dict[str, Any]:
    return {
        "finish": answer.choices[0].finish_reason,
        "object": answer.object,
        "id": answer.id,
        "role": answer.choices[0].message.role,
        "usage": answer.usage.model_dump(include={"prompt_tokens", "completion_tokens", "total_tokens"}),
    }


SCENES: tuple[Callable[[OpenAI, str], Any], ...] = (
    whole,
    raw,
    streamed,
    tools,
    streamed_tools,
    structured,
    parallel,
    streamed_parallel,
    thinking,
    streamed_thinking,
    image,
    embeddings,
    asynchronous,
    listed,
    wrong_key,
    unknown_model,
    bad_request,
    failures,
)


def played(scene: Callable[[OpenAI, str], Any], client: OpenAI, model: str) -> Any:
    """What a scene returned, or its error as the package shows it to applications."""
    try:
        return scene(client, model)
    except openai.APIStatusError as error:
        shown = {"code": error.code, "type": error.type, "param": error.param, "request_id": error.request_id}
        return {"error": type(error).__name__, "status": error.status_code, "message": error.message, **shown}
    except Exception as error:  # noqa: BLE001  # reported, so that the other scenes are played
        return {"error": type(error).__name__, "message": str(error)}


def main() -> None:
    """Play all scenes with each model."""
    base_url, key, *models = sys.argv[1:]
    with OpenAI(base_url=base_url, api_key=key, max_retries=0) as client:
        out = {model: {scene.__name__: played(scene, client, model) for scene in SCENES} for model in models}
    json.dump({"version": openai.__version__, "models": out}, sys.stdout)


if __name__ == "__main__":
    main()
