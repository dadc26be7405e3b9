"""``[catalogue."provider/model"]``: what the configuration says of models, in front of what the catalogue knows."""

from __future__ import annotations

from decimal import Decimal
from fnmatch import fnmatchcase
from typing import Annotated, Any

import msgspec

from gateway.catalogue.info import ModelInfo, Price, Thinking
from gateway.catalogue.lists import lookup

Dollars = Annotated[float, msgspec.Meta(ge=0, le=1_000_000)]
Tokens = Annotated[int, msgspec.Meta(ge=1)]
_MICRO = 1_000_000
_MOST_KEPT = 1024


class PriceOverride(msgspec.Struct, frozen=True, forbid_unknown_fields=True, kw_only=True):
    """Prices in dollars per million tokens, as price lists print them. ``input`` and ``output`` belong together.

    They replace all that the catalogue knows of the model's prices. A price of 0 is a price: the call costs nothing.
    """

    input: Dollars
    output: Dollars = 0.0
    cache_read: Dollars | None = None
    cache_write: Dollars | None = None
    cache_write_1h: Dollars | None = None
    reasoning: Dollars | None = None
    audio_input: Dollars | None = None
    audio_output: Dollars | None = None

    def row(self) -> Price:
        """The same in the catalogue's unit. TOML's numbers say shortest what was typed."""
        given = {name: getattr(self, name) for name in self.__struct_fields__}
        return msgspec.convert({name: _pico(value) for name, value in given.items() if value is not None}, Price)


class ModelOverride(msgspec.Struct, frozen=True, forbid_unknown_fields=True, kw_only=True):
    """``[catalogue."provider/model"]``; what is not said stays as the catalogue has it.

    ``base_model`` is the model that this one is: a deployment's, a fine-tuned one's, a local copy's. Its facts and its
    prices count: where that provider's list has none, write ``prices``. ``retires`` is a date.
    """

    base_model: Annotated[str, msgspec.Meta(min_length=1)] | None = None
    context_window: Tokens | None = None
    max_output: Tokens | None = None
    input: tuple[str, ...] | None = None
    output: tuple[str, ...] | None = None
    tools: bool | None = None
    parallel_tools: bool | None = None
    forced_tools: bool | None = None
    structured_output: bool | None = None
    reasoning: bool | None = None
    efforts: tuple[str, ...] | None = None
    default_effort: str | None = None
    thinking: Thinking | None = None
    always_thinks: bool | None = None
    sampling: bool | None = None
    prefill: bool | None = None
    web_search: bool | None = None
    retires: Annotated[str, msgspec.Meta(pattern=r"^\d{4}-\d\d-\d\d$")] | None = None
    prices: PriceOverride | None = None

    def over(self, info: ModelInfo, name: str) -> ModelInfo:
        """``info`` with what this says in its place."""
        said: dict[str, Any] = {
            field: value
            for field in self.__struct_fields__
            if field not in ("base_model", "prices") and (value := getattr(self, field)) is not None
        }
        if self.prices is not None:
            said["prices"] = (self.prices.row(),)
        return msgspec.structs.replace(info, name=info.name or name, **said)


class Catalogue:
    """The catalogue as one configuration sees it: the package's lists, and the TOML's tables in front of them.

    Keys are ``provider/model`` with the provider's instance name; ``*`` in a key stands for anything, and an exact key
    counts before one with it, a longer pattern before a shorter one.
    """

    __slots__ = ("_exact", "_found", "_patterns")

    def __init__(self, overrides: dict[str, ModelOverride] | None = None) -> None:
        given = overrides or {}
        self._exact = {key: value for key, value in given.items() if "*" not in key}
        patterns = [(key, value) for key, value in given.items() if "*" in key]
        self._patterns = sorted(patterns, key=lambda item: -len(item[0]))
        self._found: dict[tuple[str, str, str], ModelInfo] = {}

    def __eq__(self, other: object) -> bool:
        return isinstance(other, Catalogue) and (self._exact, self._patterns) == (other._exact, other._patterns)

    __hash__ = None  # type: ignore[assignment]  # it is compared, never kept in a set

    def of(self, provider: str | None) -> Catalogue:
        """The part that one provider's instance needs, or nothing at all for None."""
        if provider is None:
            return Catalogue()
        given = {**self._exact, **dict(self._patterns)}
        return Catalogue({key: said for key, said in given.items() if fnmatchcase(provider, key.partition("/")[0])})

    def info(self, provider: str, family: str, model: str, behind: str | None = None) -> ModelInfo:
        """What is known of a model at a provider's instance; ``behind`` is what the provider knows it to be."""
        behind = behind or model
        if not self._exact and not self._patterns:
            return lookup(family, behind)
        key = (provider, family, model)
        if (info := self._found.get(key)) is None:
            if len(self._found) >= _MOST_KEPT:
                self._found.clear()  # callers choose names: they must not fill the memory
            info = self._found[key] = self._look_up(provider, family, model, behind)
        return info

    def _look_up(self, provider: str, family: str, model: str, behind: str) -> ModelInfo:
        name = f"{provider}/{model}"
        override = self._exact.get(name)
        if override is None:
            override = next((value for key, value in self._patterns if fnmatchcase(name, key)), None)
        if override is None:
            return lookup(family, behind)
        return override.over(lookup(family, override.base_model or behind), name)


def _pico(dollars: float) -> int:
    return int((Decimal(repr(dollars)) * _MICRO).to_integral_value())
