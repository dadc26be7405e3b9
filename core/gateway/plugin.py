"""What every plugin is: a Config, a stage, and ``@hookimpl`` methods."""

from __future__ import annotations

from collections.abc import Iterable
from pathlib import Path
from typing import TYPE_CHECKING, Any, ClassVar, Literal

import msgspec

from gateway.catalogue import Catalogue

if TYPE_CHECKING:
    from gateway.call import Call
    from gateway.settings import GatewayConfig, ModelConfig

Stage = Literal["auth", "limit", "cache", "guard", "route", "provider", "observe"]
STAGES: tuple[Stage, ...] = ("auth", "limit", "cache", "guard", "route", "provider", "observe")


class PluginConfig(msgspec.Struct, frozen=True, forbid_unknown_fields=True, kw_only=True):
    """The base of a plugin's Config: frozen, and strict so that a typing mistake in TOML is an error."""


class ModelOptions(msgspec.Struct, frozen=True, forbid_unknown_fields=True, kw_only=True):
    """The base of a routing plugin's Options: keys of ``[models.*]``. Their names are unlike those of other plugins."""


class PluginContext(msgspec.Struct, frozen=True, kw_only=True):
    """What a plugin is told about its place: its table's ``name``, its ``use``, and the TOML's ``folder``.

    Relative paths of a plugin's settings are relative to ``folder``. ``workers`` is how many processes share the load.
    ``catalogue`` is what the configuration says of this provider's models.
    """

    name: str
    use: str
    folder: Path = Path()
    workers: int = 1
    catalogue: Catalogue = msgspec.field(default_factory=Catalogue)


class Plugin:
    """The base of every plugin. Construction does no I/O: connections are opened in the ``startup`` hook."""

    stage: ClassVar[Stage] = "guard"
    Config: ClassVar[type[msgspec.Struct]] = PluginConfig
    strategies: ClassVar[tuple[str, ...]] = ()
    """The ``strategy`` words of ``[models.*]`` that this plugin's ``route`` answers."""
    Options: ClassVar[type[msgspec.Struct]] = ModelOptions
    """The further keys of ``[models.*]`` that it takes: of models with one of its strategies."""
    wraps: ClassVar[int] = 0
    """Other than 0: it is asked before the strategies, whichever a model has, where a model's table has its keys.

    Of several the lowest number is asked first.
    """

    def __init__(self, config: Any, context: PluginContext) -> None:
        self.config = config
        self.context = context
        self.name = context.name

    def options(self, call: Call) -> Any:
        """The Options of the call's model for this plugin; None where the model's table says nothing to it."""
        assert call.model_config is not None
        return call.gateway.options.get((call.model_config.name, self.name))

    @classmethod
    def option_problems(  # what it gets is for those that override it
        cls,
        model: ModelConfig,  # noqa: ARG003
        options: Any,  # noqa: ARG003
        config: GatewayConfig,  # noqa: ARG003
    ) -> Iterable[tuple[str, str]]:
        """What is wrong with a model's Options that types cannot say: pairs of the key and a sentence."""
        return ()

    def warnings(self) -> list[str]:
        """What ``gateway check`` should say about these settings although they are valid."""
        return []
