from pathlib import Path

from gateway.testing import ScriptedProvider, running_gateway

REQUEST = {"model": "machine", "max_tokens": 100, "messages": [{"role": "user", "content": "Hello"}]}


def ask(provider, request):
    folder = Path(__file__).parent
    toml = (folder / "acme.toml").read_text().replace("http://127.0.0.1:9000", provider.url)
    with running_gateway(toml, folder=folder, env={"ACME_TOKEN": "t0ken"}) as gateway:
        return gateway.post("/v1/chat/completions", request)


def test_a_whole_answer():
    with ScriptedProvider() as provider:
        bill = {"heard": 1, "said": 2}
        provider.reply(json={"ticket": "t-1", "engine": "small", "say": "Hello yourself.", "cut": False, "bill": bill})
        answer = ask(provider, {**REQUEST, "seed": 7})
        sent = provider.requests[0]
    assert answer.json()["choices"][0]["message"]["content"] == "Hello yourself."
    assert answer.json()["usage"]["total_tokens"] == 3
    assert answer.headers["x-gateway-dropped"] == "seed"
    assert sent.path == "/v2/answers"
    assert sent.headers["x-acme-token"] == "t0ken"
    assert sent.headers["x-acme-department"] == "sales"
    assert sent.json()["turns"] == [{"from": "user", "say": "Hello"}]


def test_a_streamed_answer():
    with ScriptedProvider() as provider:
        provider.stream(
            [
                b'event: word\ndata: {"say": "Hello "}\n\n',
                b'event: word\ndata: {"say": "yourself."}\n\n',
                b'event: bill\ndata: {"heard": 1, "said": 2}\n\n',
            ]
        )
        answer = ask(provider, {**REQUEST, "stream": True})
    assert [event.data for event in answer.events()][-1] == b"[DONE]"
    assert b"yourself." in answer.body


def test_a_refusal_of_the_provider_reaches_the_caller():
    with ScriptedProvider() as provider:
        provider.reply(status=403, json={"message": "This token may not ask small."})
        answer = ask(provider, REQUEST)
    assert answer.status == 403
    assert answer.json()["error"]["message"] == "This token may not ask small."
