"""The cells of a matrix of faults, and the bench that runs them: a gateway, providers that break, and stand-ins."""

from __future__ import annotations

import socket
from collections.abc import Iterator
from contextlib import ExitStack, contextmanager
from pathlib import Path
from typing import NamedTuple

from gateway.testing import RunningGateway, ScriptedProvider, running_gateway
from tests.faults.faults import Fault, Weight
from tests.faults.more_verdicts import judge_any
from tests.faults.more_wires import EVERY
from tests.faults.verdicts import Seen, Verdict
from tests.faults.wall import Row, Scene, Wall, ask, row_of
from tests.faults.wires import ANSWER_TOKENS, PROMPT_TOKENS

FIRST_TOKEN, IDLE, TOTAL = 0.5, 0.3, 2.5
SLACK = 1.0
"""Seconds past the deadline of a call after which it hangs."""
ODD_USAGE = (
    "no_usage",
    "negative_usage",
    "usage_that_is_no_number",
    "no_end_behind_the_reason",
    "cut_behind_the_reason",
    "silence_behind_the_reason",
)
PROVIDERS = {
    "openai": ("openai_compatible", "/v1", 'format = "openai_chat"'),
    "anthropic": ("anthropic", "", ""),
    "responses": ("openai", "/v1", 'format = "openai_responses"'),
    "completions": ("openai_compatible", "/v1", 'format = "openai_completions"'),
    "gemini": ("gemini", "", ""),
    "converse": ("bedrock", "", 'region = "us-east-1"\nformat = "bedrock_converse"'),
    "invoke": ("bedrock", "", 'region = "us-east-1"\nformat = "bedrock_invoke_anthropic"'),
    "cohere": ("cohere", "", ""),
    "ollama": ("ollama", "", 'format = "ollama_chat"'),
}
"""Wire → the plugin that speaks it, what its address ends in, and further settings."""


class Cell(NamedTuple):
    """One cell of the matrix: ``caller`` and ``wire`` name the dialect of either side.

    ``stands_in`` is the wire of the fallback, that of the first where it is empty.
    """

    fault: Fault
    stream: bool
    caller: str
    wire: str
    fallback: bool
    rescue: str
    stands_in: str = ""

    @property
    def second(self) -> str:
        """The wire of the fallback."""
        return self.stands_in or self.wire

    @property
    def model(self) -> str:
        """The model's name in the gateway, and at its providers."""
        how = ["stream" if self.stream else "whole", self.caller, self.wire]
        return "-".join([self.fault.name, *how, *([self.rescue] if self.fallback else ["alone"])])

    @property
    def weight(self) -> Weight:
        """What the fault does to an answer of this sort."""
        return self.fault.stream if self.stream else self.fault.whole

    @property
    def expected(self) -> tuple[str, ...]:
        """What the caller may see."""
        if self.weight == "harmless":
            return ("complete",)
        if self.weight == "any":
            return ("complete", "error")
        rescued = self.weight == "early" or (self.weight == "late" and self.rescue != "error")
        return ("complete",) if self.fallback and rescued else ("error",)


def configuration(urls: dict[str, str], cells: list[Cell], audit: Path) -> str:
    """A gateway with a model for each cell."""
    lines = [f'[plugins.audit_log]\npath = "{audit}"\n']
    for name, url in urls.items():
        use, below, more = PROVIDERS[name.partition("_")[2]]
        lines.append(
            f'[plugins.{name}]\nuse = "{use}"\napi_key = "k"\nbase_url = "{url}{below}"\n{more}\n'
            f'[catalogue."{name}/*"]\nprices = {{ input = 1.0, output = 2.0 }}\n'
        )
    lines.append(
        f"[defaults]\nretries = 0\ntimeouts = {{ first_token = {FIRST_TOKEN}, idle = {IDLE}, total = {TOTAL} }}\n"
    )
    for cell in cells:
        first = f"{'dead' if cell.fault.refused else 'one'}_{cell.wire}/{cell.model}"
        second = f'fallbacks = ["two_{cell.second}/{cell.model}"]\n' if cell.fallback else ""
        lines.append(f'[models."{cell.model}"]\ntargets = ["{first}"]\n{second}rescue = "{cell.rescue}"\n')
    return "\n".join(lines)


class Bench:
    """A running gateway, the providers that break, and those that stand in."""

    def __init__(self, gateway: RunningGateway, ones: dict[str, Wall], twos: dict[str, Wall], audit: Path) -> None:
        self.gateway = gateway
        self.ones = ones
        self.twos = twos
        self.audit = audit

    def run(self, cell: Cell) -> list[str]:
        """Ask once; what was wrong, in sentences."""
        self.ones[cell.wire].behaviours[cell.model] = cell.fault.run
        if cell.fault.tools:
            self.twos[cell.second].behaviours[cell.model] = same_call
        caller = EVERY[cell.caller]
        seen = ask(self.gateway.url, caller, cell.model, stream=cell.stream, call_id=cell.model, timeout=8)
        verdict = judge_any(seen, cell.caller, stream=cell.stream)
        problems = []
        if verdict.what not in cell.expected:
            problems.append(f"saw {verdict.what}, not {' or '.join(cell.expected)}: {seen.status} {seen.body[-400:]!r}")
        if seen.seconds > TOTAL + SLACK:
            problems.append(f"took {seen.seconds:.1f} s")
        return [f"{cell.model}: {problem}" for problem in [*problems, *self.books(cell, seen, verdict)]]

    def books(self, cell: Cell, seen: Seen, verdict: Verdict) -> Iterator[str]:
        """Where the audit log differs from what happened."""
        row = row_of(self.audit, cell.model)
        if row is None:
            yield "no row in the audit log"
            return
        call, attempts = row
        outcome = "ok" if verdict.what == "complete" else "error" if seen.status >= 400 else "interrupted"
        if call["outcome"] != outcome:
            yield f"outcome {call['outcome']}, not {outcome}"
        if call["status"] != seen.status:
            yield f"status {call['status']} in the books, {seen.status} on the wire"
        yield from self.attempts(cell, row)
        for name in ("prompt_tokens", "completion_tokens", "cost_nano"):
            if (call[name] or 0) < 0:
                yield f"{name} is {call[name]}"
        costs = [item["cost_nano"] for item in attempts if item["cost_nano"] is not None]
        if call["cost_nano"] is not None and call["cost_nano"] != sum(costs):
            yield f"cost {call['cost_nano']}, of attempts {costs}"
        if verdict.what == "complete" and cell.fault.name not in ODD_USAGE:
            told = (call["prompt_tokens"], call["completion_tokens"])
            rescued = cell.weight in ("late", "any") and len(attempts) > 1 and cell.rescue == "resume"
            if (told < (PROMPT_TOKENS, ANSWER_TOKENS)) if rescued else (told != (PROMPT_TOKENS, ANSWER_TOKENS)):
                yield f"tokens {told}"
            if not costs:
                yield "no cost"

    def attempts(self, cell: Cell, row: Row) -> Iterator[str]:
        """Where the attempts are not those that the providers saw."""
        for name, wall in ((f"one_{cell.wire}", self.ones[cell.wire]), (f"two_{cell.second}", self.twos[cell.second])):
            noted = [item for item in row.attempts if item["provider"] == name]
            came = wall.count(cell.model)
            resent = cell.fault.resent and name.startswith("one") and came == 2
            if len(noted) != came and not resent:
                yield f"{len(noted)} attempts at {name} in the books, {came} requests there"
            if any(item["ended_us"] is None for item in noted):
                yield f"an attempt at {name} never ended"
        if row.call["attempts"] != len(row.attempts):
            yield f"{row.call['attempts']} attempts told, {len(row.attempts)} kept"
        if cell.weight in ("early", "late") and not row.attempts[0]["error_kind"]:
            yield "the broken attempt has no error"


async def same_call(scene: Scene) -> None:
    """The tool call whose arguments another provider tore."""
    wire = scene.wire
    pieces = [*wire.tool_opening(), wire.arguments('{"x":1,'), wire.arguments('"y":2}'), *wire.tool_closing()]
    await scene.good([*pieces, wire.end_mark])


@contextmanager
def running_bench(cells: list[Cell], folder: Path) -> Iterator[Bench]:
    """A gateway with a model for each cell, and providers of every wire that the cells need."""
    audit = folder / "audit.sqlite"
    wires = sorted({name for cell in cells for name in (cell.wire, cell.second)})
    with ExitStack() as stack:
        ones = {name: Wall(stack.enter_context(ScriptedProvider()), EVERY[name]) for name in wires}
        twos = {name: Wall(stack.enter_context(ScriptedProvider()), EVERY[name]) for name in wires}
        closed = stack.enter_context(socket.socket())
        closed.bind(("127.0.0.1", 0))  # and never listens
        urls = {f"one_{name}": wall.provider.url for name, wall in ones.items()}
        urls |= {f"two_{name}": wall.provider.url for name, wall in twos.items()}
        urls |= {f"dead_{name}": f"http://127.0.0.1:{closed.getsockname()[1]}" for name in wires}
        gateway = stack.enter_context(running_gateway(configuration(urls, cells, audit), folder=folder))
        yield Bench(gateway, ones, twos, audit)
