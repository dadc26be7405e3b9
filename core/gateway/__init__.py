"""The public API for plugin authors, and nothing else."""

from gateway.call import Attempt, Call, Principal, Reply, Target
from gateway.config import Secret, Timeouts
from gateway.dialect import Dialect, Endpoint
from gateway.errors import (
    AuthenticationFailed,
    GatewayError,
    InvalidRequest,
    ModelNotFound,
    PermissionDenied,
    RateLimited,
    Unavailable,
    UpstreamDisconnected,
    UpstreamProtocolError,
    UpstreamRejected,
    UpstreamTimeout,
)
from gateway.format import (
    Dropped,
    Format,
    ReplyFacts,
    StreamReader,
    StreamWatch,
    StreamWriter,
    Traits,
)
from gateway.hookspecs import hookimpl
from gateway.plugin import Plugin, PluginConfig, PluginContext
from gateway.provider import Provider, ProviderConfig
from gateway.simple_format import SimpleFormat
from gateway.translation import Pair
from gateway.upstream import UpstreamReply, UpstreamRequest
from gateway.version import __version__

__all__ = [
    "Attempt",
    "AuthenticationFailed",
    "Call",
    "Dialect",
    "Dropped",
    "Endpoint",
    "Format",
    "GatewayError",
    "InvalidRequest",
    "ModelNotFound",
    "Pair",
    "PermissionDenied",
    "Plugin",
    "PluginConfig",
    "PluginContext",
    "Principal",
    "Provider",
    "ProviderConfig",
    "RateLimited",
    "Reply",
    "ReplyFacts",
    "Secret",
    "SimpleFormat",
    "StreamReader",
    "StreamWatch",
    "StreamWriter",
    "Target",
    "Timeouts",
    "Traits",
    "Unavailable",
    "UpstreamDisconnected",
    "UpstreamProtocolError",
    "UpstreamRejected",
    "UpstreamReply",
    "UpstreamRequest",
    "UpstreamTimeout",
    "__version__",
    "hookimpl",
]
