"""Noticing changed files, counting cores, and the lines of the log."""

from __future__ import annotations

import logging
import os
from pathlib import Path

from gateway.serving.cores import available_cores, worker_count
from gateway.serving.log_lines import LineFormatter
from gateway.serving.watch import Watch


def settled(watch: Watch) -> list[bool]:
    return [watch.changed(), watch.changed()]


def test_a_change_counts_when_two_looks_agree_and_only_once(tmp_path: Path) -> None:
    file = tmp_path / "gateway.toml"
    file.write_text("a")
    watch = Watch([file])
    assert settled(watch) == [False, False]
    file.write_text("ab")
    assert watch.changed() is False
    file.write_text("abc")
    assert settled(watch) == [False, True]
    assert settled(watch) == [False, False]


def test_a_touched_file_with_the_same_bytes_is_no_change(tmp_path: Path) -> None:
    file = tmp_path / "gateway.toml"
    file.write_text("a")
    watch = Watch([file])
    os.utime(file, (1, 1))
    assert settled(watch) == [False, False]


def test_a_swapped_link_a_missing_and_an_appearing_file_are_changes(tmp_path: Path) -> None:
    for name in ("one", "two"):
        (tmp_path / name).write_text(name)
    link = tmp_path / "gateway.toml"
    link.symlink_to("one")
    watch = Watch([link])
    (tmp_path / "next").symlink_to("two")
    (tmp_path / "next").rename(link)
    assert settled(watch) == [False, True]
    link.unlink()
    assert settled(watch) == [False, True]
    link.write_text("three")
    assert settled(watch) == [False, True]


def test_what_is_known_of_a_file_is_kept_when_others_are_added(tmp_path: Path) -> None:
    first, second = tmp_path / "a", tmp_path / "b"
    first.write_text("1")
    second.write_text("1")
    watch = Watch([first])
    first.write_text("12")
    watch.follow([first, second])
    assert settled(watch) == [False, True]
    second.write_text("12")
    watch.mark()
    assert settled(watch) == [False, False]


def test_workers_are_one_for_each_core_within_the_containers_quota(tmp_path: Path) -> None:
    cores = len(os.sched_getaffinity(0))
    assert available_cores(tmp_path) == cores
    (tmp_path / "cpu.max").write_text("max 100000\n")
    assert available_cores(tmp_path) == cores
    (tmp_path / "cpu.max").write_text("50000 100000\n")
    assert available_cores(tmp_path) == 1
    assert worker_count(3) == 3
    assert worker_count(0) >= 1


def test_the_quota_of_the_first_cgroup_version_counts_too(tmp_path: Path) -> None:
    (tmp_path / "cpu").mkdir()
    for quota, cores in (("-1", len(os.sched_getaffinity(0))), ("20000", 1)):
        (tmp_path / "cpu/cpu.cfs_quota_us").write_text(f"{quota}\n")
        (tmp_path / "cpu/cpu.cfs_period_us").write_text("100000\n")
        assert available_cores(tmp_path) == cores


def test_a_log_line_has_time_level_origin_and_message() -> None:
    record = logging.LogRecord("x", logging.WARNING, __file__, 1, "%d calls", (3,), None)
    record.created = 1767225600.9
    assert LineFormatter("worker 1").format(record) == "2026-01-01T00:00:00Z warning worker 1: 3 calls"
    assert LineFormatter().format(record) == "2026-01-01T00:00:00Z warning 3 calls"
