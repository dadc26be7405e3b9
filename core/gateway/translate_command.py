"""``gateway translate``: what a request becomes at a target, and a recorded reply at its caller; nothing is sent."""

from __future__ import annotations

import argparse
import json
import os
import re
import sys
from collections.abc import Iterable
from pathlib import Path
from typing import TYPE_CHECKING, Any

import msgspec

from gateway.call import Call
from gateway.config import DEFAULT_FILE, GatewayConfig, TargetConfig, built_in, parse_config
from gateway.credentials import KEY_HEADERS
from gateway.errors import ConfigError, GatewayError, InvalidRequest, UpstreamDisconnected
from gateway.format import Dropped
from gateway.json_text import BAD_JSON, decoded_or_text
from gateway.jsonbody import JsonObject
from gateway.outgoing import upstream_headers
from gateway.registry import build
from gateway.rehearsal import call_of
from gateway.secret import Secret

if TYPE_CHECKING:
    from gateway.registry import Gateway
    from gateway.state import Lane

HIDDEN = "***"
"""What is shown in place of a secret."""

_SECRET_NAMES = re.compile(r"auth|key|token|secret|signature|cookie", re.IGNORECASE)
_REFERENCE = re.compile(r"""\{\s*(env|file)\s*=\s*(["'])(?P<name>[^"'\n]+)\2\s*\}""")
ABSENT = "absent"
"""What is put for a secret that is not here, or its beginning."""
_STANDS_FOR = {"base_url": "https://address.invalid", "region": "us-east-1", "location": "us-central1"}
"""What is put for a setting without which a provider named by ``--to`` cannot be made."""


def translate(args: argparse.Namespace) -> int:
    """Print the upstream request of each target and what was dropped; with ``--reply``, what the caller would get."""
    body = read_file(Path(args.request)) if args.request else sys.stdin.buffer.read()
    try:
        members = JsonObject(body)
        name = args.to or members.text("model") or ""
        if not name:
            raise InvalidRequest("The request names no model, and --to names none.", param="model")
        gateway = lenient_gateway(args.config, name)
        call = call_of(gateway, args.dialect)
        call.body, call.credential = body, ABSENT
        call.stream = args.stream or members.flag("stream")
        call.model = name
        call.model_config = model = gateway.resolve(name, None)
        _ = call.request  # a request that cannot be read is refused, whatever the target
    except GatewayError as error:
        sys.stderr.write(f"refused: {error.message}\n")
        return 1
    shown = [asked(call, target) for target in dict.fromkeys((*model.targets, *model.fallbacks))]
    found: dict[str, Any] = {"dialect": call.format.name, "model": name, "stream": call.stream, "targets": shown}
    if args.reply is not None:
        found["reply"] = _answered(call, model.targets[0], read_file(args.reply), args.status)
    sys.stdout.write(json.dumps(found, indent=2, ensure_ascii=False) + "\n" if args.json else _text(found))
    said = [*shown, *([found["reply"]] if "reply" in found else [])]
    wrong = any(item["error"] for item in said) or (args.strict and any(item["dropped"] for item in said))
    return 1 if wrong else 0


def lenient_config(path: Path | None) -> GatewayConfig:
    """The configuration, for commands that ask nobody: secrets that are not here count as there."""
    text = built_in()
    if path is None and DEFAULT_FILE.exists():
        path = DEFAULT_FILE
    if path is not None:
        text = read_file(path).decode("utf-8-sig", "replace")
    folder = Path.cwd() if path is None else path.absolute().parent
    text = _REFERENCE.sub(lambda match: _present(match, folder), text)
    return parse_config(text, path=path, folder=folder)


def lenient_gateway(path: Path | None, to: str) -> Gateway:
    """The configuration's Gateway; secrets that are not here count as there, and so does the provider of ``to``."""
    config = lenient_config(path)
    text, path, folder = config.text, config.path, config.folder
    provider, slash, _ = to.partition("/")
    tables = {table.name for table in config.plugins}
    if not slash or provider in tables or to in config.models or not re.fullmatch(r"[A-Za-z0-9_]+", provider):
        return build(config)
    settings: dict[str, str] = {}
    refused: set[str] = set()
    while True:
        lines = "".join(f'{key} = "{value}"\n' for key, value in settings.items())
        try:
            return build(parse_config(f"{text}\n[plugins.{provider}]\n{lines}", path=path, folder=folder))
        except ConfigError as error:
            # What it says that it needs, it gets; what it will not have, it loses.
            table = f"[plugins.{provider}]"
            problems = [problem.rpartition(table)[2] for problem in error.problems]
            named = {match[1] for problem in problems if (match := re.match(r"[: ]+([a-z_]+)[: ]", problem))}
            refused |= named & settings.keys()
            wanted = {
                key: _STANDS_FOR.get(key, ABSENT) for key in sorted(named | settings.keys()) if key not in refused
            }
            if wanted == settings:
                raise ConfigError([f"{table} of --to{problem}" for problem in problems]) from None
            settings = wanted


def _present(match: re.Match[str], folder: Path) -> str:
    name = match["name"]
    there = os.environ.get(name, "").strip() if match[1] == "env" else (folder / name).is_file()
    # Each stands for another secret: two keys that are the same would be a mistake.
    return match[0] if there else f'"{ABSENT}-{re.sub(r"[^A-Za-z0-9]", "-", name)}"'


def read_file(path: Path) -> bytes:
    """A file's bytes; raises ConfigError."""
    try:
        return path.read_bytes()
    except OSError as error:
        raise ConfigError([f"{path}: cannot be read: {error.strerror}"]) from None


def asked(call: Call, target: TargetConfig) -> dict[str, Any]:
    """What one target would be sent, or why it would not."""
    call.target = target
    call.dropped = Dropped()
    out: dict[str, Any] = {"target": str(target), "error": None, "dropped": []}
    lane = _lane(call, target)
    if lane is None:
        out["error"] = f"{target} does not offer {call.operation}."
        return out
    provider = call.gateway.providers[target.provider]
    out["format"] = wire = lane.translator.wire_name(call, target, lane.wire.name)
    try:
        body = lane.translator.request(call, target)
        headers = upstream_headers(call, lane, body)
        url = provider.address + provider.path(wire, target, stream=call.stream)
    except GatewayError as error:
        out["error"] = error.message
    else:
        key = provider.config.api_key
        out["method"] = "POST"
        out["url"] = _without(url, [key])
        out["headers"] = {name: _shown(name, value, provider.config.headers, key) for name, value in headers}
        out["body"] = decoded_or_text(body)
    out["dropped"] = _losses(call.dropped)
    return out


def _answered(call: Call, target: TargetConfig, data: bytes, status: int) -> dict[str, Any]:
    """What the caller would get for a target's recorded reply; its own form says whether it is a stream."""
    call.target = target
    call.dropped = Dropped()
    lane = _lane(call, target)
    out: dict[str, Any] = {"target": str(target), "status": status, "error": None, "dropped": []}
    if lane is None:
        out["error"] = f"{target} does not offer {call.operation}."
        return out
    try:
        if status >= 400:
            raise lane.wire.read_error(status, {}, data)
        if _is_json(data):
            out["body"] = decoded_or_text(lane.translator.reply(call, data))
        else:
            out["events"] = _streamed(call, lane, data, out)
    except GatewayError as error:
        out["error"], out["status"] = error.message, error.status
        out["body"] = decoded_or_text(call.format.write_error(error, call.id))
    out["finish_reason"] = call.finish_reason
    out["usage"] = None if call.usage is None else msgspec.to_builtins(call.usage)
    out["dropped"] = _losses(call.dropped)
    return out


def _streamed(call: Call, lane: Lane, data: bytes, out: dict[str, Any]) -> str:
    translator = lane.translator.stream(call)
    written = translator.feed(data)
    if not translator.complete and translator.error is None:
        written += translator.close()
    facts = translator.facts()
    call.usage, call.finish_reason = facts.usage, facts.finish_reason
    error = translator.error
    if error is None and not translator.complete:
        error = UpstreamDisconnected(f"{out['target']} ended the stream before it was complete.")
    if error is not None:
        out["error"] = error.message
        if lane.wire.name != call.format.name or translator.error is None:
            written += call.format.stream_writer(call.request).write_error(error, call.id)
    return written.decode("utf-8", "replace")


def _lane(call: Call, target: TargetConfig) -> Lane | None:
    return call.gateway.lane(call.format.name, target)


def _shown(name: str, value: str, configured: dict[str, Secret], key: Secret | None) -> str:
    """A header's value without secrets."""
    secret = next(
        (item for other, item in configured.items() if other.lower() == name and item.source != "plain"), None
    )
    if secret is not None or name.encode() in KEY_HEADERS or _SECRET_NAMES.search(name):
        scheme, blank, _ = value.partition(" ")
        return f"{scheme} {HIDDEN}" if blank and scheme.isalpha() else HIDDEN
    return _without(value, [key])


def _without(text: str, secrets: Iterable[Secret | None]) -> str:
    for secret in secrets:
        if secret is not None and not secret.value.startswith(ABSENT):
            text = text.replace(secret.value, HIDDEN)
    return text


def _losses(dropped: Dropped) -> list[dict[str, str]]:
    return [{"field": field, "why": why} for field, why in dropped.reasons.items()]


def _is_json(data: bytes) -> bool:
    try:
        msgspec.json.decode(data)
    except BAD_JSON:
        return False
    return True


def _text(found: dict[str, Any]) -> str:
    """The findings as a person reads them."""
    out: list[str] = []
    for item in found["targets"]:
        out.append(f"# {found['dialect']} → {item['target']}{' as ' + item['format'] if 'format' in item else ''}\n")
        if "url" in item:
            out.append(f"{item['method']} {item['url']}\n")
            out += [f"{name}: {value}\n" for name, value in item["headers"].items()]
            out.append(f"\n{_pretty(item['body'])}\n")
        out.append(_told(item))
    if "reply" in found:
        reply = found["reply"]
        out.append(f"# {reply['target']} → {found['dialect']}, status {reply['status']}\n")
        out.append(reply["events"] if "events" in reply else _pretty(reply.get("body", "")) + "\n")
        out.append(_told(reply))
    return "".join(out)


def _pretty(value: Any) -> str:
    return value if isinstance(value, str) else json.dumps(value, indent=2, ensure_ascii=False)


def _told(item: dict[str, Any]) -> str:
    lines = [f"error: {item['error']}"] if item["error"] else []
    lines += [f"dropped {loss['field']}: {loss['why']}" for loss in item["dropped"]]
    return "".join(f"\n{line}" for line in lines or ["nothing was dropped"]) + "\n\n"
