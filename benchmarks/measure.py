"""What is measured: the CPU and latency of calls, and the memory, start and workers of the process."""

from __future__ import annotations

import contextlib
import math
from collections.abc import Callable

import proc
from load import (
    CHAT,
    MESSAGES,
    LoadError,
    OpenLoop,
    chat_body,
    closed_loop,
    hold_open,
    messages_body,
    request,
    scattered,
    steady,
)
from rounds import LATENCY, Figures, Found, Plan, Run, in_front_of, in_turns, started, upstream
from servers import Server, StartError, free_port
from subjects import BARE, FULL, Subject, gateway

CONNECTIONS = 16
STREAM_CONNECTIONS = 64

PASSED, TRANSLATED = "stream", "stream translated"
STREAMS = {
    PASSED: (CHAT, "bench"),
    TRANSLATED: (MESSAGES, "bench"),
    "stream messages": (MESSAGES, "claude"),
    "stream to messages": (CHAT, "claude"),
}
"""Kinds of streams → the path that is asked, and the provider: "bench" speaks chat completions, "claude" messages."""

LATENCY_RATES = {1: 250.0, 16: 1000.0, 64: 2000.0}  # connections → questions in a second
BUSY = 0.4
"""Who would be busier than this at such a rate is asked less often: latency in a queue says nothing of a call."""


def whole(subjects: list[Subject], plan: Plan, found: Found) -> None:
    """CPU seconds for a whole answer, from wrk's closed loop."""
    with upstream(plan, streams=False) as port, in_front_of(port, subjects, plan, found, "whole") as servers:

        def run(subject: Subject, server: Server) -> Callable[[], None]:
            headers, body = subject.headers_for(port), chat_body("bench/bench", stream=False)

            def once() -> None:
                answer = OpenLoop(server.port, request(CHAT, headers, body), [0.0], 1).run().answer
                if b'"chatcmpl-bench"' not in answer:  # wrk looks at the status only
                    raise LoadError(f"not the upstream's answer: {answer[-300:]!r}")
                before = proc.cpu(server.pid)
                done = closed_loop(server.port, headers, body, CONNECTIONS, plan.seconds, plan.folder)
                found[subject.name].add("whole", (proc.cpu(server.pid) - before) / done.requests)

            return once

        in_turns([Run(subject, "whole", run(subject, server)) for subject, server in servers], plan, found)


def kinds(subject: Subject, *, quick: bool) -> list[str]:
    """The kinds of streams that a subject is asked for: each can pass one on, the gateway translates as well."""
    if subject.name == BARE and not quick:
        return list(STREAMS)
    return [PASSED, TRANSLATED] if subject.name in (BARE, FULL) else [PASSED]


def streams(subjects: list[Subject], plan: Plan, found: Found, *, quick: bool = False) -> None:
    """CPU seconds for a stream of 50 events, at a steady rate."""
    with upstream(plan, streams=True) as port, in_front_of(port, subjects, plan, found, PASSED) as servers:

        def run(subject: Subject, server: Server, kind: str) -> Callable[[], None]:
            path, provider = STREAMS[kind]
            model = f"{provider}/bench"
            body = chat_body(model, stream=True) if path == CHAT else messages_body(model)
            question = request(path, subject.headers_for(port), body)
            end = b"data: [DONE]" if path == CHAT else b"message_stop"

            def once() -> None:
                moments = steady(subject.stream_rate, plan.seconds)
                done = OpenLoop(server.port, question, moments, STREAM_CONNECTIONS, server.pid).run()
                if end not in done.answer or done.answer.count(b"data: ") < 40:
                    raise LoadError(f"not the upstream's stream: {done.answer[-300:]!r}")
                found[subject.name].add(kind, done.cpu / len(done.latencies))

            return once

        asked = [(subject, server, kind) for subject, server in servers for kind in kinds(subject, quick=quick)]
        in_turns([Run(subject, kind, run(subject, server, kind)) for subject, server, kind in asked], plan, found)


def latency(subjects: list[Subject], plan: Plan, found: Found) -> None:
    """Seconds that a whole answer takes longer than without the subject: p50 and p99, at 1, 16 and 64 connections.

    Of the answers without it, too, the quietest round counts.
    """
    direct = Figures()
    with upstream(plan, streams=False) as port, in_front_of(port, subjects, plan, found, LATENCY) as servers:

        def run(subject: Subject, server: Server) -> Callable[[], None]:
            def once() -> None:
                cost, headers = found[subject.name].value("whole"), subject.headers_for(port)
                ask_at_rates(server.port, headers, plan, found[subject.name], BUSY / cost if cost else math.inf)

            return once

        runs = [Run(subject, LATENCY, run(subject, server)) for subject, server in servers]
        in_turns(runs, plan, found, lambda: ask_at_rates(port, {}, plan, direct, math.inf))
    for subject, _ in servers:
        values = found[subject.name].values
        for name in values.keys() & direct.values.keys():
            values[name] = [seconds - min(direct.values[name]) for seconds in values[name]]


def ask_at_rates(port: int, headers: dict[str, str], plan: Plan, figures: Figures, most: float) -> None:
    """Ask for whole answers over 1, 16 and 64 connections, at most ``most`` in a second, and add their percentiles."""
    question = request(CHAT, headers, chat_body("bench/bench", stream=False))
    for connections, wanted in LATENCY_RATES.items():
        # On one connection nobody waits for another; over several, callers come as they like.
        moments = (steady if connections == 1 else scattered)(min(wanted, most), plan.seconds)
        taken = sorted(OpenLoop(port, question, moments, connections).run().latencies)
        for percent in (50, 99):
            figures.add(f"{LATENCY} p{percent} {connections}", percentile(taken, percent))


def percentile(ordered: list[float], percent: int) -> float:
    """The value that this share of the ordered ones does not exceed (nearest rank)."""
    return ordered[max(0, -(-len(ordered) * percent // 100) - 1)]


OPEN_STREAMS = 1000
LARGE = 20 * 1024 * 1024  # bytes of the large body
SLOW_START = 3.0  # seconds; who takes longer is started twice only


def memory(subjects: list[Subject], plan: Plan, found: Found) -> None:
    """Bytes: an idle worker, each of 1,000 open streams in which nothing happens, and a large body at its peak."""
    with upstream(plan, streams=True) as port:
        for subject in subjects:
            for figure, measure in (("memory stream", _streams), ("memory body", _body)):
                # A start for each: what one leaves behind is not the other's.
                with in_front_of(port, [subject], plan, found, figure) as servers:
                    for _, server in servers:
                        plan.say(f"{figure}: {subject.name}", often=True)
                        try:
                            measure(subject, server, port, found[subject.name])
                        except LoadError as error:
                            found[subject.name].missing[figure] = str(error)


def _first_answers(subject: Subject, server: Server, port: int) -> None:
    """Have some calls answered: much is loaded and made only for the first."""
    question = request(CHAT, subject.headers_for(port), chat_body("bench/bench", stream=False))
    OpenLoop(server.port, question, steady(20.0, 1.0), 1).run()


def _streams(subject: Subject, server: Server, port: int, figures: Figures) -> None:
    _first_answers(subject, server, port)
    idle = proc.memory(server.pid)
    figures.add("memory idle", idle.largest)
    figures.add("memory idle all", idle.all)
    question = request(CHAT, subject.headers_for(port), chat_body("bench/idle", stream=True))

    def count() -> None:
        figures.add("memory stream", (proc.memory(server.pid).largest - idle.largest) / OPEN_STREAMS)

    hold_open(server.port, question, OPEN_STREAMS, count)


def _body(subject: Subject, server: Server, port: int, figures: Figures) -> None:
    _first_answers(subject, server, port)
    body = chat_body("bench/bench", stream=False, padding=LARGE)
    before = proc.memory(server.pid).largest
    proc.forget_peak(server.pid)
    OpenLoop(server.port, request(CHAT, subject.headers_for(port), body), [0.0], 1).run()
    figures.add("memory body", max(0, proc.peak(server.pid) - before) / len(body))


def starts(subjects: list[Subject], plan: Plan, found: Found) -> None:
    """Seconds from the start of the program to its first answer, with all cores to itself."""
    with upstream(plan, streams=True) as port:
        for number in range(plan.rounds):
            for subject in subjects:
                figures = found[subject.name]
                if not subject.installed:
                    figures.missing["ready"] = "not installed"
                if "ready" in figures.missing or (number > 1 and figures.values["ready"][0] > SLOW_START):
                    continue
                plan.say(f"start: {subject.name}, {number + 1} of {plan.rounds}", often=True)
                own = free_port()
                try:
                    with started(subject.command(own, port), own, plan, set(proc.cores())) as server:
                        figures.add("ready", server.ready)
                except StartError as error:
                    figures.missing["ready"] = f"did not start: {error}"


def workers(plan: Plan, found: Found) -> None:
    """Throughput of two workers against one, from wrk.

    With four cores or more, each worker has one to itself, and the load and the upstream have others. With fewer, the
    workers share theirs with the load; then throughput is counted for each core's worth of CPU that the workers had.
    """
    cores, figures = proc.cores(), found[BARE]
    roomy = len(cores) >= 4
    with upstream(plan, streams=False) as port, contextlib.ExitStack() as stack:
        servers = {}
        for count in (1, 2):
            own = free_port()
            command = gateway(BARE, workers=count).command(own, port)
            try:
                servers[count] = stack.enter_context(started(command, own, plan, set(cores[:count])))
            except StartError as error:
                figures.missing["workers"] = f"did not start: {error}"
                return
        headers, body = gateway(BARE).headers_for(port), chat_body("bench/bench", stream=False)
        for number in range(-1, plan.rounds):
            plan.say(f"workers: round {number + 1} of {plan.rounds}" if number >= 0 else "workers: warming up")
            rates = {}
            for count, server in servers.items():
                with proc.on(set(cores[2:] if roomy else cores[1:] if count == 1 else cores)):
                    before = proc.cpu(server.pid)
                    done = closed_loop(server.port, headers, body, 32, plan.seconds, plan.folder)
                    had = (proc.cpu(server.pid) - before) / done.seconds
                rates[count] = done.requests / done.seconds / (1.0 if roomy else had / count)
            if number >= 0:
                figures.add("workers", rates[2] / rates[1])
