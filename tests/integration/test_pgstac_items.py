"""Items and COG rows in a real pgSTAC: upserts, moved datetimes, growing extents, publication, rollback."""

from __future__ import annotations

import threading
from collections.abc import Iterator
from datetime import UTC, datetime

import psycopg
import pytest
from psycopg.types.json import Jsonb
from psycopg_pool import ConnectionPool

from core.contracts.effects import UpsertCogMetadata, UpsertStacItem
from core.errors import TargetExists
from core.models.cogs import CogMetadata
from core.models.platform import AccessLevel
from infrastructure.pgstac import apply_upsert_cog_metadata, apply_upsert_item, get_item
from infrastructure.postgres.catalog import PostgresCatalog
from services.stac.collections import CollectionParts, collection_document
from services.stac.items import ItemParts, item_document
from services.stac.properties import Provenance, dataset_properties

RWANDA = (29.0, -2.0, 30.0, -1.0)
JAN, JUN = datetime(2026, 1, 5, tzinfo=UTC), datetime(2026, 6, 5, tzinfo=UTC)


@pytest.fixture
def conn(db: str) -> Iterator[psycopg.Connection]:
    with psycopg.connect(db, autocommit=True) as connection:
        yield connection


def effect(
    item: str = "i",
    *,
    collection: str = "c",
    bbox: tuple = (29.0, -2.0, 30.0, -1.0),
    when: datetime = JAN,
    note: str = "a",
) -> UpsertStacItem:
    west, south, east, north = bbox
    ring = [[west, south], [east, south], [east, north], [west, north], [west, south]]
    asset = {"href": "file:///x.tif", "type": "image/tiff; application=geotiff", "roles": ["data"]}
    properties = dataset_properties(Provenance(AccessLevel.PUBLIC, "a" * 64, "process_raster_v2", when))
    return UpsertStacItem(
        collection_document(CollectionParts(collection, bbox, start=when, end=when)),
        item_document(
            ItemParts(
                item,
                collection,
                {"type": "Polygon", "coordinates": [ring]},
                bbox,
                when,
                {**properties, "note": note},
                {"data": asset},
            )
        ),
    )


def write(conn: psycopg.Connection, *effects: UpsertStacItem) -> None:
    with conn.transaction():
        for each in effects:
            apply_upsert_item(conn, each)


def test_a_table_in_a_collection_of_rasters_is_no_cog(db: str, conn: psycopg.Connection) -> None:
    table = effect("t")
    asset = {"href": "http://x/api/features/collections/t", "type": "application/geo+json", "roles": ["data"]}
    write(conn, effect("i"), UpsertStacItem(table.collection, {**table.item, "assets": {"data": asset}}))
    with ConnectionPool(db, min_size=1, max_size=1, open=True) as pool:
        assert [member.item_id for member in PostgresCatalog(pool).members("c")] == ["i"]


def search(conn: psycopg.Connection, **query: object) -> list[str]:
    with conn.transaction():
        conn.execute("SET LOCAL search_path = pgstac, public")
        (found,) = conn.execute("SELECT pgstac.search(%s::jsonb)", [Jsonb(query)]).fetchone()
    return [feature["id"] for feature in found["features"]]


def extent(conn: psycopg.Connection, collection: str = "c") -> dict:
    return conn.execute("SELECT content->'extent' FROM pgstac.collections WHERE id = %s", [collection]).fetchone()[0]


def test_the_first_item_makes_its_collection_and_is_found_by_search(conn):
    given = effect()
    write(conn, given)
    stored = get_item(conn, "c", "i")
    assert stored["properties"] == given.item["properties"] and stored["assets"] == given.item["assets"]
    assert stored["bbox"] == [29, -2, 30, -1] and stored["collection"] == "c"
    assert search(conn, bbox=[29.5, -1.5, 29.6, -1.4]) == ["i"] and search(conn, bbox=[0, 0, 1, 1]) == []
    assert get_item(conn, "c", "other") is None


def test_processing_again_replaces_what_was_written_before(conn):
    write(conn, effect(note="old"))
    write(conn, effect(note="new", bbox=(10.0, 0.0, 11.0, 1.0)))
    assert get_item(conn, "c", "i")["properties"]["note"] == "new"
    assert conn.execute("SELECT count(*) FROM pgstac.items").fetchone() == (1,)
    assert search(conn, bbox=[29.5, -1.5, 29.6, -1.4]) == [] and search(conn, bbox=[10, 0, 11, 1]) == ["i"]


def test_an_item_whose_datetime_moves_to_another_partition_is_not_doubled(conn):
    write(conn, effect(when=JAN), effect("j", when=JAN))
    with conn.transaction():
        conn.execute("SET LOCAL search_path = pgstac, public")
        conn.execute("UPDATE collections SET partition_trunc = 'month' WHERE id = 'c'")
    write(conn, effect(when=JUN, note="june"))
    assert conn.execute("SELECT id FROM pgstac.items ORDER BY id").fetchall() == [("i",), ("j",)]
    assert get_item(conn, "c", "i")["properties"]["note"] == "june"
    partitions = conn.execute("SELECT count(DISTINCT tableoid) FROM pgstac.items").fetchone()
    assert partitions == (2,)


def test_the_collection_s_extent_grows_and_never_shrinks(conn):
    write(conn, effect(when=JUN), effect("j", bbox=(40.0, 5.0, 41.0, 6.0), when=JAN), effect("k", when=JUN))
    assert extent(conn) == {
        "spatial": {"bbox": [[29.0, -2.0, 41.0, 6.0]]},
        "temporal": {"interval": [["2026-01-05T00:00:00Z", "2026-06-05T00:00:00Z"]]},
    }


def test_a_collection_s_own_words_survive_new_items(conn):
    write(conn, effect())
    conn.execute("""UPDATE pgstac.collections SET content = content || '{"title": "Edited", "license": "CC-BY-4.0"}'""")
    write(conn, effect("j", bbox=(40.0, 5.0, 41.0, 6.0)))
    (content,) = conn.execute("SELECT content FROM pgstac.collections").fetchone()
    assert (content["title"], content["license"]) == ("Edited", "CC-BY-4.0")


def test_the_marks_of_publication_outlive_reprocessing(conn):
    write(conn, effect())
    marks = {"app:published": True, "app:published_at": "2026-06-05T00:00:00Z", "app:approved_by": "ann"}
    conn.execute(
        "UPDATE pgstac.items SET content = jsonb_set(content, '{properties}', (content -> 'properties') || %s)",
        [Jsonb(marks)],
    )
    assert get_item(conn, "c", "i")["properties"].items() >= marks.items()
    published = {"op": "=", "args": [{"property": "app:published"}, True]}
    assert search(conn, filter=published, **{"filter-lang": "cql2-json"}) == ["i"]
    write(conn, effect(note="again"), effect("fresh"))
    again = get_item(conn, "c", "i")["properties"]
    assert again.items() >= marks.items() and again["note"] == "again"
    assert search(conn, filter=published, **{"filter-lang": "cql2-json"}) == ["i"]


def test_a_rolled_back_transaction_leaves_neither_item_nor_collection(conn):
    with pytest.raises(RuntimeError), conn.transaction():
        apply_upsert_item(conn, effect())
        raise RuntimeError("lost the lease")
    assert conn.execute("SELECT count(*) FROM pgstac.collections").fetchone() == (0,)
    assert conn.execute("SELECT count(*) FROM pgstac.items").fetchone() == (0,)


def test_the_caller_s_search_path_is_left_alone(conn):
    with conn.transaction():
        before = conn.execute("SHOW search_path").fetchone()
        apply_upsert_item(conn, effect())
        assert conn.execute("SHOW search_path").fetchone() == before


def test_many_writers_of_one_new_collection_all_succeed(db, conn):
    failures: list[BaseException] = []

    def writer(number: int) -> None:
        try:
            with psycopg.connect(db, autocommit=True) as own:
                for turn in range(3):
                    box = (float(number), 0.0, number + 1.0, 1.0)
                    write(own, effect(f"i{number}-{turn}", bbox=box, when=JAN if turn else JUN))
        except BaseException as e:
            failures.append(e)

    threads = [threading.Thread(target=writer, args=(n,)) for n in range(6)]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join()
    assert failures == []
    assert conn.execute("SELECT count(*) FROM pgstac.items").fetchone() == (18,)
    assert extent(conn)["spatial"]["bbox"] == [[0.0, 0.0, 6.0, 1.0]]


def record(cog_id: str = "c:i", path: str = "d/a-0123_analysis.tif", **changes: object) -> CogMetadata:
    fields = {
        "cog_id": cog_id,
        "container": "silver-cogs",
        "blob_path": path,
        "cog_url": "file:///a.tif",
        "width": 10,
        "height": 20,
        "band_count": 1,
        "dtype": "uint8",
        "statistics": [{"minimum": 1.5}],
        "overview_levels": [2, 4],
        "size_bytes": 5_000_000_000,
        "stac_collection_id": "c",
        "stac_item_id": "i",
        "access_level": "public",
    }
    return CogMetadata.model_validate({**fields, **changes})


def rows(conn: psycopg.Connection) -> list[tuple]:
    return conn.execute("SELECT cog_id, blob_path, title, size_bytes, statistics FROM app.cog_metadata").fetchall()


def test_a_cog_is_described_once_however_often_it_is_made(conn):
    apply_upsert_cog_metadata(conn, UpsertCogMetadata(record(title="old")))
    (made,) = conn.execute("SELECT created_at FROM app.cog_metadata").fetchone()
    apply_upsert_cog_metadata(conn, UpsertCogMetadata(record(path="d/a-4567_analysis.tif")))
    assert rows(conn) == [("c:i", "d/a-4567_analysis.tif", None, 5_000_000_000, [{"minimum": 1.5}])]
    created, updated = conn.execute("SELECT created_at, updated_at FROM app.cog_metadata").fetchone()
    assert created == made < updated


def test_two_items_cannot_claim_one_file(conn):
    apply_upsert_cog_metadata(conn, UpsertCogMetadata(record()))
    with pytest.raises(TargetExists, match=r"belongs to c:i, so c:other"):
        apply_upsert_cog_metadata(conn, UpsertCogMetadata(record("c:other")))
    assert len(rows(conn)) == 1
