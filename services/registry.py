"""Which function runs which task type? Named, not imported: a process loads only what it runs."""

from __future__ import annotations

from collections.abc import Mapping

from core.contracts.catalog_container import RASTER_DESCRIBE_BLOB, RASTER_LIST_FILES, SILVER_BLOB_VALIDATE
from core.contracts.consistency import (
    CONSISTENCY_COMPARE,
    CONSISTENCY_MEASURE,
    ORPHAN_BLOB_INVENTORY,
    ORPHAN_BLOB_LOOK,
)
from core.contracts.curated import CURATED_CHECK, CURATED_ETL, CURATED_FETCH, CURATED_FINALIZE
from core.contracts.hello import HELLO_GREETING, HELLO_REPLY
from core.contracts.ingest import INGEST_COPY, INGEST_INVENTORY, INGEST_REGISTER
from core.contracts.raster import RASTER_CREATE_COG, RASTER_EXTRACT_STAC, RASTER_VALIDATE
from core.contracts.raster_collection import RASTER_CREATE_STAC_COLLECTION
from core.contracts.raster_docker import RASTER_PROCESS_COMPLETE
from core.contracts.raster_reports import INVENTORY_ANALYZE, INVENTORY_LIST, RASTER_REPORT
from core.contracts.raster_tiles import RASTER_PROCESS_LARGE, RASTER_TILING_SCHEME
from core.contracts.repairs import (
    STAC_REBUILD_ITEM,
    STAC_REBUILD_VALIDATE,
    STAC_REPAIR_INVENTORY,
    STAC_REPAIR_ITEM,
)
from core.contracts.unpublish_raster import UNPUBLISH_BLOB, UNPUBLISH_INVENTORY, UNPUBLISH_STAC
from core.contracts.vector import VECTOR_CREATE_STAC, VECTOR_PREPARE, VECTOR_PROCESS_COMPLETE, VECTOR_UPLOAD
from core.contracts.vector_catalog import (
    UNPUBLISH_DROP_TABLE,
    UNPUBLISH_INVENTORY_VECTOR,
    VECTOR_EXTRACT_STAC,
    VECTOR_LIST_TABLES,
)
from core.machine.registry import AnyTask

HANDLERS: Mapping[AnyTask, str] = {
    HELLO_GREETING: "services.hello:greet",
    HELLO_REPLY: "services.hello:reply",
    RASTER_VALIDATE: "services.raster.handlers:validate",
    RASTER_CREATE_COG: "services.raster.handlers:create_cog",
    RASTER_EXTRACT_STAC: "services.raster.handlers:extract_stac",
    RASTER_CREATE_STAC_COLLECTION: "services.raster.collections:create_collection",
    INGEST_INVENTORY: "services.raster.ingest_documents:inventory",
    INGEST_COPY: "services.raster.ingesting:copy_batch",
    INGEST_REGISTER: "services.raster.ingesting:register",
    RASTER_LIST_FILES: "services.raster.existing:list_files",
    RASTER_DESCRIBE_BLOB: "services.raster.existing:describe_blob",
    RASTER_REPORT: "services.raster.reporting:report",
    INVENTORY_LIST: "services.containers.inventory:list_pages",
    INVENTORY_ANALYZE: "services.containers.inventory:analyze",
    UNPUBLISH_INVENTORY: "services.raster.unpublishing:inventory",
    UNPUBLISH_STAC: "services.raster.unpublishing:remove",
    UNPUBLISH_BLOB: "services.raster.unpublishing:delete_blob",
    RASTER_TILING_SCHEME: "services.raster.tiling:scheme",
    RASTER_PROCESS_LARGE: "services.raster.tiling:process_large",
    RASTER_PROCESS_COMPLETE: "services.raster.complete:process",
    VECTOR_PREPARE: "services.vector.handlers:prepare",
    VECTOR_UPLOAD: "services.vector.handlers:upload",
    VECTOR_CREATE_STAC: "services.vector.handlers:create_stac",
    VECTOR_PROCESS_COMPLETE: "services.vector.handlers:process",
    VECTOR_LIST_TABLES: "services.vector.cataloguing:list_tables",
    VECTOR_EXTRACT_STAC: "services.vector.cataloguing:extract_stac",
    UNPUBLISH_INVENTORY_VECTOR: "services.vector.unpublishing:inventory",
    CONSISTENCY_MEASURE: "services.consistency.comparing:measure",
    CONSISTENCY_COMPARE: "services.consistency.comparing:compare",
    ORPHAN_BLOB_INVENTORY: "services.consistency.orphans:inventory",
    ORPHAN_BLOB_LOOK: "services.consistency.orphans:look",
    SILVER_BLOB_VALIDATE: "services.raster.existing:named_files",
    STAC_REBUILD_VALIDATE: "services.consistency.rebuilding:validate",
    STAC_REBUILD_ITEM: "services.consistency.rebuilding:rebuild",
    STAC_REPAIR_INVENTORY: "services.consistency.repairing:inventory",
    STAC_REPAIR_ITEM: "services.consistency.repairing:repair",
    CURATED_CHECK: "services.curated.updating:check_source",
    CURATED_FETCH: "services.curated.updating:fetch_data",
    CURATED_ETL: "services.vector.handlers:process",
    CURATED_FINALIZE: "services.curated.updating:finalize",
    UNPUBLISH_DROP_TABLE: "services.vector.unpublishing:drop_table",
}
