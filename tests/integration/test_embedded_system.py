"""What `doctor` finds on machines that lack something."""

import os
from pathlib import Path

import pytest

from infrastructure.embedded import system
from infrastructure.embedded.cluster import Cluster

BINARIES = Path(__file__).resolve().parents[2] / ".local/postgresql"


def test_machine_on_which_the_cluster_runs_lacks_nothing(cluster: Cluster, tmp_path: Path) -> None:
    assert system.examine(cluster.home, BINARIES) == []
    assert system.examine(tmp_path / "not/made/yet", BINARIES) == []
    assert not (tmp_path / "not").exists()


@pytest.mark.skipif(os.geteuid() == 0, reason="root may write everywhere")
def test_folder_without_permission_is_found(tmp_path: Path) -> None:
    tmp_path.chmod(0o555)
    try:
        [finding] = system.examine(tmp_path / "home", BINARIES)
    finally:
        tmp_path.chmod(0o755)
    assert finding.what == f"permission to write to {tmp_path}"
    assert finding.command.startswith("export GEOMACHINE_HOME=")
