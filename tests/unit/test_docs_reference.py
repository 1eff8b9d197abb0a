"""Do the reference pages say what the code does?"""

import re
from pathlib import Path

from pydantic import SecretStr
from pydantic_settings import BaseSettings
from typer.main import get_command

from config import settings
from core.contracts.raster_findings import FindingCode
from core.error_catalogue import catalogue
from jobs.registry import JOBS
from triggers import functions
from triggers.cli.main import app as cli
from triggers.error_table import written
from triggers.timers import BROKER_TIMERS, TIMERS

ROOT = Path(__file__).resolve().parents[2]
DOCS = ROOT / "docs"


CLOCK = (*TIMERS, *BROKER_TIMERS, functions.DRAIN)


def rows(page: str, columns: int) -> list[list[str]]:
    """The cells of every table row with that many columns whose first cell is code."""
    text = (DOCS / "reference" / page).read_text(encoding="utf-8")
    cells = [[c.strip() for c in line.strip("|").split(" | ")] for line in text.splitlines() if line.startswith("| `")]
    return [row for row in cells if len(row) == columns]


def fields() -> dict[str, object]:
    """Every setting and its default."""
    classes = [c for c in vars(settings).values() if isinstance(c, type) and issubclass(c, BaseSettings)]
    return {str(f.alias): f.default for c in classes if c is not BaseSettings for f in c.model_fields.values()}


def shown(default: object) -> str:
    if default is None:
        return "-"
    if default == "":
        return "empty"
    if isinstance(default, SecretStr):
        raise AssertionError("a secret has a default")
    if isinstance(default, bool):
        return str(default).lower()
    if isinstance(default, float) and default.is_integer():
        return str(int(default))
    return str(getattr(default, "value", default))


def test_every_setting_is_listed_with_its_default() -> None:
    listed = {row[0].strip("`"): row[1].strip("`") for row in rows("settings.md", 3)}
    missing = {name: shown(default) for name, default in fields().items() if listed.get(name) != shown(default)}
    assert missing == {}


def test_every_finding_about_rasters_is_listed_with_what_to_do() -> None:
    listed = {row[0].strip("`"): row[1:] for row in rows("findings.md", 4)}
    assert listed.keys() == {code.value for code in FindingCode}
    assert all(all(cells) for cells in listed.values())


def test_no_setting_is_listed_that_nothing_reads() -> None:
    timers = {timer.setting for timer in CLOCK}
    listed = [row[0].strip("`") for row in rows("settings.md", 3)]
    assert sorted(listed) == sorted({*fields(), *timers})


def test_timers_are_listed_with_their_schedules() -> None:
    listed = {row[0].strip("`"): row[1].strip("`") for row in rows("settings.md", 3)}
    assert {t.setting: listed[t.setting] for t in CLOCK} == {t.setting: t.schedule for t in CLOCK}


def test_every_setting_says_what_it_means() -> None:
    assert [row[0] for row in rows("settings.md", 3) if len(row[2]) < 8] == []


def test_the_table_of_errors_is_what_the_code_says() -> None:
    page = (DOCS / "reference" / "errors.md").read_text(encoding="utf-8")
    assert written(page) == page, "run scripts/errors and commit the result"
    assert {row[0].strip("`") for row in rows("errors.md", 6)} == {facts.code for facts in catalogue()}


def test_every_command_is_listed() -> None:
    text = (DOCS / "reference" / "cli.md").read_text(encoding="utf-8")
    listed = {" ".join(words.split()[:2]) for words in re.findall(r"^\| `([^`]+)`", text, re.M)}
    top = get_command(cli).commands  # type: ignore[attr-defined]  # a Typer with commands is a group
    groups = {name: command.commands for name, command in top.items() if hasattr(command, "commands")}
    listed = {name if name.split()[0] in groups else name.split()[0] for name in listed}
    commands = {name for name in top if name not in groups}
    commands |= {f"{group} {name}" for group, members in groups.items() for name in members}
    assert listed == commands | {"test", "lint"}, "`test` and `lint` are the launcher's"


def test_options_named_in_the_table_exist() -> None:
    text = (DOCS / "reference" / "cli.md").read_text(encoding="utf-8")
    top = get_command(cli).commands  # type: ignore[attr-defined]
    for words in re.findall(r"^\| `([^`]+)`", text, re.M):
        name, *rest = words.split()
        command = top.get(name)
        if hasattr(command, "commands"):
            command = command.commands[rest[0]]
        if command is None:
            continue
        known = {option for parameter in command.params for option in parameter.opts}
        assert set(re.findall(r"--[a-z-]+", words)) <= known, words


def test_every_job_type_is_described_with_its_parameters() -> None:
    text = (DOCS / "reference" / "job-types.md").read_text(encoding="utf-8")
    sections = dict(re.findall(r"^## (\w+)\n(.*?)(?=^## |\Z)", text, re.M | re.S))
    assert set(sections) == set(JOBS)
    for name, job in JOBS.items():
        wanted = {f.alias or n for n, f in job.parameters.model_fields.items()} - {"schema"}
        known_above = sections["process_raster_v2"] if "as above" in sections[name] else ""
        if "as for `process_vector`" in sections[name]:
            known_above = sections["process_raster_v2"] + sections["process_vector"]
        assert {p for p in wanted if f"`{p}`" not in sections[name] + known_above} == set()


def test_every_state_and_role_word_is_in_the_glossary() -> None:
    listed = re.findall(r"^\| ([^|]+?) \|", (DOCS / "glossary.md").read_text(encoding="utf-8"), re.M)
    words = {word for cell in listed for word in re.split(r", | or ", cell)}
    asked = {"job", "stage", "task", "attempt", "lease", "claim", "advance", "item", "asset", "collection", "container"}
    asked |= {"path", "url", "zone", "approval", "worker", "revision", "checkpoint", "outbox", "partner", "reviewer"}
    assert asked - words == set()
    assert listed[2:] == sorted(listed[2:], key=str.lower)


def test_every_option_and_command_says_what_it_does() -> None:
    top = get_command(cli).commands  # type: ignore[attr-defined]
    commands = {n: c for n, c in top.items() if not hasattr(c, "commands")}
    commands |= {f"{n} {m}": c for n, g in top.items() if hasattr(g, "commands") for m, c in g.commands.items()}
    assert [name for name, command in commands.items() if not command.help] == []
    options = [(n, o) for n, c in commands.items() for o in c.params if o.param_type_name == "option" and not o.hidden]
    assert [f"{name} {option.opts[0]}" for name, option in options if not option.help] == []
