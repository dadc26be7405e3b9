"""How measurements are taken: in turns (A B C A B C …), so that others on the machine disturb all alike."""

from __future__ import annotations

import contextlib
import statistics
import sys
import tempfile
from collections.abc import Callable, Iterator
from dataclasses import dataclass, field
from pathlib import Path
from typing import NamedTuple

import proc
from load import LoadError
from servers import Command, Server, StartError, free_port, running
from subjects import Subject, nginx_upstream

HERE = Path(__file__).resolve().parent
LATENCY = "latency"
"""What the figures of latency begin with."""


@dataclass
class Figures:
    """What was measured of one subject: each figure with one value a round, in SI units; and why others are missing."""

    values: dict[str, list[float]] = field(default_factory=dict)
    missing: dict[str, str] = field(default_factory=dict)

    def add(self, name: str, value: float) -> None:
        """Append a round's value."""
        self.values.setdefault(name, []).append(value)

    def forget(self, figure: str) -> None:
        """Drop the values of a figure, and of its percentiles."""
        for name in [name for name in self.values if name == figure or name.startswith(f"{figure} p")]:
            del self.values[name]

    def value(self, name: str) -> float | None:
        """The median over the rounds, but latency in the quietest of them; None if it was not measured.

        Others on the machine only ever add to a time on the clock, and then by much more than a call costs.
        """
        values = self.values.get(name)
        if not values:
            return None
        return max(0.0, min(values)) if name.startswith(LATENCY) else statistics.median(values)


@dataclass
class Plan:
    """How much is done."""

    rounds: int = 5
    seconds: float = 2.0
    folder: Path = Path()

    def say(self, text: str, *, often: bool = False) -> None:
        """Tell how far it is. On a terminal each line overwrites the last; elsewhere what comes often is left out."""
        if sys.stderr.isatty():
            sys.stderr.write(f"\r\033[K{text}")
        elif text and not often:
            sys.stderr.write(f"{text}\n")
        sys.stderr.flush()


Found = dict[str, Figures]


def split_cores() -> tuple[set[int], set[int]]:
    """The core of the subject, and those of the load and the upstream."""
    cores = proc.cores()
    return {cores[0]}, set(cores[1:]) or {cores[0]}


@contextlib.contextmanager
def started(command: Command, port: int, plan: Plan, cores: set[int]) -> Iterator[Server]:
    """A server in a folder of its own."""
    with tempfile.TemporaryDirectory(dir=plan.folder) as folder, running(command, port, Path(folder), cores) as server:
        yield server


@contextlib.contextmanager
def upstream(plan: Plan, *, streams: bool) -> Iterator[int]:
    """The upstream's port, on the load's cores: nginx for whole answers, our own server for streams."""
    port = free_port()
    command = Command([sys.executable, str(HERE / "upstream.py"), str(port)]) if streams else nginx_upstream(port)
    with started(command, port, plan, split_cores()[1]):
        yield port


@contextlib.contextmanager
def in_front_of(
    upstream_port: int, subjects: list[Subject], plan: Plan, found: Found, figure: str
) -> Iterator[list[tuple[Subject, Server]]]:
    """The subjects that start, all at once, each on the subject's core; the others' reasons are noted."""
    with contextlib.ExitStack() as stack:
        running_ones = []
        for subject in subjects:
            if not subject.installed:
                found[subject.name].missing[figure] = "not installed"
                continue
            plan.say(f"starting {subject.name}", often=True)
            port = free_port()
            try:
                server = stack.enter_context(
                    started(subject.command(port, upstream_port), port, plan, split_cores()[0])
                )
            except StartError as error:
                found[subject.name].missing[figure] = f"did not start: {error}"
            else:
                running_ones.append((subject, server))
        yield running_ones


class Run(NamedTuple):
    """One measurement of a subject, which adds a round's value to ``figure``."""

    subject: Subject
    figure: str
    once: Callable[[], None]


def in_turns(runs: list[Run], plan: Plan, found: Found, each_round: Callable[[], None] = lambda: None) -> None:
    """Do the runs in turns, first a round that only warms up. One that fails is noted and not tried again.

    ``each_round`` is called at the begin of each round.
    """
    for number in range(-1, plan.rounds):
        stage = f"round {number + 1} of {plan.rounds}" if number >= 0 else "warming up"
        plan.say(f"{runs[0].figure if runs else 'nothing to measure'}: {stage}")
        each_round()
        for subject, figure, once in runs:
            figures = found[subject.name]
            if figure in figures.missing:
                continue
            plan.say(f"{figure}: {stage}: {subject.name}", often=True)
            try:
                once()
            except LoadError as error:
                figures.missing[figure] = str(error)
            if number < 0 or figure in figures.missing:
                figures.forget(figure)
