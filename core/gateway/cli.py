"""The ``gateway`` program: parses the command line and runs one command.

Heavy imports stand inside the commands, so that ``--help`` and ``version`` answer at once. Exit codes: 0, 1 (a problem
that is named on stderr), 2 (usage).
"""

from __future__ import annotations

import argparse
import os
import sys
from collections.abc import Callable, Iterable, Sequence
from difflib import get_close_matches
from pathlib import Path
from typing import TYPE_CHECKING

from gateway.errors import ConfigError
from gateway.version import __version__

if TYPE_CHECKING:
    from gateway.registry import Gateway

Command = Callable[[argparse.Namespace], int]
COMMANDS = ("serve", "check", "plan", "plugins", "models", "route", "translate", "new-plugin", "version")
_EPILOG = """Plugins that the configuration switches on add commands of their own: keys (api_keys), logs (audit_log).
Without -c the configuration is ./gateway.toml, or a built-in one with the echo model if there is no such file."""


def main(argv: Sequence[str] | None = None) -> int:
    """Run the program; returns the exit code."""
    arguments = list(sys.argv[1:] if argv is None else argv)
    try:
        return _run(arguments)
    except ConfigError as error:
        for problem in error.problems:
            sys.stderr.write(f"{problem}\n")
        if len(error.problems) > 1:
            sys.stderr.write(f"{len(error.problems)} problems\n")
        return 1
    except KeyboardInterrupt:
        return 130
    except BrokenPipeError:
        # The reader has seen enough (gateway logs | head). Python would complain again when it flushes at exit.
        os.dup2(os.open(os.devnull, os.O_WRONLY), sys.stdout.fileno())
        return 0


def _run(arguments: list[str]) -> int:
    config, rest = _take_config(arguments)
    parser = argparse.ArgumentParser(
        prog="gateway",
        description="One base_url in front of every model.",
        epilog=_EPILOG,
        formatter_class=argparse.RawDescriptionHelpFormatter,
        allow_abbrev=False,
    )
    parser.add_argument("-c", "--config", metavar="FILE", help="the configuration (default: ./gateway.toml)")
    commands = parser.add_subparsers(dest="command", metavar="COMMAND", required=True)
    _add_own(commands)
    word = next((argument for argument in rest if not argument.startswith("-")), None)
    if word is not None and word not in COMMANDS:
        try:
            _add_plugins(commands, config)
        except ConfigError:
            if _near(word, COMMANDS):  # a slip of the pen; what is wrong in the file is another matter
                parser.error(f'there is no command "{word}"; did you mean "{_near(word, COMMANDS)}"?')
            raise
        if word not in commands.choices:
            near = _near(word, commands.choices)
            known = f"; known are {', '.join(commands.choices)} (a plugin's command needs its table)"
            parser.error(f'there is no command "{word}"' + (f'; did you mean "{near}"?' if near else known))
    args = parser.parse_args(rest)
    args.config = config
    run: Command = args.run
    code = run(args)
    sys.stdout.flush()  # now, while a reader that has gone is no error yet
    return code


def _near(word: str, known: Iterable[str]) -> str | None:
    return next(iter(get_close_matches(word, list(known), n=1)), None)


def _take_config(arguments: list[str]) -> tuple[Path | None, list[str]]:
    """Take ``-c FILE`` from wherever it stands, in front of the command or behind it."""
    rest: list[str] = []
    found: Path | None = None
    items = iter(arguments)
    for item in items:
        if item in ("-c", "--config"):
            value = next(items, None)
            if value is None:
                return None, [item]  # argparse says what is missing
            found = Path(value)
        elif item.startswith("--config="):
            found = Path(item.partition("=")[2])
        elif item.startswith("-c") and not item.startswith("--"):
            found = Path(item[2:].removeprefix("="))
        else:
            rest.append(item)
    return found, rest


def _add_own(commands: argparse._SubParsersAction[argparse.ArgumentParser]) -> None:
    from gateway import commands as own  # noqa: PLC0415  # nothing heavy, but a name that shadows the parameter

    serve = _command(commands, "serve", "serve until a signal ends it")
    serve.add_argument("--bind", metavar="ADDRESS", help='"host:port" or "unix:/path", instead of [server] bind')
    serve.set_defaults(run=own.serve)
    check = _command(commands, "check", "say whether a configuration can be used, and all that is wrong in it")
    check.set_defaults(run=own.check)
    plan = _command(commands, "plan", "show what another configuration would change, for the logged calls too")
    own.add_plan(plan)
    plugins = _command(commands, "plugins", "list what runs, in which order, with which hooks")
    plugins.add_argument("--json", action="store_true", help="print JSON")
    plugins.set_defaults(run=own.plugins)
    models = _command(commands, "models", "list the models that clients may ask for")
    models.add_argument("--json", action="store_true", help="print JSON")
    models.set_defaults(run=own.models)
    route = _command(commands, "route", "show where a request would go now and why, without sending it")
    own.add_route(route)
    translate = _command(commands, "translate", "show what a request becomes at a target, without sending it")
    own.add_translate(translate)
    new = _command(commands, "new-plugin", "write a plugin to begin with, in one file")
    new.add_argument("name", metavar="NAME", help="the plugin's name; the file is NAME.py")
    new.add_argument("--kind", choices=["guard", "provider"], default="guard", help="what it does (default: guard)")
    new.set_defaults(run=own.new_plugin)
    version = _command(commands, "version", "print the version")
    version.set_defaults(run=_version)


def _command(
    commands: argparse._SubParsersAction[argparse.ArgumentParser], name: str, does: str
) -> argparse.ArgumentParser:
    """A command's parser; ``does`` stands in the list of commands and above the command's own help."""
    return commands.add_parser(name, help=does, description=f"{does[0].upper()}{does[1:]}.", allow_abbrev=False)


def _add_plugins(commands: argparse._SubParsersAction[argparse.ArgumentParser], config: Path | None) -> None:
    gateway = build_gateway(config)
    gateway.manager.hook.register_commands(commands=commands)


def build_gateway(config: Path | None) -> Gateway:
    """Build what a configuration says, without opening anything; raises ConfigError."""
    from gateway.config import load_config  # noqa: PLC0415  # see the module
    from gateway.registry import build  # noqa: PLC0415

    return build(load_config(config))


def _version(args: argparse.Namespace) -> int:  # noqa: ARG001  # a command takes its arguments
    sys.stdout.write(f"gateway {__version__}\n")
    return 0
