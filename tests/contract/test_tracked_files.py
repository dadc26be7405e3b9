"""What must not stand in a file of this repository: the paths of somebody's machine, the address of a registry."""

from __future__ import annotations

import re
import tempfile
from pathlib import Path

from tests.contract.checkout import ROOT, shown, tracked_files

LARGEST = 1024 * 1024  # bytes

# Written so that this file does not match itself.
REGISTRY = re.compile(
    r"--(?:extra-)?index[-]url|/simple[/]?[\"']|\"resolved\": \"http|registry = \"http"
    r"|pypi[.]org/|pythonhosted[.]org|registry[.]npmjs"
)


def texts() -> list[tuple[str, str]]:
    """The tracked text files with their contents."""
    out = []
    for path in tracked_files():
        data = path.read_bytes()
        if b"\0" not in data:
            out.append((shown(path), data.decode("utf-8")))
    return out


def machine_paths() -> list[str]:
    """Folders that exist on this machine only: the checkout's own, and the user's."""
    temporary = Path(tempfile.gettempdir())
    places = [ROOT, Path.home()]
    if ROOT.parent not in (temporary, Path("/")):
        places.append(ROOT.parent)
    return [f"{place}/" for place in places if place != Path("/")]


def test_no_file_names_a_path_of_this_machine() -> None:
    places = machine_paths()
    assert not [f"{name}: {place}" for name, text in texts() for place in places if place in text]


def test_no_file_names_the_address_of_a_package_registry() -> None:
    assert not [f"{name}: {found.group()}" for name, text in texts() for found in REGISTRY.finditer(text)]


def test_no_large_file_is_tracked() -> None:
    assert not [shown(path) for path in tracked_files() if path.stat().st_size > LARGEST]
