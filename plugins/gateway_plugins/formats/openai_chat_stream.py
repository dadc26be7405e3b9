"""A streamed chat completion, read: upstream bytes → events."""

from __future__ import annotations

from typing import Any

from gateway.errors import UpstreamProtocolError
from gateway.protocol import End, ErrorEvent, Event, Start, UsageUpdate
from gateway_plugins.formats.framed_reader import EventReader
from gateway_plugins.formats.json_fields import index_of
from gateway_plugins.formats.openai_chat_choice import ChoiceReader
from gateway_plugins.formats.openai_chat_fields import NAME
from gateway_plugins.formats.openai_chat_reply import read_created
from gateway_plugins.formats.openai_chat_usage import read_usage
from gateway_plugins.formats.openai_errors import error_event, is_error

DONE = b"[DONE]"
# The last two are padding against the guessing of text by the length of packets.
_KNOWN = frozenset(
    {"id", "object", "created", "model", "choices", "usage", "service_tier", "error", "obfuscation", "p"}
)


class ChatStreamReader(EventReader):
    """Reads one stream. Behind an error, or the end mark, nothing is read any more."""

    def __init__(self) -> None:
        super().__init__()
        self._choices: dict[int, ChoiceReader] = {}
        self._known = set(_KNOWN)
        self._extra: dict[str, Any] = {}
        self._reply_id = ""
        self._started = False

    def _finish(self, out: list[Event]) -> None:
        """Complete without an end mark only if every choice that began has said why it ended."""
        if self._choices and all(choice.finished for choice in self._choices.values()):
            out.append(End())

    def _object(self, value: dict[str, Any], name: str, out: list[Event]) -> None:
        if name == "error" or is_error(value):
            self._over = True
            out.append(error_event(value))
            return
        self._chunk(value, out)

    def _done(self, out: list[Event]) -> None:
        if not self._choices:
            raise UpstreamProtocolError("The provider ended its stream without an answer.")
        self._over = True
        if any(choice.promised and not choice.finished for choice in self._choices.values()):
            return  # cut, and not complete
        for choice in self._choices.values():
            if not choice.finished:
                # Snowflake's streams end so: the provider says that all is there, and knows no reasons.
                choice.finish({}, out)
        out.append(End())

    def _chunk(self, chunk: dict[str, Any], out: list[Event]) -> None:
        choices = chunk.get("choices")
        late: dict[str, Any] = {}
        if not chunk.keys() <= self._known:
            late = {k: v for k, v in chunk.items() if k not in self._known and v is not None}
            self._known.update(late)
            self._extra |= late
        usage = chunk.get("usage")
        if usage is None:
            groq = chunk.get("x_groq")
            usage = groq.get("usage") if isinstance(groq, dict) else None
        if not self._started:
            # Azure begins with a chunk that has neither id nor choices, only what its filter says of the prompt.
            if not choices and not chunk.get("id") and not usage:
                return
            self._start(chunk, out)
            late = {}
        for position, choice in enumerate(choices if isinstance(choices, list) else ()):
            self._choice(choice, position, late, out)
        counted = read_usage(usage)
        if counted is not None and not self._over:
            out.append(UsageUpdate(usage=counted))

    def _start(self, chunk: dict[str, Any], out: list[Event]) -> None:
        self._started = True
        found = chunk.get("id")
        self._reply_id = found if isinstance(found, str) else ""
        model, tier = chunk.get("model"), chunk.get("service_tier")
        out.append(
            Start(
                id=self._reply_id,
                model=model if isinstance(model, str) else "",
                created=read_created(chunk.get("created")),
                service_tier=tier if isinstance(tier, str) and tier else None,
                origin=NAME,
                extra=dict(self._extra),
            )
        )

    def _choice(self, choice: Any, position: int, late: dict[str, Any], out: list[Event]) -> None:
        if self._over or not isinstance(choice, dict):
            return
        if isinstance(choice.get("error"), dict):
            self._over = True
            out.append(error_event(choice))
            return
        index = index_of(choice.get("index"), position)
        reader = self._choices.get(index)
        if reader is None:
            reader = self._choices[index] = ChoiceReader(index, self._reply_id)
        reader.take(choice, out, late)
        if out and isinstance(out[-1], ErrorEvent):
            self._over = True
