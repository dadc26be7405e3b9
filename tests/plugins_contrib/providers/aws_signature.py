"""AWS's Signature Version 4 as a server checks it, written from its documentation and not from the signer's code."""

from __future__ import annotations

import hashlib
import hmac
from urllib.parse import quote

from gateway.testing.connection import RecordedRequest


def check_signature(request: RecordedRequest, *, access_key: str, secret: str, region: str) -> None:
    """Raise AssertionError unless the request is signed for Bedrock with these keys, as it arrived."""
    headers = {name.lower(): value for name, value in request.headers.items()}
    scheme, _, rest = headers["authorization"].partition(" ")
    assert scheme == "AWS4-HMAC-SHA256"
    fields = dict(item.strip().split("=", 1) for item in rest.split(","))
    key, date, where, service, ending = fields["Credential"].split("/")
    assert (key, where, service, ending) == (access_key, region, "bedrock", "aws4_request")
    names = fields["SignedHeaders"].split(";")
    assert {"host", "x-amz-date"} <= set(names)
    assert all(name in names for name in headers if name.startswith("x-amz"))
    path, _, query = request.path.partition("?")
    canonical = "\n".join(
        (
            request.method,
            # Every service but S3 encodes the path that was sent once more.
            quote(path, safe="/-_.~"),
            query,
            *(f"{name}:{' '.join(headers[name].split())}" for name in names),
            "",
            ";".join(names),
            hashlib.sha256(request.body).hexdigest(),
        )
    )
    scope = f"{date}/{region}/bedrock/aws4_request"
    text = "\n".join(("AWS4-HMAC-SHA256", headers["x-amz-date"], scope, hashlib.sha256(canonical.encode()).hexdigest()))
    signing = ("AWS4" + secret).encode()
    for step in (date, region, "bedrock", "aws4_request"):
        signing = hmac.digest(signing, step.encode(), "sha256")
    assert fields["Signature"] == hmac.new(signing, text.encode(), "sha256").hexdigest()
