"""``[server.tls]`` as an SSL context."""

from __future__ import annotations

import ssl
from pathlib import Path

from gateway.config import TlsConfig
from gateway.errors import ConfigError

PROTOCOLS = ["h2", "http/1.1"]


def server_context(tls: TlsConfig, folder: Path) -> ssl.SSLContext:
    """TLS 1.2 and later, with HTTP/2 where the client speaks it; with ``ca``, clients must show a certificate of it.

    Raises ConfigError with a line for each file that cannot be used.
    """
    context = ssl.create_default_context(ssl.Purpose.CLIENT_AUTH)
    context.minimum_version = ssl.TLSVersion.TLSv1_2
    # What HTTP/2 allows over TLS 1.2 (RFC 9113, 9.2.2): ephemeral keys and authenticated encryption only.
    context.set_ciphers("ECDHE+AESGCM:ECDHE+CHACHA20")
    context.options |= ssl.OP_NO_COMPRESSION
    context.set_alpn_protocols(PROTOCOLS)
    problems: list[str] = []
    for key, name in (("cert", tls.cert), ("key", tls.key), ("ca", tls.ca)):
        if name is not None and (problem := _unreadable(folder / name)):
            problems.append(f'[server.tls] {key} = "{name}": {problem}')
    if not problems:
        try:
            # An empty password: an encrypted key is refused instead of asked for on the terminal.
            context.load_cert_chain(folder / tls.cert, folder / tls.key, password=lambda: b"")
        except (ssl.SSLError, OSError) as error:
            problems.append(f"[server.tls] cert and key: not a matching pair of PEM files ({error})")
    if not problems and tls.ca is not None:
        try:
            context.load_verify_locations(folder / tls.ca)
            context.verify_mode = ssl.CERT_REQUIRED
        except ssl.SSLError as error:
            problems.append(f'[server.tls] ca = "{tls.ca}": no PEM certificates ({error})')
    if problems:
        raise ConfigError(problems)
    return context


def _unreadable(path: Path) -> str | None:
    try:
        with path.open("rb"):
            return None
    except OSError as error:
        return f"cannot be read ({error.strerror})"
