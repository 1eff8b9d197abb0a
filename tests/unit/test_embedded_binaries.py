"""Which PostgreSQL is taken, and which packages it takes to unpack one."""

from pathlib import Path

from infrastructure.embedded.binaries import EXTENSIONS, MIN_MAJOR, Installation, choose
from infrastructure.embedded.debian import needs


def installation(major: int, *, prefix: Path | None = None, without: str = "") -> Installation:
    extensions = frozenset(EXTENSIONS) - {without}
    return Installation(Path(f"/pg/{major}"), major, f"{major}.1", extensions, prefix)


def test_installation_without_postgis_is_not_taken() -> None:
    bare, complete = installation(17, without="postgis"), installation(15)
    assert choose([bare, complete]) is complete
    assert choose([bare]) is None
    assert str(bare) == "PostgreSQL 17.1 in /pg/17, lacks postgis"


def test_installation_too_old_for_the_project_is_not_taken() -> None:
    assert choose([installation(MIN_MAJOR - 1)]) is None


def test_existing_data_decides_the_major_version() -> None:
    new, old = installation(17), installation(15)
    assert choose([new, old], major=15) is old
    assert choose([new], major=15) is None


def test_server_environment_holds_nothing_of_the_callers(tmp_path: Path) -> None:
    (tmp_path / "usr/share/proj").mkdir(parents=True)
    (tmp_path / "usr/lib/some-arch").mkdir(parents=True)
    (tmp_path / "usr/lib/some-arch/libproj.so.25").touch()
    assert installation(15, prefix=tmp_path).environment == {
        "PATH": "/usr/local/bin:/usr/bin:/bin",
        "LC_MESSAGES": "C",
        "LD_LIBRARY_PATH": str(tmp_path / "usr/lib/some-arch"),
        "PROJ_DATA": str(tmp_path / "usr/share/proj"),
        "PROJ_LIB": str(tmp_path / "usr/share/proj"),
    }


def test_only_dependencies_that_are_absent_and_used_are_fetched() -> None:
    record = {
        "Pre-Depends": "libc6 (>= 2.34)",
        "Depends": "libgeos-c1v5 (>= 3.11), libproj25:amd64, libxml2 | libxml2-16, libgdal32, tzdata, debconf | x",
    }
    assert list(needs(record, {"libproj25", "libxml2-16"})) == ["libgeos-c1v5"]
