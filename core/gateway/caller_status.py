"""The HTTP status that a caller of another dialect is answered with, by which its package picks an exception."""

from __future__ import annotations

from gateway.errors import STATUS_OF_KIND, GatewayError, UpstreamRejected


def caller_status(error: GatewayError) -> int:
    """That of the kind where the provider's own says less: a wrong key is 400 at Gemini's, and 403 at Bedrock's."""
    usual = STATUS_OF_KIND[error.kind]
    vague = isinstance(error, UpstreamRejected) and 400 <= error.status < 500 and error.kind != "invalid_request"
    return usual if vague and usual < 500 else error.status
