"""Do a file's features fit into a table that is there? Decided before a row is loaded."""

from __future__ import annotations

from core.contracts.tables import LiveTable
from core.contracts.vector import ProcessVectorParameters, TablePlan
from core.errors import NotFound, SchemaMismatch
from services.vector import columns
from services.vector.families import family_of

_WIDER = {
    "smallint": {"integer", "bigint", "numeric", "real", "double precision"},
    "integer": {"bigint", "numeric", "double precision"},
    "bigint": {"numeric"},
    "real": {"double precision"},
    "date": {"timestamp"},
}
_SINGLE_OF = {"MultiPoint": "Point", "MultiLineString": "LineString", "MultiPolygon": "Polygon"}


def conformed(plan: TablePlan, live: LiveTable | None, shown: str) -> TablePlan:
    """The plan with the geometry type of the table that its rows join.

    Raises NotFound when the table is not there, and SchemaMismatch naming the columns that differ. A column may be
    narrower in the file; none may be missing on either side.
    """
    return plan.model_copy(update={"geometry_type": _fitting(plan, live, shown).geometry_type})


def require_planned(plan: TablePlan, live: LiveTable | None, shown: str) -> LiveTable:
    """The table that rows join which were loaded for it. Raises as `conformed` does when they do not fit any more."""
    found = _fitting(plan, live, shown)
    if found.geometry_type != plan.geometry_type:
        raise SchemaMismatch(
            f"{found.schema}.{found.name} holds {found.geometry_type} geometries now; those of {shown} were made "
            f"{plan.geometry_type} for it.",
            hint="Submit it again.",
        )
    return found


def _fitting(plan: TablePlan, live: LiveTable | None, shown: str) -> LiveTable:
    if live is None or live.catalog is None:
        raise NotFound(
            f"There is no table {plan.schema_name}.{plan.name} that rows could join.",
            hint="Create it first, with the same ids.",
        )
    differences = [*_columns(plan, live), *_geometry(plan, live)]
    if differences:
        raise SchemaMismatch(
            f"{shown} does not fit into {live.schema}.{live.name}: {'; '.join(differences)}.",
            hint="Rename with column_mapping, or send write_mode=overwrite to replace the table.",
        )
    return live


def upsert_key(parameters: ProcessVectorParameters, plan: TablePlan, live: LiveTable) -> tuple[str, ...]:
    """The columns that say which row is meant. Raises SchemaMismatch when neither request nor table has a key."""
    if parameters.upsert_key:
        return columns.resolve(parameters.upsert_key, plan.columns, str(parameters.source), "upsert_key")
    if live.primary_key is None or live.primary_key == "id":
        raise SchemaMismatch(
            f"Table {live.schema}.{live.name} has no key of its own by which rows could be told apart.",
            hint="Name columns in upsert_key, or create the table with primary_key.",
        )
    return columns.resolve([live.primary_key], plan.columns, str(parameters.source), "The primary key")


def _columns(plan: TablePlan, live: LiveTable) -> list[str]:
    here = {c.name: c.sql_type.value for c in plan.columns}
    missing = [name for name in live.columns if name not in here]
    surplus = [name for name in here if name not in live.columns]
    unlike = [
        f"{name} is {here[name]} in the file and {kind} in the table"
        for name, kind in live.columns.items()
        if name in here and here[name] != kind and kind not in _WIDER.get(here[name], ())
    ]
    told = []
    if missing:
        told.append(f"the file lacks {', '.join(missing)}")
    if surplus:
        told.append(f"the table lacks {', '.join(surplus)}")
    return told + unlike


def _geometry(plan: TablePlan, live: LiveTable) -> list[str]:
    if live.geometry_type is None or not live.has_id:
        return ["the table was not made here: it has no id or no typed geom"]
    if live.srid != plan.srid:
        return [f"the table is in EPSG:{live.srid}, target_crs is EPSG:{plan.srid}"]
    ours, theirs = family_of(plan.geometry_type).name, family_of(live.geometry_type).name
    if theirs in ("Geometry", ours) or _SINGLE_OF.get(theirs) == ours:
        return []
    return [f"the file holds {ours} geometries, the table {theirs}"]
