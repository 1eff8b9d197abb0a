"""How does a process hear a signal without being interrupted by it?"""

from __future__ import annotations

import os
import signal
import threading
from collections.abc import Callable, Mapping


def listen(actions: Mapping[signal.Signals, Callable[[], None]]) -> None:
    """Run what a signal asks for in a thread of its own. Call it from the main thread, once.

    A Python signal handler runs between any two instructions of the main thread, and waits for ever for a lock that the
    thread holds; and it does not run at all while that thread is inside a long call of a C library.
    """
    reader, writer = os.pipe()
    os.set_blocking(writer, False)
    signal.set_wakeup_fd(writer, warn_on_full_buffer=False)
    for number in actions:
        signal.signal(number, lambda *_: None)  # whatever it does, the number goes into the pipe

    def act() -> None:
        while True:
            for number in os.read(reader, 64):
                action = actions.get(signal.Signals(number))
                if action is not None:
                    action()

    threading.Thread(target=act, name="signals", daemon=True).start()
