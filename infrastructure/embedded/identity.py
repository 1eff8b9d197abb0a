"""As whom the server runs: PostgreSQL refuses uid 0, and it must reach its data without anything being made public."""

from __future__ import annotations

import os
import pwd
import shutil
from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path

from core.errors import ConfigurationError
from infrastructure.embedded import programs

_PROBE = 'test "$(id -u)" -ne 0 && cd "$1" && test -x "$2"'


@dataclass(frozen=True)
class Identity:
    """A user other than root, or the caller inside a user namespace where his files keep their owner."""

    name: str
    uid: int
    gid: int
    wrapper: tuple[str, ...] = ()

    def run(self, argv: Sequence[str | Path], *, environment: Mapping[str, str], cwd: Path) -> programs.Finished:
        """Run a program of PostgreSQL's to its end."""
        account = None if self.uid == os.geteuid() else programs.Account(self.uid, self.gid)
        return programs.run([*self.wrapper, *argv], environment=environment, cwd=cwd, account=account)

    def own(self, path: Path) -> None:
        """Make this identity the owner of one file or folder."""
        if path.lstat().st_uid != self.uid:
            os.chown(path, self.uid, self.gid, follow_symlinks=False)

    def own_tree(self, top: Path) -> None:
        """Make this identity the owner of a folder and all in it."""
        for folder, folders, files in os.walk(top):
            for name in (".", *folders, *files):
                self.own(Path(folder, name))

    def reaches(self, folder: Path, program: Path) -> bool:
        """True when it exists here, is not root, and can enter the folder and start the program."""
        environment = {"PATH": "/usr/bin:/bin"}
        return self.run(["/bin/sh", "-c", _PROBE, "probe", folder, program], environment=environment, cwd=Path("/")).ok


def choose(home: Path, data: Path, program: Path) -> Identity:
    """The identity for a cluster in `home`: the owner of existing data if that still works, else the first to reach it.

    A separate account comes before the namespace, because there the server would run with root's own rights on files.
    Raises ConfigurationError when none can do it.
    """
    owner = data.stat().st_uid if data.exists() else None
    tried = []
    for identity in sorted(_candidates(home), key=lambda i: i.uid != owner):
        if identity.reaches(home, program):
            return identity
        tried.append(identity.name)
    raise ConfigurationError(
        f"PostgreSQL refuses to run as root, and {' and '.join(tried) or 'no other account'} cannot reach {home}.",
        hint="Set GEOMACHINE_HOME to a folder others may enter, run as an ordinary user, or set DATABASE_URL.",
    )


def _candidates(home: Path) -> Iterator[Identity]:
    if os.geteuid() != 0 and _exists(os.geteuid()):
        yield Identity("the caller", os.geteuid(), os.getegid())
        return
    if os.geteuid() == 0:
        for name in ("postgres", "nobody"):
            try:
                entry = pwd.getpwnam(name)
            except KeyError:
                continue
            yield Identity(name, entry.pw_uid, entry.pw_gid)
        owner = next(p for p in home.parents if p.exists()).stat()
        if owner.st_uid != 0 and _exists(owner.st_uid):
            yield Identity(f"the owner of {home.parent}", owner.st_uid, owner.st_gid)
    yield from _namespace()


def _namespace() -> Iterator[Identity]:
    unshare = shutil.which("unshare")
    # initdb looks its user up by name, so the number seen inside must belong to a real account.
    inside = next((e for e in sorted(pwd.getpwall(), key=lambda e: e.pw_name != "nobody") if e.pw_uid), None)
    if unshare and inside:
        wrapper = (unshare, "--user", f"--map-user={inside.pw_uid}", f"--map-group={inside.pw_gid}", "--")
        yield Identity("a user namespace", os.geteuid(), os.getegid(), wrapper)


def _exists(uid: int) -> bool:
    try:
        pwd.getpwuid(uid)
    except KeyError:
        return False
    return True
