"""One gateway for all hostile tests of a module."""

from __future__ import annotations

from collections.abc import Iterator

import pytest

from tests.hostile.stage import Stage, staged


@pytest.fixture(scope="module")
def stage(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Stage]:
    """A running gateway with a provider for each wire format; whatever it logs as a defect fails the module's end."""
    with staged(tmp_path_factory.mktemp("hostile")) as made:
        yield made
    assert made.notes.defects == []
