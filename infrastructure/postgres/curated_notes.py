"""How is an update of a curated dataset written down while it runs? In the transaction that completes a stage."""

from __future__ import annotations

from core.contracts.effects import NoteCurated
from core.models.curated import CuratedUpdateStatus
from infrastructure.postgres.pool import Connection
from infrastructure.postgres.queries import Queries

_SQL = Queries("curated")
#: What ends an update before its job ends.
_ENDS = (CuratedUpdateStatus.NO_UPDATE_NEEDED, CuratedUpdateStatus.SKIPPED)


def apply_note(conn: Connection, effect: NoteCurated) -> None:
    """Write the dataset, then its log, in the order in which a job's start does."""
    added, updated, deleted, total = effect.records or (None, None, None, None)
    noted = {**vars(effect), "ended": effect.status in _ENDS, "loaded": effect.records is not None}
    conn.execute(_SQL["note_dataset"], noted)
    counts = {"added": added, "updated": updated, "deleted": deleted, "total": total}
    conn.execute(_SQL["note_update"], {**noted, **counts})
