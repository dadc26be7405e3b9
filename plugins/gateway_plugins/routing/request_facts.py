"""What an expression may ask of a call; each fact is found when it is asked for."""

from __future__ import annotations

from datetime import datetime, tzinfo

from gateway import Call
from gateway.needs import needs_of
from gateway_plugins.routing.expressions import WEEKDAYS
from gateway_plugins.routing.identity import user_of


class Facts:
    """The facts of one call, by the names of ``NAMES``. What a request does not say is 0, false or empty."""

    __slots__ = ("_call", "_zone")

    def __init__(self, call: Call, zone: tzinfo) -> None:
        self._call = call
        self._zone = zone

    @property
    def model(self) -> str:
        return self._call.model

    @property
    def operation(self) -> str:
        return self._call.operation

    @property
    def tokens(self) -> int:
        return needs_of(self._call).tokens

    @property
    def max_tokens(self) -> int:
        return needs_of(self._call).max_tokens or 0

    @property
    def has_tools(self) -> bool:
        return needs_of(self._call).tools

    @property
    def has_images(self) -> bool:
        return needs_of(self._call).images

    @property
    def has_audio(self) -> bool:
        return needs_of(self._call).audio

    @property
    def has_documents(self) -> bool:
        return needs_of(self._call).documents

    @property
    def has_schema(self) -> bool:
        return needs_of(self._call).schema

    @property
    def stream(self) -> bool:
        return self._call.stream

    @property
    def tags(self) -> tuple[str, ...]:
        """The caller's own tags and those of its key."""
        principal = self._call.principal
        return self._call.tags if principal is None else (*self._call.tags, *principal.tags)

    @property
    def key(self) -> str:
        principal = self._call.principal
        return "" if principal is None else principal.name

    @property
    def team(self) -> str:
        """The ``team`` of the key's settings, or its tag ``team:<name>``; never what the request says."""
        principal = self._call.principal
        if principal is None:
            return ""
        team = principal.settings.get("team")
        if isinstance(team, str):
            return team
        return next((tag.removeprefix("team:") for tag in principal.tags if tag.startswith("team:")), "")

    @property
    def user(self) -> str:
        return user_of(self._call) or ""

    @property
    def hour(self) -> int:
        return self._now().hour

    @property
    def weekday(self) -> str:
        return WEEKDAYS[self._now().weekday()]

    def header(self, name: str) -> str:
        return self._call.header(name.encode("utf-8", "replace")) or ""

    def _now(self) -> datetime:
        return datetime.fromtimestamp(self._call.started_at, self._zone)
