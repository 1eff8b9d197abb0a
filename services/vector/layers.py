"""Which layers of a file become which tables?"""

from __future__ import annotations

import re
import unicodedata
from pathlib import Path

from core.contracts.vector import LayerPlan, ProcessVectorParameters
from core.contracts.vector_findings import FindingCode
from core.errors import InvalidRequest, NoFeatures
from services.vector import columns, opening, planning
from services.vector.findings import Findings
from services.vector.opening import OpenedLayer

_ENDING = len("_") + len("_collections") + len("_999")  #: what may stand around a layer's name in that of a table
_SHORTEST = 8


def planned_layers(
    fetched: Path, parameters: ProcessVectorParameters, partitions: int, *, keep: bool = False
) -> tuple[LayerPlan, ...]:
    """A plan for the layer that the request means, or one for each if it wants all. `keep` is as in `explore`.

    With several, a table is called after the request's and its layer. Raises every DataError of opening and planning.
    """
    findings = Findings()
    if parameters.geometry_params.drop_duplicates:
        partitions = 1  # the first of two alike may lie in another part
    opened = opening.explore(fetched, parameters, findings, keep=keep)
    if len(opened) == 1:
        return (_with(planning.planned(opened[0], parameters, parameters.table_name, partitions), findings),)
    plans: list[LayerPlan] = []
    empty: list[str] = []
    for layer, name in zip(opened, _names(opened, parameters), strict=True):
        try:
            plans.append(planning.planned(layer, parameters, name, partitions))
        except NoFeatures:
            empty.append(layer.name)
    if not plans:
        raise NoFeatures(f"No layer of {parameters.source} has a feature with a geometry.", hint="Check the file.")
    findings.add(FindingCode.LAYER_LEFT_OUT, len(empty), detail=f"No table was made of {', '.join(empty[:30])}.")
    _require_distinct(plans, parameters)
    return (_with(plans[0], findings), *plans[1:])


def _with(plan: LayerPlan, findings: Findings) -> LayerPlan:
    return plan.model_copy(update={"findings": findings.listed() + plan.findings})


def _names(opened: list[OpenedLayer], parameters: ProcessVectorParameters) -> list[str]:
    room = max(_SHORTEST, planning.MAX_NAME - len(parameters.table_name) - _ENDING)
    # Tables have plainer names than columns: accents are left out, other scripts give way to a number.
    plain = [unicodedata.normalize("NFKD", o.name).encode("ascii", "ignore").decode()[:room] for o in opened]
    named = [name if re.search("[A-Za-z0-9]", name) else f"layer_{i}" for i, name in enumerate(plain, 1)]
    return [f"{parameters.table_name}_{name}" for name in columns.safe_names(named, {})]


def _require_distinct(plans: list[LayerPlan], parameters: ProcessVectorParameters) -> None:
    names = [table.name for plan in plans for table in plan.tables]
    twice = sorted({name for name in names if names.count(name) > 1})
    if twice:
        raise InvalidRequest(
            f"Two layers of {parameters.source} would become table {', '.join(twice)}.",
            hint="Load them one by one with layer_name.",
        )
