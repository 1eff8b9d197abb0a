"""Does every hazard have a row, and does every test that a row names exist?"""

import ast
import re
from pathlib import Path

ROOT = Path(__file__).resolve().parents[2]
PAGE = ROOT / "docs/explanation/reliability.md"


def rows() -> dict[str, list[str]]:
    lines = [line for line in PAGE.read_text(encoding="utf-8").splitlines() if re.match(r"\| H\d+ \|", line)]
    cells = [[cell.strip() for cell in line.strip("|").split(" | ")] for line in lines]
    assert len(cells) == len({row[0] for row in cells})
    return {row[0]: row for row in cells}


def defined_in(file: str) -> set[str]:
    tree = ast.parse((ROOT / "tests" / file).read_text(encoding="utf-8"))
    return {node.name for node in tree.body if isinstance(node, (ast.FunctionDef, ast.AsyncFunctionDef))}


def test_every_hazard_has_a_row_and_a_test() -> None:
    assert list(rows()) == [f"H{n}" for n in range(1, 46)]
    assert [name for name, row in rows().items() if "::test_" not in row[3]] == []


def test_every_test_that_the_table_names_exists() -> None:
    named = re.findall(r"`([a-z/_]+\.py)::(test_[a-z0-9_]+)`", PAGE.read_text(encoding="utf-8"))
    assert len(named) >= len(rows())
    missing = [
        f"{file}::{test}"
        for file, test in named
        if not (ROOT / "tests" / file).exists() or test not in defined_in(file)
    ]
    assert missing == []
