"""Looks at a stream of this format as it passes: server-sent events only, for we ask for nothing else."""

from __future__ import annotations

import re
from typing import Any

import msgspec

from gateway.format import StreamWatch
from gateway.json_text import BAD_JSON
from gateway.sse import SSESplitter, decode_events, split_events
from gateway_plugins.formats.gemini_errors import rejected
from gateway_plugins.formats.gemini_reply import block_reason
from gateway_plugins.formats.gemini_usage import finish_word, read_finish, read_usage
from gateway_plugins.formats.json_fields import index_of

# Events with none of these are not decoded. Text may hold the same words: then one is decoded for nothing.
_WANTED = re.compile(rb'"finish_?[rR]eason"|"error"|"prompt_?[fF]eedback"|"functionCall"')
_INDEX = re.compile(rb'"index": ?(\d+)')


class GeminiStreamWatch(StreamWatch):
    """Knows the end by the finish reasons of all candidates; what comes behind them passes as well."""

    def __init__(self) -> None:
        self._splitter = SSESplitter()
        self._seen: set[int] = set()
        self._finished: set[int] = set()
        self._blocked = False
        self._calls = False

    def feed(self, data: bytes) -> bytes:
        if self.error is not None:
            return b""
        whole = self._splitter.feed(data)
        if b'"error"' not in whole:
            if whole:
                self._look(whole)
            return whole
        # Behind an error nothing passes, so that no clean end follows it.
        passed: list[bytes] = []
        for event in split_events(whole):
            self._look(event)
            passed.append(event)
            if self.error is not None:
                break
        return b"".join(passed)

    def close(self) -> bytes:
        rest = self._splitter.close()
        if rest.strip():
            self._look(rest)
            rest = rest.rstrip(b"\r\n") + b"\n\n" if self._is_whole(rest) else b""
        self.complete = self.error is None and (self._blocked or bool(self._finished))
        if self._seen - self._finished:
            self.complete = False
        return rest

    @staticmethod
    def _is_whole(rest: bytes) -> bool:
        try:
            for event in decode_events(rest):
                msgspec.json.decode(event.data)
        except BAD_JSON:
            return False
        return True

    def _look(self, whole: bytes) -> None:
        self._seen.update(int(match.group(1)[:4]) for match in _INDEX.finditer(whole))
        if not self._finished and _WANTED.search(whole) is None:
            return
        for event in decode_events(whole):
            try:
                value = msgspec.json.decode(event.data)
            except BAD_JSON:
                continue
            if isinstance(value, dict):
                self._note(value)

    def _note(self, value: dict[str, Any]) -> None:
        if isinstance(value.get("error"), dict):
            self.error = rejected(value["error"])
            return
        self.usage = read_usage(value.get("usageMetadata")) or self.usage
        if isinstance(value.get("modelVersion"), str):
            self.model = value["modelVersion"]
        if not value.get("candidates") and block_reason(value) is not None:
            self._blocked, self.finish_reason = True, "content_filter"
        candidates = value.get("candidates")
        for at, candidate in enumerate(candidates if isinstance(candidates, list) else ()):
            if not isinstance(candidate, dict):
                continue
            content = candidate.get("content")
            parts = content.get("parts") if isinstance(content, dict) else None
            self._calls = self._calls or any(
                isinstance(part, dict) and "functionCall" in part for part in (parts if isinstance(parts, list) else ())
            )
            word = finish_word(candidate.get("finishReason"))
            if word is not None:
                self._finished.add(index_of(candidate.get("index"), at))
                self.finish_reason = read_finish(word, calls=self._calls)
