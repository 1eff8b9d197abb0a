"""What only a folder can get wrong: links, names that are folders, half-written files."""

import os
import resource
import signal
import subprocess
import sys
import time
from pathlib import Path

import pytest

from config.settings import StorageSettings
from core.contracts.storage import BlobName
from core.errors import InvalidRequest, SourceNotFound, StorageUnavailable
from infrastructure.storage import from_settings
from infrastructure.storage.local import LocalStorage

ROOT = Path(__file__).resolve().parents[2]
NAME = BlobName("bronze-x", "folder/a.bin")


@pytest.fixture
def root(tmp_path) -> Path:
    return tmp_path / "store"


@pytest.fixture
def store(root) -> LocalStorage:
    return LocalStorage(root)


def names(store: LocalStorage) -> list[str]:
    return [blob.name.path for blob in store.list("bronze-x")]


def files(root: Path) -> list[str]:
    return sorted(str(path.relative_to(root)) for path in root.rglob("*") if not path.is_dir())


def test_without_settings_blobs_live_under_home(tmp_path):
    store = from_settings(StorageSettings(), tmp_path / "home")
    assert not (tmp_path / "home").exists()
    store.put(b"x", NAME)
    assert (tmp_path / "home/storage/bronze-x/folder/a.bin").read_bytes() == b"x"


def test_a_local_store_loads_neither_obstore_nor_the_azure_libraries(tmp_path):
    code = (
        "import sys, pathlib; from config.settings import StorageSettings;"
        "from infrastructure.storage import from_settings; from_settings(StorageSettings(), pathlib.Path(sys.argv[1]));"
        "sys.exit(bool({'obstore', 'azure.identity', 'azure.core', 'httpx'} & set(sys.modules)))"
    )
    assert subprocess.run([sys.executable, "-c", code, tmp_path], cwd=ROOT, check=False).returncode == 0


def test_files_that_somebody_dropped_into_a_container_are_blobs(store, root):
    (root / "bronze-x/sub").mkdir(parents=True)
    (root / "bronze-x/sub/dropped.tif").write_bytes(b"dropped")
    assert names(store) == ["sub/dropped.tif"]
    assert store.read(BlobName("bronze-x", "sub/dropped.tif")) == b"dropped"


@pytest.mark.parametrize("target", ["secret", "secrets"])
def test_links_out_of_the_folder_are_neither_listed_nor_read_nor_written_through(store, root, tmp_path, target):
    store.put(b"inside", NAME)
    (tmp_path / "secrets").mkdir()
    (tmp_path / "secrets/secret").write_bytes(b"secret")
    (tmp_path / "secret").write_bytes(b"secret")
    (root / "bronze-x/link").symlink_to(tmp_path / target)
    linked = BlobName("bronze-x", "link" if target == "secret" else "link/secret")
    assert names(store) == [NAME.path]
    for attempt in (store.head, store.read, store.stream, store.gdal_path):
        with pytest.raises(SourceNotFound):
            attempt(linked)
    assert store.delete(linked) is False
    if target == "secrets":
        with pytest.raises(InvalidRequest, match="link"):
            store.put(b"changed", linked)
        with pytest.raises(InvalidRequest, match="link"):
            store.put(b"new", BlobName("bronze-x", "link/new/folder/file"))
        assert [path.name for path in (tmp_path / "secrets").iterdir()] == ["secret"]
    else:
        store.put(b"changed", linked)
        assert not (root / "bronze-x/link").is_symlink()
    assert (tmp_path / "secrets/secret").read_bytes() == b"secret"
    assert (tmp_path / "secret").read_bytes() == b"secret"


def test_a_circle_of_links_is_no_blob(store, root):
    store.put(b"x", NAME)
    (root / "bronze-x/circle").symlink_to(root / "bronze-x/circle")
    assert names(store) == [NAME.path]
    with pytest.raises(SourceNotFound):
        store.read(BlobName("bronze-x", "circle"))


def test_a_root_that_is_a_link_works(tmp_path):
    (tmp_path / "disk").mkdir()
    (tmp_path / "root").symlink_to(tmp_path / "disk")
    store = LocalStorage(tmp_path / "root")
    store.put(b"x", NAME)
    assert store.read(NAME) == b"x"
    assert store.parse_href(store.href(NAME)) == NAME


def test_a_name_that_continues_another_is_refused(store):
    store.put(b"x", NAME)
    with pytest.raises(InvalidRequest, match="continues"):
        store.put(b"y", BlobName("bronze-x", "folder/a.bin/below"))
    with pytest.raises(InvalidRequest, match="continues"):
        store.put(b"y", BlobName("bronze-x", "folder"))
    assert store.read(NAME) == b"x"
    assert names(store) == [NAME.path]


def test_an_empty_folder_left_behind_does_not_block_a_name(store, root):
    (root / "bronze-x/folder").mkdir(parents=True)
    store.put(b"y", BlobName("bronze-x", "folder"))
    assert names(store) == ["folder"]


def test_a_part_too_long_for_the_file_system_is_refused(store):
    name = BlobName("bronze-x", "é" * 200)
    with pytest.raises(InvalidRequest, match="too long"):
        store.put(b"x", name)
    with pytest.raises(SourceNotFound):
        store.read(name)


@pytest.mark.skipif(not hasattr(os, "mkfifo"), reason="needs named pipes")
def test_a_writer_killed_halfway_leaves_the_old_version_and_nothing_else(store, root, tmp_path):
    store.put(b"old", NAME)
    os.mkfifo(tmp_path / "pipe")
    code = (
        "import sys, pathlib; from core.contracts.storage import BlobName;"
        "from infrastructure.storage.local import LocalStorage;"
        "LocalStorage(pathlib.Path(sys.argv[1])).upload(pathlib.Path(sys.argv[2]), BlobName('bronze-x', sys.argv[3]))"
    )
    writer = subprocess.Popen([sys.executable, "-c", code, root, tmp_path / "pipe", NAME.path], cwd=ROOT)
    with (tmp_path / "pipe").open("wb", buffering=0) as pipe:
        for _ in range(5):
            pipe.write(b"new" * 500_000)
        deadline = time.monotonic() + 20
        while not any(root.glob(".partial/*")) and time.monotonic() < deadline:
            time.sleep(0.02)
        writer.send_signal(signal.SIGKILL)
        writer.wait()
    (half,) = root.glob(".partial/*")
    assert half.stat().st_size > 1_000_000
    assert names(store) == [NAME.path]
    assert store.read(NAME) == b"old"
    assert files(root / "bronze-x") == [NAME.path]


def test_what_killed_writers_left_is_removed_after_a_day(store, root):
    store.put(b"x", NAME)
    for age in (1, 25):
        half = root / f".partial/{age}"
        half.write_bytes(b"half")
        os.utime(half, (time.time() - age * 3600,) * 2)
    LocalStorage(root).put(b"y", NAME)
    assert files(root) == [".partial/1", "bronze-x/folder/a.bin"]


def test_a_write_that_fails_halfway_leaves_the_old_version_and_nothing_else(store, root):
    store.put(b"x", NAME)
    soft, hard = resource.getrlimit(resource.RLIMIT_FSIZE)
    resource.setrlimit(resource.RLIMIT_FSIZE, (1_000_000, hard))
    try:
        with pytest.raises(StorageUnavailable, match="too large") as caught:
            store.put(b"y" * 2_000_000, NAME)
    finally:
        resource.setrlimit(resource.RLIMIT_FSIZE, (soft, hard))
    assert caught.value.hint
    assert files(root) == ["bronze-x/folder/a.bin"]
    assert store.read(NAME) == b"x"
