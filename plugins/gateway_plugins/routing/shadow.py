"""``shadow``: copies of a share of the calls go to another target, to be logged and compared, never returned."""

from __future__ import annotations

import asyncio
import logging
import random
import re
from collections.abc import Iterable
from typing import Annotated, Any, ClassVar

import msgspec

from gateway import Call, Plugin, PluginConfig, PluginContext, Target, hookimpl
from gateway.catalogue.cost import price_row
from gateway.config import GatewayConfig, ModelConfig
from gateway.copies import send_copy
from gateway.needs import ASCII_PER_TOKEN, lacking, needs_of
from gateway.plugin import ModelOptions, Stage

log = logging.getLogger("gateway.shadow")

_PICO = 1_000_000_000_000
_SAID = re.compile(
    rb'"(?:content|text|delta|arguments|partial_json|reasoning|reasoning_content|thinking)":\s*"((?:[^"\\]|\\.)*)"'
)
"""The pieces of answers in the events of any dialect."""


class ShadowSettings(msgspec.Struct, frozen=True, forbid_unknown_fields=True, kw_only=True):
    """``shadow = { target = "…", percent = 5, max_cost = 0.01 }``.

    ``max_cost`` is in dollars for one copy: one that would cost more is not sent, or is ended. ``timeout`` ends one
    after so many seconds. ``at_once`` is how many may run in one process; beyond it none is sent.
    """

    target: Target
    percent: Annotated[float, msgspec.Meta(ge=0, le=100)] = 100.0
    max_cost: Annotated[float, msgspec.Meta(gt=0)] | None = None
    timeout: Annotated[float, msgspec.Meta(gt=0, le=3600)] = 120.0
    at_once: Annotated[int, msgspec.Meta(ge=1, le=10_000)] = 16


class ShadowOptions(ModelOptions, frozen=True, kw_only=True):
    """A model's shadow."""

    shadow: ShadowSettings | None = None


class Shadow(Plugin):
    """Sends copies when their calls have been answered, so that no caller waits; they end when the gateway stops.

    A copy is asked once, without retries and fallbacks. It has a row of its own in the audit log, which names its call
    in ``copy_of``; it costs its operator money, and counts against no limit of the caller. Calls that a rule has
    placed are not copied: what must stay somewhere stays there. ``rng`` may be replaced by one with a known seed.
    """

    stage: ClassVar[Stage] = "route"
    wraps = 3
    Options = ShadowOptions

    def __init__(self, config: PluginConfig, context: PluginContext) -> None:
        super().__init__(config, context)
        self.rng = random.Random()  # noqa: S311  # a share of traffic, not a secret
        self.running: set[asyncio.Task[Any]] = set()
        self._told: set[str] = set()

    @classmethod
    def option_problems(
        cls,
        model: ModelConfig,
        options: Any,
        config: GatewayConfig,  # noqa: ARG003  # the base's signature
    ) -> Iterable[tuple[str, str]]:
        if options.shadow is not None and [str(options.shadow.target)] == [str(target) for target in model.targets]:
            yield "shadow.target", f'"{options.shadow.target}" is the model\'s only target: a copy would tell nothing'

    @hookimpl
    def on_complete(self, call: Call) -> None:
        if not call.gateway.options or call.model_config is None or not call.attempts or call.outcome == "cancelled":
            return
        options: ShadowOptions | None = self.options(call)
        if options is None or options.shadow is None:
            return
        shadow = options.shadow
        if call.decision is not None and call.decision.rule is not None:
            return
        if self.rng.random() * 100 >= shadow.percent or len(self.running) >= shadow.at_once:
            return
        if (call.format.name, shadow.target.provider) not in call.gateway.lanes:
            return
        if call.operation == "chat" and lacking(call, shadow.target) is not None:
            return
        meter = None
        if shadow.max_cost is not None:
            meter = self._meter(call, shadow.target, shadow.max_cost)
            if meter is None:
                return
        copy = send_copy(call, shadow.target, seconds=shadow.timeout, watch=meter)
        task = asyncio.get_running_loop().create_task(copy, name=f"shadow of {call.id}")
        self.running.add(task)
        task.add_done_callback(self.running.discard)

    @hookimpl
    async def shutdown(self) -> None:
        # The last copy of a configuration that was replaced stops it, and so may be what runs this.
        others = self.running - {asyncio.current_task()}
        for task in others:
            task.cancel()
        if others:
            await asyncio.wait(others)

    def _meter(self, call: Call, target: Target, dollars: float) -> _Meter | None:
        """What ends the copy in time; None where the prompt alone costs too much, or nobody knows the price."""
        info = call.gateway.providers[target.provider].info(target.model)
        prompt = needs_of(call).tokens
        row = price_row(info, None, prompt)
        if row is None or row.input is None or row.output is None:
            if str(target) not in self._told:
                self._told.add(str(target))
                log.warning(
                    "no copies go to %s: shadow.max_cost is set and its price is not known; write "
                    '[catalogue."%s"] prices',
                    target,
                    target,
                )
            return None
        left = dollars * _PICO - prompt * row.input - (info.request_fee or 0)
        return _Meter(left, row.output) if left > 0 else None


class _Meter:
    """Counts what an answer costs by now, by the length of its texts."""

    __slots__ = ("_left", "_price")

    def __init__(self, left: float, price: int) -> None:
        self._left = left
        self._price = price

    def __call__(self, chunk: bytes) -> bool:
        said = sum(len(piece) for piece in _SAID.findall(chunk))
        self._left -= said / ASCII_PER_TOKEN * self._price
        return self._left >= 0
