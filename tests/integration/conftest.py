"""Fixtures of tests that speak to the API in their own process."""

from __future__ import annotations

from collections.abc import Iterator
from pathlib import Path

import pytest

from tests.support.api import Api, serve


@pytest.fixture
def api(db: str, tmp_path: Path) -> Iterator[Api]:
    """The API on a fresh database."""
    with serve(db, tmp_path) as running:
        yield running
