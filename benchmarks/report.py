"""What is told: the figures and the budgets as tables, in the file of results and in docs/performance.md.

    python benchmarks/report.py [RESULTS.json]      writes the tables of the page anew

They stand between comments in the page, so that its figures are always those of benchmarks/results/latest.json.
"""

from __future__ import annotations

import datetime
import json
import platform
import re
import statistics
import sys
from dataclasses import dataclass
from pathlib import Path
from typing import Any, NamedTuple

import proc
from measure import LATENCY_RATES, PASSED, TRANSLATED
from rounds import LATENCY, Figures, Found
from subjects import BARE, FULL, LITELLM, PROXY, VLLM_ROUTER, Subject, versions


class Budget(NamedTuple):
    """A bound for one figure of ``subject``, or for its ratio to the figure ``of`` of ``to``.

    ``scale`` divides the bound and the value for display, in ``unit``. ``least`` bounds from below.
    """

    name: str
    subject: str
    figure: str
    bound: float
    to: str = ""
    of: str = ""
    unit: str = "times"
    scale: float = 1.0
    least: bool = False


def both(name: str, figure: str, to: str, bare: float, full: float) -> list[Budget]:
    """A ratio to another subject, for the gateway bare and full."""
    return [Budget(name, BARE, figure, bare, to), Budget(name, FULL, figure, full, to)]


BUDGETS = [
    *both("CPU of a whole answer, to vllm-router", "whole", VLLM_ROUTER, 1.0, 1.5),
    *both("CPU of a whole answer, to nginx", "whole", PROXY, 6.0, 9.0),
    *both("CPU of a whole answer, to LiteLLM", "whole", LITELLM, 1 / 100, 1 / 60),
    *both("CPU of a stream, to vllm-router", PASSED, VLLM_ROUTER, 1.0, 1.3),
    Budget("CPU of a translated stream, to one passed through", BARE, TRANSLATED, 2.0, BARE, PASSED),
    *both("added latency p50, 1 connection, to nginx", "latency p50 1", PROXY, 6.0, 9.0),
    *both("added latency p99, 1 connection, to nginx", "latency p99 1", PROXY, 6.0, 9.0),
    Budget("memory of an idle worker", BARE, "memory idle", 60e6, unit="MB", scale=1e6),
    Budget("memory of an open stream", BARE, "memory stream", 50e3, unit="kB", scale=1e3),
    Budget("memory of a 20 MB body", BARE, "memory body", 1.2, unit="times the body"),
    Budget("gateway serve ready", BARE, "ready", 0.6, unit="s"),
    Budget("throughput of 2 workers, to 1", BARE, "workers", 1.8, least=True),
]


@dataclass(frozen=True)
class Verdict:
    """A budget and what was measured: None with the reason in ``missing``."""

    budget: Budget
    value: float | None
    missing: str = ""

    @property
    def met(self) -> bool:
        """Whether it holds; False as well if it was not measured."""
        if self.value is None:
            return False
        return self.value >= self.budget.bound if self.budget.least else self.value <= self.budget.bound

    @property
    def words(self) -> str:
        """What is told of it."""
        if self.value is None:
            return f"not measured: {self.missing}"
        if self.met:
            return "met"
        return f"missed: {self.value / self.budget.bound:.2f} times the budget"


def ratio(these: list[float], those: list[float]) -> float | None:
    """The median of the rounds' ratios; None if there is no round with both."""
    ratios = [a / b for a, b in zip(these, those, strict=False) if b > 0]
    return statistics.median(ratios) if ratios else None


def judge(found: Found) -> list[Verdict]:
    """All budgets."""
    return [_judge(budget, found) for budget in BUDGETS]


def _judge(budget: Budget, found: Found) -> Verdict:
    own = found.get(budget.subject, Figures())
    if not budget.to:
        return Verdict(budget, own.value(budget.figure), _missing(own, budget.figure))
    other, of = found.get(budget.to, Figures()), budget.of or budget.figure
    if budget.figure.startswith(LATENCY):
        mine, theirs = own.value(budget.figure), other.value(of)
        value = mine / theirs if mine is not None and theirs else None
    else:
        value = ratio(own.values.get(budget.figure, []), other.values.get(of, []))
    missing = _missing(own, budget.figure) if budget.figure not in own.values else f"{budget.to} {_missing(other, of)}"
    return Verdict(budget, value, missing)


def _missing(figures: Figures, figure: str) -> str:
    """Why a figure is missing."""
    if figure in figures.values:
        return "is lost in the noise"
    words = figure.split()
    names = (" ".join(words[:count]) for count in range(len(words), 0, -1))
    return next((figures.missing[name] for name in names if name in figures.missing), "not asked for")


class Column(NamedTuple):
    """A column of the table of figures. ``scale`` makes it from SI units."""

    title: str
    figure: str
    scale: float
    digits: int = 0


COLUMNS = [
    Column("whole µs", "whole", 1e6),
    Column("stream µs", PASSED, 1e6),
    Column("translated µs", TRANSLATED, 1e6),
    *(
        Column(f"+{percent} {connections}c µs", f"latency {percent} {connections}", 1e6)
        for connections in LATENCY_RATES
        for percent in ("p50", "p99")
    ),
    Column("idle MB", "memory idle", 1e-6),
    Column("stream kB", "memory stream", 1e-3),
    Column("body x", "memory body", 1.0, 1),
    Column("ready s", "ready", 1.0, 2),
]


def figures_table(names: list[str], found: Found) -> list[list[str]]:
    """The table's lines, the first of them its head. A figure that is missing is a dash."""
    shown = [column for column in COLUMNS if any(figures.values.get(column.figure) for figures in found.values())]
    wholes = found[PROXY].values.get("whole", []) if PROXY in found else []
    lines = [["", *(column.title for column in shown)]]
    if wholes:
        lines[0].insert(2, "to nginx")
    for name in names:
        figures = found[name]
        values = [(figures.value(column.figure), column) for column in shown]
        line = [name, *("-" if v is None else f"{v * c.scale:,.{c.digits}f}" for v, c in values)]
        if wholes:
            to_nginx = ratio(figures.values.get("whole", []), wholes)
            line.insert(2, "-" if to_nginx is None else f"{to_nginx:.1f}")
        lines.append(line)
    return lines


def budgets_table(verdicts: list[Verdict]) -> list[list[str]]:
    """The budgets' lines, the first of them the head."""
    lines = [["budget", "", "bound", "measured", ""]]
    for verdict in verdicts:
        budget = verdict.budget
        sign = "≥" if budget.least else "≤"
        value = "-" if verdict.value is None else number(verdict.value / budget.scale)
        bound = f"{sign} {number(budget.bound / budget.scale)} {budget.unit}"
        lines.append([budget.name, budget.subject, bound, value, verdict.words])
    return lines


def number(value: float) -> str:
    """Three digits that matter; of a hundredth, its inverse."""
    if 0 < value < 0.1:
        return f"1/{1 / value:.0f}"
    return f"{value:.0f}" if value >= 100 else f"{value:.3g}"


def aligned(lines: list[list[str]]) -> str:
    """A table as text, its columns under each other."""
    widths = [max(len(line[place]) for line in lines) for place in range(len(lines[0]))]
    padded = ([cell.ljust(width) for cell, width in zip(line, widths, strict=True)] for line in lines)
    return "\n".join("  ".join(cells).rstrip() for cells in padded)


def reasons(subjects: list[Subject], found: Found) -> list[str]:
    """What could not be measured, and why, each reason once for a subject."""
    out = []
    for subject in subjects:
        by_reason: dict[str, list[str]] = {}
        for figure, reason in found[subject.name].missing.items():
            by_reason.setdefault(reason, []).append(figure)
        out += [f"{subject.name}: {', '.join(names)}: {reason}" for reason, names in by_reason.items()]
    return out


def machine() -> dict[str, Any]:
    """The kind of machine; nothing that tells which one."""
    model = ""
    cpuinfo = Path("/proc/cpuinfo")
    if cpuinfo.exists():
        lines = cpuinfo.read_text().splitlines()
        model = next((line.partition(":")[2].strip() for line in lines if line.startswith("model name")), "")
    return {
        "architecture": platform.machine(),
        "cores": len(proc.cores()),
        "model": model,
        "kernel": platform.release().partition("-")[0],
    }


def document(subjects: list[Subject], found: Found) -> dict[str, Any]:
    """What is saved: SI units, every round's values, the budgets."""
    return {
        "date": datetime.datetime.now(datetime.UTC).date().isoformat(),
        "machine": machine(),
        "versions": versions(subjects),
        "subjects": {
            subject.name: {
                "figures": {name: found[subject.name].value(name) for name in found[subject.name].values},
                "rounds": found[subject.name].values,
                "missing": found[subject.name].missing,
            }
            for subject in subjects
        },
        "budgets": [
            {
                "name": verdict.budget.name,
                "subject": verdict.budget.subject,
                "bound": verdict.budget.bound,
                "least": verdict.budget.least,
                "value": verdict.value,
                "verdict": verdict.words,
            }
            for verdict in judge(found)
        ],
    }


def save(path: Path, content: dict[str, Any]) -> None:
    """Write the file, values with six digits that matter."""
    rounded = json.loads(json.dumps(content), parse_float=lambda text: float(f"{float(text):.6g}"))
    path.parent.mkdir(parents=True, exist_ok=True)
    path.write_text(json.dumps(rounded, indent=1, ensure_ascii=False) + "\n")


HERE = Path(__file__).resolve().parent
PAGE = HERE.parent / "docs" / "performance.md"
LATEST = HERE / "results" / "latest.json"


def found_in(results: dict[str, Any]) -> Found:
    """What was found, as it was saved."""
    return {name: Figures(one["rounds"], one["missing"]) for name, one in results["subjects"].items()}


def markdown(lines: list[list[str]]) -> str:
    """A table as Markdown; columns behind the first that hold figures are set to the right."""
    head, *rows = lines
    right = [place > 0 and all(re.match(r"[-\d.,]+$|1/\d+$", row[place]) for row in rows) for place in range(len(head))]
    rule = ["---:" if one else "---" for one in right]
    return "\n".join(f"| {' | '.join(line)} |" for line in [head, rule, *rows])


def about(results: dict[str, Any]) -> str:
    """When, on what kind of machine, and with which versions."""
    machine = results["machine"]
    versions = ", ".join(f"{name} {version}" for name, version in results["versions"].items())
    return f"{results['date']}, {machine['cores']} cores ({machine['model'] or machine['architecture']}): {versions}."


def page_with(page: str, results: dict[str, Any]) -> str:
    """The page with the tables of these results; raises ValueError if it has no place for one."""
    found = found_in(results)
    tables = {
        "figures": f"{markdown(figures_table(list(found), found))}\n\n{about(results)}",
        "budgets": markdown(budgets_table(judge(found))),
    }
    for name, text in tables.items():
        places = list(re.finditer(rf"<!-- {name}: [^>]*-->\n(.*?)<!-- /{name} -->", page, re.DOTALL))
        if len(places) != 1:
            raise ValueError(f"the page has {len(places)} places for {name}")
        page = f"{page[: places[0].start(1)]}{text}\n{page[places[0].end(1) :]}"
    return page


def write_page(results: Path = LATEST) -> None:
    """Write the page anew."""
    page = page_with(PAGE.read_text(encoding="utf-8"), json.loads(results.read_text(encoding="utf-8")))
    PAGE.write_text(page, encoding="utf-8")


if __name__ == "__main__":
    write_page(*map(Path, sys.argv[1:2]))
