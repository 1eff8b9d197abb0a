"""Stops a cluster once the process it was started for is gone: `python -m infrastructure.embedded.watch HOME PID LOCK`.

LOCK is an inherited, locked file; closing it gives this owner's share of the cluster up.
"""

from __future__ import annotations

import os
import select
import sys
import time
from pathlib import Path

from infrastructure.embedded import programs
from infrastructure.embedded.cluster import Cluster


def wait_for_end(pid: int) -> None:
    """Return when the process no longer exists."""
    try:
        handle = os.pidfd_open(pid)
    except ProcessLookupError:
        return
    except (AttributeError, OSError):  # not Linux, or a kernel without it
        while programs.alive(pid):
            time.sleep(0.5)
        return
    select.select([handle], [], [])


if __name__ == "__main__":
    home, owner, lock = sys.argv[1:]
    wait_for_end(int(owner))
    os.close(int(lock))
    Cluster(Path(home), Path(home)).stop_unowned()
