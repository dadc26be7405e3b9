"""The breaker and the retry budget under arbitrary sequences of events, against what they promise."""

from __future__ import annotations

from random import Random

from hypothesis import settings
from hypothesis import strategies as st
from hypothesis.stateful import RuleBasedStateMachine, initialize, invariant, precondition, rule

from gateway.resilience.board import Board
from gateway.resilience.board_state import BoardState
from gateway.resilience.retry_budget import Budget
from gateway.resilience.rules import BreakerRules, TargetRules
from gateway.resilience.store import MemoryStore

TARGET = "a/m"
BREAKER = BreakerRules(failures=3, samples=10, window=30.0, open_for=2.0, longest=16.0, probes=2, lease=10.0)
RULES = TargetRules(breaker=BREAKER, longest_cooldown=20.0, alone=False)


class BreakerMachine(RuleBasedStateMachine):
    """Two workers that share a store ask one target; the machine counts what it sees beside them."""

    @initialize()
    def begin(self) -> None:
        store = MemoryStore()
        self.boards = [
            Board(BoardState(store), Random(n).random, {TARGET: RULES}, lambda _: RULES, {"m": (TARGET, "b/m")})
            for n in (1, 2)
        ]
        self.now = 100.0
        self.cooling = 0.0
        self.under_way: list[tuple[Board, int, float]] = []

    @rule(worker=st.integers(0, 1))
    def call(self, worker: int) -> None:
        board = self.boards[worker]
        admission = board.admit(TARGET, self.now)
        if admission.allowed:
            board.began(TARGET, self.now)
            self.under_way.append((board, admission.probe, self.now))
        else:
            assert admission.retry_after is not None
            assert 0 < admission.retry_after <= max(BREAKER.longest, RULES.longest_cooldown) + 1e-6
            assert admission.reason in ("open", "half_open", "cooling")

    @precondition(lambda self: self.under_way)
    @rule(place=st.integers(0, 10), kind=st.sampled_from(["ok", "timeout", "upstream", "cancelled", "invalid_request"]))
    def end(self, place: int, kind: str) -> None:
        board, probe, _ = self.under_way.pop(place % len(self.under_way))
        outcome = kind if kind in ("ok", "cancelled") else "error"
        board.ended(TARGET, outcome, self.now, kind=None if outcome != "error" else kind, probe=probe)

    @precondition(lambda self: self.under_way)
    @rule(seconds=st.floats(0, 1e6))
    def limited(self, seconds: float) -> None:
        board, probe, _ = self.under_way.pop()
        board.ended(TARGET, "error", self.now, kind="rate_limit", retry_after=seconds, probe=probe)
        self.cooling = max(self.cooling, self.now + min(seconds, RULES.longest_cooldown))

    @rule(seconds=st.floats(0.2, 40))
    def wait(self, seconds: float) -> None:
        self.now += seconds

    @rule()
    def three_failures(self) -> None:
        """Whoever fails so often in a row is not asked again for a while, by any worker."""
        board = self.boards[0]
        failed = 0
        while failed < BREAKER.failures and (admission := board.admit(TARGET, self.now)).allowed:
            board.began(TARGET, self.now)
            board.ended(TARGET, "error", self.now, kind="timeout", probe=admission.probe)
            failed += 1
        if not failed:
            return  # refused, by what may be a tenth of a second old
        assert board.circuits.get(TARGET).is_open
        self.now += 0.2
        other = self.boards[1]
        assert other.snapshot(TARGET, self.now).state in ("open", "cooling", "half_open")
        admission = other.admit(TARGET, self.now)
        assert not admission.allowed or admission.probe
        if admission.allowed:
            other.began(TARGET, self.now)
            self.under_way.append((other, admission.probe, self.now))

    @invariant()
    def no_more_probes_than_allowed(self) -> None:
        probes = [probe for _, probe, since in self.under_way if probe and since + BREAKER.lease > self.now]
        assert len(probes) <= BREAKER.probes

    @invariant()
    def a_cooldown_lasts_as_long_as_the_longest_that_was_asked_for(self) -> None:
        known = max(board.circuits.get(TARGET).cooling for board in self.boards)
        assert known == self.cooling or max(known, self.cooling) <= self.now

    def teardown(self) -> None:
        for board, probe, _ in self.under_way:
            board.ended(TARGET, "cancelled", self.now, cancelled=True, probe=probe)
        assert all(not board.state.in_flight for board in self.boards)


class BudgetMachine(RuleBasedStateMachine):
    """Whatever the order of requests and retries, the share holds in the window."""

    @initialize(ratio=st.floats(0, 1), floor=st.floats(0, 3))
    def begin(self, ratio: float, floor: float) -> None:
        self.ratio, self.floor = ratio, floor
        self.budget = Budget(10.0)
        self.now = 50.0
        self.originals: list[float] = []
        self.retries: list[float] = []

    @rule(count=st.integers(1, 20))
    def requests(self, count: int) -> None:
        for _ in range(count):
            self.budget.counted(self.now)
            self.originals.append(self.now)

    @rule(count=st.integers(1, 10))
    def retry(self, count: int) -> None:
        for _ in range(count):
            if self.budget.left(self.now, self.ratio, self.floor):
                self.budget.spend(self.now)
                self.retries.append(self.now)

    @rule(seconds=st.floats(0, 15))
    def wait(self, seconds: float) -> None:
        self.now += seconds

    @invariant()
    def retries_stay_within_their_share(self) -> None:
        # The window ends with a whole bucket: what it is sure to see is nine tenths of it.
        retries = sum(at > self.now - 9.0 for at in self.retries)
        spent_at = max(self.retries, default=self.now)
        originals = sum(spent_at - 10.0 < at <= self.now for at in self.originals)
        assert retries <= self.ratio * originals + self.floor * 10.0 + 1e-9


TestBreakerMachine = BreakerMachine.TestCase
TestBreakerMachine.settings = settings(max_examples=60, stateful_step_count=40, deadline=None)
TestBudgetMachine = BudgetMachine.TestCase
TestBudgetMachine.settings = settings(max_examples=60, stateful_step_count=40, deadline=None)
