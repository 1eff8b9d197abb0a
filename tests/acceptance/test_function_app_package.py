"""Is what gets deployed to Azure Functions complete, light and configured as the host expects?"""

from __future__ import annotations

import ast
import fnmatch
import importlib.metadata
import json
import os
import re
import subprocess
import sys
from datetime import timedelta
from pathlib import Path

import pytest

from tests.support.engine_server import sample_settings
from tests.support.functions_host import ROOT, needs_engine

HEAVY = {"geopandas", "h3", "numpy", "pandas", "pyarrow", "pyogrio", "rasterio", "shapely", "sqlalchemy", "titiler"}
LIST_MODULES = "import sys, function_app; print(sorted({name.partition('.')[0] for name in sys.modules}))"


def run_python(code: str, folder: Path, settings: dict[str, str] | None = None) -> str:
    """Run code with `folder` as the only place of our own modules; what it printed."""
    env = {"PATH": os.environ["PATH"], "HOME": os.environ["HOME"], **(settings or {})}
    done = subprocess.run([sys.executable, "-c", code], cwd=folder, env=env, capture_output=True, text=True, timeout=60)
    assert done.returncode == 0, done.stderr
    return done.stdout


def ignore_patterns() -> list[str]:
    lines = (ROOT / ".funcignore").read_text().splitlines()
    return [line for line in lines if line and not line.startswith("#")]


def deployed_files() -> list[Path]:
    """What .funcignore leaves, relative to the repository."""
    patterns, found = ignore_patterns(), []
    for folder, folders, names in os.walk(ROOT):
        folders[:] = [d for d in folders if not any(fnmatch.fnmatch(d, p) for p in patterns)]
        kept = [n for n in names if not any(fnmatch.fnmatch(n, p) for p in patterns)]
        found += [(Path(folder) / name).relative_to(ROOT) for name in kept]
    return found


@pytest.fixture
def package(tmp_path: Path) -> Path:
    """A copy of what would be deployed."""
    for path in deployed_files():
        target = tmp_path / "package" / path
        target.parent.mkdir(parents=True, exist_ok=True)
        target.write_bytes((ROOT / path).read_bytes())
    return tmp_path / "package"


def test_importing_the_app_pulls_in_no_heavy_library() -> None:
    loaded = set(ast.literal_eval(run_python(LIST_MODULES, ROOT)))
    assert "function_app" in loaded
    assert loaded & HEAVY == set()


def test_importing_the_app_needs_no_setting_and_opens_no_connection() -> None:
    code = (
        "import socket, sys\n"
        "def refuse(*_): raise AssertionError('a connection was opened')\n"
        "socket.socket.connect = refuse\n"
        "import composition, function_app, threading\n"
        "print(composition._runtime, threading.active_count())"
    )
    assert run_python(code, ROOT).split() == ["None", "1"]


def test_wrong_settings_stop_the_app_with_a_sentence() -> None:
    env = {"PATH": os.environ["PATH"], "QUEUE_TRANSPORT": "carrier-pigeon"}
    done = subprocess.run(
        [sys.executable, "-c", "import function_app"], cwd=ROOT, env=env, capture_output=True, text=True, timeout=60
    )
    assert done.returncode != 0
    assert "ConfigurationError: QUEUE_TRANSPORT" in done.stderr


def test_the_package_is_importable_without_the_rest_of_the_repository(package: Path) -> None:
    code = LIST_MODULES.replace("print", "import os; print(os.path.dirname(function_app.__file__)); print")
    folder, modules = run_python(code, package).splitlines()
    assert Path(folder) == package
    assert "triggers" in ast.literal_eval(modules)


def test_the_package_leaves_out_what_a_deployment_does_not_need() -> None:
    tops = {path.parts[0] for path in deployed_files()}
    assert {"function_app.py", "host.json", "core", "infrastructure", "services", "triggers"} <= tops
    assert not {"tests", "docs", "infra", "benchmarks", ".venv", ".local", ".git", "local.settings.json"} & tops


def test_every_sql_file_and_template_is_in_the_package() -> None:
    kept = set(deployed_files())
    data = [p.relative_to(ROOT) for top in ("infrastructure", "triggers") for p in (ROOT / top).rglob("*.sql")]
    assert data
    assert set(data) <= kept


def test_ignore_patterns_are_plain_names() -> None:
    """Core Tools, azd and the deployment action read other patterns in different ways."""
    assert all(re.fullmatch(r"[\w.*-]+", pattern) for pattern in ignore_patterns())


@needs_engine
@pytest.mark.engine
def test_the_package_indexes_under_the_engine(package: Path) -> None:
    command = [sys.executable, "-m", "tests.minihost", "--app", str(package), "--check"]
    env = {"PATH": os.environ["PATH"], **sample_settings()}
    done = subprocess.run(command, cwd=ROOT, env=env, capture_output=True, text=True, timeout=120)
    assert done.returncode == 0, done.stderr + done.stdout
    assert "http" in json.loads(done.stdout)["functions"]


def host_json() -> dict:
    return json.loads((ROOT / "host.json").read_text())


def span(text: str) -> timedelta:
    hours, minutes, seconds = map(int, text.split(":"))
    return timedelta(hours=hours, minutes=minutes, seconds=seconds)


def test_locks_are_renewed_for_as_long_as_a_function_may_run() -> None:
    renewed = span(host_json()["extensions"]["serviceBus"]["maxAutoLockRenewalDuration"])
    assert renewed >= span(host_json()["functionTimeout"])


def test_no_message_waits_in_an_instance_that_is_busy() -> None:
    assert host_json()["extensions"]["serviceBus"]["prefetchCount"] == 0


def test_routes_have_no_prefix_because_the_api_brings_its_own() -> None:
    assert host_json()["extensions"]["http"]["routePrefix"] == ""


def test_the_sample_settings_are_accepted() -> None:
    code = "import config; s = config.load(); print(s.queue.transport, s.database.embedded, s.storage.azure)"
    assert run_python(code, ROOT, sample_settings()).split() == ["postgres", "False", "False"]


def test_the_sample_settings_are_strings_without_secrets() -> None:
    values = sample_settings()
    assert all(isinstance(value, str) for value in values.values())
    secret = re.compile(r"AccountKey=|SharedAccessKey=|://[^/@]*:[^/@]*@|password|GEOMACHINE_KEY", re.IGNORECASE)
    assert not [name for name, value in values.items() if secret.search(f"{name}={value}")]


def test_the_deployed_engine_is_the_tested_one() -> None:
    pinned = re.search(r"^azure-functions-runtime==([\w.]+)", (ROOT / "requirements.txt").read_text(), re.MULTILINE)
    assert pinned, "requirements.txt does not pin azure-functions-runtime, so Azure would take its default"
    if sys.version_info >= (3, 13):
        assert pinned[1] == importlib.metadata.version("azure-functions-runtime")
