"""The workers' shared store: exact between processes, whole after a kill, and no error when it cannot be used."""

from __future__ import annotations

import os
import signal
import subprocess
import sys
import time
from pathlib import Path

import msgspec
import pytest

from gateway.lmdb_store import LmdbStore, default_path
from gateway.resilience.circuit import CLOSED, Circuit, change, cool
from gateway.resilience.shared import SharedCircuits
from gateway.resilience.store import HealthStore, MemoryStore, StoreFailed

COUNT = """
import sys
from pathlib import Path
from gateway.lmdb_store import LmdbStore
from gateway.resilience.circuit import CLOSED, change
store = LmdbStore(Path(sys.argv[1]))
store.load(-1)
print("ready", flush=True)
sys.stdin.readline()
for _ in range(int(sys.argv[2])):
    store.update("a/m", lambda stored: change(stored or CLOSED))
"""


def process(folder: Path, count: int) -> subprocess.Popen[str]:
    child = subprocess.Popen(
        [sys.executable, "-c", COUNT, str(folder), str(count)], stdin=subprocess.PIPE, stdout=subprocess.PIPE, text=True
    )
    assert child.stdout is not None
    assert child.stdout.readline() == "ready\n"
    return child


@pytest.fixture(params=["memory", "lmdb"])
def store(request: pytest.FixtureRequest, tmp_path: Path) -> HealthStore:
    return MemoryStore() if request.param == "memory" else LmdbStore(tmp_path / "health")


def test_what_is_written_is_read_and_only_when_it_is_new(store: HealthStore) -> None:
    loaded = store.load(-1)
    assert loaded is not None
    assert loaded[1] == {}
    store.update("a/m", lambda stored: cool(stored or CLOSED, 7.0, limited=True, reason="it asked"))
    again = store.load(loaded[0])
    assert again is not None
    assert again[1] == {"a/m": Circuit(cooling=7.0, limited=True, reason="it asked")}
    assert store.load(again[0]) is None
    store.update("a/m", lambda stored: stored)
    store.update("b/m", lambda _: None)
    assert store.load(again[0]) is None
    store.close()


def test_one_worker_holds_a_lease_until_it_ends(store: HealthStore) -> None:
    assert store.lease("check/a", 1, 100.0, 10.0)
    assert not store.lease("check/a", 2, 105.0, 10.0)
    assert store.lease("check/b", 2, 105.0, 10.0)
    assert store.lease("check/a", 1, 109.0, 10.0)
    assert not store.lease("check/a", 2, 118.0, 10.0)
    assert store.lease("check/a", 2, 120.0, 10.0)
    store.close()


def test_two_processes_lose_no_change(tmp_path: Path) -> None:
    children = [process(tmp_path / "health", 2000) for _ in range(2)]
    for child in children:
        child.communicate("\n", timeout=30)
        assert child.returncode == 0
    store = LmdbStore(tmp_path / "health")
    loaded = store.load(-1)
    assert loaded is not None
    assert loaded[1]["a/m"].seq == 4000
    store.close()


def test_a_worker_that_is_killed_in_the_middle_leaves_it_whole(tmp_path: Path) -> None:
    store = LmdbStore(tmp_path / "health")
    for _ in range(3):
        child = process(tmp_path / "health", 10_000_000)
        assert child.stdin is not None
        child.stdin.write("\n")
        child.stdin.flush()
        time.sleep(0.05)
        child.send_signal(signal.SIGKILL)
        child.communicate(timeout=10)
        loaded = store.load(-1)
        assert loaded is not None
        before = loaded[1]["a/m"].seq
        found: list[int] = []

        def count(stored: Circuit | None, found: list[int] = found) -> Circuit:
            assert stored is not None
            found.append(stored.seq)
            return change(stored)

        store.update("a/m", count)
        after = store.load(-1)
        assert after is not None
        # A reader may not see the very last write of the one that was killed; whoever writes next does.
        assert found[0] in (before, before + 1)
        assert after[1]["a/m"].seq == found[0] + 1
    store.close()


def test_two_users_in_a_process_share_the_open_file(tmp_path: Path) -> None:
    first, second = LmdbStore(tmp_path / "health"), LmdbStore(tmp_path / "health")
    first.update("a/m", lambda _: change(CLOSED))
    second.update("a/m", lambda stored: change(stored or CLOSED))
    second.close()
    loaded = first.load(-1)
    assert loaded is not None
    assert loaded[1]["a/m"].seq == 2
    first.close()
    with pytest.raises(StoreFailed):
        first.load(-1)


def test_a_folder_that_cannot_be_had_or_holds_something_else_is_a_failure_of_the_store(tmp_path: Path) -> None:
    (tmp_path / "file").write_text("no folder")
    with pytest.raises(StoreFailed):
        LmdbStore(tmp_path / "file").load(-1)
    broken = tmp_path / "broken"
    broken.mkdir(mode=0o700)
    (broken / "data.mdb").write_bytes(b"not a database" * 1000)
    with pytest.raises(StoreFailed):
        LmdbStore(broken).load(-1)


def test_a_folder_that_others_may_write_to_is_not_used(tmp_path: Path) -> None:
    folder = tmp_path / "open"
    folder.mkdir()
    folder.chmod(0o777)
    with pytest.raises(StoreFailed, match="of this user alone"):
        LmdbStore(folder).load(-1)


def test_a_record_of_another_kind_is_a_failure_and_not_an_error(tmp_path: Path) -> None:
    store = LmdbStore(tmp_path / "health")
    store.update("a/m", lambda _: change(CLOSED))
    with store._opened().begin(write=True) as write:
        write.put(b"c/a/m", msgspec.msgpack.encode("something else"))
    circuits = SharedCircuits(store, lambda _: None)
    circuits.sync(100.0)
    circuits.change("a/m", 200.0, lambda circuit: cool(circuit, 300.0, limited=True, reason=""))
    assert circuits.failures == 2
    assert circuits.get("a/m").cooling == 300.0
    store.close()


def test_each_configuration_and_user_has_a_folder_of_its_own(monkeypatch: pytest.MonkeyPatch, tmp_path: Path) -> None:
    monkeypatch.setenv("XDG_RUNTIME_DIR", str(tmp_path))
    one, other = default_path(Path("/etc/one.toml")), default_path(Path("/etc/other.toml"))
    assert one != other
    assert one.parent == other.parent == tmp_path / f"gateway-{os.getuid()}"
