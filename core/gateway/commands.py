"""The commands that the core brings: serve, check, plugins, models, new-plugin."""

from __future__ import annotations

import argparse
import json
import re
import sys
from pathlib import Path
from typing import Any

from gateway.errors import ConfigError
from gateway.skeletons import SKELETONS


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
    """List the models of ``[models]`` and those that providers are sure to serve."""
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
            }
        )
    if args.json:
        return _print_json(rows)
    cells = [[r["name"], r["strategy"], ", ".join(r["targets"]), ", ".join(r["fallbacks"])] for r in rows]
    return _print_table(["name", "strategy", "targets", "fallbacks"], cells)


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
