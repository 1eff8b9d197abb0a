"""Which names of containers and blobs are accepted, and how outputs are named."""

import pytest

from core.contracts.storage import BlobName
from core.errors import InvalidRequest
from core.naming import immutable_name


@pytest.mark.parametrize(
    "container", ["bronze-rasters", "silver-cogs", "silverext-x1", "gold-a-b-c", "bronze-" + "a" * 52]
)
def test_containers_of_a_zone_are_accepted(container):
    assert BlobName(container, "a.tif").zone == container.split("-", maxsplit=1)[0]


@pytest.mark.parametrize(
    "container",
    [
        *(
            "",
            "bronze",
            "bronze-",
            "Bronze-x",
            "bronze-X",
            "bronze_x",
            "bronze-x-",
            "bronze--x",
            "copper-x",
            "bronze-x/y",
        ),
        *("bronze-x/y", "bronze-x\n", "../bronze-x", "bronze-..", "$web", "silver-é", "bronze-" + "a" * 57, ".partial"),
    ],
)
def test_other_containers_are_refused(container):
    with pytest.raises(InvalidRequest, match="container_name"):
        BlobName(container, "a.tif")


@pytest.mark.parametrize(
    "path",
    ["a", "a/b c.tif", "ü/ñ.tif", "100%.tif", "a#1", "q?x=1", "a%20b", "%2e%2e/x", "..a", "a..b", ".hidden", "😀.tif"],
)
def test_odd_but_plain_paths_are_accepted(path):
    assert BlobName("bronze-x", path).path == path


@pytest.mark.parametrize(
    "path",
    [
        *("", "/", "/etc/passwd", "a//b", "a/", "..", "../x", "a/../b", "a/..", ".", "./a", "a/./b", "a\\b", "..\\b"),
        *("a\x00b", "a\nb", "a\x7fb", "half \ud83d", "a.", "a./b", "a/b...", "x" * 901),
    ],
)
def test_paths_that_leave_the_container_or_differ_between_stores_are_refused(path):
    with pytest.raises(InvalidRequest, match="file_name"):
        BlobName("bronze-x", path)


@pytest.mark.parametrize(
    ("path", "suffix"),
    [("a/b.TIF", ".tif"), ("a.b/c", ""), ("x.tar.gz", ".gz"), (".hidden", ""), ("a b.GeoJSON", ".geojson")],
)
def test_suffix_is_the_lower_case_extension(path, suffix):
    assert BlobName("bronze-x", path).suffix == suffix


def test_output_names_differ_exactly_when_the_contents_do():
    first = immutable_name("silver-cogs", "floods/1", "depth", "ab" * 32, ".tif")
    assert str(first) == "silver-cogs/floods/1/depth-abababababababab.tif"
    assert immutable_name("silver-cogs", "floods/1", "depth", "ab" * 32, ".tif") == first
    assert immutable_name("silver-cogs", "floods/1", "depth", "cd" * 32, ".tif") != first
    assert immutable_name("silver-cogs", "", "depth", "ab" * 32, ".tif").path == "depth-abababababababab.tif"


def test_overlong_output_names_fit_a_file_system_and_stay_distinct():
    names = {immutable_name("silver-cogs", "f", "é" * 300 + end, "0" * 64, ".tif").path for end in ("", "x", "y")}
    assert len(names) == 3
    assert all(len(name.removeprefix("f/").encode()) <= 255 for name in names)
