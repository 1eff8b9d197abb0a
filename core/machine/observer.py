"""Who watches the machine at work? Whoever does binds ids to the log, draws traces and counts; it changes nothing."""

from __future__ import annotations

from collections.abc import Callable
from contextlib import AbstractContextManager, nullcontext
from typing import Protocol

from core.contracts.outcomes import Outcome
from core.machine.store import Claimed, NewJob, SideEffect

Ended = Callable[[Outcome], None]


class Observer(Protocol):
    """What happens in one process, as it happens."""

    def accepted(self, job: NewJob) -> None:
        """A job was accepted, by a transaction that has committed."""
        ...

    def task(self, claimed: Claimed) -> AbstractContextManager[Ended]:
        """A handler runs inside; its outcome is told before the end."""
        ...

    def advance(self, claimed: Claimed) -> AbstractContextManager[None]:
        """A job's next stage, or its result, is planned inside."""
        ...

    def promise(self, effect: SideEffect) -> AbstractContextManager[None]:
        """A row of the outbox is delivered inside."""
        ...


class Nobody:
    """Watches nothing."""

    def accepted(self, job: NewJob) -> None:
        """Nothing to tell."""

    def task(self, claimed: Claimed) -> AbstractContextManager[Ended]:
        """Nothing around it."""
        return nullcontext(_unheard)

    def advance(self, claimed: Claimed) -> AbstractContextManager[None]:
        """Nothing around it."""
        return nullcontext()

    def promise(self, effect: SideEffect) -> AbstractContextManager[None]:
        """Nothing around it."""
        return nullcontext()


def _unheard(outcome: Outcome) -> None:
    """Nobody listens."""
