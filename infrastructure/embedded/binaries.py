"""Which PostgreSQL programs on this machine can be used, and where missing ones come from."""

from __future__ import annotations

import fcntl
import platform
import re
import shutil
import sys
from collections.abc import Callable, Iterator
from dataclasses import dataclass
from pathlib import Path

from core.errors import ConfigurationError
from infrastructure.embedded import debian, programs

MIN_MAJOR = 14
EXTENSIONS = ("postgis", "btree_gist", "unaccent")
_PROGRAMS = ("initdb", "pg_ctl", "postgres")
_PLACES = (
    "usr/lib/postgresql/*/bin",  # Debian, Ubuntu
    "usr/pgsql-*/bin",  # PostgreSQL's own RPMs
    "opt/homebrew/opt/postgresql@*/bin",
    "usr/local/opt/postgresql@*/bin",
    "Applications/Postgres.app/Contents/Versions/*/bin",
    "opt/local/lib/postgresql*/bin",  # MacPorts
    "usr/local/pgsql/bin",
    "usr/libexec/postgresql*",
)

TIME_ZONE_COMMAND = "sudo apt-get install tzdata"

Report = Callable[[str], None]


@dataclass(frozen=True)
class Installation:
    """One set of PostgreSQL programs. `prefix` is the folder of an unpacked one, None for an installed one."""

    bin: Path
    major: int
    version: str
    extensions: frozenset[str]
    prefix: Path | None = None

    @property
    def missing(self) -> tuple[str, ...]:
        """Extensions that the project needs and this installation lacks."""
        return tuple(e for e in EXTENSIONS if e not in self.extensions)

    @property
    def usable(self) -> bool:
        """True when the project can run on it."""
        return self.major >= MIN_MAJOR and not self.missing

    @property
    def environment(self) -> dict[str, str]:
        """The whole environment for its programs: a caller's PG*, PROJ_* or GDAL_* would mislead the server."""
        return _environment(self.prefix)

    def __str__(self) -> str:
        return f"PostgreSQL {self.version} in {self.bin}" + (
            f", lacks {', '.join(self.missing)}" if self.missing else ""
        )


def find(folder: Path) -> list[Installation]:
    """Every PostgreSQL on this machine and those unpacked under `folder`, the preferred ones first."""
    seen: set[Path] = set()
    found: list[Installation] = []
    for place, prefix in _candidates(folder):
        resolved = place.resolve()
        if resolved in seen:
            continue
        seen.add(resolved)
        installation = probe(resolved, prefix)
        if installation is not None:
            found.append(installation)
    return sorted(found, key=lambda i: (i.usable, i.prefix is None, i.major), reverse=True)


def choose(installations: list[Installation], major: int | None = None) -> Installation | None:
    """The first usable one, of exactly this major version when data of that version exists already."""
    return next((i for i in installations if i.usable and major in (None, i.major)), None)


def locate(folder: Path, report: Report, major: int | None = None) -> Installation:
    """A usable installation; on Debian and Ubuntu one is unpacked under `folder` when there is none.

    Raises ConfigurationError with the command that installs it anywhere else.
    """
    found = find(folder)
    chosen = choose(found, major)
    if chosen is None and debian.supported():
        folder.mkdir(parents=True, exist_ok=True)
        with (folder / "lock").open("a") as lock:
            fcntl.flock(lock, fcntl.LOCK_EX)
            chosen = choose(find(folder), major) or _provision(folder, report, major)
    if chosen is None:
        wanted = f"PostgreSQL {major}" if major else f"PostgreSQL {MIN_MAJOR} or newer"
        raise ConfigurationError(
            f"No {wanted} with {', '.join(EXTENSIONS)} was found (found: {'; '.join(map(str, found)) or 'none'}).",
            hint=f"Run `{install_command()}`, or set DATABASE_URL to a server that has them.",
        )
    if chosen.prefix is not None and not debian.time_zones_known():
        raise ConfigurationError("PostgreSQL finds no time zones on this machine.", hint=f"Run `{TIME_ZONE_COMMAND}`.")
    return chosen


def install_command() -> str:
    """The one command that installs PostgreSQL with PostGIS on this kind of machine."""
    if sys.platform == "darwin":
        return "brew install postgresql@17 postgis"
    if shutil.which("apt-get"):
        return "sudo apt-get update && sudo apt-get install --no-install-recommends postgis postgresql-postgis"
    if shutil.which("dnf"):
        return "sudo dnf install postgresql-server postgresql-contrib postgis"
    if shutil.which("apk"):
        return "sudo apk add postgresql postgresql-contrib postgis"
    return "micromamba create -y -p ./.pgenv -c conda-forge postgis && export PATH=$PWD/.pgenv/bin:$PATH"


def probe(folder: Path, prefix: Path | None) -> Installation | None:
    """What the programs in `folder` are, or None when they do not run here."""
    if not all((folder / name).is_file() for name in _PROGRAMS):
        return None
    answer = programs.run([folder / "postgres", "--version"], environment=_environment(prefix), timeout=20)
    version = re.search(r"(\d+)(?:\.\d+|devel|beta\d+|rc\d+)?", answer.output)
    if not answer.ok or version is None:
        return None
    major = int(version[1])
    return Installation(folder, major, version[0], _extensions(folder, major, prefix), prefix)


def _provision(folder: Path, report: Report, major: int | None) -> Installation | None:
    prefix = debian.unpack(folder, report)
    for place in prefix.glob("usr/lib/postgresql/*/bin"):
        installation = probe(place, prefix)
        if installation is not None and installation.usable:
            return choose([installation], major)
    raise ConfigurationError(
        f"The PostgreSQL unpacked into {prefix} does not run on this {platform.machine()} machine.",
        hint=f"Run `{install_command()}`.",
    )


def _candidates(folder: Path) -> Iterator[tuple[Path, Path | None]]:
    for prefix in debian.unpacked(folder):
        for place in prefix.glob("usr/lib/postgresql/*/bin"):
            yield place, prefix
    for pattern in _PLACES:
        for place in Path("/").glob(pattern):
            yield place, None
    for name in _PROGRAMS:
        program = shutil.which(name)
        if program:
            yield Path(program).resolve().parent, None
    config = shutil.which("pg_config")
    if config:
        answer = programs.run([config, "--bindir"], timeout=20)
        if answer.ok:
            yield Path(answer.output.strip()), None


def _extensions(folder: Path, major: int, prefix: Path | None) -> frozenset[str]:
    answer = programs.run([folder / "pg_config", "--sharedir"], environment=_environment(prefix), timeout=20)
    shares = [Path(answer.output.strip())] if answer.ok else []
    # Debian's pg_config is absent from the server package, so look where each packager puts the files.
    shares += [folder.parents[2] / "share/postgresql" / str(major)] if len(folder.parents) > 2 else []
    shares += [folder.parents[3] / "share/postgresql" / str(major)] if len(folder.parents) > 3 else []
    shares += [folder.parent / "share" / name for name in ("postgresql", f"postgresql@{major}", ".")]
    for share in shares:
        if (share / "extension").is_dir():
            return frozenset(p.stem for p in (share / "extension").glob("*.control"))
    return frozenset()


def _environment(prefix: Path | None) -> dict[str, str]:
    environment = {"PATH": "/usr/local/bin:/usr/bin:/bin", "LC_MESSAGES": "C"}
    if prefix is None:
        return environment
    folders = {p.parent for top in ("usr/lib", "lib") for p in prefix.glob(f"{top}/*/*.so*")}
    if folders:
        environment["LD_LIBRARY_PATH"] = ":".join(sorted(map(str, folders)))
    proj = prefix / "usr/share/proj"
    if proj.is_dir():  # else the machine has proj-data installed already
        environment.update(PROJ_DATA=str(proj), PROJ_LIB=str(proj))
    return environment
