"""A Gateway: one configuration with its plugins, resolved and ready to take calls."""

from __future__ import annotations

import logging
import time
from collections.abc import Sequence
from difflib import get_close_matches
from typing import TYPE_CHECKING, Any

import msgspec
import pluggy

from gateway.config import GatewayConfig, ModelConfig, TargetConfig, Timeouts
from gateway.credentials import credential_of
from gateway.dialect import Dialect
from gateway.errors import GatewayError, ModelNotFound
from gateway.health import Health
from gateway.health_checks import HealthChecks
from gateway.pipeline import Pipeline
from gateway.plugin import Plugin, Stage
from gateway.provider import Provider
from gateway.upstream import preload

if TYPE_CHECKING:
    from gateway.call import Principal, Target
    from gateway.format import Format
    from gateway.needs import Limits
    from gateway.translation import Translator

log = logging.getLogger("gateway")


class Life:
    """How many Gateways hold a plugin, and whether it was started: it is shut down when the last lets go."""

    __slots__ = ("holders", "started")

    def __init__(self) -> None:
        self.holders = 0
        self.started = False


class PluginRecord:
    """A plugin in its place. ``default`` is true for one that is on without a table."""

    __slots__ = ("default", "hooks", "life", "name", "place", "plugin", "stage", "use")

    def __init__(
        self, name: str, use: str, stage: Stage, place: int, plugin: Plugin, *, default: bool, life: Life | None = None
    ) -> None:
        self.name = name
        self.use = use
        self.stage = stage
        self.place = place
        self.plugin = plugin
        self.default = default
        self.hooks: list[str] = []
        self.life = life or Life()


MOST_ADDRESSED = 1024
"""How many models addressed as ``provider/model`` are remembered: callers choose their names."""


class Lane:
    """The way between a caller's format and a provider: its wire format and the translator in between.

    ``others`` are the ways to models of the provider's that another format serves alone, by that format's name.
    """

    __slots__ = ("others", "translator", "wire")

    def __init__(self, wire: Format, translator: Translator, others: dict[str, Lane] | None = None) -> None:
        self.wire = wire
        self.translator = translator
        self.others = others


class Gateway:
    """What a call needs to know, and the plugins' life cycle. Frozen once built."""

    def __init__(
        self,
        config: GatewayConfig,
        records: list[PluginRecord],
        manager: pluggy.PluginManager,
        lanes: dict[tuple[str, str], Lane],
        options: dict[tuple[str, str], Any] | None = None,
        previous: Gateway | None = None,
    ) -> None:
        """``options`` holds what ``[models.*]`` says to routing plugins, by model and plugin.

        What ``previous`` has learned of the health of targets is taken over.
        """
        self.config = config
        self.records = records
        self.manager = manager
        self.lanes = lanes
        self.created = int(time.time())
        self.warnings: list[str] = list(config.warnings)
        self.providers: dict[str, Provider] = {r.name: r.plugin for r in records if isinstance(r.plugin, Provider)}
        self.dialects: list[Dialect] = [r.plugin for r in records if isinstance(r.plugin, Dialect)]
        self.options = options or {}
        self.pipeline = Pipeline(manager.hook, {record.name: record.stage for record in records})
        self.pipeline.plan_routes({r.name: r.plugin for r in records}, config.models, self.options.keys())
        self._scorers = [scored for r in records if (scored := getattr(r.plugin, "scored", None))]
        self._identify = [
            identify for r in records if r.stage == "auth" and (identify := getattr(r.plugin, "identify", None))
        ]
        self.health: Health = Health(config, self.providers, None if previous is None else previous.health)
        self.health_checks = HealthChecks(self)
        self.limits: dict[tuple[str, str], Limits] = {}
        self.time_limits: dict[int, tuple[Target, ModelConfig, Timeouts]] = {}
        self._addressed: dict[str, ModelConfig] = {}
        self.calls = 0
        self.retired = False
        self._stopped = False

    def resolve(self, name: str, principal: Principal | None) -> ModelConfig:
        """The model asked for: a name of ``[models]`` or ``provider/model``; raises ModelNotFound with a near name."""
        model = self.config.models.get(name)
        if model is not None:
            return model
        if (model := self._addressed.get(name)) is not None:
            return model
        provider, slash, rest = name.partition("/")
        if slash and rest and provider in self.providers:
            target = TargetConfig(provider=provider, model=rest)
            model = msgspec.structs.replace(self.config.defaults, name=name, targets=(target,), strategy="ordered")
            if len(self._addressed) >= MOST_ADDRESSED:
                self._addressed.clear()
            self._addressed[name] = model
            return model
        raise ModelNotFound(f"The model {name!r} does not exist here{self._near(name, principal)}", param="model")

    def _near(self, name: str, principal: Principal | None) -> str:
        visible = self.models_for(principal)
        close = get_close_matches(name, visible, n=1, cutoff=0.5)
        if close:
            return f"; did you mean {close[0]!r}?"
        return ". GET /v1/models lists those that do; 'provider/model' asks a provider directly."

    def lane(self, format_name: str, target: Target) -> Lane | None:
        """The way from a caller's format to a target's model; None where its provider does not offer the operation."""
        lane = self.lanes.get((format_name, target.provider))
        if lane is None or lane.others is None:
            return lane
        served = self.providers[target.provider].served_by(target.model, format_name)
        return lane if served is None else lane.others.get(served, lane)

    def models_for(self, principal: Principal | None) -> list[str]:
        """The names that a caller may ask for and that are known beforehand."""
        names = [*self.config.models]
        names += [f"{name}/{model}" for name, provider in self.providers.items() for model in provider.models]
        return names if principal is None else [name for name in names if principal.may_use(name)]

    def sizes(self, name: str) -> tuple[int | None, int | None]:
        """The context window and the longest answer of a model, in tokens: the least that is known of its targets."""
        infos = [self.providers[target.provider].info(target.model) for target in self.resolve(name, None).targets]
        windows = [info.context_window for info in infos if info.context_window is not None]
        outputs = [info.max_output for info in infos if info.max_output is not None]
        return min(windows, default=None), min(outputs, default=None)

    def score(self, call_id: str, value: float) -> None:
        """Tell how good the answer to a call was, between 0 and 1, some time after it: experiments compare scores.

        A plugin that knows it while the call is open sets ``call.score``. Plugins with a method ``scored`` hear of it.
        """
        for scored in self._scorers:
            scored(call_id, min(1.0, max(0.0, value)))

    def authenticate(self, scope: Any, key_parameters: Sequence[bytes] = ()) -> Principal | None:
        """Who sends this request, for routes of a plugin's own; None where no key is asked for.

        Raises AuthenticationFailed as a call would. ``key_parameters`` are those of a Dialect.
        """
        credential = credential_of(scope["headers"], scope.get("query_string", b""), key_parameters)
        principal: Principal | None = None
        for identify in self._identify:
            principal = identify(credential)
        return principal

    async def start(self) -> None:
        """Start the plugins that are new, in order; a failure shuts down those started here and is raised."""
        if any(provider.connects for provider in self.providers.values()):
            preload()
        started: list[PluginRecord] = []
        self.health.hold()
        for record in self.records:
            record.life.holders += 1
        try:
            for record in self.records:
                if not record.life.started:
                    await _call_own(record, "startup", gateway=self)
                    record.life.started = True
                    started.append(record)
            self.health_checks.start()
        except BaseException:
            await self.stop()
            raise

    async def stop(self) -> None:
        """Let the plugins go; those that no other Gateway holds are shut down, in reverse order.

        Once: a copy of the last call of a Gateway that was replaced begins when that call has ended, and ends it again.
        """
        if self._stopped:
            return
        self._stopped = True
        await self.health_checks.stop()
        self.health.let_go()
        for record in reversed(self.records):
            record.life.holders -= 1
            if record.life.holders > 0 or not record.life.started:
                continue
            record.life.started = False
            try:
                await _call_own(record, "shutdown")
                if isinstance(record.plugin, Provider):
                    await record.plugin.close()
            except Exception:
                log.exception("plugin %s failed in shutdown", record.name)

    def render_error(self, path: str, error: GatewayError, request_id: str) -> bytes:
        """An error's body for a path that no dialect owns: the one with the longest common beginning speaks.

        Among equals it is the one with the most endpoints, but for those whose paths name a model: the one that a
        stranger most likely speaks.
        """
        from gateway.loading import load_format  # noqa: PLC0415  # cached; only on this rare path

        counted = [(d, sum("{" not in e.path for e in d.endpoints)) for d in self.dialects]
        best = max(
            ((e.path, e.format, plain) for d, plain in counted for e in d.endpoints),
            key=lambda place: (_common(place[0], path), place[2]),
            default=("", "", 0),
        )
        if not best[1]:
            return b'{"error":{"message":"not found","type":"invalid_request_error","param":null,"code":null}}'
        return load_format(best[1]).write_error(error, request_id)


def _common(a: str, b: str) -> int:
    return next((i for i, (x, y) in enumerate(zip(a, b, strict=False)) if x != y), min(len(a), len(b)))


async def _call_own(record: PluginRecord, hook: str, **arguments: Any) -> None:
    """Call one plugin's own implementation of a life-cycle hook, if it has one."""
    if hook not in record.hooks:
        return
    method = getattr(record.plugin, hook)
    wanted = method.__code__.co_varnames[1 : method.__code__.co_argcount]
    await method(**{name: value for name, value in arguments.items() if name in wanted})
