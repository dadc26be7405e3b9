"""Why a call went where it went: the candidates, what filtered them, and their order."""

from __future__ import annotations

from collections.abc import Sequence
from typing import TYPE_CHECKING

import msgspec

if TYPE_CHECKING:
    from gateway.call import Call, Target


class Candidate(msgspec.Struct, kw_only=True, omit_defaults=True):
    """One target that could have answered.

    ``kept`` is false for one that is not tried, and ``why`` says what spoke against it, or for its place. ``score`` is
    what the strategy ordered by (``detail`` names it and its unit), None where it orders by something else.
    """

    target: str
    kept: bool = True
    why: str | None = None
    score: float | None = None
    detail: str | None = None


class Decision(msgspec.Struct, kw_only=True, omit_defaults=True):
    """How the order of a call's targets came about. Candidates stand in the order in which they are tried.

    ``rule`` is the text of the rule that matched, ``split`` the part of an experiment that the call fell into
    (``canary``, ``stable``, ``ab:<name>=<arm>``). What was tried in the end is in ``call.attempts``.
    """

    strategy: str
    rule: str | None = None
    split: str | None = None
    candidates: list[Candidate] = []
    notes: list[str] = []

    def candidate(self, target: str) -> Candidate:
        """The entry of a target; made where there is none."""
        for known in self.candidates:
            if known.target == target:
                return known
        made = Candidate(target=target)
        self.candidates.append(made)
        return made

    def scored(self, target: Target, score: float | None, detail: str) -> None:
        """Note what a strategy ordered a target by."""
        entry = self.candidate(str(target))
        entry.score = None if score is None else round(score, 6)
        entry.detail = detail

    def order(self, tried: Sequence[Target]) -> None:
        """Put the candidates in the order in which they will be tried; what is not among ``tried`` is not kept."""
        entries = {entry.target: entry for entry in self.candidates}
        ordered: list[Candidate] = []
        for target in tried:
            name = str(target)
            entry = entries.pop(name, None)
            if entry is None:
                if any(known.target == name for known in ordered):
                    continue  # a fallback that is a target as well
                entry = Candidate(target=name)
            entry.kept = True
            ordered.append(entry)
        for entry in entries.values():
            entry.kept = False
            entry.why = entry.why or "not chosen"
        self.candidates = [*ordered, *entries.values()]


def decision_of(call: Call) -> Decision:
    """The call's decision; begun where nothing has decided yet. One target is no choice and leaves none behind."""
    found = call.decision
    if found is None:
        config = call.model_config
        found = call.decision = Decision(strategy="" if config is None else config.strategy)
    return found
