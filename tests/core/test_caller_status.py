"""The status that a caller of another dialect gets for what a provider refused."""

from __future__ import annotations

import pytest

from gateway.caller_status import caller_status
from gateway.errors import GatewayError, Kind, RateLimited, UpstreamRejected


@pytest.mark.parametrize(
    ("status", "kind", "shown"),
    [
        (400, "authentication", 401),  # Gemini's wrong key
        (403, "authentication", 401),  # Bedrock's
        (400, "model_not_found", 404),
        (413, "context_length", 400),
        (403, "permission", 403),
        (429, "rate_limit", 429),
        (424, "invalid_request", 424),
        (408, "timeout", 408),
        (503, "overloaded", 503),
        (529, "overloaded", 529),
    ],
)
def test_a_vague_status_becomes_that_of_the_kind(status: int, kind: Kind, shown: int) -> None:
    assert caller_status(UpstreamRejected("m", status=status, kind=kind)) == shown


def test_the_gateways_own_errors_keep_their_status() -> None:
    for error in (RateLimited("m"), GatewayError("m")):
        assert caller_status(error) == error.status
