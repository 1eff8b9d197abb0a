"""The launcher: which Python it takes, when it installs, what it passes on. A stand-in for uv takes notes."""

import os
import shutil
import signal
import subprocess
import sys
from pathlib import Path

import pytest

ROOT = Path(__file__).resolve().parents[2]
TOOLS = ["sh", "dirname", "readlink", "cksum", "grep", "head", "mkdir", "rm", "cat", "sleep", "touch"]
NOTING_UV = """#!/bin/sh
case $1 in
    --version) echo "uv 99" ;;
    venv) shift; for last; do :; done
          echo "venv $*" >>"$NOTES"; mkdir -p "$last/bin"
          printf '#!/bin/sh\\nexec "%s" "$@"\\n' "$PYTHON" >"$last/bin/python"; chmod +x "$last/bin/python" ;;
    pip) for last; do :; done; echo "sync $last" >>"$NOTES"; sleep "${SYNC_SECONDS:-0}"; exit "${SYNC_CODE:-0}" ;;
esac
"""
CLI = """
import os, sys
print(sys.argv[1:], os.getcwd(), os.environ["GEOMACHINE_HOME"], sep="\\n")
"""


class Clone:
    """A tree with the launcher, lock files and a command line that repeats what it was given."""

    def __init__(self, folder: Path) -> None:
        self.root = folder / "a clone"
        self.tools = folder / "tools"
        self.notes = folder / "notes"
        self.home = folder / "home"
        for path in (self.root / "triggers/cli", self.tools, self.home):
            path.mkdir(parents=True)
        shutil.copy(ROOT / "geomachine", self.root)
        (self.root / "requirements.lock").write_text("one")
        (self.root / "requirements-dev.lock").write_text("two")
        (self.root / "triggers/cli/__main__.py").write_text(CLI)
        for tool in [*TOOLS, "chmod"]:
            (self.tools / tool).symlink_to(shutil.which(tool) or tool)
        self.program("uv", NOTING_UV)

    def program(self, name: str, text: str) -> None:
        (self.tools / name).write_text(text)
        (self.tools / name).chmod(0o755)

    def start(self, *arguments: str, cwd: Path | None = None, **environment: str) -> subprocess.Popen[str]:
        known = {"PATH": str(self.tools), "HOME": str(self.home), "NOTES": str(self.notes), "PYTHON": sys.executable}
        return subprocess.Popen(
            [self.root / "geomachine", *arguments],
            cwd=cwd or self.root,
            env=known | environment,
            stdout=subprocess.PIPE,
            stderr=subprocess.PIPE,
            text=True,
            start_new_session=True,
        )

    def run(self, *arguments: str, cwd: Path | None = None, **environment: str) -> tuple[int, str, str]:
        process = self.start(*arguments, cwd=cwd, **environment)
        output, errors = process.communicate(timeout=60)
        return process.returncode, output, errors

    def noted(self) -> list[str]:
        lines = self.notes.read_text().splitlines() if self.notes.exists() else []
        return [line.split(" --")[0] for line in lines]


@pytest.fixture
def clone(tmp_path: Path) -> Clone:
    clone = Clone(tmp_path)
    clone.program("python3.13", f'#!/bin/sh\nexec "{sys.executable}" "$@"\n')
    return clone


@pytest.fixture
def clone_without_python(tmp_path: Path) -> Clone:
    return Clone(tmp_path)


def test_first_run_installs_and_the_second_does_not(clone: Clone) -> None:
    code, _, errors = clone.run("status")
    assert code == 0, errors
    assert clone.noted() == ["venv", "sync requirements.lock"]
    assert errors.count("\n") == 2
    code, _, errors = clone.run("status")
    assert (code, errors) == (0, "")
    assert clone.noted() == ["venv", "sync requirements.lock"]


def test_arguments_and_working_folder_reach_the_command_line_unchanged(clone: Clone, tmp_path: Path) -> None:
    elsewhere = tmp_path / "else where"
    (elsewhere / "triggers").mkdir(parents=True)
    (elsewhere / "triggers/__init__.py").write_text("raise SystemExit('the wrong triggers package')")
    code, output, errors = clone.run("demo", "a b.tif", "*", "", cwd=elsewhere)
    assert code == 0, errors
    assert output.splitlines() == [repr(["demo", "a b.tif", "*", ""]), str(elsewhere), str(clone.root / ".local")]


def test_home_that_the_caller_names_is_kept(clone: Clone) -> None:
    assert clone.run("status", GEOMACHINE_HOME=str(clone.home))[1].splitlines()[2] == str(clone.home)


def test_launcher_works_through_a_symbolic_link(clone: Clone, tmp_path: Path) -> None:
    link = tmp_path / "bin/geomachine"
    link.parent.mkdir()
    link.symlink_to(clone.root / "geomachine")
    answer = subprocess.run(
        [link, "status"],
        env={"PATH": str(clone.tools), "NOTES": str(clone.notes), "PYTHON": sys.executable},
        capture_output=True,
        text=True,
        check=False,
    )
    assert answer.stdout.splitlines()[2] == str(clone.root / ".local"), answer.stderr


def test_changed_lock_is_installed_into_the_same_environment(clone: Clone) -> None:
    clone.run("status")
    (clone.root / "requirements.lock").write_text("three")
    clone.run("status")
    assert clone.noted() == ["venv", "sync requirements.lock", "sync requirements.lock"]


def test_tests_install_more_and_later_commands_keep_it(clone: Clone) -> None:
    clone.run("status")
    clone.run("test")
    clone.run("status")
    clone.run("test")
    assert clone.noted() == ["venv", "sync requirements.lock", "sync requirements-dev.lock"]


def test_failed_installation_is_reported_and_begun_anew(clone: Clone) -> None:
    code, output, errors = clone.run("status", SYNC_CODE="2")
    assert (code, output) == (1, "")
    assert "could not be installed" in errors
    assert clone.run("status")[0] == 0
    assert clone.noted() == ["venv", "sync requirements.lock"] * 2


def test_killed_installation_is_repaired_by_the_next_run(clone: Clone) -> None:
    process = clone.start("status", SYNC_SECONDS="2")
    while "sync requirements.lock" not in clone.noted():
        assert process.poll() is None
    os.killpg(process.pid, signal.SIGKILL)
    process.communicate()
    assert clone.run("status")[0] == 0
    assert clone.noted() == ["venv", "sync requirements.lock"] * 2


def test_environment_whose_python_is_gone_is_made_again(clone: Clone) -> None:
    clone.run("status")
    (clone.root / ".venv/bin/python").unlink()
    (clone.root / ".venv/bin/python").symlink_to("/nowhere/python")
    assert clone.run("status")[0] == 0
    assert clone.noted() == ["venv", "sync requirements.lock"] * 2


def test_two_first_runs_at_once_install_once(clone: Clone) -> None:
    started = [clone.start("status", SYNC_SECONDS="1") for _ in range(2)]
    ended = [(*p.communicate(timeout=60), p.returncode) for p in started]
    assert [code for _, _, code in ended] == [0, 0], ended
    assert clone.noted() == ["venv", "sync requirements.lock"]


@pytest.mark.skipif(not Path("/proc/self/fd").is_dir(), reason="needs /proc")
def test_lock_is_not_held_by_the_command_that_is_started(clone: Clone) -> None:
    (clone.root / "triggers/cli/__main__.py").write_text(
        "from pathlib import Path\nprint([p.name for f in Path('/proc/self/fd').iterdir() for p in [f.resolve()]])"
    )
    _, output, errors = clone.run("status")
    assert output, errors
    assert "install.lock" not in output


def test_python_that_fails_or_is_too_old_is_passed_over(clone: Clone) -> None:
    chosen = clone.tools / "python3.12"
    (clone.tools / "python3.13").rename(chosen)
    clone.program("python3.13", "#!/bin/sh\necho 'pyenv: python3.13: command not found' >&2\nexit 127\n")
    clone.program("python3", "#!/bin/sh\nexit 1\n")  # what `sys.version_info < (3, 11)` makes of an old one
    code, _, errors = clone.run("status")
    assert code == 0, errors
    assert f"--python {chosen}" in clone.notes.read_text()


def test_python_of_pyenv_is_found_behind_a_shim_that_fails(clone: Clone) -> None:
    real = clone.home / ".pyenv/versions/3.13.5/bin/python3.13"
    real.parent.mkdir(parents=True)
    (clone.tools / "python3.13").rename(real)
    clone.program("python3.13", "#!/bin/sh\nexit 127\n")
    code, _, errors = clone.run("status")
    assert code == 0, errors
    assert f"--python {real}" in clone.notes.read_text()


def test_without_python_uv_is_asked_for_one(clone_without_python: Clone) -> None:
    code, _, errors = clone_without_python.run("status")
    assert code == 0, errors
    assert "--python >=3.11,<3.14" in clone_without_python.notes.read_text()


def test_without_python_and_uv_the_message_says_what_to_install(clone_without_python: Clone) -> None:
    (clone_without_python.tools / "uv").unlink()
    code, output, errors = clone_without_python.run("status")
    assert (code, output) == (1, "")
    assert errors == (
        "geomachine: No Python was found."
        " Install Python 3.11 or newer (Debian, Ubuntu: sudo apt-get install python3).\n"
    )


@pytest.mark.skipif(os.geteuid() == 0, reason="root may write everywhere")
def test_clone_that_cannot_be_written_is_reported(clone: Clone) -> None:
    clone.root.chmod(0o555)
    try:
        code, _, errors = clone.run("status")
    finally:
        clone.root.chmod(0o755)
    assert code == 1
    assert "must be writable" in errors


@pytest.mark.parametrize(
    ("arguments", "expected"),
    [
        ([], ["-n", "2", "--dist", "loadfile"]),
        (["-x"], ["-n", "2", "--dist", "loadfile", "-x"]),
        (["tests/unit"], ["tests/unit"]),
        (["-n", "4"], ["-n", "4"]),
        (["--pdb"], ["--pdb"]),
    ],
)
def test_whole_suite_runs_in_parallel_and_a_chosen_part_as_asked(
    clone: Clone, arguments: list[str], expected: list[str]
) -> None:
    (clone.root / "pytest.py").write_text("import sys; print(sys.argv[1:])")
    code, output, errors = clone.run("test", *arguments)
    assert code == 0, errors
    assert output.strip() == repr(expected)


def test_temporary_files_stay_in_the_home_folder_unless_the_caller_says_where(clone: Clone, tmp_path: Path) -> None:
    (clone.root / "triggers/cli/__main__.py").write_text("import tempfile; print(tempfile.gettempdir())")
    assert clone.run("status")[1].strip() == str(clone.root / ".local/tmp")
    assert clone.run("status", GEOMACHINE_HOME="here", cwd=tmp_path)[1].strip() == str(tmp_path / "here/tmp")
    assert clone.run("status", TMPDIR=str(tmp_path))[1].strip() == str(tmp_path)
