"""Which raster is in this zip archive? Nothing is unpacked: GDAL reads the member where it is."""

from __future__ import annotations

import shutil
import zipfile
from dataclasses import dataclass
from pathlib import Path, PurePosixPath

from core.contracts import raster_formats as formats
from core.contracts.storage import ObjectStorage, StoredBlob
from core.errors import AmbiguousLayer, UnreadableSource, UnsupportedFormat

_HEAD = 64
_ARCHIVE = "source.zip"
_MOST_MEMBERS = 100_000
#: Uncompressed bytes of a member above which it is taken for a bomb when it also shrinks more than this.
_MEMBER_BYTES, _MEMBER_RATIO = 1 << 30, 200
_RASTERS = frozenset({*formats.SUFFIXES, *formats.IN_ARCHIVE, formats.VRT})
_PICTURES = frozenset({".png", ".jpg", ".jpeg", ".gif", ".bmp", ".webp"})
_IGNORED = ("__MACOSX/",)


@dataclass(frozen=True)
class Member:
    """A raster in an archive; `by_name` when the caller's variable chose it among several."""

    member: str
    path: str
    head: bytes
    has_sidecar: bool
    by_name: bool


def find(storage: ObjectStorage, blob: StoredBlob, workdir: Path, wanted: str | None) -> Member:
    """Fetch the archive and find its only raster, or the one named `wanted`. Raises a DataError that lists them."""
    archive = workdir / _ARCHIVE
    storage.download(blob.name, archive)
    label = str(blob.name)
    try:
        with zipfile.ZipFile(archive) as opened:
            files = [m for m in opened.infolist() if not m.is_dir() and not m.filename.startswith(_IGNORED)]
            _refuse(files, label)
            names = _candidates(files)
            member = _only(names, wanted, label)
            inside = [m for m in files if m.filename == member or m.filename.startswith(f"{member}/")]
            for part in inside:
                _refuse_bomb(part, label)
            with opened.open(inside[0]) as content:
                head = content.read(_HEAD)
    except (zipfile.BadZipFile, NotImplementedError, RuntimeError) as e:  # damaged, unknown method, encrypted
        raise UnreadableSource(f"The archive {label} cannot be read: {e}", hint="Pack and upload it again.") from e
    stem = str(PurePosixPath(member).with_suffix(""))
    sidecar = any(m.filename != member and m.filename.startswith(stem) for m in files)
    return Member(member, f"/vsizip/{{{archive}}}/{member}", head, sidecar, len(names) > 1)


def unpack(found: Member, workdir: Path) -> Path:
    """The member as a file of its own; how large it may be was checked when it was found."""
    target = workdir / f"member{PurePosixPath(found.member).suffix}"
    with zipfile.ZipFile(workdir / _ARCHIVE) as opened, opened.open(found.member) as content, target.open("wb") as out:
        shutil.copyfileobj(content, out, 1 << 20)
    return target


def _refuse(files: list[zipfile.ZipInfo], label: str) -> None:
    if len(files) > _MOST_MEMBERS:
        raise UnsupportedFormat(f"The archive {label} has {len(files)} files; at most {_MOST_MEMBERS} are read.")
    for file in files:
        parts = PurePosixPath(file.filename.replace("\\", "/")).parts
        if ".." in parts or file.filename.startswith(("/", "\\")) or ":" in file.filename:
            raise UnsupportedFormat(
                f"The archive {label} names a file outside itself: {file.filename[:200]!r}.", hint="Pack it again."
            )
    if files and all(file.filename.lower().endswith(".zip") for file in files):
        raise UnsupportedFormat(f"The archive {label} holds only archives.", hint="Pack rasters once.")


def _refuse_bomb(member: zipfile.ZipInfo, label: str) -> None:
    if member.file_size > max(_MEMBER_BYTES, _MEMBER_RATIO * member.compress_size):
        raise UnsupportedFormat(
            f"{member.filename} in {label} unpacks to {member.file_size} bytes, {_MEMBER_RATIO} times its size.",
            hint="Submit the file itself, compressed inside (for example a DEFLATE GeoTIFF).",
        )


def _candidates(files: list[zipfile.ZipInfo]) -> list[str]:
    """Members that are rasters by their names, in order; the folder of a Zarr store counts as one."""
    found: dict[str, None] = {}
    for file in files:
        path = PurePosixPath(file.filename)
        store = next((i for i, part in enumerate(path.parts) if part.lower().endswith(formats.ZARR)), None)
        if store is not None:
            found["/".join(path.parts[: store + 1])] = None
        elif path.suffix.lower() in _RASTERS:
            found[file.filename] = None
    measured = [name for name in found if PurePosixPath(name).suffix.lower() not in _PICTURES]
    return sorted(measured or found)  # a preview beside the raster is not meant


def _only(names: list[str], wanted: str | None, label: str) -> str:
    if not names:
        raise UnsupportedFormat(f"The archive {label} holds no raster.", hint="Zip one raster file.")
    chosen = [n for n in names if wanted in (n, PurePosixPath(n).name)] if len(names) > 1 else names
    if len(chosen) != 1:
        listed = ", ".join(names[:20])
        raise AmbiguousLayer(
            f"The archive {label} holds {len(names)} rasters: {listed}.", hint="Zip one, or name one as variable."
        )
    return chosen[0]
