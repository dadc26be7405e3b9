"""Virtual keys from the TOML: who may call, which models, until when, and under which limits.

A presented key is never compared with a stored one. It is digested (BLAKE2b, 256 bits), the digest is digested again
under a key that each process draws at random, and the result is looked up in a dict. The time of the look-up depends
only on that last digest, which nobody outside of the process can compute or steer, so it tells nothing about the
stored keys, even about weak ones. Digests without salt or stretching are enough for what is stored, because the keys
are 256 random bits: no list of guesses reaches them.
"""

from __future__ import annotations

import argparse
import base64
import getpass
import hashlib
import json
import re
import secrets
import sys
import time
import zlib
from datetime import UTC, date, datetime
from typing import Annotated, Any, ClassVar

import msgspec

from gateway import AuthenticationFailed, Call, Plugin, PluginConfig, PluginContext, Principal, Secret, hookimpl
from gateway.errors import ConfigError
from gateway.plugin import Stage

SHORTEST_KEY = 20
"""A key with fewer characters draws a warning: it may be guessed."""

_HASH = re.compile(r"blake2b:[0-9a-f]{64}")
_NO_KEY = "No API key was given. Send it as Authorization: Bearer KEY, or in x-api-key, api-key or x-goog-api-key."
_WRONG_KEY = "The API key is not valid."

_Name = Annotated[str, msgspec.Meta(min_length=1, max_length=128, pattern=r"^[^\x00-\x1f\x7f]+$")]
_Positive = Annotated[int, msgspec.Meta(ge=1)]


class ApiKey(PluginConfig, frozen=True, kw_only=True):
    """One entry of ``keys``. It has exactly one of ``key`` and ``hash`` (made by ``gateway keys hash``).

    ``models`` are patterns (``fast``, ``openai/*``); without them all models are allowed. ``expires`` is a TOML date
    (from 00:00 UTC of that day on the key is refused) or date-time (read as UTC where it names no offset). The limits
    are for the rate limit plugins to apply.
    """

    name: _Name
    key: Secret | None = None
    hash: str | None = None
    models: tuple[str, ...] | None = None
    tags: tuple[str, ...] = ()
    expires: Any = None
    enabled: bool = True
    requests_per_minute: _Positive | None = None
    tokens_per_minute: _Positive | None = None
    concurrency: _Positive | None = None

    @property
    def source(self) -> str:
        """Where the key is kept: ``hash``, ``env:NAME``, ``file:PATH`` or ``plain``."""
        return "hash" if self.key is None else self.key.source

    @property
    def limits(self) -> dict[str, int]:
        """The key's own limits, those that are set."""
        found = {name: getattr(self, name) for name in ("requests_per_minute", "tokens_per_minute", "concurrency")}
        return {name: value for name, value in found.items() if value is not None}


class ApiKeysConfig(PluginConfig, frozen=True, kw_only=True):
    """``[plugins.api_keys]``."""

    keys: tuple[ApiKey, ...] = ()


class _Entry(msgspec.Struct, frozen=True):
    """A key as it is looked up. ``ends`` is in Unix seconds."""

    principal: Principal
    enabled: bool
    ends: float | None
    refusal: str


class ApiKeys(Plugin):
    """Lets in who has a key of the TOML."""

    stage: ClassVar[Stage] = "auth"
    Config = ApiKeysConfig

    def __init__(self, config: ApiKeysConfig, context: PluginContext) -> None:
        super().__init__(config, context)
        self._pepper = secrets.token_bytes(32)
        self._entries: dict[bytes, _Entry] = {}
        problems: list[str] = []
        names: set[str] = set()
        owners: dict[bytes, str] = {}
        for place, key in enumerate(config.keys):
            where = f'keys[{place}] "{key.name}":'
            if key.name in names:
                problems.append(f"{where} the name is taken by another key; names tell keys apart in limits and logs")
            names.add(key.name)
            digest = _digest_of(key, where, problems)
            ends = _end_of(key.expires, where, problems)
            if digest is None:
                continue
            if digest in owners:
                problems.append(
                    f'{where} this is the same key as "{owners[digest]}"; each entry needs a key of its own'
                )
            owners[digest] = key.name
            self._entries[self._place_of(digest)] = _Entry(_principal_of(key), key.enabled, ends, _refusal_of(key))
        if problems:
            raise ConfigError(problems)

    def warnings(self) -> list[str]:
        if not self.config.keys:
            return ['no keys: every call is refused; "gateway keys new" makes one']
        return [
            f'keys[{place}] "{key.name}": the key is short and may be guessed; "gateway keys new" makes a good one'
            for place, key in enumerate(self.config.keys)
            if key.key is not None and len(key.key.value) < SHORTEST_KEY
        ]

    def identify(self, credential: str | None) -> Principal:
        """Whose key this is; raises AuthenticationFailed, with the same text for every key that is not known."""
        if not credential:
            raise AuthenticationFailed(_NO_KEY, code="missing_api_key")
        # Header values arrive as Latin-1, whose encoding gives back the bytes that were sent.
        digest = hashlib.blake2b(credential.encode("latin-1", "backslashreplace"), digest_size=32).digest()
        entry = self._entries.get(self._place_of(digest))
        if entry is None:
            raise AuthenticationFailed(_WRONG_KEY)
        if not entry.enabled or (entry.ends is not None and time.time() >= entry.ends):
            raise AuthenticationFailed(entry.refusal, code="inactive_api_key")
        return entry.principal

    def named(self, name: str) -> Principal | None:
        """Who holds the key of this name, whether or not it is good at the moment; for commands that explain."""
        return next((entry.principal for entry in self._entries.values() if entry.principal.name == name), None)

    @hookimpl
    async def on_request(self, call: Call) -> None:
        call.principal = self.identify(call.credential)

    @hookimpl
    def register_commands(self, commands: argparse._SubParsersAction[argparse.ArgumentParser]) -> None:
        # A second instance cannot have the same word: it goes under its table's name.
        word = "keys" if "keys" not in commands.choices else self.name
        parser = commands.add_parser(word, help="make, hash and list API keys")
        actions = parser.add_subparsers(dest="action", required=True, metavar="ACTION")
        new = actions.add_parser("new", help="make a random key, and the line for the TOML")
        new.add_argument("--name", help="the name in the TOML (default: from the key's id)")
        new.set_defaults(run=_new)
        hashed = actions.add_parser("hash", help="read a key from standard input and print its hash")
        hashed.set_defaults(run=_hash)
        listing = actions.add_parser("list", help="list the keys of the TOML, without the keys themselves")
        listing.add_argument("--json", action="store_true", help="print JSON")
        listing.set_defaults(run=self._list)

    def _place_of(self, digest: bytes) -> bytes:
        return hashlib.blake2b(digest, digest_size=32, key=self._pepper).digest()

    def _list(self, args: argparse.Namespace) -> int:
        rows = [_row(key) for key in self.config.keys]
        if args.json:
            sys.stdout.write(json.dumps(rows, indent=2) + "\n")
            return 0
        if not rows:
            sys.stdout.write('No keys. "gateway keys new" makes one.\n')
            return 0
        lines = [("NAME", "STATE", "MODELS", "TAGS", "EXPIRES", "LIMITS", "SOURCE")]
        lines += [
            (
                row["name"],
                row["state"],
                "all" if row["models"] is None else " ".join(row["models"]) or "none",
                " ".join(row["tags"]) or "-",
                row["expires"] or "never",
                " ".join(f"{name}={value}" for name, value in row["limits"].items()) or "-",
                row["source"],
            )
            for row in rows
        ]
        widths = [max(len(line[column]) for line in lines) for column in range(len(lines[0]))]
        for line in lines:
            text = "  ".join(cell.ljust(width) for cell, width in zip(line, widths, strict=True))
            sys.stdout.write(text.rstrip() + "\n")
        return 0


def hash_key(key: str) -> str:
    """The hash of a key, as the TOML's ``hash`` takes it."""
    return f"blake2b:{hashlib.blake2b(key.encode(), digest_size=32).hexdigest()}"


def new_key() -> str:
    """A random key, ``gw-<id>-<secret>-<checksum>``: 256 secret bits, and an id by which people tell keys apart."""
    secret = base64.b32encode(secrets.token_bytes(32)).decode().rstrip("=").lower()
    body = f"gw-{secrets.token_hex(4)}-{secret}"
    return f"{body}-{_checksum(body)}"


def is_mistyped(key: str) -> bool:
    """Whether a key looks like one of ours and its checksum does not agree; for the operator, not for callers."""
    body, dash, checksum = key.rpartition("-")
    return bool(dash) and key.startswith("gw-") and key.count("-") == 3 and _checksum(body) != checksum


def _checksum(body: str) -> str:
    return f"{zlib.crc32(body.encode()):08x}"


def _digest_of(key: ApiKey, where: str, problems: list[str]) -> bytes | None:
    if (key.key is None) == (key.hash is None):
        given = "neither" if key.key is None else "both"
        problems.append(f"{where} expected exactly one of key and hash, found {given}")
        return None
    if key.hash is not None:
        if not _HASH.fullmatch(key.hash):
            problems.append(
                f'{where} hash: expected "blake2b:" and 64 hexadecimal digits, as "gateway keys hash" prints'
            )
            return None
        return bytes.fromhex(key.hash.removeprefix("blake2b:"))
    assert key.key is not None
    value = key.key.value
    if not value or value != value.strip() or any(c.isspace() for c in value):
        problems.append(f"{where} key: expected a text without blanks, found one that is empty or has some")
        return None
    return hashlib.blake2b(value.encode(), digest_size=32).digest()


def _end_of(expires: Any, where: str, problems: list[str]) -> float | None:
    if expires is None:
        return None
    if isinstance(expires, datetime):
        return (expires if expires.tzinfo else expires.replace(tzinfo=UTC)).timestamp()
    if isinstance(expires, date):
        return datetime(expires.year, expires.month, expires.day, tzinfo=UTC).timestamp()
    problems.append(f"{where} expires: expected a date such as 2027-01-01, without quotes")
    return None


def _principal_of(key: ApiKey) -> Principal:
    return Principal(id=key.name, name=key.name, models=key.models, tags=key.tags, settings=dict(key.limits))


def _refusal_of(key: ApiKey) -> str:
    """What the holder of a known key that is no longer good is told; a stranger never sees it."""
    if not key.enabled:
        return "This API key is switched off. Ask whoever gave it to you for another."
    return f"This API key expired on {key.expires}. Ask whoever gave it to you for another."


def _row(key: ApiKey) -> dict[str, Any]:
    ends = _end_of(key.expires, "", [])
    state = "off" if not key.enabled else "expired" if ends is not None and time.time() >= ends else "on"
    return {
        "name": key.name,
        "state": state,
        "models": None if key.models is None else list(key.models),
        "tags": list(key.tags),
        "expires": None if key.expires is None else key.expires.isoformat(),
        "limits": key.limits,
        "source": key.source,
    }


def _new(args: argparse.Namespace) -> int:
    key = new_key()
    name = args.name or f"key-{key.split('-')[1]}"
    sys.stdout.write(
        f"{key}\n\n"
        "This is the only time that the key is shown. For keys = [ … ] of [plugins.api_keys]:\n\n"
        f'  {{ name = {json.dumps(name, ensure_ascii=False)}, hash = "{hash_key(key)}" }},\n'
    )
    return 0


def _hash(_args: argparse.Namespace) -> int:
    line = getpass.getpass("Key: ") if sys.stdin.isatty() else sys.stdin.readline()
    key = line.strip()
    if not key or any(c.isspace() for c in key):
        sys.stderr.write("Expected a key on standard input, one line without blanks.\n")
        return 1
    if is_mistyped(key):
        sys.stderr.write("The key's checksum does not agree: it was mistyped or cut.\n")
        return 1
    sys.stdout.write(f"{hash_key(key)}\n")
    return 0
