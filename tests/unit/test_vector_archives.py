"""What is refused before it is unpacked or opened."""

from __future__ import annotations

import zipfile
from pathlib import Path

import pytest

from core.contracts.vector_formats import VectorFormat
from core.errors import AmbiguousLayer, UnreadableSource, UnsupportedFormat
from services.vector import archives, fetching


def packed(folder: Path, members: dict[str, bytes], name: str = "a.zip") -> Path:
    path = folder / name
    with zipfile.ZipFile(path, "w", zipfile.ZIP_DEFLATED) as archive:
        for member, content in members.items():
            archive.writestr(member, content)
    return path


@pytest.mark.parametrize("name", ["../evil.shp", "a/../../evil.shp", "/etc/evil", "..\\evil.shp", "C:\\evil.shp"])
def test_a_member_that_points_outside_is_refused_before_anything_is_written(tmp_path, name):
    path = packed(tmp_path, {"good.csv": b"lat,lon\n1,2\n"})
    with zipfile.ZipFile(path, "a") as archive:
        info = zipfile.ZipInfo("x")
        info.filename = name
        archive.writestr(info, b"x")
    with pytest.raises(UnreadableSource, match="outside"):
        archives.unpack(path, tmp_path / "out", "c/a.zip")
    assert not (tmp_path / "out").exists()
    assert sorted(p.name for p in tmp_path.iterdir()) == ["a.zip"]


def test_a_link_inside_an_archive_is_refused(tmp_path):
    path = tmp_path / "a.zip"
    with zipfile.ZipFile(path, "w") as archive:
        info = zipfile.ZipInfo("link.csv")
        info.external_attr = 0o120777 << 16
        archive.writestr(info, "/etc/passwd")
    with pytest.raises(UnreadableSource, match="outside"):
        archives.unpack(path, tmp_path / "out", "c/a.zip")


def test_a_zip_bomb_is_refused_before_anything_is_written(tmp_path):
    path = packed(tmp_path, {"a.csv": b"0" * (60 << 20)})
    assert path.stat().st_size < 100_000
    with pytest.raises(UnreadableSource, match="zip bomb"):
        archives.unpack(path, tmp_path / "out", "c/a.zip")
    assert not (tmp_path / "out").exists()


def test_a_kmz_bomb_is_refused_without_unpacking(tmp_path):
    path = packed(tmp_path, {"doc.kml": b" " * (60 << 20)}, "a.kmz")
    with pytest.raises(UnreadableSource, match="zip bomb"):
        archives.check(path, "c/a.kmz")


@pytest.mark.parametrize("damage", [b"", b"PK\x03\x04 and then nothing", b"not a zip"])
def test_a_damaged_archive_is_refused_by_name(tmp_path, damage):
    path = tmp_path / "a.zip"
    path.write_bytes(damage)
    with pytest.raises(UnreadableSource, match=r"c/a\.zip"):
        archives.unpack(path, tmp_path / "out", "c/a.zip")


def test_an_archive_with_a_wrong_checksum_is_refused(tmp_path):
    path = packed(tmp_path, {"a.csv": b"lat,lon\n" + b"1,2\n" * 1000})
    raw = bytearray(path.read_bytes())
    raw[45] ^= 0xFF
    path.write_bytes(raw)
    with pytest.raises(UnreadableSource, match=r"a\.zip"):
        archives.unpack(path, tmp_path / "out", "c/a.zip")


def test_the_only_data_file_is_found_in_a_folder_whatever_its_case(tmp_path):
    path = packed(
        tmp_path, {"x/Roads.SHP": b"", "x/Roads.DBF": b"", "__MACOSX/x/._Roads.shp": b"", "x/.hidden.csv": b""}
    )
    archives.unpack(path, tmp_path / "out", "c/a.zip")
    found, chosen = archives.data_file(tmp_path / "out", "c/a.zip", None)
    assert found == tmp_path / "out/x/Roads.shp" and not chosen


def test_several_data_files_are_listed_and_one_can_be_chosen(tmp_path):
    path = packed(tmp_path, {"a/one.csv": b"", "b/two.csv": b""})
    archives.unpack(path, tmp_path / "out", "c/a.zip")
    with pytest.raises(AmbiguousLayer, match=r"a/one\.csv, b/two\.csv.*layer_name to one of one, two"):
        archives.data_file(tmp_path / "out", "c/a.zip", None)
    assert archives.data_file(tmp_path / "out", "c/a.zip", "two") == (tmp_path / "out/b/two.csv", True)


def test_files_of_one_name_in_several_folders_can_be_told_apart_and_chosen(tmp_path):
    path = packed(tmp_path, {"a/x.csv": b"", "b/x.csv": b""})
    archives.unpack(path, tmp_path / "out", "c/a.zip")
    with pytest.raises(AmbiguousLayer, match=r"layer_name to one of a/x\.csv, b/x\.csv"):
        archives.data_file(tmp_path / "out", "c/a.zip", None)
    assert archives.data_file(tmp_path / "out", "c/a.zip", "b/x.csv") == (tmp_path / "out/b/x.csv", True)


def test_a_geodatabase_is_one_dataset_whatever_lies_in_it(tmp_path):
    path = packed(tmp_path, {"x.gdb/a0.gdbtable": b"", "x.gdb/notes.csv": b""})
    archives.unpack(path, tmp_path / "out", "c/a.zip")
    assert archives.data_file(tmp_path / "out", "c/a.zip", None)[0].name == "x.gdb"


def test_an_archive_in_an_archive_is_unpacked_and_one_inside_that_is_not(tmp_path):
    inner = packed(tmp_path, {"x/one.csv": b"lat,lon\n1,2\n"}, "inner.zip")
    outer = packed(tmp_path, {"folder/inner.zip": inner.read_bytes()})
    archives.unpack(outer, tmp_path / "out", "c/a.zip")
    archives.unpack_inner(tmp_path / "out", "c/a.zip")
    assert archives.data_file(tmp_path / "out", "c/a.zip", None)[0] == tmp_path / "out/folder/inner/x/one.csv"
    third = packed(tmp_path, {"a.zip": outer.read_bytes()}, "third.zip")
    archives.unpack(third, tmp_path / "deep", "c/third.zip")
    archives.unpack_inner(tmp_path / "deep", "c/third.zip")
    with pytest.raises(UnsupportedFormat, match=r"inner\.zip.*Only one archive inside another"):
        archives.data_file(tmp_path / "deep", "c/third.zip", None)


def test_a_bomb_inside_an_archive_is_refused_before_it_is_written(tmp_path):
    bomb = packed(tmp_path, {"a.csv": b"0" * (60 << 20)}, "bomb.zip")
    outer = packed(tmp_path, {"bomb.zip": bomb.read_bytes()})
    archives.unpack(outer, tmp_path / "out", "c/a.zip")
    with pytest.raises(UnreadableSource, match=r"c/a\.zip/bomb\.zip would unpack .* zip bomb"):
        archives.unpack_inner(tmp_path / "out", "c/a.zip")
    assert [p.name for p in (tmp_path / "out").rglob("*")] == ["bomb.zip"]


@pytest.mark.parametrize("declared", [f for f in VectorFormat if f is not VectorFormat.CSV])
def test_a_text_file_under_another_extension_is_refused_by_name(tmp_path, declared):
    path = tmp_path / "notes"
    path.write_text("Dear all,\nplease find attached\n")
    with pytest.raises(UnreadableSource, match="bronze-vectors/notes"):
        fetching.require_content(path, declared, "bronze-vectors/notes")


@pytest.mark.parametrize(
    ("declared", "text"),
    [
        (VectorFormat.KML, '<OGRVRTDataSource><OGRVRTLayer name="x"><SrcDataSource>/etc/passwd</SrcDataSource>'),
        (VectorFormat.GML, '<?xml version="1.0"?><!DOCTYPE a [<!ENTITY x SYSTEM "file:///etc/passwd">]><a>&x;</a>'),
        (VectorFormat.GEOJSON, '{"type": "gdal_streamed_alg", "command_line": "gdal vector pipeline ! read /etc/x"}'),
        (VectorFormat.GEOJSON, "<OGRVRTDataSource/>"),
    ],
)
def test_files_that_would_make_the_reader_open_others_are_refused(tmp_path, declared, text):
    path = tmp_path / "f"
    path.write_text(text)
    with pytest.raises(UnreadableSource):
        fetching.require_content(path, declared, "c/f")


@pytest.mark.parametrize(
    ("declared", "content", "said"),
    [
        (VectorFormat.KML, b'<?xml version="1.0"?><!DOCTYPE a [<!ENTITY x "y">]><a/>', "entities.*DOCTYPE"),
        (VectorFormat.GEOJSON, '{"type": "Point"}'.encode("utf-16"), "Save it as UTF-8"),
    ],
)
def test_why_a_file_is_refused_and_how_to_write_it_is_said(tmp_path, declared, content, said):
    (tmp_path / "f").write_bytes(content)
    with pytest.raises(UnreadableSource, match=f"c/f .*{said}"):
        fetching.require_content(tmp_path / "f", declared, "c/f")


@pytest.mark.filterwarnings("ignore:Duplicate name")
@pytest.mark.parametrize("names", [["a.csv", "a.csv"], ["a.csv", "a.CSV"], ["d/a.csv", "d\\a.csv"]])
def test_of_two_members_of_one_name_none_is_silently_lost(tmp_path, names):
    with zipfile.ZipFile(tmp_path / "a.zip", "w") as archive:
        for name in names:
            archive.writestr(name, "lat,lon\n1,2\n")
    with pytest.raises(UnreadableSource, match=r"c/a\.zip has two members called '(d/)?a\.csv'"):
        archives.unpack(tmp_path / "a.zip", tmp_path / "out", "c/a.zip")
    assert not (tmp_path / "out").exists()
