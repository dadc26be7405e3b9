"""What an application does with the openai package's responses; run by the package's own environment, prints JSON.

    python ask_responses_with_openai.py BASE_URL KEY MODEL...

For each model: what each scene came to, or the error that ended it.
"""

from __future__ import annotations

import json
import sys
from collections.abc import Callable
from secrets import token_hex
from typing import Any

import openai
from openai import OpenAI
from pydantic import BaseModel

QUESTION = "What is the weather in Paris?"
PIXEL = "iVBORw0KGgoAAAANSUhEUgAAAAEAAAABCAYAAAAfFcSJAAAADUlEQVR42mNk+M9QDwADhgGAWjR9awAAAABJRU5ErkJggg=="
TWICE = "Call for Paris and for London."
WEATHER: Any = {
    "type": "function",
    "name": "get_weather",
    "description": "The weather of a city.",
    "strict": True,
    "parameters": {
        "type": "object",
        "properties": {"city": {"type": "string"}},
        "required": ["city"],
        "additionalProperties": False,
    },
}


class City(BaseModel):
    name: str
    country: str
    population: int


def whole(client: OpenAI, model: str) -> Any:
    answer = client.responses.create(model=model, instructions="Be brief.", input=QUESTION, max_output_tokens=50)
    assert answer.usage is not None
    return {
        "text": answer.output_text,
        "status": answer.status,
        "object": answer.object,
        "instructions": answer.instructions,
        "usage": answer.usage.model_dump(include={"input_tokens", "output_tokens", "total_tokens"}),
    }


def streamed(client: OpenAI, model: str) -> Any:
    kinds, texts = [], []
    with client.responses.stream(model=model, instructions="Be brief.", input=QUESTION, max_output_tokens=50) as stream:
        for event in stream:
            kinds.append(event.type)
            if event.type == "response.output_text.delta":
                texts.append(event.delta)
        answer = stream.get_final_response()
    assert answer.usage is not None
    return {
        "kinds": [kind for at, kind in enumerate(kinds) if at == 0 or kinds[at - 1] != kind],
        "pieces": len(texts),
        "deltas": "".join(texts),
        "text": answer.output_text,
        "usage": answer.usage.model_dump(include={"input_tokens", "output_tokens", "total_tokens"}),
    }


def tools(client: OpenAI, model: str) -> Any:
    first = client.responses.create(model=model, input=QUESTION, tools=[WEATHER], tool_choice="required")
    (call,) = [item for item in first.output if item.type == "function_call"]
    turn: Any = [
        {"role": "user", "content": QUESTION},
        *(item.model_dump(exclude_none=True) for item in first.output),
        {"type": "function_call_output", "call_id": call.call_id, "output": "sunny, 21 degrees"},
    ]
    second = client.responses.create(model=model, input=turn, tools=[WEATHER])
    return {"name": call.name, "arguments": json.loads(call.arguments), "answer": second.output_text}


def streamed_tools(client: OpenAI, model: str) -> Any:
    with client.responses.stream(model=model, input=QUESTION, tools=[WEATHER], tool_choice="required") as stream:
        kinds = {event.type for event in stream}
        answer = stream.get_final_response()
    (call,) = [item for item in answer.output if item.type == "function_call"]
    return {"kinds": sorted(kinds), "name": call.name, "arguments": json.loads(call.arguments)}


def structured(client: OpenAI, model: str) -> Any:
    answer = client.responses.parse(model=model, input=QUESTION, text_format=City)
    city = answer.output_parsed
    assert city is not None
    return city.model_dump()


def turns(client: OpenAI, model: str, *, stream: bool, think: bool, stored: bool) -> Any:
    """Two turns with two calls: the output goes back as it came, or the provider's store is relied on."""
    more: Any = {"tools": [WEATHER], "max_output_tokens": 4000}
    if think:
        more |= {"reasoning": {"effort": "low", "summary": "auto"}, "include": ["reasoning.encrypted_content"]}
    if not stored:
        more["store"] = False
    if stream:
        with client.responses.stream(model=model, input=TWICE, **more) as events:
            list(events)
            first: Any = events.get_final_response()
    else:
        first = client.responses.create(model=model, input=TWICE, **more)
    calls = [item for item in first.output if item.type == "function_call"]
    inputs = [json.loads(call.arguments) for call in calls]
    results: Any = [
        {"type": "function_call_output", "call_id": call.call_id, "output": f"sunny in {given['city']}"}
        for call, given in zip(calls, inputs, strict=True)
    ]
    if stored:
        second = client.responses.create(model=model, input=results, previous_response_id=first.id, **more)
    else:
        said = [item.model_dump(exclude_none=True) for item in first.output]
        turn: Any = [{"role": "user", "content": TWICE}, *said, *results]
        second = client.responses.create(model=model, input=turn, **more)
    shown = [piece.text for item in first.output if item.type == "reasoning" for piece in item.summary]
    got = json.loads(second.output_text)
    return {
        "inputs": inputs,
        "thinking": "".join(shown),
        "same_ids": got["calls"] == [call.call_id for call in calls],
        "got": got,
    }


def replayed(client: OpenAI, model: str) -> Any:
    return turns(client, model, stream=False, think=True, stored=False)


def streamed_replayed(client: OpenAI, model: str) -> Any:
    return turns(client, model, stream=True, think=True, stored=False)


def stored(client: OpenAI, model: str) -> Any:
    return turns(client, model, stream=False, think=True, stored=True)


def streamed_stored(client: OpenAI, model: str) -> Any:
    return turns(client, model, stream=True, think=False, stored=True)


def kept(client: OpenAI, model: str) -> Any:
    made = client.responses.create(model=model, input=QUESTION)
    again = client.responses.retrieve(made.id)
    items = client.responses.input_items.list(made.id)
    client.responses.delete(made.id)
    try:
        client.responses.retrieve(made.id)
        gone = False
    except openai.NotFoundError:
        gone = True
    return {"same": again.output_text == made.output_text, "items": len(items.data), "gone": gone}


def bad_request(client: OpenAI, model: str) -> Any:
    nothing: Any = 3
    client.responses.create(model=model, input=nothing)


def image(client: OpenAI, model: str) -> Any:
    url = f"data:image/png;base64,{PIXEL}"
    content: Any = [
        {"type": "input_text", "text": "Describe what you got."},
        {"type": "input_image", "image_url": url, "detail": "auto"},
    ]
    answer = client.responses.create(model=model, input=[{"role": "user", "content": content}])
    return json.loads(answer.output_text)["images"]


def failures(client: OpenAI, model: str) -> Any:
    """What an application catches for what a provider refuses: whole, then as a stream.

    Each of a model of its own: the gateway leaves alone for a while who asked for it.
    """

    def ask(kind: str, *, stream: bool) -> Any:
        try:
            client.responses.create(model=f"{model}-{token_hex(2)}", input=f"Fail: {kind}", stream=stream)
        except openai.APIStatusError as error:
            shown = {"code": error.code, "retry_after": error.response.headers.get("retry-after")}
            return {"error": type(error).__name__, "status": error.status_code, **shown}
        return "no error"

    kinds = ("context_length", "authentication", "overloaded", "rate_limit")
    return {kind: [ask(kind, stream=False), ask(kind, stream=True)] for kind in kinds}


SCENES: tuple[Callable[[OpenAI, str], Any], ...] = (
    whole,
    streamed,
    tools,
    streamed_tools,
    structured,
    replayed,
    streamed_replayed,
    stored,
    streamed_stored,
    kept,
    bad_request,
    image,
    failures,
)


def played(scene: Callable[[OpenAI, str], Any], client: OpenAI, model: str) -> Any:
    """What a scene returned, or its error as the package shows it to applications."""
    try:
        return scene(client, model)
    except openai.APIStatusError as error:
        return {"error": type(error).__name__, "status": error.status_code, "message": error.message}
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
