"""What one worker has seen of a target of late, and whether it is enough to open the circuit."""

from __future__ import annotations

from gateway.resilience.rules import BreakerRules
from gateway.resilience.window import Window


class Evidence:
    """Good and bad answers: those in a row, and those of the window."""

    __slots__ = ("in_a_row", "window")

    def __init__(self, seconds: float) -> None:
        self.in_a_row = 0
        self.window = Window(seconds)

    def good(self, now: float) -> None:
        """An answer that says the target is well, a refusal of a wrong request included."""
        self.in_a_row = 0
        self.window.add(now, first=1)

    def bad(self, now: float, rules: BreakerRules) -> str | None:
        """A failure; returns why the circuit is to open, None where it is not."""
        self.in_a_row += 1
        self.window.add(now, second=1)
        if self.in_a_row >= rules.failures:
            return f"{self.in_a_row} failures in a row"
        good, bad = self.window.totals(now)
        if good + bad >= rules.samples and bad >= rules.error_share * (good + bad):
            return f"{bad} of {good + bad} calls failed within {rules.window:g} s"
        return None

    def clear(self) -> None:
        """Begin anew: the circuit has opened, and what comes next is judged by itself."""
        self.in_a_row = 0
        self.window.clear()

    def share(self, now: float) -> tuple[float, int]:
        """The share of failures, and of how many answers."""
        good, bad = self.window.totals(now)
        return (bad / (good + bad) if good + bad else 0.0), good + bad
