"""A catalogue of any size, made from one raster and one table that the pipeline processed and a reviewer approved."""

from __future__ import annotations

import shutil
from pathlib import Path

import psycopg

from core.contracts.storage import BlobName
from infrastructure.pgstac import WRITTEN_LATER
from infrastructure.storage.local import LocalStorage

# Items are copied as pgSTAC stores them: taking a hundred thousand documents apart costs it a quarter of an hour.
RASTERS = """
WITH one AS (SELECT * FROM app.cog_metadata ORDER BY cog_id LIMIT 1), made AS (
    SELECT n + %(first)s AS n, e.etag, o.stac_item_id AS item, o.blob_path AS path, o.cog_id AS base
    FROM one o, unnest(%(etags)s::text[]) WITH ORDINALITY AS e (etag, n)
), cogs AS (
    INSERT INTO app.cog_metadata
    SELECT r.* FROM made m JOIN app.cog_metadata o ON o.cog_id = m.base,
        jsonb_populate_record(o, jsonb_build_object('etag', m.etag, 'cog_id', o.cog_id || '-' || m.n,
            'stac_item_id', m.item || '-' || m.n, 'blob_path', m.n || '/' || m.path,
            'cog_url', replace(o.cog_url, '/' || m.path, '/' || m.n || '/' || m.path))) r
    RETURNING cog_id
), refs AS (
    INSERT INTO app.dataset_refs
    SELECT n.* FROM made m JOIN app.dataset_refs r ON r.cog_id = m.base,
        jsonb_populate_record(r, jsonb_build_object('stac_item_id', m.item || '-' || m.n,
            'cog_id', r.cog_id || '-' || m.n)) n
    RETURNING 1
), reviewed AS (
    INSERT INTO app.approval_items (approval_id, stac_collection_id, stac_item_id, state)
    SELECT a.approval_id, a.stac_collection_id, m.item || '-' || m.n, a.state
    FROM made m JOIN app.approval_items a ON a.stac_item_id = m.item AND a.state = 'published' RETURNING 1
)
INSERT INTO pgstac.items (id, geometry, collection, datetime, end_datetime, content, private)
SELECT m.item || '-' || m.n, i.geometry, i.collection, i.datetime, i.end_datetime,
    replace(i.content::text, '/' || m.path, '/' || m.n || '/' || m.path)::jsonb, i.private
FROM made m JOIN pgstac.items i ON i.id = m.item
"""
TABLES = """
DO $$
DECLARE
    t geo.table_catalog;
    v text;
BEGIN
    SELECT * INTO STRICT t FROM geo.table_catalog ORDER BY table_name LIMIT 1;
    FOR n IN 1..{count} LOOP
        v := t.table_name || '_' || n;
        EXECUTE format('CREATE TABLE geo.%I (LIKE geo.%I INCLUDING ALL)', v, t.table_name);
        EXECUTE format('INSERT INTO geo.%I SELECT * FROM geo.%I', v, t.table_name);
        INSERT INTO geo.table_catalog
        SELECT n.* FROM jsonb_populate_record(t, replace(to_jsonb(t)::text, t.table_name, v)::jsonb) n;
        INSERT INTO app.vector_etl_tracking SELECT n.*
        FROM app.vector_etl_tracking r, jsonb_populate_record(r, jsonb_build_object('table_name', v)) n
        WHERE r.table_name = t.table_name;
        INSERT INTO app.dataset_refs SELECT n.* FROM app.dataset_refs r, jsonb_populate_record(
            r, jsonb_build_object('table_name', v, 'stac_item_id', replace(r.stac_item_id, t.table_name, v))) n
        WHERE r.table_name = t.table_name;
        INSERT INTO app.approval_items (approval_id, stac_collection_id, stac_item_id, state)
        SELECT a.approval_id, a.stac_collection_id, replace(a.stac_item_id, t.table_name, v), a.state
        FROM app.approval_items a WHERE a.stac_item_id = t.stac_item_id AND a.state = 'published';
    END LOOP;
    INSERT INTO pgstac.items (id, geometry, collection, datetime, end_datetime, content, private)
    SELECT replace(i.id, t.table_name, t.table_name || '_' || n), i.geometry, i.collection, i.datetime, i.end_datetime,
        replace(i.content::text, t.table_name, t.table_name || '_' || n)::jsonb, i.private
    FROM generate_series(1, {count}) n, pgstac.items i
    WHERE i.collection = t.stac_collection_id AND i.id = t.stac_item_id;
END $$
"""

# Copies say something else than what they were copied from.
DIGESTS = """
UPDATE pgstac.items
SET private = jsonb_build_object('digest', app.item_digest(content, geometry, datetime, end_datetime, %(later)s))
"""

_BATCH = 5000  #: items in a statement


def make_many(db: str, storage: LocalStorage, root: Path, *, rasters: int, tables: int, copies: bool = True) -> None:
    """Add so many rasters and tables; the files are copies, or without `copies` empty ones of the same size."""
    with psycopg.connect(db, autocommit=True) as conn:
        row = conn.execute("SELECT container, blob_path FROM app.cog_metadata").fetchone()
        assert row is not None
        container, path = row
        source = root / container / path
        etags: list[str] = []
        for number in range(1, rasters + 1):
            target = root / container / str(number) / path
            target.parent.mkdir(parents=True)
            if copies:
                shutil.copyfile(source, target)
            else:
                target.touch()
                target.open("r+b").truncate(source.stat().st_size)
            etags.append(storage.head(BlobName(container, f"{number}/{path}")).etag)
        for first in range(0, rasters, _BATCH):
            conn.execute(RASTERS, {"first": first, "etags": etags[first : first + _BATCH]})
        if tables:
            conn.execute(TABLES.format(count=tables))
        conn.execute(DIGESTS, {"later": list(WRITTEN_LATER)})
        conn.execute("ANALYZE")
