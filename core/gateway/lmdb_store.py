"""What the workers of one machine hold against targets, in a memory-mapped file that they share."""

from __future__ import annotations

import os
import stat
import tempfile
from collections.abc import Mapping
from hashlib import blake2b
from pathlib import Path
from typing import Any

import lmdb
import msgspec

from gateway.resilience.circuit import Circuit
from gateway.resilience.store import Change, StoreFailed

MAP_BYTES = 16 * 1024 * 1024
MOST_ENTRIES = 4096
_CIRCUIT, _LEASE = b"c/", b"l/"
_LONGEST_KEY = 400
_BROKEN = (lmdb.Error, OSError, msgspec.MsgspecError)

_encode = msgspec.msgpack.Encoder().encode
_circuits = msgspec.msgpack.Decoder(Circuit)
_leases = msgspec.msgpack.Decoder(tuple[int, float])
# A process must open a file once: closing a second handle would drop the first one's locks.
_open: dict[tuple[int, Path], tuple[Any, int]] = {}


class LmdbStore:
    """As ``HealthStore``, over a folder at ``path``. Opened with the first use, in the process that uses it.

    A worker that is killed in the middle of a write leaves the file whole. Nothing is kept for a restart of the
    machine, so nothing is synced to the disk.
    """

    def __init__(self, path: Path) -> None:
        self.path = path
        self._environment: Any = None
        self._closed = False

    def load(self, version: int) -> tuple[int, Mapping[str, Circuit]] | None:
        """As HealthStore."""
        try:
            environment = self._opened()
            written = int(environment.info()["last_txnid"])
            if written == version:
                return None
            with environment.begin() as read:
                found = {}
                cursor = read.cursor()
                if cursor.set_range(_CIRCUIT):
                    for key, value in cursor:
                        if not key.startswith(_CIRCUIT):
                            break
                        found[key[len(_CIRCUIT) :].decode()] = _circuits.decode(value)
                return written, found
        except _BROKEN as error:
            raise StoreFailed(str(error)) from error

    def update(self, target: str, change: Change) -> None:
        """As HealthStore."""
        key = _CIRCUIT + _key(target)
        try:
            with self._opened().begin(write=True) as write:
                value = write.get(key)
                stored = None if value is None else _circuits.decode(value)
                changed = change(stored)
                if changed is not None and changed is not stored:
                    if stored is None and write.stat()["entries"] >= MOST_ENTRIES:
                        write.drop(
                            self._opened().open_db(txn=write), delete=False
                        )  # each worker still knows what it needs
                    write.put(key, _encode(changed))
        except _BROKEN as error:
            raise StoreFailed(str(error)) from error

    def lease(self, name: str, owner: int, now: float, seconds: float) -> bool:
        """As HealthStore."""
        key = _LEASE + _key(name)
        try:
            with self._opened().begin(write=True) as write:
                value = write.get(key)
                if value is not None:
                    holder, end = _leases.decode(value)
                    # One that ends far ahead was written before the machine was restarted.
                    if holder != owner and now < end <= now + 10.0 * seconds:
                        return False
                write.put(key, _encode((owner, now + seconds)))
                return True
        except _BROKEN as error:
            raise StoreFailed(str(error)) from error

    def close(self) -> None:
        """As HealthStore."""
        self._closed = True
        if self._environment is not None:
            self._environment = None
            place = (os.getpid(), self.path)
            environment, users = _open.pop(place)
            if users > 1:
                _open[place] = (environment, users - 1)
            else:
                environment.close()

    def _opened(self) -> Any:
        if self._environment is None:
            if self._closed:
                raise StoreFailed("it is closed")
            place = (os.getpid(), self.path)
            environment, users = _open.get(place, (None, 0))
            if environment is None:
                _private_folder(self.path)
                environment = lmdb.open(
                    str(self.path), map_size=MAP_BYTES, sync=False, metasync=False, max_readers=1024, mode=0o600
                )
                environment.reader_check()
            _open[place] = (environment, users + 1)
            self._environment = environment
        return self._environment


def default_path(configuration: Path) -> Path:
    """Where the workers of a configuration meet: one folder for this user, below the system's place for such files."""
    place = os.environ.get("XDG_RUNTIME_DIR")
    parent = Path(place) if place else Path(tempfile.gettempdir())
    name = blake2b(str(configuration).encode(), digest_size=8).hexdigest()
    return parent / f"gateway-{os.getuid()}" / f"health-{name}"


def _private_folder(path: Path) -> None:
    """Make the folder, for this user alone; raises OSError where it is somebody else's."""
    path.parent.mkdir(mode=0o700, parents=True, exist_ok=True)
    path.mkdir(mode=0o700, exist_ok=True)
    for folder in (path.parent, path) if path.parent.name == f"gateway-{os.getuid()}" else (path,):
        found = folder.lstat()
        if not stat.S_ISDIR(found.st_mode) or found.st_uid != os.getuid() or found.st_mode & 0o022:
            raise PermissionError(f"{folder} is not a folder of this user alone")


def _key(name: str) -> bytes:
    key = name.encode()
    return key if len(key) <= _LONGEST_KEY else blake2b(key).hexdigest().encode()
