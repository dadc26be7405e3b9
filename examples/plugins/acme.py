"""Acme's answering machine: POST /v2/answers, in a JSON that is nobody else's."""

from gateway import Provider, ProviderConfig, SimpleFormat
from gateway.protocol import ChatReply, Choice, End, PartDelta, Text, Usage, UsageUpdate


class AcmeFormat(SimpleFormat):
    name = "acme"
    carries = ("max_tokens", "temperature")

    def to_wire(self, request):
        return {
            "engine": request.model,
            "turns": [{"from": message.role, "say": message.text()} for message in request.messages],
            "words": request.max_tokens,
            "heat": request.temperature,
            "live": request.stream,
        }

    def from_wire(self, body):
        choice = Choice(content=[Text(text=body["say"])], finish_reason="length" if body["cut"] else "stop")
        return ChatReply(id=body["ticket"], model=body["engine"], choices=[choice], usage=self.usage(body["bill"]))

    def from_event(self, event, data):
        if event == "word":
            yield PartDelta(part=0, kind="text", value=data["say"])
        elif event == "bill":
            yield UsageUpdate(usage=self.usage(data))
            yield End()

    def usage(self, bill):
        return Usage(prompt_tokens=bill["heard"], completion_tokens=bill["said"])


class Acme(Provider):
    class Config(ProviderConfig, frozen=True, kw_only=True):
        department: str = "general"

    base_url = "https://acme.example"
    formats = {"chat": (AcmeFormat(),)}
    paths = {"acme": "/v2/answers"}

    def credentials(self, call):
        return [("x-acme-token", self.key(call) or "")]

    def request_headers(self, call, format_name, body):
        return [("x-acme-department", self.config.department)]
