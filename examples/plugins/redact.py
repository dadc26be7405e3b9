"""Keeps words away from providers: masks them, or refuses the call."""

import msgspec

from gateway import InvalidRequest, Plugin, PluginConfig, hookimpl


class Redact(Plugin):
    stage = "guard"

    class Config(PluginConfig, frozen=True, kw_only=True):
        words: list[str]
        refuse: bool = False

    @hookimpl
    async def on_request(self, call):
        masked = self.mask(msgspec.json.decode(call.body))
        if self.config.refuse and masked != msgspec.json.decode(call.body):
            raise InvalidRequest("The request holds a word that must not leave the house.", code="redacted")
        call.rewrite(msgspec.json.encode(masked))

    def mask(self, value):
        if isinstance(value, dict):
            return {key: self.mask(item) for key, item in value.items()}
        if isinstance(value, list):
            return [self.mask(item) for item in value]
        for word in self.config.words if isinstance(value, str) else ():
            value = value.replace(word, "[redacted]")
        return value
