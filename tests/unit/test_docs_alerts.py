"""Does the operators' guide speak of everything that the code can complain of?"""

from __future__ import annotations

import ast
import inspect
import re
from collections.abc import Iterator
from pathlib import Path
from types import SimpleNamespace
from typing import get_args

from config import SettingWarning
from core.contracts.services import Alert
from core.machine.store import FailureDecision
from infrastructure.administration import external_prerequisites, vitals
from triggers.http.components import Probes

ROOT = Path(__file__).resolve().parents[2]
HOW_TO = ROOT / "docs" / "how-to"
SOURCES = ("composition.py", "function_app.py", "config", "core", "infrastructure", "services", "triggers")


def rows(page: str, heading: str) -> dict[str, list[str]]:
    """The other cells of the first table under a heading, by each word of code in its first cell, or by that cell."""
    text = (HOW_TO / f"{page}.md").read_text(encoding="utf-8")
    section = text.partition(f"## {heading}\n")[2].partition("\n## ")[0]
    table = section[section.index("| ---") :].splitlines()[1:]
    found: dict[str, list[str]] = {}
    for line in table:
        if not line.startswith("|"):
            break
        first, *others = [cell.strip() for cell in line.strip("|").split(" | ")]
        assert all(others), line
        found |= dict.fromkeys(re.findall("`([^`]+)`", first) or [first], others)
    return found


def calls(path: Path) -> Iterator[tuple[str, ast.Call]]:
    for node in ast.walk(ast.parse(path.read_text(encoding="utf-8"))):
        if isinstance(node, ast.Call) and isinstance(node.func, (ast.Attribute, ast.Name)):
            yield node.func.attr if isinstance(node.func, ast.Attribute) else node.func.id, node


def word(argument: ast.expr | None) -> str | None:
    """The event that an argument names."""
    found = argument.value if isinstance(argument, ast.Constant) else None
    return found if isinstance(found, str) and found.isidentifier() else None


def events() -> set[str]:
    """The event words of grave log lines; where one is put together, of what it is put together from."""
    files = [f for name in SOURCES for f in ([ROOT / name] if name.endswith(".py") else (ROOT / name).rglob("*.py"))]
    found: set[str | None] = {f"task_{decision}" for decision in get_args(FailureDecision)}
    for name, call in (pair for file in files for pair in calls(file)):
        if call.args and name in ("warning", "error", "critical", "exception", "_wait"):
            found.add(word(call.args[0]))
        if name == "partial" and ast.unparse(call.args[0]) == "self._alert":
            found.add(word(call.args[1]))
    return {each for each in found if each}


def test_every_grave_log_line_is_explained() -> None:
    assert rows("respond-to-alerts", "Log lines").keys() == events()


def test_every_setting_that_is_warned_of_is_explained() -> None:
    warned = {
        word(call.args[0]) for name, call in calls(Path(inspect.getfile(SettingWarning))) if name == "SettingWarning"
    }
    assert rows("respond-to-alerts", "Settings").keys() == warned


def test_every_component_of_health_is_explained() -> None:
    probes = Probes(SimpleNamespace(bus=object()))  # type: ignore[arg-type]  # none is asked
    mounted = {"stac", "features", "raster", "assets"}  # tests/integration/test_health.py asks the service for them
    assert rows("watch-the-system", "Health").keys() == {*probes.names(), *mounted}


def test_every_warning_about_the_database_is_explained() -> None:
    concerns = [call for name, call in calls(Path(vitals.__file__)) if name == "Concern"]
    said = [re.sub(r"\{.*?\}", "N", ast.unparse(call.args[0])) for call in concerns]
    listed = rows("administer-the-database", "Look")
    assert len(listed) == len(said)
    for row in listed:
        words = set(re.findall("[a-z]{4,}", row)) - {"table"}
        assert any(words <= set(re.findall("[a-z]+", each.lower())) for each in said), row


def test_every_alert_about_a_service_is_explained() -> None:
    assert rows("watch-services-of-others", "When one goes away").keys() == set(Alert)


def test_every_prerequisite_is_explained() -> None:
    told = {each.name for each in external_prerequisites.unknown(None)}
    assert rows("prepare-a-database-of-others", "See what is missing").keys() == told
