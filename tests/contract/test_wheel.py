"""The wheel: built with nothing from outside, it holds the three packages and nothing that runs by itself."""

from __future__ import annotations

import configparser
import subprocess
import sys
import zipfile
from pathlib import Path

import pytest

from tests.contract.checkout import CONTRIB, CORE, PLUGINS, ROOT, pyproject

IMPORT_ALL = """
import importlib, pkgutil, sys

REACHING = ("socket.connect", "socket.getaddrinfo", "socket.gethostby", "urllib.Request", "subprocess.Popen")

def audit(event, arguments):
    if event.startswith(REACHING):
        raise SystemExit(f"importing {current} did {event} {arguments!r}")

place = sys.argv[1]
sys.path.insert(0, place)
sys.addaudithook(audit)
count = 0
for package in ("gateway", "gateway_plugins", "gateway_contrib"):
    current = package
    module = importlib.import_module(package)
    assert module.__file__.startswith(place), module.__file__
    for found in pkgutil.walk_packages(module.__path__, package + "."):
        if found.name.endswith("__main__"):
            continue
        current = found.name
        importlib.import_module(found.name)
        count += 1
print(count)
"""


@pytest.fixture(scope="module")
def wheel(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """The wheel of this checkout, built by the back end alone."""
    folder = tmp_path_factory.mktemp("wheel")
    done = subprocess.run(
        [sys.executable, "-m", "hatchling", "build", "-t", "wheel", "-d", str(folder)],
        cwd=ROOT,
        capture_output=True,
        text=True,
        check=False,
    )
    assert done.returncode == 0, done.stderr
    (built,) = folder.glob("*.whl")
    return built


def test_the_wheel_carries_the_catalogue_and_the_licence_of_its_data(wheel: Path) -> None:
    data = CORE / "catalogue" / "data"
    with zipfile.ZipFile(wheel) as archive:
        carried = {name.rpartition("/")[2] for name in archive.namelist() if name.startswith("gateway/catalogue/data/")}
    assert {path.name for path in data.iterdir()} == carried
    assert "MIT" in (data / "SOURCE.txt").read_text(encoding="utf-8")


def test_the_wheel_is_for_every_platform_and_is_named_for_the_project(wheel: Path) -> None:
    assert wheel.name.startswith(f"{pyproject()['project']['name'].replace('-', '_')}-")
    assert wheel.name.endswith("-py3-none-any.whl")


def test_the_wheel_holds_the_three_packages_and_no_other(wheel: Path) -> None:
    names = zipfile.ZipFile(wheel).namelist()
    tops = {name.partition("/")[0] for name in names}
    assert {top for top in tops if not top.endswith(".dist-info")} == {"gateway", "gateway_plugins", "gateway_contrib"}
    for folder in (CORE, PLUGINS, CONTRIB):
        sources = {path.relative_to(folder.parent).as_posix() for path in folder.rglob("*.py")}
        assert not sources - set(names)
    assert "gateway/py.typed" in names


def test_the_wheel_holds_nothing_that_runs_at_the_start_of_python(wheel: Path) -> None:
    names = zipfile.ZipFile(wheel).namelist()
    assert not [name for name in names if name.endswith((".pth", ".so", ".pyc")) or ".data/" in name]


def test_the_wheel_carries_the_licence_and_every_entry_point(wheel: Path) -> None:
    with zipfile.ZipFile(wheel) as archive:
        (info,) = {name.partition("/")[0] for name in archive.namelist() if ".dist-info/" in name}
        assert "Apache License" in archive.read(f"{info}/licenses/LICENSE").decode()
        points = configparser.ConfigParser(delimiters=("=",))
        points.optionxform = str  # type: ignore[assignment,method-assign]  # names are case-sensitive here
        points.read_string(archive.read(f"{info}/entry_points.txt").decode())
        assert points["console_scripts"]["gateway"] == "gateway.cli:main"
        names = set(archive.namelist())
    for group, entries in pyproject()["project"]["entry-points"].items():
        assert dict(points[group]) == entries
        for target in entries.values():
            module = target.partition(":")[0].replace(".", "/")
            assert {f"{module}.py", f"{module}/__init__.py"} & names, target


def test_importing_every_module_of_the_wheel_reaches_for_nothing(wheel: Path, tmp_path: Path) -> None:
    zipfile.ZipFile(wheel).extractall(tmp_path)
    done = subprocess.run(
        [sys.executable, "-c", IMPORT_ALL, str(tmp_path)], capture_output=True, text=True, timeout=50, check=False
    )
    assert done.returncode == 0, done.stderr
    assert int(done.stdout) > 30
