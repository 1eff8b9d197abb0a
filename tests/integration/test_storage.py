"""One set of rules that the local folder and Azure Blob Storage (its emulator) both keep."""

import hashlib
import os
import subprocess
import sys
import threading
import uuid
from datetime import UTC, datetime, timedelta
from pathlib import Path

import numpy as np
import pytest
import rasterio
from rasterio.transform import from_origin

from config.settings import StorageSettings
from core.contracts.storage import BlobName, ObjectStorage
from core.errors import InvalidRequest, SourceNotFound, StorageUnavailable
from infrastructure.storage import from_settings

pytest_plugins = ("tests.support.azurite",)

ROOT = Path(__file__).resolve().parents[2]
MIB = 1024 * 1024
ODD_NAMES = [
    "plain.tif",
    "folder/a b.tif",
    "ü/ñ/日本.tif",
    "e\u0301.tif",
    "100%.tif",
    "%2e%2e/a%20b.tif",
    "a#1",
    "a#b?c=d&e+f.tif",
    "colon:star*[x]{y}.tif",
    "quote'\"<>|^`~.tif",
    "😀.tif",
    ".hidden",
    "deep/" * 30 + "x",
]


@pytest.fixture(params=["local", pytest.param("azurite", marks=pytest.mark.azurite)])
def settings(request, tmp_path) -> StorageSettings:
    if request.param == "local":
        return StorageSettings(root=tmp_path / "store")
    return StorageSettings(connection_string=request.getfixturevalue("azurite").connection_string)


@pytest.fixture
def store(settings, tmp_path) -> ObjectStorage:
    return from_settings(settings, tmp_path)


@pytest.fixture
def container() -> str:
    return f"bronze-{uuid.uuid4().hex}"


@pytest.fixture
def name(container) -> BlobName:
    return BlobName(container, "folder/blob.bin")


def paths(store: ObjectStorage, container: str, prefix: str = "") -> list[str]:
    return [blob.name.path for blob in store.list(container, prefix)]


def numbered(mebibytes: int) -> bytes:
    """Content in which every piece differs, so that one lost, doubled or misplaced shows."""
    return b"".join(i.to_bytes(8, "big") * (MIB // 8) for i in range(mebibytes))


def test_what_was_put_is_read_back(store, name):
    before = datetime.now(UTC) - timedelta(seconds=2)
    stored = store.put(b"hello world", name, content_type="text/plain")
    assert (stored.name, stored.size) == (name, 11)
    assert before <= stored.last_modified <= datetime.now(UTC) + timedelta(seconds=2)
    assert store.head(name) == stored
    assert store.read(name) == b"hello world"
    assert b"".join(store.stream(name)) == b"hello world"
    assert list(store.list(name.container)) == [stored]


def test_a_file_is_uploaded_and_downloaded(store, name, tmp_path):
    content = numbered(37)[:-5]
    (tmp_path / "in").write_bytes(content)
    stored = store.upload(tmp_path / "in", name, content_type="image/tiff")
    assert stored.size == len(content)
    assert store.download(name, tmp_path / "out") == stored
    assert (tmp_path / "out").read_bytes() == content
    pieces = list(store.stream(name))
    assert max(map(len, pieces)) <= 8 * MIB
    assert b"".join(pieces) == content


def test_an_empty_blob_is_a_blob(store, name, tmp_path):
    assert store.put(b"", name).size == 0
    assert store.read(name) == b""
    assert list(store.stream(name)) == []
    assert store.download(name, tmp_path / "out").size == 0
    assert (tmp_path / "out").read_bytes() == b""
    again = BlobName(name.container, "again")
    assert store.upload(tmp_path / "out", again).size == 0
    assert store.read(again) == b""


@pytest.mark.parametrize(
    ("start", "length", "expected"),
    [(0, 3, b"012"), (4, 3, b"456"), (8, 50, b"89"), (4, None, b"456789"), (10, 5, b""), (99, 5, b""), (3, 0, b"")],
)
def test_a_range_is_cut_at_the_end_of_the_blob(store, name, start, length, expected):
    store.put(b"0123456789", name)
    assert store.read(name, start=start, length=length) == expected
    end = None if length is None else start + length
    assert b"".join(store.stream(name, start=start, end=end)) == expected


def test_a_range_across_pieces_is_exact(store, name):
    content = numbered(20)
    store.put(content, name)
    assert b"".join(store.stream(name, start=5 * MIB + 3, end=19 * MIB - 7)) == content[5 * MIB + 3 : 19 * MIB - 7]
    assert store.read(name, start=7 * MIB, length=3 * MIB) == content[7 * MIB : 10 * MIB]


@pytest.mark.parametrize(("start", "length"), [(-1, 2), (2, -1)])
def test_an_impossible_range_is_the_callers_defect(store, name, start, length):
    store.put(b"0123456789", name)
    with pytest.raises(ValueError, match="not a range"):
        store.read(name, start=start, length=length)


@pytest.mark.parametrize("container_exists", [True, False])
def test_a_missing_blob_is_reported_by_name(store, name, tmp_path, container_exists):
    if container_exists:
        store.put(b"x", BlobName(name.container, "other"))
    for attempt in (
        lambda: store.head(name),
        lambda: store.read(name),
        lambda: store.stream(name),
        lambda: store.download(name, tmp_path / "out"),
    ):
        with pytest.raises(SourceNotFound, match=str(name)) as caught:
            attempt()
        assert caught.value.hint
    assert not (tmp_path / "out").exists()
    assert store.delete(name) is False


def test_a_folder_is_not_a_blob(store, name):
    store.put(b"x", name)
    with pytest.raises(SourceNotFound):
        store.head(BlobName(name.container, "folder"))
    with pytest.raises(SourceNotFound):
        store.head(BlobName(name.container, "folder/blob.bin/below"))
    assert store.delete(BlobName(name.container, "folder")) is False
    assert store.read(name) == b"x"


def test_a_missing_container_lists_nothing(store, container):
    assert list(store.list(container)) == []


def test_listing_is_in_order_and_by_plain_prefix(store, container):
    names = ["a", "a b/x", "a.tif", "ab/c", "ab/d/e", "ab0", "b/a", "b/ab", "b/abc/d", "Z"]
    for path in [n for n in names if n not in ("a",)]:
        store.put(b"x", BlobName(container, path))
    expected = sorted(set(names) - {"a"})
    assert paths(store, container) == expected
    for prefix in ("a", "ab", "ab/", "ab/d", "b/a", "b/ab", "b/abc/", "c", "Z", "b/abc/d", "b/abc/de", "a b"):
        assert paths(store, container, prefix) == [n for n in expected if n.startswith(prefix)], prefix


def test_a_listing_says_the_same_as_head(store, container):
    for path in ("x", "y/z"):
        store.put(path.encode(), BlobName(container, path))
    assert [store.head(blob.name) for blob in store.list(container)] == list(store.list(container))


@pytest.mark.parametrize("path", ODD_NAMES)
def test_odd_names_are_kept_as_they_are(store, container, path):
    name, neighbour = BlobName(container, path), BlobName(container, "neighbour")
    store.put(b"n", neighbour)
    store.put(path.encode(), name)
    assert store.read(name) == path.encode()
    assert sorted(paths(store, container)) == sorted([path, "neighbour"])
    assert store.parse_href(store.href(name)) == name
    assert store.delete(name) is True
    assert paths(store, container) == ["neighbour"]


def test_a_second_delete_says_that_nothing_was_there(store, name):
    store.put(b"x", name)
    assert store.delete(name) is True
    assert store.delete(name) is False
    assert paths(store, name.container) == []
    store.put(b"again", BlobName(name.container, "folder"))


def test_every_overwrite_changes_the_etag_and_nothing_else_does(store, name):
    etags = []
    for i in range(30):
        etags.append(store.put(b"%02d" % i, name).etag)
        assert store.head(name).etag == etags[-1]
    assert len(set(etags)) == 30
    assert store.read(name) == b"29"
    assert all(etag.startswith('"') and etag.endswith('"') for etag in etags)


@pytest.mark.parametrize("container", ["copper-x", "bronze-X", "..", ""])
def test_listing_a_foreign_container_is_refused(store, container):
    with pytest.raises(InvalidRequest):
        list(store.list(container))


@pytest.mark.parametrize(
    "href",
    [
        *("", "/vsiaz/", "/vsiaz/bronze-x", "/vsiaz/bronze-x/", "/vsiaz/bronze-x/../gold-y/z", "/vsis3/bronze-x/a"),
        *(
            "https://example.org/bronze-x/a",
            "file:///bronze-x/a",
            "bronze-x/a",
            "file:///%2e%2e/bronze-x/a",
            "/vsiaz/web/a",
        ),
    ],
)
def test_a_foreign_href_is_nobodys_blob(store, href):
    assert store.parse_href(href) is None


def test_a_local_file_that_is_not_there_is_the_callers_own_error(store, name, tmp_path):
    with pytest.raises(FileNotFoundError):
        store.upload(tmp_path / "nothing", name)
    store.put(b"x", name)
    with pytest.raises(FileNotFoundError):
        store.download(name, tmp_path / "no" / "folder")


def test_racing_writers_leave_one_whole_version_and_readers_see_only_whole_ones(store, name, tmp_path):
    size, seen, finished = 20 * MIB, [], []
    store.put(b"\0" * size, name)
    for i in range(1, 4):
        (tmp_path / str(i)).write_bytes(bytes([i]) * size)

    def write(i: int) -> None:
        try:
            store.upload(tmp_path / str(i), name)
            finished.append(i)
        except StorageUnavailable:  # Azure lets the first win; the others are to try again
            pass

    def read() -> None:
        while any(w.is_alive() for w in writers):
            try:
                content = store.read(name)
            except StorageUnavailable:
                continue
            seen.append((len(content), frozenset(content[:: MIB - 1])))

    writers = [threading.Thread(target=write, args=(i,)) for i in (1, 2, 3)]
    reader = threading.Thread(target=read)
    for thread in (*writers, reader):
        thread.start()
    for thread in (*writers, reader):
        thread.join()
    content = store.read(name)
    assert finished
    assert len(content) == size
    assert set(content) < {1, 2, 3}
    assert len(set(content)) == 1
    assert all(length == size and len(values) == 1 for length, values in seen)


def test_a_blob_replaced_while_streamed_is_never_mixed(store, name):
    old, new = b"o" * (20 * MIB), b"n" * (20 * MIB)
    store.put(old, name)
    stream = store.stream(name)
    first = next(stream)
    store.put(new, name)
    try:
        assert first + b"".join(stream) == old
    except StorageUnavailable as e:
        assert "replaced" in e.message


MEASURE = """
import hashlib, pathlib, resource, sys
from config.settings import StorageSettings
from core.contracts.storage import BlobName
from infrastructure.storage import from_settings
root, connection, container, source = sys.argv[1:]
here = pathlib.Path(source).parent
store = from_settings(StorageSettings(root=root or None, connection_string=connection or None), here)
def peak(): return resource.getrusage(resource.RUSAGE_SELF).ru_maxrss
small = BlobName(container, "small")
store.put(b"x", small), store.read(small)
before = peak()
name = BlobName(container, "large")
store.upload(pathlib.Path(source), name)
digest = hashlib.sha256()
for piece in store.stream(name):
    digest.update(piece)
del piece
store.download(name, here / "out")
print(peak() - before, digest.hexdigest())
"""


def test_a_large_blob_moves_in_bounded_memory(settings, container, tmp_path):
    mebibytes, digest = 192, hashlib.sha256()
    source = tmp_path / "large"
    with source.open("wb") as file:
        for i in range(mebibytes):
            piece = i.to_bytes(8, "big") * (MIB // 8)
            digest.update(piece)
            file.write(piece)
    connection = settings.connection_string.get_secret_value() if settings.connection_string else ""
    arguments = [str(settings.root or ""), connection, container, str(source)]
    done = subprocess.run(
        [sys.executable, "-c", MEASURE, *arguments], cwd=ROOT, capture_output=True, text=True, check=False
    )
    assert done.returncode == 0, done.stderr
    kibibytes, found = done.stdout.split()
    assert found == digest.hexdigest()
    assert int(kibibytes) < 110 * 1024
    with (tmp_path / "out").open("rb") as file:
        assert hashlib.file_digest(file, "sha256").hexdigest() == found


def write_tif(file: Path, first: int) -> np.ndarray:
    values = (np.arange(64 * 48, dtype="int32") + first).reshape(48, 64)
    grid = {"width": 64, "height": 48, "count": 1, "dtype": "int32", "crs": "EPSG:4326"}
    with rasterio.open(file, "w", driver="GTiff", transform=from_origin(10, 50, 0.5, 0.5), **grid) as tif:
        tif.write(values, 1)
    return values


def gdal_read(store: ObjectStorage, name: BlobName) -> np.ndarray:
    with rasterio.Env(**store.gdal_options(name)), rasterio.open(store.gdal_path(name)) as tif:
        assert tif.crs.to_epsg() == 4326
        return tif.read(1)


@pytest.mark.parametrize("path", ["a/raster.tif", "ü b/100%#1?x=y&z+.tif"])
def test_gdal_opens_the_path_with_the_options(store, container, tmp_path, path):
    values = write_tif(tmp_path / "a.tif", 0)
    name = BlobName(container, path)
    store.upload(tmp_path / "a.tif", name)
    assert np.array_equal(gdal_read(store, name), values)


def test_gdal_takes_nothing_from_the_files_beside_a_blob(store, container, tmp_path):
    values = write_tif(tmp_path / "a.tif", 0)
    name = BlobName(container, "a.tif")
    store.upload(tmp_path / "a.tif", name)
    with rasterio.open(tmp_path / "a.tif", "r+", driver="GTiff") as tif, rasterio.Env(TIFF_USE_OVR=True):
        tif.build_overviews([2])
    store.upload(tmp_path / "a.tif.ovr", BlobName(container, "a.tif.ovr"))
    store.put(b"2\n0\n0\n-2\n0\n0\n", BlobName(container, "a.tfw"))
    with rasterio.Env(**store.gdal_options(name)), rasterio.open(store.gdal_path(name)) as tif:
        assert tif.overviews(1) == []
        assert tif.transform == from_origin(10, 50, 0.5, 0.5)
        assert np.array_equal(tif.read(1), values)


def test_gdal_in_a_long_lived_process_sees_blobs_that_came_or_changed_later(store, container, tmp_path):
    early, late = BlobName(container, "early.tif"), BlobName(container, "late.tif")
    first = write_tif(tmp_path / "1.tif", 0)
    second = write_tif(tmp_path / "2.tif", 5000)
    store.upload(tmp_path / "1.tif", early)
    assert np.array_equal(gdal_read(store, early), first)
    with pytest.raises(rasterio.errors.RasterioIOError):
        gdal_read(store, late)
    store.upload(tmp_path / "2.tif", late)
    assert np.array_equal(gdal_read(store, late), second)
    store.upload(tmp_path / "2.tif", early)
    assert np.array_equal(gdal_read(store, early), second)


def test_hrefs_are_what_catalogue_readers_open(store, container, settings):
    name = BlobName(container, "a b/100%.tif")
    if settings.azure:
        assert store.href(name) == f"/vsiaz/{container}/a b/100%.tif"
    else:
        assert store.href(name) == f"file://{settings.root.resolve()}/{container}/a%20b/100%25.tif"
        assert store.gdal_path(name) == os.fspath(settings.root.resolve() / container / "a b" / "100%.tif")
