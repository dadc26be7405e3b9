"""The locks: every package pinned by hash, above the security floors, in step with pyproject.toml, with no address."""

from __future__ import annotations

import re
from pathlib import Path

import pytest
from packaging.requirements import Requirement
from packaging.utils import canonicalize_name
from packaging.version import Version

from tests.contract.checkout import ROOT, pyproject, shown

FOLDER = ROOT / "requirements"
LOCKS = sorted(FOLDER.rglob("*.lock"))


def lines(path: Path) -> list[str]:
    """A requirements file's entries, with continued lines joined and comments taken off."""
    text = re.sub(r"\\\n\s*", "", path.read_text(encoding="utf-8"))
    return [line for line in (re.sub(r"(^|\s)#.*", "", line).strip() for line in text.splitlines()) if line]


def pinned(lock: Path) -> list[tuple[Requirement, Version]]:
    """The packages of a lock; one may stand in it several times, for different platforms."""
    out = []
    for line in lines(lock):
        requirement = Requirement(line.partition(" --hash=")[0])
        (pin,) = requirement.specifier
        assert pin.operator == "==", line
        out.append((requirement, Version(pin.version)))
    return out


def floors() -> dict[str, Requirement]:
    """The lowest versions with all known security fixes."""
    return {canonicalize_name(r.name): r for r in map(Requirement, lines(FOLDER / "floors.txt"))}


def test_there_are_locks_for_running_and_for_working() -> None:
    assert {"runtime.lock", "dev.lock", "docs.lock", "model.lock"} <= {lock.name for lock in LOCKS}


@pytest.mark.parametrize("lock", LOCKS, ids=shown)
def test_the_lock_pins_every_package_by_hash_and_names_no_address(lock: Path) -> None:
    assert lines(lock)
    for line in lines(lock):
        assert re.search(r"--hash=sha256:[0-9a-f]{64}", line), line
        assert "://" not in line
        assert not line.startswith("-")


@pytest.mark.parametrize("lock", LOCKS, ids=shown)
def test_the_lock_is_above_the_security_floors(lock: Path) -> None:
    held = floors()
    low = [
        f"{package.name} {version} is below {held[canonicalize_name(package.name)]}"
        for package, version in pinned(lock)
        if (floor := held.get(canonicalize_name(package.name))) and not floor.specifier.contains(version, True)
    ]
    assert not low


def test_the_floors_name_what_reliability_rests_on() -> None:
    assert {"aiohttp", "starlette", "h11", "h2", "orjson"} <= set(floors())


def test_the_dependencies_demand_the_security_floors_themselves() -> None:
    """Who installs the package without our lock gets no version with a known hole either."""
    held = floors()
    project = pyproject()["project"]
    declared = [
        *project["dependencies"],
        *(r for group in project.get("optional-dependencies", {}).values() for r in group),
    ]
    for requirement in map(Requirement, declared):
        floor = held.get(canonicalize_name(requirement.name))
        if floor is None:
            continue
        (lowest,) = (Version(s.version) for s in floor.specifier)
        own = [Version(s.version) for s in requirement.specifier if s.operator in (">=", "==", "~=")]
        assert own, requirement
        assert max(own) >= lowest, f"{requirement} admits less than {floor}"


@pytest.mark.parametrize("name", ["runtime.lock", "dev.lock"])
def test_the_lock_satisfies_pyproject(name: str) -> None:
    project = pyproject()
    wanted = [*project["project"]["dependencies"], *project["build-system"]["requires"]]
    if name == "dev.lock":
        wanted += project["dependency-groups"]["dev"]
    have = {canonicalize_name(package.name): version for package, version in pinned(FOLDER / name)}
    stale = []
    for requirement in map(Requirement, wanted):
        version = have.get(canonicalize_name(requirement.name))
        if version is None or not requirement.specifier.contains(version):
            stale.append(str(requirement))
    assert not stale, "run make lock"


def test_the_working_lock_has_the_versions_of_the_running_one() -> None:
    """So that the tests test what is served."""
    running = {(package.name, version) for package, version in pinned(FOLDER / "runtime.lock")}
    working = {(package.name, version) for package, version in pinned(FOLDER / "dev.lock")}
    assert not running - working
