"""Starts workers and services as processes of their own, in some milliseconds: it has imported everything and forks.

Commands come on standard input, one JSON object a line; each answer is a process number. All of it ends with the input.
"""

from __future__ import annotations

import json
import os
import signal
import sys
import time

SKEW = float(sys.argv[1]) if __name__ == "__main__" else 0.0


def _skew_clocks() -> None:
    """Let this process and its children believe in another time of day. Nothing in the machine may depend on it."""
    import datetime

    class Shifted(datetime.datetime):
        @classmethod
        def now(cls, tz: datetime.tzinfo | None = None) -> datetime.datetime:
            return super().now(tz) + datetime.timedelta(seconds=SKEW)

        @classmethod
        def utcnow(cls) -> datetime.datetime:
            return cls.now(datetime.UTC).replace(tzinfo=None)

    true_time = time.time
    time.time = lambda: true_time() + SKEW
    datetime.datetime = Shifted  # type: ignore[misc]


if __name__ == "__main__" and SKEW:
    _skew_clocks()


def _main() -> None:
    from tests.chaos import roles

    signal.signal(signal.SIGCHLD, signal.SIG_IGN)  # nobody waits for the killed
    children: list[int] = []
    print("ready", flush=True)
    for line in sys.stdin:
        pid = os.fork()
        if pid == 0:
            signal.signal(signal.SIGCHLD, signal.SIG_DFL)
            roles.play(json.loads(line))
            os._exit(0)
        children.append(pid)
        print(pid, flush=True)
    for pid in children:
        try:
            os.kill(pid, signal.SIGKILL)
        except ProcessLookupError:
            continue


if __name__ == "__main__":
    _main()
