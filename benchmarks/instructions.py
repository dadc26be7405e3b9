"""Instructions that a call takes in user space, counted by callgrind: whatever else the machine does, the figure stays.

    apt-get install valgrind
    .venv/bin/python benchmarks/instructions.py whole|stream|translated [--full] [--functions N]

The gateway runs twice, with few calls and with more; the difference, for each call, is told by library and by function.
The kernel's part is not in it.
"""

from __future__ import annotations

import argparse
import collections
import os
import re
import shutil
import sys
import tempfile
from collections.abc import Iterator
from pathlib import Path

from load import CHAT, MESSAGES, OpenLoop, chat_body, messages_body, request, steady
from measure import CONNECTIONS
from rounds import Plan, started, upstream
from servers import Command, free_port
from subjects import BARE, FULL, Subject, all_subjects

CALLS = {"whole": (200, 1200, 400.0), "stream": (10, 50, 10.0), "translated": (10, 50, 10.0)}
"""Few calls, more calls, and how many begin in a second: the program runs some fifty times slower."""

Costs = collections.Counter[tuple[str, str]]


def self_costs(lines: Iterator[str]) -> Costs:
    """(library, function) → instructions of its own, from a file of callgrind.

    A name is written once with a number, and as its number from then on. The line behind ``calls=`` is the callee's.
    """
    names: dict[tuple[str, str], str] = {}
    costs: Costs = collections.Counter()
    library = function = ""
    for line in lines:
        named = re.match(r"(ob|fn|cob|cfn|cfi|cfl|fl|fi|fe)=\((\d+)\)(?: (.*))?", line)
        if named:
            kind = {"cob": "ob", "cfn": "fn"}.get(named[1], named[1])
            if named[3] is not None:
                names[kind, named[2]] = named[3].strip()
            if named[1] == "ob":
                library = names[kind, named[2]]
            elif named[1] == "fn":
                function = names[kind, named[2]]
        elif line.startswith("calls="):
            next(lines)
        elif re.match(r"[0-9+*-]", line):
            costs[library, function] += int(line.split()[1])
    return costs


def shown(library: str) -> str:
    """A library's name without its folder and what the platform adds."""
    return re.sub(r"\.cpython-[^.]*|\.abi3|\.so.*", "", Path(library).name) or "?"


def counted(subject: Subject, kind: str, calls: int, plan: Plan, behind: int) -> Costs:
    """The instructions of a run with so many calls."""
    port = free_port()
    made = subject.command(port, behind)
    valgrind = ["valgrind", "--tool=callgrind", "--trace-children=yes"]
    valgrind.append(f"--callgrind-out-file={plan.folder}/{calls}.%p.callgrind")
    # The same hashes in both runs, so that the difference is the calls.
    environment = {**made.environment, "PYTHONHASHSEED": "0"}
    command = Command([*valgrind, *made.arguments], environment, made.files, made.health, seconds=180, grace=60)
    path = MESSAGES if kind == "translated" else CHAT
    body = messages_body("bench/bench") if kind == "translated" else chat_body("bench/bench", stream=kind == "stream")
    with started(command, port, plan, set(os.sched_getaffinity(0))):
        question = request(path, subject.headers_for(behind), body)
        OpenLoop(port, question, steady(CALLS[kind][2], calls / CALLS[kind][2]), CONNECTIONS).run()
    costs: Costs = collections.Counter()
    for out in plan.folder.glob(f"{calls}.*.callgrind"):
        with out.open(encoding="utf-8", errors="replace") as lines:
            costs += self_costs(iter(lines))
    return costs


def main() -> None:
    """Count one kind of call."""
    parser = argparse.ArgumentParser(description="Instructions of a call, by library and function.")
    parser.add_argument("kind", choices=sorted(CALLS))
    parser.add_argument("--full", action="store_true", help="with keys, rate limit and logs")
    parser.add_argument("--functions", type=int, default=15, help="how many functions to show")
    options = parser.parse_args()
    if not shutil.which("valgrind"):
        sys.exit("valgrind must be installed first: apt-get install valgrind")
    subject = next(one for one in all_subjects() if one.name == (FULL if options.full else BARE))
    few, more, _ = CALLS[options.kind]
    with tempfile.TemporaryDirectory(prefix="bench-") as folder:
        plan = Plan(folder=Path(folder))
        with upstream(plan, streams=options.kind != "whole") as behind:
            before = counted(subject, options.kind, few, plan, behind)
            after = counted(subject, options.kind, more, plan, behind)
    after.subtract(before)
    total = sum(after.values())
    print(f"{total / (more - few):,.0f} instructions for a call")
    libraries: collections.Counter[str] = collections.Counter()
    for (library, _), cost in after.items():
        libraries[shown(library)] += cost
    for library, cost in libraries.most_common(10):
        print(f"{cost / (more - few):12,.0f}  {cost / total:6.1%}  {library}")
    print()
    for (library, function), cost in after.most_common(options.functions):
        print(f"{cost / (more - few):12,.0f}  {cost / total:6.1%}  {function} ({shown(library)})")


if __name__ == "__main__":
    main()
