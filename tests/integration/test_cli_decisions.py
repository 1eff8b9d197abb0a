"""What the command line says of a decision is what was decided."""

from __future__ import annotations

import subprocess
import sys
from pathlib import Path

from tests.integration.test_approvals import finished
from tests.integration.test_four_eyes import set_policy
from tests.support.api import Api
from tests.support.remote import Asked, Says, serving
from tests.support.serving import make_catalogue
from tests.support.system import environment


def approve(api: Api, approval: str, by: str) -> str:
    """What `approve` prints for the owner of a key, over a real connection to the real API."""

    def passed_on(asked: Asked) -> Says:
        caller = api.of(asked.headers["x-api-key"])
        answer = caller.request(
            asked.method, asked.path, content=asked.body, headers={"Content-Type": "application/json"}
        )
        return Says(answer.content, answer.status_code, {"Content-Type": "application/json"})

    with serving() as server:
        server.answer = passed_on
        home = api.runtime.settings.app.home
        env = {**environment(api.db, home, GEOMACHINE_URL=server.url), "GEOMACHINE_KEY": by}
        command = [sys.executable, "-m", "triggers.cli", "approve", approval]
        done = subprocess.run(command, env=env, capture_output=True, text=True, timeout=60)
    assert done.returncode == 0, done.stdout + done.stderr
    return done.stdout.removeprefix(approval).strip()


def test_a_consent_that_publishes_nothing_yet_is_not_called_a_publication(api: Api, db: str, tmp_path: Path) -> None:
    made = make_catalogue(db, tmp_path / "storage")
    made.collection("c")
    made.item("c", "a", published=False)
    set_policy(api, "default", required_approvals=2)
    approval = finished(api, "a")
    assert approve(api, approval, "rita") == "has consent 1 of 2 and waits for the others."
    assert approve(api, approval, "rex") == "is approved and published."
