"""Zip archives: refused before a byte is written when they would escape their folder or fill the disk."""

from __future__ import annotations

import shutil
import zipfile
import zlib
from collections import Counter
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path, PurePosixPath

from core.contracts.vector_formats import EXTENSIONS
from core.errors import AmbiguousLayer, UnreadableSource, UnsupportedFormat

MAX_MEMBERS = 20_000
MAX_UNPACKED = 20 * 1024**3
#: Text and DBF files with padded cells reach 50; what goes beyond this and is large is made to be.
MAX_RATIO = 200
RATIO_FREE = 50 * 1024**2

#: Text files in an archive say something about the data, and an archive is unpacked.
_DATA_SUFFIXES = {f".{extension}" for extension in EXTENSIONS} - {".txt", ".zip", ".gdb"}


def check(path: Path, shown: str) -> None:
    """Refuse an archive that is damaged, escapes its folder, or unpacks to far more than it is. Writes nothing."""
    with _opened(path, shown) as archive:
        _members(archive, path.stat().st_size, shown)


def unpack(path: Path, folder: Path, shown: str) -> None:
    """Write the members below `folder`. Raises UnreadableSource, before writing, for an archive `check` refuses."""
    with _opened(path, shown) as archive:
        for info in _members(archive, path.stat().st_size, shown):
            target = folder / _local_name(info.filename)
            target.parent.mkdir(parents=True, exist_ok=True)
            # zipfile stops at the size the directory declares, so what was checked is what is written.
            with archive.open(info) as source, target.open("wb") as sink:
                shutil.copyfileobj(source, sink, 1 << 20)


def unpack_inner(folder: Path, shown: str) -> None:
    """Unpack the archives among the unpacked members into folders of their name. What is inside those stays packed."""
    found = {path: f"{shown}/{path.relative_to(folder).as_posix()}" for path in sorted(folder.rglob("*.zip"))}
    if sum(_unpacked_size(path, inner) for path, inner in found.items()) > MAX_UNPACKED:
        raise UnreadableSource(f"The archives inside {shown} would unpack to more than {MAX_UNPACKED:,} bytes.")
    for path, inner in found.items():
        target = path.with_suffix("")
        while target.exists():
            target = target.with_name(target.name + "_")
        unpack(path, target, inner)
        path.unlink()


def _unpacked_size(path: Path, shown: str) -> int:
    with _opened(path, shown) as archive:
        return sum(i.file_size for i in _members(archive, path.stat().st_size, shown))


def data_file(folder: Path, shown: str, wanted: str | None) -> tuple[Path, bool]:
    """The one data file below an unpacked folder; True when `wanted` chose it, so it is not a layer's name.

    Raises AmbiguousLayer when there are several and `wanted` names none of them by stem or file name.
    """
    found = data_files(folder, shown)
    if len(found) == 1:
        return found[0], False
    names = [p.relative_to(folder).as_posix() for p in found]
    for path, name in zip(found, names, strict=True):
        if wanted is not None and wanted in (path.stem, path.name, name):
            return path, True
    stems = sorted({p.stem for p in found})
    choices = stems if len(stems) == len(found) else names
    raise AmbiguousLayer(
        f"{shown} contains {len(found)} datasets: {', '.join(names[:30])}.",
        hint=f"Set layer_name to one of {', '.join(choices[:30])}, or all_layers.",
    )


def data_files(folder: Path, shown: str) -> list[Path]:
    """All data files below an unpacked folder. Raises UnsupportedFormat when there is none."""
    found = sorted(_data_files(folder))
    if not found:
        inner = sorted(p.name for p in folder.rglob("*.zip"))
        seen = sorted(p.relative_to(folder).as_posix() for p in folder.rglob("*") if p.is_file())
        raise UnsupportedFormat(
            f"{shown} contains no vector file; it holds {', '.join(seen[:10]) or 'nothing'}.",
            hint="Only one archive inside another is unpacked."
            if inner
            else "Put a shapefile or another format into it.",
        )
    return found


def _data_files(folder: Path) -> Iterator[Path]:
    databases = {p for p in folder.rglob("*") if p.is_dir() and p.suffix.lower() == ".gdb"}
    yield from databases
    for path in folder.rglob("*"):
        hidden = any(part.startswith((".", "__MACOSX")) for part in path.relative_to(folder).parts)
        if path.is_file() and path.suffix in _DATA_SUFFIXES and not hidden and not databases & set(path.parents):
            yield path


@contextmanager
def _opened(path: Path, shown: str) -> Iterator[zipfile.ZipFile]:
    try:
        with zipfile.ZipFile(path) as archive:
            yield archive
    except (zipfile.BadZipFile, NotImplementedError, EOFError, zlib.error) as e:
        raise UnreadableSource(f"{shown} is not a readable zip archive: {e}.", hint="Pack and upload it again.") from e
    except RuntimeError as e:
        raise UnreadableSource(f"{shown} cannot be unpacked: {e}.", hint="Remove the password.") from e


def _members(archive: zipfile.ZipFile, packed: int, shown: str) -> list[zipfile.ZipInfo]:
    infos = [i for i in archive.infolist() if not i.is_dir()]
    if len(infos) > MAX_MEMBERS:
        raise UnreadableSource(f"{shown} has {len(infos):,} members; at most {MAX_MEMBERS:,} are unpacked.")
    for info in infos:
        _require_inside(info, shown)
    twice = [name for name, count in Counter(_local_name(i.filename) for i in infos).items() if count > 1]
    if twice:
        raise UnreadableSource(f"{shown} has two members called {twice[0]!r}.", hint="Pack one of them, or rename it.")
    total = sum(i.file_size for i in infos)
    if total > MAX_UNPACKED or (total > RATIO_FREE and total > MAX_RATIO * max(packed, 1)):
        raise UnreadableSource(
            f"{shown} would unpack from {packed:,} to {total:,} bytes, which is refused as a zip bomb.",
            hint="Upload the data as GeoPackage or GeoParquet.",
        )
    return infos


def _require_inside(info: zipfile.ZipInfo, shown: str) -> None:
    name = info.filename.replace("\\", "/")
    is_link = (info.external_attr >> 16) & 0o170000 == 0o120000
    if name.startswith("/") or ".." in PurePosixPath(name).parts or ":" in name or is_link:
        raise UnreadableSource(
            f"{shown} has a member {info.filename[:200]!r} that points outside the archive.",
            hint="Pack the files again with plain relative paths.",
        )


def _local_name(name: str) -> str:
    # GDAL finds the parts of a shapefile by their lower-case extension.
    path = PurePosixPath(name.replace("\\", "/"))
    return str(path.with_suffix(path.suffix.lower()))
