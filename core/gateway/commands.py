"""The commands that the core brings: serve, check, plan, plugins, models, route, translate, new-plugin."""

from __future__ import annotations

import argparse
import json
import re
import sys
import time
from datetime import UTC, datetime
from pathlib import Path
from typing import Any

from gateway.catalogue import ModelInfo
from gateway.errors import ConfigError
from gateway.skeletons import SKELETONS

_UNITS = {"s": 1, "m": 60, "h": 3600, "d": 86_400, "w": 604_800}
_AGO = re.compile(r"(\d+(?:\.\d+)?)([smhdw])")


def serve(args: argparse.Namespace) -> int:
    """Serve until a signal ends it."""
    from gateway.serving.supervisor import serve as run  # noqa: PLC0415  # the other commands need none of it

    return run(args.config, bind=args.bind)


def check(args: argparse.Namespace) -> int:
    """Build the configuration and say what is wrong, or that nothing is. Needs no network."""
    from gateway.cli import build_gateway  # noqa: PLC0415  # the two modules name each other
    from gateway.config import tls_problems  # noqa: PLC0415  # see gateway.cli

    gateway = build_gateway(args.config)
    if problems := tls_problems(gateway.config):
        raise ConfigError(problems)
    for warning in gateway.warnings:
        sys.stderr.write(f"warning: {warning}\n")
    name = args.config or gateway.config.path or "the built-in configuration"
    tables = sum(table.enabled for table in gateway.config.plugins)
    models = len(gateway.config.models)
    sys.stdout.write(f"{name}: ok ({_count(tables, 'plugin')}, {_count(models, 'model')})\n")
    return 0


def plugins(args: argparse.Namespace) -> int:
    """List the plugins in the order in which they run."""
    from gateway.cli import build_gateway  # noqa: PLC0415  # the two modules name each other

    gateway = build_gateway(args.config)
    tables = {table.name for table in gateway.config.plugins}
    rows: list[dict[str, Any]] = [
        {
            "name": record.name,
            "use": record.use,
            "stage": record.stage,
            "on": "table" if record.name in tables else "default",
            "hooks": record.hooks,
        }
        for record in gateway.records
    ]
    if args.json:
        return _print_json(rows)
    cells = [[str(n), r["name"], r["use"], r["stage"], r["on"], ", ".join(r["hooks"])] for n, r in enumerate(rows, 1)]
    return _print_table(["#", "name", "use", "stage", "on by", "hooks"], cells)


def models(args: argparse.Namespace) -> int:
    """List the models of ``[models]`` and those that providers are sure to serve, with what is known of them."""
    from gateway.cli import build_gateway  # noqa: PLC0415  # the two modules name each other

    gateway = build_gateway(args.config)
    rows: list[dict[str, Any]] = []
    for name in gateway.models_for(None):
        model = gateway.resolve(name, None)
        rows.append(
            {
                "name": name,
                "strategy": model.strategy,
                "targets": [str(target) for target in model.targets],
                "fallbacks": [str(target) for target in model.fallbacks],
                "facts": {
                    str(target): _facts(gateway.providers[target.provider].info(target.model))
                    for target in (*model.targets, *model.fallbacks)
                },
            }
        )
    if args.json:
        return _print_json(rows)
    cells = [
        [
            r["name"],
            r["strategy"],
            ", ".join(r["targets"]),
            ", ".join(r["fallbacks"]),
            *_brief(r["facts"], r["targets"]),
        ]
        for r in rows
    ]
    return _print_table(["name", "strategy", "targets", "fallbacks", "context", "$/M in", "$/M out"], cells)


def _facts(info: ModelInfo) -> dict[str, Any]:
    """What is known of a target: tokens, and dollars per million tokens of a short prompt; null where it is not."""
    price = info.price
    names = ("input", "output", "cache_read", "cache_write")
    costs = {name: None if price is None else getattr(price, name) for name in names}
    return {
        "context_window": info.context_window,
        "max_output": info.max_output,
        "dollars_per_million": {name: None if cost is None else cost / 1_000_000 for name, cost in costs.items()},
        "retires": info.retires,
    }


def _brief(facts: dict[str, Any], targets: list[str]) -> list[str]:
    """The first target's window and prices, as cells."""
    first = facts[targets[0]]
    costs = first["dollars_per_million"]
    values = (first["context_window"], costs["input"], costs["output"])
    return ["-" if value is None else f"{value:.10g}" for value in values]


def add_route(parser: argparse.ArgumentParser) -> None:
    """The arguments of ``gateway route``."""
    parser.add_argument("request", nargs="?", metavar="FILE", help="the caller's request (default: standard input)")
    parser.add_argument("--dialect", default="openai_chat", metavar="NAME", help="what the caller speaks: a format")
    parser.add_argument("--model", metavar="M", help="the model asked for (default: the request's)")
    parser.add_argument("--key", metavar="K", help="the name of the caller's key (default: one that may use all)")
    parser.add_argument(
        "--header", action="append", default=[], type=_header, metavar="H", help='"name: value"; may be repeated'
    )
    parser.add_argument("--at", type=moment, metavar="T", help="the time of the call, such as 2026-01-31T12:00 (UTC)")
    parser.add_argument("--stream", action="store_true", help="the caller's path asks for a stream")
    parser.add_argument("--json", action="store_true", help="print JSON")
    parser.set_defaults(run=route)


def route(args: argparse.Namespace) -> int:
    """Show where a request would go now, and why."""
    from gateway.route_command import route as run  # noqa: PLC0415  # the other commands need none of it

    return run(args)


def _header(text: str) -> tuple[bytes, bytes]:
    name, colon, value = text.partition(":")
    if not colon or not name.strip() or not text.isprintable():
        raise argparse.ArgumentTypeError(f'expected "name: value", not {text!r}')
    return name.strip().lower().encode("latin-1", "replace"), value.strip().encode("latin-1", "replace")


def moment(text: str) -> float:
    """A time as Unix seconds, from ``90s``, ``30m``, ``1h``, ``2d``, ``1w`` (ago) or an ISO date or time (UTC)."""
    if (ago := _AGO.fullmatch(text)) is not None:
        return time.time() - float(ago[1]) * _UNITS[ago[2]]
    try:
        when = datetime.fromisoformat(text)
    except ValueError:
        raise argparse.ArgumentTypeError(f"expected 90s, 30m, 1h, 2d or 2026-01-31T12:00, not {text!r}") from None
    return (when if when.tzinfo else when.replace(tzinfo=UTC)).timestamp()


def add_plan(parser: argparse.ArgumentParser) -> None:
    """The arguments of ``gateway plan``."""
    parser.add_argument("new", metavar="NEW", type=Path, help="the other configuration")
    parser.add_argument(
        "-n", type=_whole, default=1000, metavar="N", help="how many logged calls are replayed (default: 1000; 0: none)"
    )
    parser.add_argument("--since", type=moment, metavar="T", help="only calls since then: 90s, 1h, 2d, or a date")
    parser.add_argument("--model", metavar="M", help="only calls that asked for this model; * stands for anything")
    parser.add_argument("--json", action="store_true", help="print JSON")
    parser.set_defaults(run=plan)


def plan(args: argparse.Namespace) -> int:
    """Show what another configuration would change."""
    from gateway.plan_command import plan as run  # noqa: PLC0415  # the other commands need none of it

    return run(args)


def _whole(text: str) -> int:
    if not text.isascii() or not text.isdigit():
        raise argparse.ArgumentTypeError(f"expected a whole number, not {text!r}")
    return int(text)


def add_translate(parser: argparse.ArgumentParser) -> None:
    """The arguments of ``gateway translate``; what it does is imported when it runs."""
    parser.add_argument("request", nargs="?", metavar="FILE", help="the caller's request (default: standard input)")
    parser.add_argument("--dialect", default="openai_chat", metavar="NAME", help="what the caller speaks: a format")
    parser.add_argument("--to", metavar="TARGET", help="\"provider/model\", or a model's name (default: the request's)")
    parser.add_argument("--reply", metavar="FILE", type=Path, help="a recorded reply, whole or streamed, to show too")
    parser.add_argument("--status", type=int, default=200, metavar="N", help="the reply's status (default: 200)")
    parser.add_argument("--stream", action="store_true", help="the caller's path asks for a stream")
    parser.add_argument("--strict", action="store_true", help="exit with 1 where something is dropped")
    parser.add_argument("--json", action="store_true", help="print JSON")
    parser.set_defaults(run=translate)


def translate(args: argparse.Namespace) -> int:
    """Show what a request becomes at a target, and a recorded reply at its caller."""
    from gateway.translate_command import translate as run  # noqa: PLC0415  # the other commands need none of it

    return run(args)


def new_plugin(args: argparse.Namespace) -> int:
    """Write a plugin that works, and say which table switches it on."""
    if not re.fullmatch(r"[a-z][a-z0-9_]*", args.name):
        raise ConfigError([f'"{args.name}" is no plugin name: use lower-case letters, digits and underscores'])
    path = Path(f"{args.name}.py")
    text, table = SKELETONS[args.kind]
    cls = "".join(word.capitalize() for word in args.name.split("_"))
    if re.search(rf"\b{cls}\b", text):
        cls = f"Own{cls}"  # the text has another use for that name
    try:
        with path.open("x") as file:
            file.write(text.replace("CLASS", cls))
    except FileExistsError:
        raise ConfigError([f"{path} exists already; nothing was written"]) from None
    except OSError as error:
        raise ConfigError([f"{path} cannot be written: {error.strerror}"]) from None
    table = table.replace("NAME", args.name).replace("CLASS", cls).replace("UPPER", args.name.upper())
    sys.stdout.write(f"{path} is written. Add to the gateway.toml beside it:\n\n{table}")
    return 0


def _count(number: int, noun: str) -> str:
    return f"{number} {noun}{'' if number == 1 else 's'}"


def _print_json(rows: list[dict[str, Any]]) -> int:
    sys.stdout.write(json.dumps(rows, indent=2) + "\n")
    return 0


def _print_table(head: list[str], rows: list[list[str]]) -> int:
    widths = [max(len(row[place]) for row in [head, *rows]) for place in range(len(head))]
    for row in [head, *rows]:
        sys.stdout.write("  ".join(cell.ljust(width) for cell, width in zip(row, widths, strict=True)).rstrip() + "\n")
    return 0
