"""Traps of SQL that no result shows."""

from __future__ import annotations

import re
from pathlib import Path

import pytest

_ROOT = Path(__file__).resolve().parents[2]
_FILES = sorted((_ROOT / "infrastructure").rglob("*.sql"))
_EXPANDED_CALL = re.compile(r"\([\w.]+\((?:[^()]|\((?:[^()]|\((?:[^()]|\([^()]*\))*\))*\))*\)\)\.\*")


@pytest.mark.parametrize("path", _FILES, ids=lambda path: path.stem)
def test_no_function_is_called_once_a_column(path):
    """PostgreSQL makes `(f(x)).*` one call of f for each of its columns; in FROM it is called once."""
    assert not _EXPANDED_CALL.findall(path.read_text())


def test_the_trap_is_recognised():
    assert _EXPANDED_CALL.search(
        "SELECT (jsonb_populate_record(NULL::a.b, x || y('k', now(), f(g()))))\n.*".replace("\n", "")
    )
    assert not _EXPANDED_CALL.search("SELECT (NULL::app.claimed_item).*, r.* FROM f(x) AS r")
