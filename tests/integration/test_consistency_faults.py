"""A thousand datasets, damaged in every way at random: all of it is reported, nothing else, and mended."""

from __future__ import annotations

import random
from pathlib import Path

import pytest

from core.contracts.storage import BlobName
from tests.integration.test_consistency import ROUTE, TABLE, age, compare
from tests.integration.test_raster_reports import put_cog
from tests.integration.test_repairs import repair, run
from tests.support.api import Api
from tests.support.catalogue import catalogue
from tests.support.hills import approve
from tests.support.many import make_many

RASTERS, TABLES = 650, 350
_ITEM = "DELETE FROM pgstac.items WHERE id = {item!r}"
_HIDE = (
    "UPDATE pgstac.items SET content = jsonb_set(content, '{{properties,app:published}}', 'false') WHERE id = {item!r}"
)
_EDIT = (
    "UPDATE pgstac.items SET content = jsonb_set(content, '{{properties,title}}', '\"Better words\"')"
    " WHERE id = {item!r}"
)
_LIFT = "UPDATE pgstac.items SET geometry = ST_Translate(geometry, 1, 0) WHERE id = {item!r}"
_SHRINK = (
    "UPDATE pgstac.collections SET content = jsonb_set(content, '{{extent,spatial,bbox,0,2}}',"
    " content #> '{{extent,spatial,bbox,0,0}}') WHERE id = {collection!r}"
)
#: What is done to a raster or a table, the finding it makes, and whether it is mended without a person.
ON_RASTERS = (
    (_ITEM, "record_without_stac_item", "cog:{cog}", True),
    (
        "DELETE FROM app.cog_metadata WHERE cog_id = {cog!r}",
        "stac_item_without_record",
        "item:{collection}/{item}",
        False,
    ),
    (
        "UPDATE app.cog_metadata SET stac_item_id = 'x' || stac_item_id WHERE cog_id = {cog!r}",
        "broken_backlink",
        "cog:{cog}",
        True,
    ),
    (_HIDE, "published_mismatch", "item:{collection}/{item}", True),
    (_EDIT, "changed_item", "cog:{cog}", True),
    (_LIFT, "changed_item", "cog:{cog}", True),
    (
        "UPDATE app.dataset_refs SET stac_item_id = 'x' || stac_item_id WHERE cog_id = {cog!r}",
        "dangling_ref",
        "ref:{collection}/x{item}",
        True,
    ),
    ("DELETE FROM app.dataset_refs WHERE cog_id = {cog!r}", "missing_ref", "cog:{cog}", True),
    ("UPDATE app.dataset_refs SET version_id = 'v9' WHERE cog_id = {cog!r}", "missing_ref", "cog:{cog}", True),
    (
        "INSERT INTO app.artifacts SELECT r.* FROM app.artifacts a, jsonb_populate_record(a, jsonb_build_object("
        "'artifact_id', 'art-' || md5({item!r}), 'stac_item_id', 'x' || {item!r})) r WHERE a.tables = '[]' LIMIT 1",
        "stale_revision",
        "revision:{collection}/x{item}",
        False,
    ),
)
ON_TABLES = (
    (_ITEM, "record_without_stac_item", "table:{table}", True),
    (
        "UPDATE geo.table_catalog SET stac_item_id = NULL WHERE table_name = {table!r}",
        "broken_backlink",
        "table:{table}",
        True,
    ),
    (
        "UPDATE geo.table_catalog SET bbox_maxx = bbox_maxx + 1 WHERE table_name = {table!r}",
        "wrong_extent",
        "table:{table}",
        True,
    ),
    (
        "UPDATE geo.table_catalog SET feature_count = 9 WHERE table_name = {table!r}",
        "wrong_count",
        "table:{table}",
        True,
    ),
    ("UPDATE geo.table_catalog SET srid = 3857 WHERE table_name = {table!r}", "wrong_srid", "table:{table}", True),
    ("ALTER TABLE geo.{table} ALTER geom TYPE geometry", "untyped_geometry", "table:{table}", True),
    ("DROP INDEX geo.{table}_geom_idx", "missing_spatial_index", "table:{table}", True),
    (
        "UPDATE geo.table_catalog SET published = false, published_at = NULL WHERE table_name = {table!r}",
        "published_mismatch",
        "item:system-vectors/{item}",
        True,
    ),
    (_EDIT, "changed_item", "table:{table}", True),
    ("UPDATE app.dataset_refs SET dataset_id = 'x' WHERE table_name = {table!r}", "missing_ref", "table:{table}", True),
    ("DELETE FROM app.dataset_refs WHERE table_name = {table!r}", "missing_ref", "table:{table}", True),
    (
        "UPDATE app.dataset_refs SET stac_item_id = 'x' || stac_item_id WHERE table_name = {table!r}",
        "dangling_ref",
        "ref:system-vectors/x{item}",
        True,
    ),
    ("DELETE FROM app.vector_etl_tracking WHERE table_name = {table!r}", "missing_run", "table:{table}", False),
    (
        "DELETE FROM geo.table_catalog WHERE table_name = {table!r}",
        "table_without_catalog_row",
        "table:{table}",
        False,
    ),
    ("DROP TABLE geo.{table}", "catalog_row_without_table", "table:{table}", False),
    (
        "CREATE TABLE geo.stray_{table} (geom geometry(Point, 4326))",
        "table_without_catalog_row",
        "table:stray_{table}",
        False,
    ),
)
#: What is done to collections with a mosaic. Of the two that are left, one loses its file, the other stays as it is.
ON_MOSAICS = (
    "DELETE FROM pgstac.searches WHERE hash = (SELECT content -> 'summaries' -> 'mosaic:search_id' ->> 0"
    " FROM pgstac.collections WHERE id = {collection!r})",
    "UPDATE pgstac.collections SET content = jsonb_set(content, '{{assets,mosaicjson,app:members}}', '\"other\"')"
    " WHERE id = {collection!r}",
)
_MOSAICS = "terrain-in-many-pieces"


@pytest.fixture
def thousand(api: Api, hills: dict[str, str], tmp_path: Path) -> Api:
    for job in hills.values():
        approve(api, job)
    make_many(api.db, api.runtime.storage, tmp_path / "storage", rasters=RASTERS, tables=TABLES)
    for n in range(len(ON_MOSAICS) + 2):
        container = f"silver-pieces-{n}"
        for place in (1, 2):
            put_cog(api, tmp_path, f"{place}.tif", 400 * place, container)
        asked = {"container_name": container, "collection_id": f"{_MOSAICS}-{n}", "create_mosaicjson": True}
        run(api, "stac_catalog_container", **asked, access_level="ouo")
    return api


def mosaic_of(api: Api, collection: str) -> BlobName:
    """The mosaic's file."""
    query = f"SELECT content -> 'assets' -> 'mosaicjson' ->> 'href' FROM pgstac.collections WHERE id = {collection!r}"
    [(href,)] = api.query(query)
    name = api.runtime.storage.parse_href(href)
    assert name is not None
    return name


@pytest.mark.parametrize("seed", [7])
def test_every_damage_to_a_thousand_datasets_is_reported_and_all_that_may_be_is_mended(
    thousand: Api, tmp_path: Path, seed: int
) -> None:
    before = catalogue(thousand)
    chance = random.Random(seed)
    mended, left = _damage(thousand, tmp_path / "storage", chance)
    compared = compare(thousand)
    assert _open(thousand) == mended | left
    assert compared["seen"] == len(mended | left)
    result = repair(thousand, limit=1000)
    assert result["failed"] == []
    assert {(one["kind"], one["object"]) for one in result["repaired"]} == mended
    again = compare(thousand)
    assert (_open(thousand), again["opened"], again["closed"]) == (left, 0, 0)
    healed = catalogue(thousand)
    for part in ("items", "collections", "reviews", "reviewed"):
        assert healed[part] == before[part], part
    for n in range(len(ON_MOSAICS) + 2):
        assert thousand.runtime.storage.head(mosaic_of(thousand, f"{_MOSAICS}-{n}"))
    # The files that were restored from a copy have other ETags; what needs a person is still lost.
    lost = tuple(object_.partition(":")[2].replace("/", ":") for _, object_ in left)
    for part in ("cogs", "tables", "runs", "references", "revisions", "columns", "indexes"):
        gone = {name for name in before[part] if name not in healed[part]}
        assert all(name.removeprefix("geo.").startswith(lost) for name in gone), part
        assert {name: _plain(healed[part][name]) for name in before[part] if name not in gone} == {
            name: _plain(value) for name, value in before[part].items() if name not in gone
        }, part


def _plain(row: object) -> object:
    return {name: value for name, value in row.items() if name != "etag"} if isinstance(row, dict) else row


def _damage(api: Api, root: Path, chance: random.Random) -> tuple[set[tuple[str, str]], set[tuple[str, str]]]:
    """The findings expected: those that are mended, and those for a person."""
    cog_id, container, path = cog_of(api)
    collection, item = cog_id.split(":")
    numbers, tables = chance.sample(range(1, RASTERS + 1), 90), chance.sample(range(1, TABLES + 1), 90)
    mended: set[tuple[str, str]] = set()
    left: set[tuple[str, str]] = set()
    statements = []
    for damage, kind, name, automatic in ON_RASTERS:
        for _ in range(chance.randint(2, 5)):
            n = numbers.pop()
            names = {"cog": f"{cog_id}-{n}", "collection": collection, "item": f"{item}-{n}"}
            statements.append(damage.format(**names))
            (mended if automatic else left).add((kind, name.format(**names)))
    for damage, kind, name, automatic in ON_TABLES:
        for _ in range(chance.randint(2, 5)):
            n = tables.pop()
            names = {"table": f"{TABLE}_{n}", "item": f"postgis-geo-{TABLE}_{n}"}
            statements.append(damage.format(**names))
            (mended if automatic else left).add((kind, name.format(**names)))
            if damage.startswith("DELETE FROM geo.table_catalog"):
                left.add(("stac_item_without_record", "item:system-vectors/{item}".format(**names)))
    for n, damage in enumerate(ON_MOSAICS):
        statements.append(damage.format(collection=f"{_MOSAICS}-{n}"))
        mended.add(("stale_mosaic", f"collection:{_MOSAICS}-{n}"))
    lost = mosaic_of(api, f"{_MOSAICS}-{len(ON_MOSAICS)}")
    api.runtime.storage.delete(lost)
    mended.add(("stale_mosaic", f"collection:{_MOSAICS}-{len(ON_MOSAICS)}"))
    statements.append(_SHRINK.format(collection=collection))
    mended.add(("stale_collection_extent", f"collection:{collection}"))
    chance.shuffle(statements)
    for statement in statements:
        api.query(statement)
    for kind in ("missing_blob", "copied", "changed_blob", "orphan_blob"):
        for _ in range(chance.randint(2, 5)):
            n = numbers.pop()
            file = root / container / str(n) / path
            told = f"blob:{container}/{n}/{path}"
            if kind == "missing_blob":
                file.unlink()
            elif kind == "copied":
                api.runtime.storage.put(file.read_bytes(), BlobName(container, f"{n}/{path}"))
                mended.add(("changed_blob", told))
                continue
            elif kind == "changed_blob":
                file.write_bytes(file.read_bytes() + b"?")
            else:
                stray = root / container / f"stray/{n}.tif"
                stray.parent.mkdir(exist_ok=True)
                stray.write_bytes(b"?")
                age(stray)
                told = f"blob:{container}/stray/{n}.tif"
            left.add((kind, told))
    return mended, left


def cog_of(api: Api) -> tuple[str, str, str]:
    """The one that the others were made from."""
    [row] = api.query(
        "SELECT cog_id, container, blob_path FROM app.cog_metadata ORDER BY length(cog_id), cog_id LIMIT 1"
    )
    return row


def _open(api: Api) -> set[tuple[str, str]]:
    page = api.get(f"{ROUTE}/findings", limit=500)
    assert page["next_cursor"] is None
    return {(f["kind"], f["object"]) for f in page["findings"]}
