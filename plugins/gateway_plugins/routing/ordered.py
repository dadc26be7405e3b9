"""``strategy = "ordered"``: the targets in the order in which the model's table declares them."""

from __future__ import annotations

from collections.abc import Sequence
from typing import ClassVar

from gateway import Call, Plugin, Target, hookimpl
from gateway.plugin import Stage


class Ordered(Plugin):
    """Tries the first target first, and each next one when those before it failed."""

    stage: ClassVar[Stage] = "route"
    strategies = ("ordered",)

    @hookimpl
    def route(self, call: Call) -> Sequence[Target] | None:
        if call.model_config is None or call.model_config.strategy not in self.strategies:
            return None
        return call.targets
