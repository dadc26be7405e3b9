"""The test kit for plugin authors: a fake provider that speaks bytes on a real socket."""

from gateway.testing.connection import Exchange, RecordedRequest
from gateway.testing.harness import Answer, RunningGateway, running_gateway
from gateway.testing.provider import ScriptedProvider

__all__ = ["Answer", "Exchange", "RecordedRequest", "RunningGateway", "ScriptedProvider", "running_gateway"]
