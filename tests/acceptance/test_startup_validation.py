"""A process with a setting that cannot be meant ends at once with one sentence that names it, and shows no secret."""

from __future__ import annotations

import json
import subprocess
import sys
import time
from pathlib import Path

import pytest

from tests.support.system import ROOT, environment, free_port, process
from triggers.cli import main

SECRET = "geheim-0123456789"
NOWHERE = "postgresql://nobody@127.0.0.1:1/nothing"


def started(home: Path, **settings: str) -> tuple[int, str]:
    """How `serve` ends with these settings, and what it said."""
    done = subprocess.run(
        [sys.executable, "-m", "triggers.cli", "serve", "--port", str(free_port())],
        env=environment(NOWHERE, home) | settings,
        cwd=ROOT,
        capture_output=True,
        text=True,
        timeout=60,
    )
    return done.returncode, done.stdout + done.stderr


def command(monkeypatch: pytest.MonkeyPatch, capfd: pytest.CaptureFixture[str]) -> tuple[int, str]:
    """The same in this process, for what is found before anything is started."""
    monkeypatch.setattr(sys, "argv", ["geomachine", "serve"])
    with pytest.raises(SystemExit) as ended:
        main.run()
    return int(str(ended.value.code)), "".join(capfd.readouterr())


def check(code: int, said: str, setting: str, says: str) -> None:
    error = said.strip().splitlines()[-1]
    assert (code, error[:7], error[-22:]) == (1, "Error: ", " [CONFIGURATION_ERROR]"), said
    assert setting in error
    assert says in error
    assert "Traceback" not in said
    assert SECRET[:9] not in said


@pytest.mark.parametrize(
    ("setting", "value", "says"),
    [
        ("SWEEP_SCHEDULE", "often", "six fields"),
        ("CONSISTENCY_SCHEDULE", "0 0 0 30 2 *", "never due"),
        ("DATABASE_URL", f"operator:{SECRET}@server", "postgresql://user:password@host"),
        ("GEOMACHINE_HOME", "/dev/null/home", "that you may write to"),
    ],
)
def test_what_only_shows_at_start_ends_the_process(tmp_path: Path, setting: str, value: str, says: str) -> None:
    without_key = {"GEOMACHINE_KEY": ""} if setting == "GEOMACHINE_HOME" else {}
    code, said = started(tmp_path, **{setting: value}, **without_key)
    check(code, said, setting, says)


@pytest.mark.parametrize(
    ("setting", "value", "says"),
    [
        ("LOG_LEVEL", "chatty", "'DEBUG', 'INFO', 'WARNING' or 'ERROR'"),
        ("APP_MODE", "everything", "'standalone', 'platform_only' or 'worker_docker'"),
        ("APPLICATIONINSIGHTS_CONNECTION_STRING", f"InstrumentationKey={SECRET}", "no InstrumentationKey"),
        ("OTEL_EXPORTER_OTLP_ENDPOINT", "collector:4318", "^https?://"),
        ("ETL_APP_URL", "geomachine.example.org", "^https?://"),
        ("SERVICE_ALERT_URL", f"ftp://chat/{SECRET}", "starts with http"),
        ("METRICS_KEY", SECRET[:9], "16 characters or more"),
        ("TASK_LEASE_SECONDS", "inf", "finite number"),
        ("JOB_DROP_DAYS", "1e300", "36500"),
        ("CONSISTENCY_CONTAINERS", "Silver", "^[a-z0-9, -]*$"),
        ("EXTERNAL_DB_ALLOWED_HOSTS", "*", "neither a host name"),
        ("EXTERNAL_DB_PASSWORD", SECRET, "EXTERNAL_DB_USER is not"),
        ("OUTBOUND_ALLOWED_NETWORKS", "10.0.0.1/8", "host bits"),
    ],
)
def test_a_setting_that_cannot_be_meant_ends_the_command(
    monkeypatch: pytest.MonkeyPatch, capfd: pytest.CaptureFixture[str], setting: str, value: str, says: str
) -> None:
    monkeypatch.setenv(setting, value)
    check(*command(monkeypatch, capfd), setting, says)


def test_every_problem_is_told_at_once(monkeypatch: pytest.MonkeyPatch, capfd: pytest.CaptureFixture[str]) -> None:
    monkeypatch.setenv("LOG_LEVEL", "chatty")
    monkeypatch.setenv("WORKER_BATCH", "many")
    code, said = command(monkeypatch, capfd)
    check(code, said, "LOG_LEVEL", "WORKER_BATCH: ")


def test_what_is_probably_not_meant_is_warned_of_before_anything_else(tmp_path: Path) -> None:
    _, said = started(tmp_path, GEOMACHINE_BIND="0.0.0.0", GEOMACHINE_KEY="abc", SWEEP_SCHEDULE="often")
    lines = [json.loads(line) for line in said.splitlines() if line.startswith("{")]
    warned = {line["setting"]: line for line in lines if line["event"] == "setting_warning"}
    assert {"ENVIRONMENT", "ETL_APP_URL", "GEOMACHINE_KEY"} <= warned.keys()
    assert all(line["level"] == "warning" and line["problem"] and line["fix"] for line in warned.values())


def test_a_service_that_is_told_to_stop_while_it_starts_stops(tmp_path: Path) -> None:
    log = tmp_path / "serve.log"
    with process("serve", environment(NOWHERE, tmp_path, GEOMACHINE_PORT=str(free_port())), log) as service:
        while "error connecting" not in log.read_text():  # the runtime is made, uvicorn does not listen yet
            assert service.poll() is None, log.read_text()
            time.sleep(0.01)
        service.terminate()
        service.wait(30)
