"""May a policy approve a revision without a person? Only where the evidence says that nearly nothing changes."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from typing import cast

from pydantic import JsonValue

from core.contracts.evidence import ItemUnderReview, Reviewed, Snapshot
from core.contracts.findings import Severity
from core.models.approvals import DatasetApproval, ReviewedItemState
from core.models.policies import ApprovalPolicy
from services.approvals.differences import differences

_COUNTED = {"pixels": {"width", "height"}, "rows": {"feature_count"}}  #: differences that the policy's bounds cover


def objections(record: DatasetApproval, items: Reviewed, policy: ApprovalPolicy) -> list[str]:
    """Why a person has to look; empty when every item is a revision of low risk.

    That is: the item is published with the same access level, nothing worse than information was found, schema or bands
    are the same, and extent and number of rows or pixels changed within the bounds of the policy.
    """
    if not items:
        return ["The review has no items."]
    return [f"{i.collection_id}/{i.item_id}: {reason}" for i in items for reason in _of_item(i, record, policy)]


def _of_item(item: ItemUnderReview, record: DatasetApproval, policy: ApprovalPolicy) -> list[str]:
    new, old = item.new, item.published
    if item.state is not ReviewedItemState.OPEN:
        return ["another review decides on it."]
    if not item.draft or old is None or _property(old, "app:published") is not True:
        return ["it is not published yet."]
    levels = {str(_property(snapshot, "platform:access_level")) for snapshot in (new, old)}
    if levels != {record.classification.value}:
        return [f"its access level is not the same: {', '.join(sorted(levels | {record.classification.value}))}."]
    before, after = _count(old), _count(new)
    if before is None or after is None or (old.cog is None) is not (new.cog is None):
        return ["its revisions are not two COGs or two tables."]
    return [*_findings(new), *_changes(new, old), *_counted(before, after, policy), *_moved(new, old, policy)]


def _findings(new: Snapshot) -> list[str]:
    rows = [
        *((new.cog.findings if new.cog else None) or []),
        *((new.tracking.findings if new.tracking else None) or []),
    ]
    worse = {str(row.get("code")) for row in rows if row.get("severity") != Severity.INFO}
    return [f"findings: {', '.join(sorted(worse))}."] if worse else []


def _changes(new: Snapshot, old: Snapshot) -> list[str]:
    """What differs and has no bound. Statistics may: new values are why there is a new revision."""
    found = differences(new, old)
    columns = cast("Mapping[str, Sequence[str]]", found.get("schema") or {})
    reasons = [f"columns {verb}: {', '.join(names)}." for verb, names in columns.items()]
    for kind, counted in _COUNTED.items():
        others = cast("Mapping[str, JsonValue]", found.get(kind) or {}).keys() - counted
        reasons += [f"changed: {', '.join(sorted(others))}."] if others else []
    return reasons


def _counted(before: int, after: int, policy: ApprovalPolicy) -> list[str]:
    if abs(after - before) * 100 <= policy.max_count_percent * before:
        return []
    return [f"{before} rows or pixels became {after}; the policy allows a change of {policy.max_count_percent:g} %."]


def _moved(new: Snapshot, old: Snapshot, policy: ApprovalPolicy) -> list[str]:
    """Whether an edge moved by more than a part of the side across it; any move is, where that side has no length."""
    boxes = [cast("Sequence[float] | None", (snapshot.item or {}).get("bbox")) for snapshot in (old, new)]
    before, after = boxes
    if before == after:
        return []
    if before and after and len(before) == len(after):
        half, allowed = len(before) // 2, policy.max_extent_percent / 100
        if all(
            abs(after[edge] - before[edge]) <= allowed * _side(before[edge % half], before[edge % half + half])
            for edge in range(len(before))
        ):
            return []
    return [f"its extent changed by more than the policy's {policy.max_extent_percent:g} %."]


def _side(low: float, high: float) -> float:
    # West is greater than east where a box crosses the antimeridian.
    return high - low if high >= low else high - low + 360


def _count(snapshot: Snapshot) -> int | None:
    """Rows or pixels; None for what is neither a table nor a COG, or both."""
    if snapshot.cog is not None and snapshot.table is None:
        return snapshot.cog.width * snapshot.cog.height
    if snapshot.table is not None and snapshot.cog is None:
        return snapshot.table.feature_count
    return None


def _property(snapshot: Snapshot, name: str) -> JsonValue:
    properties = (snapshot.item or {}).get("properties")
    return properties.get(name) if isinstance(properties, Mapping) else None
