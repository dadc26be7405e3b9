"""What an application does with the anthropic package; run by the package's own environment, prints JSON.

    python ask_with_anthropic.py BASE_URL KEY MODEL...

For each model: what each scene came to, or the error that ended it.
"""

from __future__ import annotations

import json
import sys
from collections.abc import Callable
from secrets import token_hex
from typing import Any

import anthropic
from anthropic import Anthropic
from pydantic import BaseModel

QUESTION: Any = [{"role": "user", "content": "What is the weather in Paris?"}]
WEATHER: Any = {
    "name": "get_weather",
    "description": "The weather of a city.",
    "input_schema": {"type": "object", "properties": {"city": {"type": "string"}}, "required": ["city"]},
}


class City(BaseModel):
    name: str
    country: str
    population: int


def whole(client: Anthropic, model: str) -> Any:
    answer = client.messages.create(model=model, max_tokens=50, system="Be brief.", messages=QUESTION)
    return {
        "text": "".join(block.text for block in answer.content if block.type == "text"),
        "type": answer.type,
        "role": answer.role,
        "stop_reason": answer.stop_reason,
        "usage": {"input": answer.usage.input_tokens, "output": answer.usage.output_tokens},
    }


def raw(client: Anthropic, model: str) -> Any:
    answer = client.messages.with_raw_response.create(model=model, max_tokens=50, messages=QUESTION)
    return {"headers": {name.lower(): value for name, value in answer.headers.items()}, "status": answer.status_code}


def streamed(client: Anthropic, model: str) -> Any:
    with client.messages.stream(model=model, max_tokens=50, messages=QUESTION) as stream:
        pieces = list(stream.text_stream)
        message = stream.get_final_message()
    return {
        "text": "".join(pieces),
        "pieces": len([piece for piece in pieces if piece]),
        "stop_reason": message.stop_reason,
        "usage": {"input": message.usage.input_tokens, "output": message.usage.output_tokens},
    }


def tools(client: Anthropic, model: str) -> Any:
    first = client.messages.create(
        model=model, max_tokens=50, messages=QUESTION, tools=[WEATHER], tool_choice={"type": "any"}
    )
    call = next(block for block in first.content if block.type == "tool_use")
    turn: Any = [
        *QUESTION,
        {"role": "assistant", "content": [block.model_dump(exclude_none=True) for block in first.content]},
        {
            "role": "user",
            "content": [{"type": "tool_result", "tool_use_id": call.id, "content": "sunny, 21 degrees"}],
        },
    ]
    second = client.messages.create(model=model, max_tokens=50, messages=turn, tools=[WEATHER])
    return {
        "name": call.name,
        "input": call.input,
        "stop_reason": first.stop_reason,
        "answer": "".join(block.text for block in second.content if block.type == "text"),
        "answer_stop_reason": second.stop_reason,
    }


def streamed_tools(client: Anthropic, model: str) -> Any:
    with client.messages.stream(
        model=model, max_tokens=50, messages=QUESTION, tools=[WEATHER], tool_choice={"type": "any"}
    ) as stream:
        kinds = {event.type for event in stream}
        message = stream.get_final_message()
    call = next(block for block in message.content if block.type == "tool_use")
    return {"kinds": sorted(kinds), "name": call.name, "input": call.input, "stop_reason": message.stop_reason}


TWICE: Any = [{"role": "user", "content": "Call for Paris and for London."}]
PIXEL = "iVBORw0KGgoAAAANSUhEUgAAAAEAAAABCAYAAAAfFcSJAAAADUlEQVR42mNk+M9QDwADhgGAWjR9awAAAABJRU5ErkJggg=="


def said(content: Any) -> list[Any]:
    """The blocks of an answer as an application sends them back."""
    return [block.model_dump(exclude_none=True) for block in content]


def second_turn(client: Anthropic, model: str, content: Any, **more: Any) -> Any:
    """Answer the calls of the first turn, and read what the provider says it got."""
    calls = [block for block in content if block.type == "tool_use"]
    results = [
        {"type": "tool_result", "tool_use_id": call.id, "content": f"sunny in {call.input['city']}"} for call in calls
    ]
    turn: Any = [*TWICE, {"role": "assistant", "content": said(content)}, {"role": "user", "content": results}]
    answer = client.messages.create(model=model, max_tokens=4000, messages=turn, tools=[WEATHER], **more)
    got = json.loads("".join(block.text for block in answer.content if block.type == "text"))
    return {
        "kinds": [block.type for block in content],
        "inputs": [call.input for call in calls],
        "thinking": [block.thinking for block in content if block.type == "thinking"],
        "same_ids": got["calls"] == [call.id for call in calls],
        "got": got,
    }


def parallel(client: Anthropic, model: str) -> Any:
    first = client.messages.create(model=model, max_tokens=4000, messages=TWICE, tools=[WEATHER])
    return second_turn(client, model, first.content)


def streamed_parallel(client: Anthropic, model: str) -> Any:
    with client.messages.stream(model=model, max_tokens=4000, messages=TWICE, tools=[WEATHER]) as stream:
        first = stream.get_final_message()
    return second_turn(client, model, first.content)


def thinking(client: Anthropic, model: str) -> Any:
    think: Any = {"thinking": {"type": "enabled", "budget_tokens": 1024}}
    first = client.messages.create(model=model, max_tokens=4000, messages=TWICE, tools=[WEATHER], **think)
    return second_turn(client, model, first.content, **think)


def streamed_thinking(client: Anthropic, model: str) -> Any:
    think: Any = {"thinking": {"type": "enabled", "budget_tokens": 1024}}
    with client.messages.stream(model=model, max_tokens=4000, messages=TWICE, tools=[WEATHER], **think) as stream:
        first = stream.get_final_message()
    return second_turn(client, model, first.content, **think)


def image(client: Anthropic, model: str) -> Any:
    source = {"type": "base64", "media_type": "image/png", "data": PIXEL}
    content: Any = [{"type": "text", "text": "Describe what you got."}, {"type": "image", "source": source}]
    answer = client.messages.create(model=model, max_tokens=50, messages=[{"role": "user", "content": content}])
    return json.loads("".join(block.text for block in answer.content if block.type == "text"))["images"]


def counted(client: Anthropic, model: str) -> Any:
    answer = client.messages.with_raw_response.count_tokens(model=model, messages=QUESTION, tools=[WEATHER])
    headers = {name.lower() for name in answer.headers}
    return {"tokens": answer.parse().input_tokens, "estimated": "x-gateway-estimated" in headers}


def structured(client: Anthropic, model: str) -> Any:
    answer = client.messages.parse(model=model, max_tokens=100, messages=QUESTION, output_format=City)
    city = answer.parsed_output
    assert city is not None
    return city.model_dump()


def listed(client: Anthropic, model: str) -> Any:
    found = list(client.models.list())
    return {"ids": [m.id for m in found], "types": sorted({m.type for m in found})}


def wrong_key(client: Anthropic, model: str) -> Any:
    client.with_options(api_key="sk-not-mine").messages.create(model=model, max_tokens=50, messages=QUESTION)


def unknown_model(client: Anthropic, model: str) -> Any:
    client.messages.create(model=f"{model.partition('/')[0]}x/none", max_tokens=50, messages=QUESTION)


def bad_request(client: Anthropic, model: str) -> Any:
    nothing: Any = "this is no list"
    client.messages.create(model=model, max_tokens=50, messages=nothing)


def failures(client: Anthropic, model: str) -> Any:
    """What an application catches for what a provider refuses: whole, then as a stream.

    Each of a model of its own: the gateway leaves alone for a while who asked for it.
    """

    def ask(kind: str, *, stream: bool) -> Any:
        turn: Any = [{"role": "user", "content": f"Fail: {kind}"}]
        try:
            client.messages.create(model=f"{model}-{token_hex(2)}", max_tokens=50, messages=turn, stream=stream)
        except anthropic.APIStatusError as error:
            body: Any = error.body
            shown = {"type": body["error"]["type"], "retry_after": error.response.headers.get("retry-after")}
            return {"error": type(error).__name__, "status": error.status_code, "message": error.message, **shown}
        return "no error"

    kinds = ("context_length", "authentication", "overloaded", "rate_limit")
    return {kind: [ask(kind, stream=False), ask(kind, stream=True)] for kind in kinds}


SCENES: tuple[Callable[[Anthropic, str], Any], ...] = (
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
    counted,
    listed,
    wrong_key,
    unknown_model,
    bad_request,
    failures,
)


def played(scene: Callable[[Anthropic, str], Any], client: Anthropic, model: str) -> Any:
    """What a scene returned, or its error as the package shows it to applications."""
    try:
        return scene(client, model)
    except anthropic.APIStatusError as error:
        shown = {"body": error.body, "request_id": error.request_id}
        return {"error": type(error).__name__, "status": error.status_code, "message": error.message, **shown}
    except Exception as error:  # noqa: BLE001  # reported, so that the other scenes are played
        return {"error": type(error).__name__, "message": str(error)}


def main() -> None:
    """Play all scenes with each model."""
    base_url, key, *models = sys.argv[1:]
    with Anthropic(base_url=base_url, api_key=key, max_retries=0) as client:
        out = {model: {scene.__name__: played(scene, client, model) for scene in SCENES} for model in models}
    json.dump({"version": anthropic.__version__, "models": out}, sys.stdout)


if __name__ == "__main__":
    main()
