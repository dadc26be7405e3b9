"""What a call costs through the gateway: CPU, latency and memory, beside nginx and other gateways, on this machine.

    make bench-quick      the CPU of calls, beside nginx (and vllm-router where it is installed): under a minute
    make bench            everything; PEERS=1 installs the other gateways first

Read the ratios. docs/performance.md says what is measured and how.
"""

from __future__ import annotations

import argparse
import os
import resource
import shutil
import signal
import subprocess
import sys
import tempfile
from pathlib import Path

import measure
import report
from rounds import Figures, Found, Plan, split_cores
from servers import StartError
from subjects import BARE, ENVIRONMENTS, NGINX, PROXY, VLLM_ROUTER, Subject, all_subjects

HERE = Path(__file__).resolve().parent
ROOT = HERE.parent
PARTS = ("whole", "streams", "latency", "memory", "starts", "workers")
QUICK_PARTS = ("whole", "streams")
QUICK_SUBJECTS = (BARE, PROXY, VLLM_ROUTER)
FILES = 16384  # open files that a thousand streams need, with room


def arguments() -> argparse.Namespace:
    """The command line."""
    parser = argparse.ArgumentParser(description="What a call costs through the gateway, beside others.")
    parser.add_argument("--quick", action="store_true", help="only the CPU of calls, beside nginx and vllm-router")
    parser.add_argument("--only", metavar="PART,…", help=f"some parts of it: {', '.join(PARTS)}")
    parser.add_argument("--subjects", metavar="NAME,…", help="some subjects of it")
    parser.add_argument("--rounds", type=int, help="rounds of each measurement (5; quick 3)")
    parser.add_argument("--seconds", type=float, help="seconds of one run of a load (2; quick 1)")
    parser.add_argument("--out", type=Path, help="the file to write")
    return parser.parse_args()


def missing_programs() -> list[str]:
    """What must be installed first."""
    return [name for name, found in (("nginx", NGINX), ("wrk", shutil.which("wrk"))) if not found]


def chosen(asked: str | None, known: tuple[str, ...], option: str) -> tuple[str, ...]:
    """What an option names; exits at a name that is not known."""
    names = tuple(asked.split(",")) if asked else known
    if unknown := [name for name in names if name not in known]:
        sys.exit(f"{option}: {', '.join(unknown)}: not one of {', '.join(known)}")
    return names


def run(parts: tuple[str, ...], subjects: list[Subject], plan: Plan, *, quick: bool) -> Found:
    """Take the measurements; returns what was found."""
    found: Found = {subject.name: Figures() for subject in subjects}
    if "whole" in parts:
        measure.whole(subjects, plan, found)
    if "streams" in parts:
        measure.streams(subjects, plan, found, quick=quick)
    if "latency" in parts:
        measure.latency(subjects, plan, found)
    if "memory" in parts:
        measure.memory(subjects, plan, found)
    if "starts" in parts:
        measure.starts(subjects, plan, found)
    if "workers" in parts:
        measure.workers(plan, found)
    plan.say("")
    return found


def tell(subjects: list[Subject], found: Found, *, budgets: bool) -> None:
    """Print the tables."""
    names = [subject.name for subject in subjects]
    print(report.aligned(report.figures_table(names, found)))
    print("\nwhole, stream, translated: CPU of a call, median of rounds. +p50 16c: added latency at 16 connections.")
    for reason in report.reasons(subjects, found):
        print(f"not measured: {reason}")
    verdicts = [verdict for verdict in report.judge(found) if budgets or verdict.value is not None]
    if verdicts:
        print(f"\n{report.aligned(report.budgets_table(verdicts))}")


def publish(results: Path) -> None:
    """Write the tables of docs/performance.md and draw its plot, where there is what that takes."""
    report.write_page(results)
    python = ENVIRONMENTS / "bench-tools/bin/python"
    if not python.exists():
        print("no plot: make .venvs/bench-tools/.installed brings what it takes")
        return
    subprocess.run([str(python), str(HERE / "plot.py"), str(results), str(ROOT / "docs/performance.svg")], check=False)


def main() -> None:
    """Run the benchmark."""
    options = arguments()
    signal.signal(signal.SIGTERM, lambda *_: sys.exit("ended by SIGTERM"))  # so that the servers are ended too
    if missing := missing_programs():
        sys.exit(f"{' and '.join(missing)} must be installed first: apt-get install {' '.join(missing)}")
    soft, hard = resource.getrlimit(resource.RLIMIT_NOFILE)
    resource.setrlimit(resource.RLIMIT_NOFILE, (max(soft, min(hard, FILES)), hard))
    every = all_subjects()
    usual = QUICK_SUBJECTS if options.quick else tuple(subject.name for subject in every)
    names = (
        chosen(options.subjects, tuple(subject.name for subject in every), "--subjects") if options.subjects else usual
    )
    subjects = [subject for subject in every if subject.name in names and (subject.installed or not options.quick)]
    parts = chosen(options.only, PARTS, "--only") if options.only else QUICK_PARTS if options.quick else PARTS
    if "workers" in parts and BARE not in names:
        sys.exit(f"--only workers measures {BARE}")
    partly = bool(options.quick or options.only or options.subjects)
    with tempfile.TemporaryDirectory(prefix="bench-") as folder:
        plan = Plan(
            rounds=options.rounds or (3 if options.quick else 5),
            seconds=options.seconds or (1.0 if options.quick else 2.0),
            folder=Path(folder),
        )
        os.sched_setaffinity(0, split_cores()[1])
        try:
            found = run(parts, subjects, plan, quick=options.quick)
        except StartError as error:
            sys.exit(f"the upstream did not start: {error}")
    tell(subjects, found, budgets=not partly)
    out = options.out or (ROOT / "build/bench.json" if partly else HERE / "results/latest.json")
    report.save(out, report.document(subjects, found))
    if not partly:
        publish(out)


if __name__ == "__main__":
    main()
