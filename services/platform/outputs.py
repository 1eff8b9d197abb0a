"""What will the outputs of a job be called, as far as that is known before it has read its source?"""

from __future__ import annotations

import json
from collections.abc import Sequence

from core.contracts.catalog import Catalog
from core.contracts.plans import Collision
from core.machine.store import NewJob
from services.stac.names import table_item_id

_KINDS = ("schema", "table_name", "collection_id", "item_id", "output_folder")


def output_names(job: NewJob) -> dict[str, str]:
    """The names by kind."""
    parameters = json.loads(job.parameters)
    named = {kind: str(parameters[kind]) for kind in _KINDS if parameters.get(kind)}
    if "table_name" in named:
        named.setdefault("item_id", table_item_id(named["schema"], named["table_name"]))
    return named


def collisions(job: NewJob, catalog: Catalog, client_id: str) -> Sequence[Collision]:
    """What of it is there already."""
    names = output_names(job)
    tables = [names["table_name"]] if "table_name" in names else []
    items = [(names["collection_id"], names["item_id"])] if "item_id" in names else []
    return catalog.collisions(tables, items, client_id)
