"""The configuration as it travels from parent to workers: the text itself, so that all build from the same bytes."""

from __future__ import annotations

import hashlib
from pathlib import Path

import msgspec

from gateway.config import GatewayConfig, TlsConfig, load_config, parse_config


class Document(msgspec.Struct, frozen=True):
    """A TOML text with its place. ``bind`` is the command line's, which beats the file's."""

    text: str
    path: str | None
    folder: str
    bind: str | None = None

    def config(self) -> GatewayConfig:
        """Read and check it; raises ConfigError."""
        path = None if self.path is None else Path(self.path)
        return with_bind(parse_config(self.text, path=path, folder=Path(self.folder)), self.bind)


class Standing(msgspec.Struct, frozen=True):
    """What a running worker cannot change: a difference asks for new workers."""

    bind: str
    admin_bind: str
    workers: int
    http1: str
    body_timeout: float
    tls: TlsConfig | None
    tls_files: tuple[bytes, ...]


def read_document(path: Path | None, bind: str | None, *, plugins: bool = True) -> tuple[Document, GatewayConfig]:
    """Read the file; raises ConfigError, with what is wrong in the plugins' tables too unless ``plugins`` is false."""
    config = with_bind(load_config(path, plugins=plugins), bind)
    place = None if config.path is None else str(config.path)
    return Document(config.text, place, str(config.folder), bind), config


def with_bind(config: GatewayConfig, bind: str | None) -> GatewayConfig:
    """The configuration with another ``[server] bind``."""
    if bind is None:
        return config
    return msgspec.structs.replace(config, server=msgspec.structs.replace(config.server, bind=bind))


def standing(config: GatewayConfig) -> Standing:
    """The part of a configuration that is fixed for a worker's life, the bytes of its TLS files included."""
    server = config.server
    digests = tuple(digest(path) for path in tls_files(config))
    return Standing(
        server.bind, server.admin_bind, server.workers, server.http1, server.body_timeout, server.tls, digests
    )


def tls_files(config: GatewayConfig) -> list[Path]:
    """The files of ``[server.tls]``."""
    tls = config.server.tls
    names = [] if tls is None else [tls.cert, tls.key, tls.ca]
    return [config.folder / name for name in names if name]


def watched_files(config: GatewayConfig) -> list[Path]:
    """The files whose change is a change of the configuration: the TOML, plugins beside it, TLS files."""
    places = [table.use.rpartition(":")[0] for table in config.plugins]
    files = [config.folder / place for place in places if place.endswith(".py")]
    return [*([config.path] if config.path else []), *files, *tls_files(config)]


def digest(path: Path) -> bytes:
    """A digest of a file's bytes; empty where it cannot be read."""
    try:
        return hashlib.blake2b(path.read_bytes(), digest_size=16).digest()
    except OSError:
        return b""
