"""The committed lock files answer for pyproject.toml: a change to it without `scripts/lock` is caught here."""

import re
import tomllib
from pathlib import Path

import pytest
from packaging.requirements import Requirement
from packaging.utils import canonicalize_name
from packaging.version import Version

ROOT = Path(__file__).resolve().parents[2]
PROJECT = tomllib.loads((ROOT / "pyproject.toml").read_text())
RUNTIME = PROJECT["project"]["dependencies"]
SERVICE = PROJECT["project"]["optional-dependencies"]["service"]
DEVELOPMENT = PROJECT["dependency-groups"]["dev"]


def pins(name: str) -> dict[str, set[Version]]:
    found: dict[str, set[Version]] = {}
    for package, version in re.findall(r"^([A-Za-z0-9._-]+)==([^\s;\\]+)", (ROOT / name).read_text(), re.M):
        found.setdefault(canonicalize_name(package), set()).add(Version(version))
    return found


@pytest.mark.parametrize(
    ("lock", "declared"),
    [
        ("requirements.lock", RUNTIME + SERVICE),
        ("requirements-dev.lock", RUNTIME + SERVICE + DEVELOPMENT),
        ("requirements.txt", RUNTIME),
    ],
)
def test_lock_pins_every_declared_dependency_at_an_allowed_version(lock: str, declared: list[str]) -> None:
    pinned = pins(lock)
    for requirement in map(Requirement, declared):
        versions = pinned.get(canonicalize_name(requirement.name), set())
        assert versions, f"{lock} lacks {requirement.name}: run scripts/lock"
        refused = [str(v) for v in versions if not requirement.specifier.contains(v, prereleases=True)]
        assert not refused, f"{lock} has {requirement.name} {refused}, not {requirement.specifier}: run scripts/lock"


def test_every_pinned_package_of_the_runtime_is_the_same_for_development_and_for_azure() -> None:
    runtime, development, azure = pins("requirements.lock"), pins("requirements-dev.lock"), pins("requirements.txt")
    assert {name: development.get(name) for name in runtime} == runtime
    assert {name: v for name, v in azure.items() if not v <= development.get(name, set())} == {}


@pytest.mark.parametrize("lock", ["requirements.lock", "requirements-dev.lock"])
def test_every_pinned_package_has_a_hash_and_none_names_an_index(lock: str) -> None:
    text = (ROOT / lock).read_text()
    entries = re.split(r"^(?=\S)", text, flags=re.M)[1:]
    assert [e.split()[0] for e in entries if "--hash=sha256:" not in e] == []
    assert "://" not in text
