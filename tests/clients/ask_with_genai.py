"""What an application does with the google-genai package; run by the package's own environment, prints JSON.

    python ask_with_genai.py BASE_URL KEY MODEL...

For each model: what each scene came to, or the error that ended it.
"""

from __future__ import annotations

import asyncio
import base64
import json
import sys
from collections.abc import Callable
from secrets import token_hex
from typing import Any

from google import genai
from google.genai import errors, types
from pydantic import BaseModel

QUESTION = "What is the weather in Paris?"
TWICE = "Call for Paris and for London."
PIXEL = "iVBORw0KGgoAAAANSUhEUgAAAAEAAAABCAYAAAAfFcSJAAAADUlEQVR42mNk+M9QDwADhgGAWjR9awAAAABJRU5ErkJggg=="
BRIEF = types.GenerateContentConfig(system_instruction="Be brief.", max_output_tokens=50)
WEATHER = types.Tool(
    function_declarations=[
        types.FunctionDeclaration(
            name="get_weather",
            description="The weather of a city.",
            parameters=types.Schema(
                type=types.Type.OBJECT,
                properties={"city": types.Schema(type=types.Type.STRING)},
                required=["city"],
            ),
        )
    ]
)


class City(BaseModel):
    name: str
    country: str
    population: int


def config(**more: Any) -> types.GenerateContentConfig:
    off = types.AutomaticFunctionCallingConfig(disable=True)
    return types.GenerateContentConfig(max_output_tokens=4000, automatic_function_calling=off, **more)


def facts(answer: types.GenerateContentResponse) -> dict[str, Any]:
    assert answer.candidates is not None
    assert answer.usage_metadata is not None
    usage = answer.usage_metadata
    return {
        "finish": str(answer.candidates[0].finish_reason and answer.candidates[0].finish_reason.value),
        "usage": [usage.prompt_token_count, usage.candidates_token_count, usage.total_token_count],
        "version": answer.model_version,
    }


def whole(client: genai.Client, model: str) -> Any:
    answer = client.models.generate_content(model=model, contents=QUESTION, config=BRIEF)
    return {"text": answer.text, **facts(answer)}


def streamed(client: genai.Client, model: str) -> Any:
    chunks = list(client.models.generate_content_stream(model=model, contents=QUESTION, config=BRIEF))
    texts = [chunk.text for chunk in chunks if chunk.text]
    return {"text": "".join(texts), "pieces": len(texts), **facts(chunks[-1])}


def asynchronous(client: genai.Client, model: str) -> Any:
    async def ask() -> Any:
        answer = await client.aio.models.generate_content(model=model, contents=QUESTION, config=BRIEF)
        stream = await client.aio.models.generate_content_stream(model=model, contents=QUESTION, config=BRIEF)
        pieces = [chunk.text or "" async for chunk in stream]
        return {"text": answer.text, "streamed": "".join(pieces)}

    return asyncio.run(ask())


def tools(client: genai.Client, model: str) -> Any:
    any_tool = types.ToolConfig(function_calling_config=types.FunctionCallingConfig(mode="ANY"))  # type: ignore[arg-type]
    forced = config(tools=[WEATHER], tool_config=any_tool)
    first = client.models.generate_content(model=model, contents=QUESTION, config=forced)
    assert first.candidates is not None
    (call,) = first.function_calls or []
    result = types.Part.from_function_response(name=call.name or "", response={"result": "sunny, 21 degrees"})
    assert result.function_response is not None
    result.function_response.id = call.id
    turn: Any = [
        types.Content(role="user", parts=[types.Part.from_text(text=QUESTION)]),
        first.candidates[0].content,
        types.Content(role="user", parts=[result]),
    ]
    second = client.models.generate_content(model=model, contents=turn, config=config(tools=[WEATHER]))
    return {"name": call.name, "arguments": call.args, "answer": second.text, **facts(first)}


def automatic(client: genai.Client, model: str) -> Any:
    """The package calls a Python function by itself and goes on with its result."""
    asked: list[str] = []

    def get_weather(city: str) -> str:
        """The weather of a city."""
        asked.append(city)
        return "sunny, 21 degrees"

    settings = types.GenerateContentConfig(tools=[get_weather], max_output_tokens=50)
    answer = client.models.generate_content(model=model, contents=QUESTION, config=settings)
    return {"asked": asked, "answer": answer.text}


def chat(client: genai.Client, model: str) -> Any:
    """A conversation kept by the package."""
    talk = client.chats.create(model=model, config=BRIEF)
    first = talk.send_message(QUESTION)
    second = [chunk.text or "" for chunk in talk.send_message_stream("And now?")]
    return {"first": first.text, "second": "".join(second), "turns": len(talk.get_history())}


def structured(client: genai.Client, model: str) -> Any:
    settings = config(response_mime_type="application/json", response_schema=City)
    answer = client.models.generate_content(model=model, contents=QUESTION, config=settings)
    assert isinstance(answer.parsed, City)
    return answer.parsed.model_dump()


def two_turns(client: genai.Client, model: str, *, stream: bool, think: bool) -> Any:
    """Two calls answered together; the model's content goes back as it came."""
    more: Any = {"thinking_config": types.ThinkingConfig(include_thoughts=True, thinking_budget=1024)} if think else {}
    settings = config(tools=[WEATHER], **more)
    if stream:
        chunks = client.models.generate_content_stream(model=model, contents=TWICE, config=settings)
        pieces: list[types.Part] = []
        for chunk in chunks:
            for candidate in chunk.candidates or []:
                pieces += (candidate.content and candidate.content.parts) or []
        content = types.Content(role="model", parts=pieces)
    else:
        answer = client.models.generate_content(model=model, contents=TWICE, config=settings)
        assert answer.candidates is not None
        assert answer.candidates[0].content is not None
        content = answer.candidates[0].content
    parts = content.parts or []
    calls = [part.function_call for part in parts if part.function_call]
    results = []
    for call in calls:
        said = {"result": f"sunny in {(call.args or {})['city']}"}
        results.append(types.Part.from_function_response(name=call.name or "", response=said))
        made = results[-1].function_response
        assert made is not None
        made.id = call.id
    turn: Any = [
        types.Content(role="user", parts=[types.Part.from_text(text=TWICE)]),
        content,
        types.Content(role="user", parts=results),
    ]
    second = client.models.generate_content(model=model, contents=turn, config=settings)
    return {
        "inputs": [call.args for call in calls],
        "thinking": "".join(part.text or "" for part in parts if part.thought),
        "signed": sum(1 for part in parts if part.thought_signature),
        "got": json.loads(second.text or ""),
    }


def parallel(client: genai.Client, model: str) -> Any:
    return two_turns(client, model, stream=False, think=False)


def streamed_parallel(client: genai.Client, model: str) -> Any:
    return two_turns(client, model, stream=True, think=False)


def thinking(client: genai.Client, model: str) -> Any:
    return two_turns(client, model, stream=False, think=True)


def streamed_thinking(client: genai.Client, model: str) -> Any:
    return two_turns(client, model, stream=True, think=True)


def image(client: genai.Client, model: str) -> Any:
    pixel = types.Part.from_bytes(data=base64.b64decode(PIXEL), mime_type="image/png")
    answer = client.models.generate_content(model=model, contents=["Describe what you got.", pixel])
    return json.loads(answer.text or "")["images"]


def counted(client: genai.Client, model: str) -> Any:
    return client.models.count_tokens(model=model, contents=QUESTION).total_tokens


def listed(client: genai.Client, model: str) -> Any:
    return [found.name for found in client.models.list()]


def wrong_key(client: genai.Client, model: str) -> Any:
    options = client._api_client._http_options
    with genai.Client(api_key="not-mine", http_options=types.HttpOptions(base_url=options.base_url)) as other:
        other.models.generate_content(model=model, contents=QUESTION)


def unknown_model(client: genai.Client, model: str) -> Any:
    client.models.generate_content(model=f"{model.partition('/')[0]}x/none", contents=QUESTION)


def failures(client: genai.Client, model: str) -> Any:
    """What an application catches for what a provider refuses: whole, then as a stream.

    Each of a model of its own: the gateway leaves alone for a while who asked for it.
    """

    def ask(kind: str, *, stream: bool) -> Any:
        try:
            if stream:
                list(client.models.generate_content_stream(model=f"{model}-{token_hex(2)}", contents=f"Fail: {kind}"))
            else:
                client.models.generate_content(model=f"{model}-{token_hex(2)}", contents=f"Fail: {kind}")
        except errors.APIError as error:
            return {"error": type(error).__name__, "status": error.code, "word": error.status, "message": error.message}
        return "no error"

    kinds = ("context_length", "authentication", "overloaded", "rate_limit")
    return {kind: [ask(kind, stream=False), ask(kind, stream=True)] for kind in kinds}


SCENES: tuple[Callable[[genai.Client, str], Any], ...] = (
    whole,
    streamed,
    asynchronous,
    tools,
    automatic,
    chat,
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
    failures,
)


def played(scene: Callable[[genai.Client, str], Any], client: genai.Client, model: str) -> Any:
    """What a scene returned, or its error as the package shows it to applications."""
    try:
        return scene(client, model)
    except errors.APIError as error:
        return {"error": type(error).__name__, "status": error.code, "word": error.status, "message": error.message}
    except Exception as error:  # noqa: BLE001  # reported, so that the other scenes are played
        return {"error": type(error).__name__, "message": str(error)}


def main() -> None:
    """Play all scenes with each model."""
    base_url, key, *models = sys.argv[1:]
    with genai.Client(api_key=key, http_options=types.HttpOptions(base_url=base_url)) as client:
        out = {model: {scene.__name__: played(scene, client, model) for scene in SCENES} for model in models}
    json.dump({"version": genai.__version__, "models": out}, sys.stdout)


if __name__ == "__main__":
    main()
