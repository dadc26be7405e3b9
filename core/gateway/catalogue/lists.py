"""The lists of the catalogue, one for each provider family: read on first use, decoded one model at a time.

They are data in the package, made by ``scripts/make_catalogue.py``; nothing is fetched when the gateway runs.
"""

from __future__ import annotations

from functools import lru_cache
from pathlib import Path

import msgspec

from gateway.catalogue.info import UNKNOWN, ModelInfo
from gateway.catalogue.names import bare, plain, spellings, undated, vendor_of, without_profile

_FOLDER = Path(__file__).parent / "data"
_DECODER = msgspec.json.Decoder(dict[str, msgspec.Raw])


class _List:
    """One family's models: their names, and each entry as bytes until it is asked for."""

    def __init__(self, entries: dict[str, msgspec.Raw]) -> None:
        self._entries = entries
        self._lower = {name.lower(): name for name in entries}
        self._bare: dict[str, str] = {}
        # Sorted: of several dates of one model the last remains, and an undated name before all of them.
        for name in sorted(entries):
            key = bare(name)
            if undated(self._bare.get(key, "")) != self._bare.get(key):
                self._bare[key] = name

    def entry(self, name: str) -> ModelInfo | None:
        found = self._lower.get(name.lower())
        if found is None:
            return None
        return msgspec.structs.replace(msgspec.json.decode(self._entries[found], type=ModelInfo), name=found)

    def by_bare_name(self, name: str) -> ModelInfo | None:
        found = self._bare.get(bare(name))
        return None if found is None else self.entry(found)

    def profiles(self, name: str) -> list[ModelInfo]:
        """All regional profiles of a Bedrock model."""
        short = without_profile(name)
        found = (self.entry(other) for other in self._entries if without_profile(other) == short)
        return [info for info in found if info is not None]


def families() -> list[str]:
    """The provider families that there is a list of."""
    return sorted(path.stem for path in _FOLDER.glob("*.json"))


@lru_cache(maxsize=64)
def _list(family: str) -> _List | None:
    path = _FOLDER / f"{family}.json"
    if not family.isidentifier() or not path.is_file():
        return None
    return _List(_DECODER.decode(path.read_bytes()))


def preload(family: str) -> None:
    """Read a family's list now: a millisecond that no call has to wait for."""
    _list(family)


@lru_cache(maxsize=1024)
def lookup(family: str, model: str) -> ModelInfo:
    """What is known of ``model`` where a provider of ``family`` (``openai``, ``bedrock``, …) serves it; never fails.

    First by its name as it is, then without a path, date or version. A name that only matches more loosely, and a
    model that is known from its maker's own API alone, has no prices: they may be others. An unknown model gives
    ``UNKNOWN``.
    """
    names = _list(family)
    if names is not None:
        for name in spellings(model):
            if (info := names.entry(name)) is not None:
                return info
        if (info := _other_region(names, model)) is not None:
            return info
        if (info := names.by_bare_name(model)) is not None:
            # A date that is not listed costs what the model does; a fine-tuned one does not.
            return info if undated(info.name) == undated(plain(model)) else _unpriced(info)
    short = bare(model)
    if short.startswith("ft:"):
        return _unpriced(lookup(family, short.split(":")[1]))
    maker = vendor_of(short)
    if maker is None or maker == family:
        return UNKNOWN
    theirs = _list(maker)
    found = None if theirs is None else theirs.by_bare_name(short)
    return UNKNOWN if found is None else _unpriced(found)


def _other_region(names: _List, model: str) -> ModelInfo | None:
    """A regional profile that is not listed, by the model itself; with prices only where no region's differ."""
    short = without_profile(plain(model))
    if short == plain(model) or (info := names.entry(short)) is None:
        return None
    alike = all(other.prices == info.prices for other in names.profiles(info.name))
    return info if alike else _unpriced(info)


def _unpriced(info: ModelInfo) -> ModelInfo:
    return msgspec.structs.replace(info, prices=(), search_fee=None, request_fee=None)
