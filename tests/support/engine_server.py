"""The Function App on a database and folders of its own: what a deployment would be, on this machine."""

from __future__ import annotations

import json
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass
from pathlib import Path

from tests.support.functions_host import ROOT, FunctionsHost, functions_host

KEY = "key-of-the-test"


@dataclass(frozen=True)
class EngineServer:
    """Where it listens, the admin's key, its database, and the host, which fires what HTTP cannot."""

    base_url: str
    key: str
    conninfo: str
    host: FunctionsHost


def sample_settings() -> dict[str, str]:
    """The app settings the repository proposes."""
    return json.loads((ROOT / "local.settings.sample.json").read_text())["Values"]


@contextmanager
def engine_server(conninfo: str, home: Path, app: Path = ROOT, **settings: str) -> Iterator[EngineServer]:
    """The sample settings, changed to this database and folder, and then by `settings`."""
    own = {
        "DATABASE_URL": conninfo,
        "GEOMACHINE_HOME": str(home),
        "GEOMACHINE_STORAGE_ROOT": str(home / "storage"),
        "GEOMACHINE_KEY": KEY,
        "ENVIRONMENT": "test",
        "ETL_APP_URL": "",
    }
    with functions_host(sample_settings() | own | settings, app) as host:
        yield EngineServer(host.base_url, KEY, conninfo, host)
