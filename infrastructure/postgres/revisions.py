"""How does what a job made come into the catalogue? At once, or as a draft beside what the public sees."""

from __future__ import annotations

import json
import secrets
from collections import defaultdict
from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass, field, replace

from core.contracts import assets
from core.contracts.effects import (
    CatalogFeatureTable,
    Effect,
    ExtendCollection,
    MergeFeatureTable,
    SwapFeatureTable,
    UpsertDatasetRef,
    UpsertStacItem,
)
from core.errors import ApprovalFailed, CollectionChanged, GeomachineError, TargetChanged
from infrastructure.postgres import held
from infrastructure.postgres.dataset_refs import require_own
from infrastructure.postgres.effects import apply
from infrastructure.postgres.pool import Connection
from infrastructure.postgres.preserving import ItemKey, items_of, preserve
from infrastructure.postgres.queries import Queries

_SQL = Queries("artifacts")
_PGSTAC = Queries("pgstac")


@dataclass(frozen=True)
class _Standing:
    """How an item stands before a job writes it: what is in the catalogue, and what this run made of it already."""

    current: str | None
    mine: str | None
    mine_status: str | None
    published: bool


@dataclass(frozen=True)
class _Outputs:
    """Hrefs of assets and names of tables."""

    files: set[str] = field(default_factory=set)
    tables: set[str] = field(default_factory=set)


def write(conn: Connection, job_key: int, effects: Sequence[Effect]) -> None:
    """Carry out what a task left, in the transaction that completes it.

    Nothing that the public sees is replaced: where one of the items is published, all of it waits as a draft for the
    review of the job. Else it is done at once, and what it replaces is kept for a time.
    """
    written = [e for e in effects if isinstance(e, UpsertStacItem | ExtendCollection)]
    items = list(dict.fromkeys(key for effect in written for key in items_of(effect)))
    for collection in sorted({collection for collection, _ in items}):
        conn.execute(_PGSTAC["lock_collection"], {"collection_id": collection})
    standing = _standing(conn, job_key, items) if items else {}
    draft = any(s.published for s in standing.values())
    outputs = _outputs(effects)
    made = {key: _artifact(conn, job_key, key, standing[key], outputs[key], draft=draft) for key in items}
    replaced = {k: s.current for k, s in standing.items() if s.current is not None and s.current != made[k]}
    for effect in effects:
        if draft:
            if isinstance(effect, UpsertDatasetRef):
                require_own(conn, effect)
            for part in _by_item(effect):
                key = next(iter(items_of(part)), items[0])
                held.hold(conn, made.get(key, made[items[0]]), part)
        else:
            preserve(conn, effect, replaced)
            apply(conn, effect)


def put_in_place(conn: Connection, approval_id: str) -> None:
    """Replace what the public sees by the drafts that a review covers. Raises ApprovalFailed when they are outdated."""
    again = conn.execute(_SQL["made_again"], {"approval_id": approval_id}).fetchall()
    if again:
        names = ", ".join(f"{collection}/{item}" for collection, item in again[:5])
        raise ApprovalFailed(
            f"Cannot approve: {names} was made again since.", hint="Wait for the review of the newer revision."
        )
    rows = conn.execute(_SQL["drafts"], {"approval_id": approval_id}).fetchall()
    drafts = [draft for draft, *_ in rows]
    effects = held.held(conn, drafts)
    held.forget(conn, drafts)
    replaced: dict[ItemKey, str] = {}
    for draft, collection, item, current in rows:
        if current is not None:
            conn.execute(_SQL["supersede"], {"artifact_id": current, "by": draft})
            replaced[collection, item] = current
        conn.execute(_SQL["put_in_place"], {"artifact_id": draft, "supersedes": current})
    for effect in _together(effects):
        preserve(conn, effect, replaced)
        _apply_held(conn, effect)


def _by_item(effect: Effect) -> Iterable[Effect]:
    """One effect per item: another review may take some of them over. The mosaic comes with the last."""
    if not isinstance(effect, ExtendCollection):
        return [effect]
    *others, last = effect.items
    return [*(replace(effect, items=(item,), mosaic_file=None) for item in others), replace(effect, items=(last,))]


def _together(effects: Iterable[Effect]) -> list[Effect]:
    """The parts of one ExtendCollection as one: its mosaic speaks of the collection with all of them."""
    joined: list[Effect] = []
    for effect in effects:
        before = joined[-1] if joined else None
        if (
            isinstance(effect, ExtendCollection)
            and isinstance(before, ExtendCollection)
            and before.collection["id"] == effect.collection["id"]
        ):
            joined[-1] = replace(effect, items=(*before.items, *effect.items))
        else:
            joined.append(effect)
    return joined


def _apply_held(conn: Connection, effect: Effect) -> None:
    try:
        apply(conn, effect)
    except CollectionChanged as e:
        raise _outdated(e) from e
    except TargetChanged as e:
        if isinstance(effect, MergeFeatureTable | CatalogFeatureTable):
            raise _outdated(e) from e
        raise


def _outdated(reason: GeomachineError) -> ApprovalFailed:
    return ApprovalFailed(
        f"Cannot approve: {reason.message} What waits was made for the earlier state.", hint="Submit the file again."
    )


def _standing(conn: Connection, job_key: int, items: Sequence[ItemKey]) -> dict[ItemKey, _Standing]:
    asked = json.dumps([{"collection_id": collection, "item_id": item} for collection, item in items])
    rows = conn.execute(_SQL["standing"], {"items": asked, "job_key": job_key}).fetchall()
    return {(row[0], row[1]): _Standing(*row[2:]) for row in rows}


def _artifact(conn: Connection, job_key: int, key: ItemKey, standing: _Standing, made: _Outputs, *, draft: bool) -> str:
    """The revision that this run makes of an item, a new one unless it has one already."""
    status = "draft" if draft else "current"
    outputs = {"files": json.dumps(sorted(made.files)), "tables": json.dumps(sorted(made.tables))}
    if standing.mine is not None and standing.mine_status == status:
        conn.execute(_SQL["extend"], {"artifact_id": standing.mine, **outputs})
        return standing.mine
    artifact = f"art-{secrets.token_hex(16)}"
    names = {"artifact_id": artifact, "collection_id": key[0], "item_id": key[1], "supersedes": standing.current}
    values = {**names, **outputs, "status": "draft", "job_key": job_key}
    conn.execute(_SQL["create"], values)
    if not draft:
        if standing.current is not None:
            conn.execute(_SQL["supersede"], {"artifact_id": standing.current, "by": artifact})
        conn.execute(_SQL["put_in_place"], names)
    return artifact


def _outputs(effects: Iterable[Effect]) -> Mapping[ItemKey, _Outputs]:
    """What each item is made of."""
    found: dict[ItemKey, _Outputs] = defaultdict(_Outputs)
    for effect in effects:
        if isinstance(effect, UpsertStacItem):
            found[items_of(effect)[0]].files.update(assets.hrefs(effect.item).values())
        elif isinstance(effect, ExtendCollection):
            for key, item in zip(items_of(effect), effect.items, strict=True):
                found[key].files.update(assets.hrefs(item).values())
        elif isinstance(effect, SwapFeatureTable | MergeFeatureTable):
            for key in items_of(effect):
                found[key].tables.add(f"{effect.schema}.{effect.table}")
    return found
