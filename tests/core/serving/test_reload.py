"""A changed configuration is taken over by every worker, or by none, under load and without an error."""

from __future__ import annotations

import asyncio
import os
import signal
from collections import Counter
from pathlib import Path

from tests.core.serving.served import Load, Served, fetch, get, open_streams, play, pulse_toml, served


def test_sighup_takes_over_a_changed_file_in_the_running_workers(tmp_path: Path) -> None:
    with served(tmp_path, pulse_toml(server="workers = 2\nreload = false")) as gateway:
        workers = gateway.workers()
        gateway.file.write_text(pulse_toml(server="workers = 2\nreload = false", plugin='word = "two"'))
        gateway.signal(signal.SIGHUP)
        gateway.wait_for("configuration taken over by 2 workers")
        assert {fetch(gateway.port, "/word") for _ in range(8)} == {(200, "two")}
        assert gateway.workers() == workers


def test_a_change_of_the_file_or_of_a_plugin_beside_it_is_noticed(tmp_path: Path) -> None:
    with served(tmp_path, pulse_toml()) as gateway:
        gateway.file.write_text(pulse_toml(plugin='word = "two"'))
        gateway.wait_for("configuration taken over", times=1, seconds=3)
        assert fetch(gateway.port, "/word") == (200, "two")
        plugin = tmp_path / "pulse.py"
        plugin.write_text(plugin.read_text().replace("self.config.word)", "self.config.word.upper())"))
        gateway.wait_for("configuration taken over", times=2, seconds=3)
        assert fetch(gateway.port, "/word") == (200, "TWO")


def test_a_file_that_is_swapped_by_its_symbolic_link_is_noticed(tmp_path: Path) -> None:
    """Kubernetes updates a ConfigMap like this: ``gateway.toml`` → ``..data/gateway.toml``, ``..data`` → a folder."""
    for version, word in (("v1", "one"), ("v2", "two")):
        (tmp_path / version).mkdir()
        (tmp_path / version / "gateway.toml").write_text(pulse_toml(plugin=f'word = "{word}"'))
    (tmp_path / "..data").symlink_to("v1")
    (tmp_path / "gateway.toml").symlink_to("..data/gateway.toml")
    with served(tmp_path, pulse_toml()) as gateway:
        (tmp_path / "next").symlink_to("v2")
        (tmp_path / "next").rename(tmp_path / "..data")
        gateway.wait_for("configuration taken over", seconds=3)
        assert fetch(gateway.port, "/word") == (200, "two")


def test_a_bad_file_is_refused_once_and_a_mended_one_taken(tmp_path: Path) -> None:
    with served(tmp_path, pulse_toml(server="workers = 2")) as gateway:
        gateway.file.write_text("[server\n")
        gateway.wait_for("configuration refused, the old one serves on: ", seconds=3)
        assert {fetch(gateway.port, "/word") for _ in range(4)} == {(200, "one")}
        gateway.file.write_text(pulse_toml(server="workers = 2", plugin='wrod = "two"'))
        gateway.signal(signal.SIGHUP)
        gateway.wait_for("configuration refused", times=2)
        assert gateway.log().rstrip().splitlines()[-1].count("wrod") == 1
        gateway.file.write_text(pulse_toml(server="workers = 2", plugin='word = "three"'))
        gateway.signal(signal.SIGHUP)
        gateway.wait_for("configuration taken over")
        assert gateway.log().count("configuration refused") == 2
        assert {fetch(gateway.port, "/word") for _ in range(4)} == {(200, "three")}


def test_a_plugin_that_raises_or_dies_leaves_the_old_configuration_serving(tmp_path: Path) -> None:
    with served(tmp_path, pulse_toml(server="workers = 2\nreload = false")) as gateway:
        gateway.file.write_text(pulse_toml(server="workers = 2", plugin='word = "two"\nbroken = true'))
        gateway.signal(signal.SIGHUP)
        gateway.wait_for("the old one serves on: ")
        assert "RuntimeError: the pulse is broken" in gateway.log()
        assert {fetch(gateway.port, "/word") for _ in range(4)} == {(200, "one")}
        gateway.file.write_text(pulse_toml(server="workers = 2", plugin='word = "two"\nexit_code = 3'))
        gateway.signal(signal.SIGHUP)
        gateway.wait_for("configuration refused", times=2)
        gateway.wait_for("serves\n", times=2)
        assert {fetch(gateway.port, "/word") for _ in range(4)} == {(200, "one")}


def test_twenty_reloads_under_load_fail_no_request(tmp_path: Path) -> None:
    async def main(gateway: Served) -> None:
        stream = (await open_streams(gateway.port, 1, beats=10))[0]
        async with Load(gateway.port, "/word", clients=4) as load:
            for number in range(1, 21):
                toml = pulse_toml(server="workers = 2\nreload = false", plugin=f'word = "w{number}"')
                gateway.file.write_text(toml)
                gateway.signal(signal.SIGHUP)
                await asyncio.to_thread(gateway.wait_for, "taken over", times=number)
                assert (await get(gateway.port, "/word"))[1] == f"w{number}"
        assert (load.refused, load.broken) == (0, 0)
        assert Counter(status for status, _ in load.answers) == {200: len(load.answers)}
        assert b"data: 9\n\ndata: [DONE]\n\n" in await stream.body()

    with served(tmp_path, pulse_toml(server="workers = 2\nreload = false")) as gateway:
        play(main(gateway))


def test_with_no_worker_alive_a_reload_starts_new_ones(tmp_path: Path) -> None:
    with served(tmp_path, pulse_toml(server="reload = false")) as gateway:
        plugin = tmp_path / "pulse.py"
        text = plugin.read_text()
        plugin.write_text("raise ImportError('half an upgrade')")
        os.kill(gateway.workers()[0], signal.SIGKILL)
        # After the second failed successor there is a pause, in which the mended file is taken over.
        gateway.wait_for("cannot serve", times=2)
        plugin.write_text(text)
        gateway.signal(signal.SIGHUP)
        gateway.wait_for("configuration taken over")
        assert fetch(gateway.port, "/word") == (200, "one")


def test_a_plugin_of_a_file_with_mistakes_is_not_run_by_the_parent(tmp_path: Path) -> None:
    with served(tmp_path, pulse_toml(server="reload = false")) as gateway:
        (tmp_path / "deadly.py").write_text("import os\nos._exit(9)\n")
        deadly = '[plugins.deadly]\nuse = "./deadly.py:Deadly"\n'
        gateway.file.write_text(pulse_toml(server="worker = 2", more=deadly))
        gateway.signal(signal.SIGHUP)
        gateway.wait_for("configuration refused")
        assert "worker" in gateway.log().splitlines()[-1]
        assert fetch(gateway.port, "/word") == (200, "one")
        assert gateway.process.poll() is None
