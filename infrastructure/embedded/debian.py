"""PostgreSQL and PostGIS from the distribution's own packages, unpacked into a private folder without root."""

from __future__ import annotations

import hashlib
import json
import re
import shutil
import tempfile
from collections.abc import Callable, Iterable, Mapping
from dataclasses import dataclass, field
from pathlib import Path

from core.errors import ConfigurationError
from infrastructure.embedded import programs

# What the packages name but a private server never loads: raster and 3D support, jit, service management.
_LEFT_OUT = re.compile(
    r"^(libgdal|gdal-|libsfcgal|libllvm|postgresql-common|postgresql-client-common|ssl-cert|locales|debconf|ucf|adduser"
    r"|lsb-base|perl|sysvinit|init-system-helpers|libjson-perl|netbase|python3|sensible-utils|passwd|libc6$|libc-bin|tzdata)"
)
_ZONES = Path("/usr/share/zoneinfo")
_COMPLETE = "packages.json"

Package = Mapping[str, str]


def supported() -> bool:
    """True on Debian, Ubuntu and their relatives."""
    return all(shutil.which(p) for p in ("apt-get", "apt-cache", "apt-config", "dpkg-deb", "dpkg-query"))


def time_zones_known() -> bool:
    """True when the machine has them: the packages read the system's and cannot be told to look elsewhere."""
    return (_ZONES / "UTC").exists()


def unpacked(folder: Path) -> list[Path]:
    """The complete prefixes under `folder`."""
    return sorted(p.parent for p in folder.glob(f"*/{_COMPLETE}"))


def unpack(folder: Path, report: Callable[[str], None]) -> Path:
    """Download and unpack the newest PostgreSQL that has PostGIS; returns its prefix under `folder`.

    The machine's package lists serve when they can; when they are empty or name files that are gone, private ones are
    fetched. Raises ConfigurationError when neither way leads to the packages.
    """
    last = "the package lists name no PostGIS"
    for apt in (Apt(folder / "apt"), Apt(folder / "apt", private_lists=True)):
        if apt.private_lists:
            report("Refreshing a private list of packages ...")
            apt.update()
        major = apt.newest_major()
        if major is None:
            continue
        try:
            return _unpack(apt, _closure(apt, major), folder, report)
        except ConfigurationError as e:
            last = e.message
    raise ConfigurationError(
        f"PostgreSQL with PostGIS could not be fetched: {last}",
        hint="Check the network and /etc/apt/sources.list, or set DATABASE_URL to a server that has PostGIS.",
    )


@dataclass
class Apt:
    """apt with its caches, and if asked its lists, in a folder of ours."""

    folder: Path
    private_lists: bool = False
    _environment: dict[str, str] = field(init=False)

    def __post_init__(self) -> None:
        for name in ("lists/partial", "cache/archives/partial"):
            (self.folder / name).mkdir(parents=True, exist_ok=True)
        # A copy of the machine's configuration without its hooks: as root those would write to system folders.
        lines = [
            line
            for line in programs.run(["apt-config", "dump"]).output.splitlines()
            if line.startswith(("APT::", "Acquire::", "Dir::")) and "Invoke" not in line
        ]
        lines += ['Dir::Etc::main "/dev/null";', 'Dir::Etc::parts "/dev/null";', 'APT::Sandbox::User "root";']
        lines += [f'Dir::Cache "{self.folder}/cache";', 'Dir::Cache::pkgcache "pkgcache.bin";']
        if self.private_lists:
            lines.append(f'Dir::State::lists "{self.folder}/lists";')
        config = self.folder / ("private.conf" if self.private_lists else "system.conf")
        config.write_text("\n".join(lines) + "\n")
        self._environment = {"APT_CONFIG": str(config)}

    def run(self, *argv: str, cwd: Path | None = None) -> programs.Finished:
        """Run one of apt's programs."""
        return programs.run(["env", *(f"{k}={v}" for k, v in self._environment.items()), *argv], cwd=cwd)

    def update(self) -> None:
        """Fetch the lists; a source that does not answer is left to show in what is missing afterwards."""
        self.run("apt-get", "-qq", "update")

    def newest_major(self) -> int | None:
        """The newest PostgreSQL version for which PostGIS is packaged."""
        answer = self.run("apt-cache", "search", "--names-only", r"^postgresql-[0-9]+-postgis-3$").output
        return max((int(m[1]) for m in re.finditer(r"^postgresql-(\d+)-postgis-3 ", answer, re.M)), default=None)

    def packages(self, names: Iterable[str]) -> dict[str, Package]:
        """The records of the named packages that exist."""
        found: dict[str, Package] = {}
        for paragraph in self.run("apt-cache", "show", "--no-all-versions", *names).output.split("\n\n"):
            record = {m[1]: m[2] for m in re.finditer(r"^([A-Z][\w-]*): (.*)$", paragraph, re.M)}
            if "Package" in record:
                found.setdefault(record["Package"], record)
        return found


def _closure(apt: Apt, major: int) -> dict[str, Package]:
    """The packages to unpack: PostgreSQL, PostGIS and what they need that is not installed here."""
    installed = _installed()
    wanted: dict[str, Package] = {}
    postgis = f"postgresql-{major}-postgis-3"
    names = {f"postgresql-{major}", f"postgresql-client-{major}", postgis, f"{postgis}-scripts"}
    while names:
        new = apt.packages(sorted(names))
        wanted |= new
        names = {n for record in new.values() for n in needs(record, installed | wanted.keys())} - wanted.keys()
    return wanted


def needs(record: Package, present: set[str]) -> Iterable[str]:
    """The first alternative of each dependency that nothing present fulfils and that a private server uses."""
    for clause in f"{record.get('Pre-Depends', '')},{record.get('Depends', '')}".split(","):
        alternatives = [re.split(r"[ (:]", a.strip())[0] for a in clause.split("|") if a.strip()]
        if alternatives and not present.intersection(alternatives) and not _LEFT_OUT.match(alternatives[0]):
            yield alternatives[0]


def _installed() -> set[str]:
    answer = programs.run(["dpkg-query", "-W", "-f", "${db:Status-Abbrev} ${Package}\n"])
    return {line.split()[1] for line in answer.output.splitlines() if line.startswith("ii")}


def _unpack(apt: Apt, packages: dict[str, Package], folder: Path, report: Callable[[str], None]) -> Path:
    versions = {name: record["Version"] for name, record in packages.items()}
    server = next(n for n in versions if re.fullmatch(r"postgresql-\d+", n))
    size = sum(int(record.get("Size", 0)) for record in packages.values())
    # Which packages are needed depends on what is installed, so the name tells the sets apart.
    digest = hashlib.sha256(json.dumps(versions, sort_keys=True).encode()).hexdigest()[:8]
    prefix = folder / re.sub(r"[^\w.+-]", "_", f"{server}-{versions[server]}-{digest}")
    if (prefix / _COMPLETE).exists():  # never replaced: a server may be running from it
        return prefix
    report(f"Fetching PostgreSQL {versions[server]} with PostGIS, {size / 1e6:.0f} MB ...")
    work = Path(tempfile.mkdtemp(dir=folder, prefix="unpacking-"))
    try:
        _fill(apt, sorted(versions), work)
        (work / _COMPLETE).write_text(json.dumps(versions, indent=1))
        work.chmod(0o755)  # the server may run as another user
        shutil.rmtree(prefix, ignore_errors=True)
        work.rename(prefix)
    finally:
        shutil.rmtree(work, ignore_errors=True)
    return prefix


def _fill(apt: Apt, names: list[str], work: Path) -> None:
    downloads = work / "downloads"
    downloads.mkdir()
    answer = apt.run("apt-get", "-qq", "download", *names, cwd=downloads)
    if not answer.ok:
        raise ConfigurationError(f"apt-get download failed: {answer.said}")
    for package in downloads.glob("*.deb"):
        answer = programs.run(["dpkg-deb", "-x", package, work])
        if not answer.ok:
            raise ConfigurationError(f"{package.name} could not be unpacked: {answer.said}")
    shutil.rmtree(downloads)
    # Installing the package would make these links in a script of its own.
    for control in work.glob("usr/share/postgresql/*/extension/*-3.control"):
        plain = control.with_name(control.name.replace("-3.control", ".control"))
        if not plain.exists():
            plain.symlink_to(control.name)
