"""Limits on requests and tokens per minute and on calls in flight, counted in this process's memory."""

from __future__ import annotations

import time
from collections.abc import Hashable
from typing import Annotated, Any, ClassVar, Literal

import msgspec

from gateway import Call, Plugin, PluginConfig, PluginContext, RateLimited, hookimpl
from gateway.plugin import Stage
from gateway_plugins.limits.buckets import Buckets, Rule, Taken, Verdict
from gateway_plugins.limits.gcra import Decision, Limit
from gateway_plugins.limits.tokens import completion_tokens, prompt_tokens

_Positive = Annotated[int, msgspec.Meta(ge=1)]

_OWN_LIMITS = ("requests_per_minute", "tokens_per_minute", "concurrency")
_HEADERS = {
    name: tuple(f"x-ratelimit-{what}-{name}".encode() for what in ("limit", "remaining", "reset"))
    for name in ("requests", "tokens")
}


class RateLimitConfig(PluginConfig, frozen=True, kw_only=True):
    """``[plugins.rate_limit]``. What is not set is not limited.

    ``per`` says who shares a limit. ``requests_burst`` and ``tokens_burst`` are how much of a minute's worth may come
    at once: all of it unless set. ``concurrency`` is how many calls may be in flight. ``default_max_tokens`` is
    reserved for an answer whose length the caller does not limit. Limits that a key has of its own take the place of
    these where ``per`` is ``key`` or ``key+model``.
    """

    per: Literal["key", "model", "key+model", "all"] = "key"
    requests_per_minute: _Positive | None = None
    tokens_per_minute: _Positive | None = None
    requests_burst: _Positive | None = None
    tokens_burst: _Positive | None = None
    concurrency: _Positive | None = None
    default_max_tokens: _Positive = 1024


class RateLimit(Plugin):
    """Refuses what exceeds a limit, before it costs anything, and says when to come again."""

    stage: ClassVar[Stage] = "limit"
    Config = RateLimitConfig

    def __init__(self, config: RateLimitConfig, context: PluginContext) -> None:
        super().__init__(config, context)
        self._buckets = Buckets()
        self._rule = _rule(config, {})
        self._own_rules: dict[tuple[Any, ...], Rule] = {}

    def warnings(self) -> list[str]:
        found: list[str] = []
        config, workers = self.config, self.context.workers
        if workers != 1:
            share = "their number" if workers == 0 else str(workers)
            found.append(
                f"each worker counts alone, so callers may get up to {share} times these limits: "
                f"set [server] workers = 1, or divide the limits by {share}"
            )
        if self._rule == Rule():
            if config.per.startswith("key"):
                found.append("no limit is set here: only keys with limits of their own are limited")
            else:
                found.append("no limit is set, so nothing is limited: set requests_per_minute, for example")
        found += [
            f"{name}_burst without {name}_per_minute has no effect"
            for name in ("requests", "tokens")
            if getattr(config, f"{name}_burst") is not None and getattr(config, f"{name}_per_minute") is None
        ]
        return found

    @hookimpl
    async def on_request(self, call: Call) -> None:
        rule = self._rule_of(call)
        if rule.requests is None and rule.tokens is None and rule.concurrency is None:
            return
        tokens = self._estimate(call) if rule.tokens is not None else 0
        verdict = self._buckets.take(self._name(call), rule, time.monotonic_ns(), tokens)
        _tell(call, "requests", rule.requests, verdict.requests)
        _tell(call, "tokens", rule.tokens, verdict.tokens)
        if verdict.taken is None:
            raise self._refusal(call, rule, verdict, tokens)
        call.state[self.name] = verdict.taken

    @hookimpl
    def on_complete(self, call: Call) -> None:
        taken: Taken | None = call.state.pop(self.name, None)
        if taken is not None:
            self._buckets.give_back(taken, time.monotonic_ns(), used_tokens(call, taken.tokens))

    def _rule_of(self, call: Call) -> Rule:
        settings = call.principal.settings if call.principal is not None else {}
        if not settings or not self.config.per.startswith("key"):
            return self._rule
        own = tuple(settings.get(name) for name in _OWN_LIMITS)
        rule = self._own_rules.get(own)
        if rule is None:
            rule = self._own_rules[own] = _rule(self.config, dict(zip(_OWN_LIMITS, own, strict=True)))
        return rule

    def _name(self, call: Call) -> Hashable:
        match self.config.per:
            case "key":
                return call.tenant
            case "model":
                return call.model
            case "key+model":
                return call.tenant, call.model
        return None

    def _estimate(self, call: Call) -> int:
        tokens = prompt_tokens(call.body)
        if call.operation != "embeddings":
            tokens += completion_tokens(call, self.config.default_max_tokens)
        return tokens

    def _subject(self, call: Call) -> str:
        match self.config.per:
            case "key":
                return "this key" if call.principal is not None else "callers without a key"
            case "model":
                return f"the model {call.model!r}"
            case "key+model":
                return f"this key on the model {call.model!r}"
        return "all callers together"

    def _refusal(self, call: Call, rule: Rule, verdict: Verdict, tokens: int) -> RateLimited:
        subject = self._subject(call)
        requests, by_token = verdict.requests, verdict.tokens
        if rule.tokens is not None and by_token is not None and by_token.wait is None:
            error = RateLimited(
                f"The request is too large for the limit of {rule.tokens.per_minute} tokens per minute for {subject}: "
                f"it may need {tokens}, and at most {rule.tokens.burst} may come at once. "
                "Shorten it, or allow fewer tokens for the answer."
            )
            error.retryable = False
            return error
        waits = {"requests": requests.wait or 0 if requests else 0, "tokens": by_token.wait or 0 if by_token else 0}
        name = max(waits, key=waits.__getitem__)
        if waits[name] == 0:
            many = "1 request" if rule.concurrency == 1 else f"{rule.concurrency} requests"
            return RateLimited(
                f"Rate limit reached for {subject}: {many} at once. Try again when one has ended.",
                retry_after=1.0,
            )
        limit = rule.requests if name == "requests" else rule.tokens
        assert limit is not None
        unit = name.removesuffix("s") if limit.per_minute == 1 else name
        needs = f" (this one may need {tokens})" if name == "tokens" else ""
        return RateLimited(
            f"Rate limit reached for {subject}: {limit.per_minute} {unit} per minute{needs}. "
            f"Try again in {go_duration(waits[name])}.",
            retry_after=waits[name] / 1e9,
        )


def used_tokens(call: Call, reserved: int) -> int:
    """What to charge for a finished call that had ``reserved`` tokens.

    Nothing where no provider answered: a refusal, a cache's answer, an error. The provider's own count where it gave
    one. The reservation where the answer was cut off or not counted: the provider may have worked for all of it.
    """
    if not call.attempts or call.outcome == "error":
        return 0
    if call.outcome == "ok" and call.usage is not None:
        return call.usage.total_tokens
    return max(reserved, call.usage.total_tokens if call.usage is not None else 0)


def go_duration(nanoseconds: int) -> str:
    """A duration as Go prints it, in whole milliseconds rounded up: ``12ms``, ``1.5s``, ``6m0s``, ``1h0m0s``."""
    milliseconds = -(-max(0, nanoseconds) // 1_000_000)
    if 0 < milliseconds < 1000:
        return f"{milliseconds}ms"
    minutes, rest = divmod(milliseconds, 60_000)
    seconds = f"{rest / 1000:.3f}".rstrip("0").rstrip(".") + "s"
    hours, minutes = divmod(minutes, 60)
    if hours:
        return f"{hours}h{minutes}m{seconds}"
    return f"{minutes}m{seconds}" if minutes else seconds


def _rule(config: RateLimitConfig, own: dict[str, int | None]) -> Rule:
    def limit(name: str) -> Limit | None:
        rate: int | None = own.get(f"{name}_per_minute")
        if rate is not None:
            return Limit(rate, rate)
        rate = getattr(config, f"{name}_per_minute")
        return None if rate is None else Limit(rate, getattr(config, f"{name}_burst") or rate)

    return Rule(limit("requests"), limit("tokens"), own.get("concurrency") or config.concurrency)


def _tell(call: Call, name: str, limit: Limit | None, decision: Decision | None) -> None:
    """Put a limit's state into the answer's head; of several limits, the one with the least left is told."""
    if limit is None or decision is None:
        return
    size, remaining, reset = _HEADERS[name]
    told = next((int(value) for header, value in call.reply_headers if header == remaining), None)
    if told is not None:
        if told <= decision.remaining:
            return
        call.reply_headers[:] = [pair for pair in call.reply_headers if pair[0] not in _HEADERS[name]]
    call.reply_headers += (
        (size, str(limit.per_minute).encode()),
        (remaining, str(decision.remaining).encode()),
        (reset, go_duration(decision.reset).encode()),
    )
