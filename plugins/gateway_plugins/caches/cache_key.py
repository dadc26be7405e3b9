"""What makes two requests the same: a digest of all that can change the answer."""

from __future__ import annotations

import hashlib
import json
from typing import Any

from gateway import Call, Target

VARYING_HEADERS = (b"anthropic-beta", b"anthropic-version", b"openai-beta")
"""Request headers that are passed on to providers and can change what they answer."""


class NotCacheable(ValueError):
    """A body whose meaning is not certain, such as one with a key twice in one object."""


def cache_key(call: Call, *, shared: bool) -> bytes:
    """The BLAKE2b-256 digest of the request; raises NotCacheable.

    It covers who asks (unless ``shared``), dialect, format, path, model and the targets behind it, strictness, the
    headers that are passed on, and the body with its members in order. ``stream`` is a member like any other, so a
    streamed answer and a whole one are kept apart. Each part goes in with its length, so no two lists of parts look
    alike.
    """
    targets = _targets(call)
    parts = [
        *(() if shared else _asker(call)),
        call.dialect.name.encode(),
        call.format.name.encode(),
        call.path.encode("utf-8", "surrogatepass"),
        call.query,
        call.model.encode("utf-8", "surrogatepass"),
        b"strict" if call.strict else b"",
        *(f"{target.provider}/{target.model}".encode() for target in targets),
        *_headers(call, targets),
        canonical(call.body),
    ]
    digest = hashlib.blake2b(digest_size=32)
    for part in parts:
        digest.update(len(part).to_bytes(8, "big"))
        digest.update(part)
    return digest.digest()


def canonical(body: bytes) -> bytes:
    """A JSON body with sorted members and no blanks; raises NotCacheable.

    Parsers differ in which of two equal keys they take. Where one answer serves several callers that would let one
    choose what another gets, so such a body has no canonical form.
    """
    try:
        value = json.loads(body, object_pairs_hook=_members)
        return json.dumps(value, sort_keys=True, separators=(",", ":")).encode()
    except NotCacheable:
        raise
    except (ValueError, RecursionError) as error:
        raise NotCacheable(str(error)) from None


def _members(pairs: list[tuple[str, Any]]) -> dict[str, Any]:
    members = dict(pairs)
    if len(members) != len(pairs):
        raise NotCacheable("a key occurs twice in an object")
    return members


def _asker(call: Call) -> tuple[bytes, ...]:
    # Where no plugin checks keys, the caller's own may be passed on to the provider: it tells callers apart then.
    if call.principal is None:
        return b"credential", (call.credential or "").encode("latin-1", "backslashreplace")
    return b"principal", call.principal.id.encode()


def _targets(call: Call) -> list[Target]:
    """The places behind the model's name, so that a reload which points it elsewhere does not meet old answers."""
    return [*call.targets, *(call.model_config.fallbacks if call.model_config is not None else ())]


def _headers(call: Call, targets: list[Target]) -> list[bytes]:
    names = {*VARYING_HEADERS}
    for provider in {target.provider for target in targets}:
        if (found := call.gateway.providers.get(provider)) is not None:
            names |= {name.lower().encode() for name in found.config.forward_headers}
    return [name + b":" + value for name in sorted(names) if (value := call.headers.get(name)) is not None]
