import threading
from collections.abc import Sequence

from core.machine.leases import LeaseKeeper
from core.machine.store import Claimed


class Renewals:
    """A store that knows nothing but renewals, and grants them to some."""

    def __init__(self, alive: set[int]) -> None:
        self.alive = alive
        self.renewed = threading.Event()

    def renew(self, worker: str, held: Sequence[Claimed], lease: float) -> set[int]:
        self.renewed.set()
        return self.alive


def item(queue_id: int) -> Claimed:
    return Claimed(queue_id, 1, "ab" * 32, "job", 1, 0, 1, 0, 4, False, "task")


def test_an_attempt_whose_lease_is_gone_is_told_to_stop_and_its_neighbour_is_not() -> None:
    keeper = LeaseKeeper(Renewals({1}), "w", 30.0)
    with keeper.holding(item(1)) as kept, keeper.holding(item(2)) as lost:
        keeper.renew()
        assert (kept.is_set(), lost.is_set()) == (False, True)


def test_an_attempt_that_begins_after_the_stop_is_told_too() -> None:
    keeper = LeaseKeeper(Renewals(set()), "w", 30.0)
    with keeper.holding(item(1)) as first:
        keeper.stop_all()
        assert first.is_set()
    with keeper.holding(item(2)) as second:
        assert second.is_set()


def test_a_long_lease_is_renewed_long_before_a_third_of_it() -> None:
    store = Renewals({1})
    with LeaseKeeper(store, "w", 3600.0) as keeper, keeper.holding(item(1)):
        assert store.renewed.wait(60)
