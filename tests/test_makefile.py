"""`make` sets up once, takes up an interrupted set-up again, and refuses an old Python: on a stand-in for Python."""

import importlib.util
import io
import os
import shutil
import stat
import subprocess
from pathlib import Path

import pytest

ROOT = Path(__file__).resolve().parent.parent
TESTS = "run -m pytest -n 2 --dist loadfile"
pytestmark = pytest.mark.skipif(shutil.which("make") is None, reason="make is not installed (Windows)")

# A Python that only writes down what it is asked to do. "-m venv" copies it into the new environment.
STAND_IN = """#!/bin/sh
case "$*" in
"-c "*version_info*) [ ! -e "$LOG.old" ]; exit ;;
"-c "*) exit 0 ;;
"--version") echo "Python 3.99" ;;
*"-m venv"*)
    for folder; do :; done
    mkdir -p "$folder/bin" && cp "$0" "$folder/bin/python" && touch "$folder/pyvenv.cfg" ;;
"tools/install.py"*) echo "install $*" >> "$LOG"; [ ! -e "$LOG.broken" ]; exit ;;
*) echo "run $*" >> "$LOG" ;;
esac
"""


class Checkout:
    """A copy of what `make` reads, in a folder whose name has a space."""

    def __init__(self, folder: Path):
        self.folder, self.log = folder / "the course", folder / "log"
        self.folder.mkdir()
        for name in ("Makefile", "pyproject.toml"):
            shutil.copy(ROOT / name, self.folder)
        self.python = folder / "stand-in"
        self.python.write_text(STAND_IN)
        self.python.chmod(self.python.stat().st_mode | stat.S_IXUSR)

    def make(self, *arguments: str, python: str | None = None) -> subprocess.CompletedProcess:
        # Without what a `make test ALL=1` around this test hands on.
        ours = ("MAKE", "ALL", "ARGS", "FRESH", "VENV", "PYTHON")
        environment = {name: value for name, value in os.environ.items() if not name.startswith(ours)}
        command = ["make", f"PYTHON={python or self.python}", *arguments]
        return subprocess.run(
            command, cwd=self.folder, env=environment | {"LOG": str(self.log)}, capture_output=True, text=True
        )

    def done(self) -> list[str]:
        """What the stand-in was asked to do since the last look: ``install`` and ``run`` lines."""
        lines = self.log.read_text().splitlines() if self.log.exists() else []
        self.log.unlink(missing_ok=True)
        return lines


@pytest.fixture
def checkout(tmp_path) -> Checkout:
    return Checkout(tmp_path)


def installs(lines: list[str]) -> int:
    return sum(line.startswith("install") for line in lines)


def test_a_second_run_installs_nothing(checkout):
    assert checkout.make("course").returncode == 0
    first = checkout.done()
    assert installs(first) == 1 and first[-1] == "run -m course_lib course"
    assert checkout.make("study", "FRESH=1").returncode == 0
    assert checkout.done() == ["run -m course_lib study --fresh"]
    assert checkout.make("test", "ARGS=-k data").returncode == 0
    assert installs(lines := checkout.done()) == 1 and lines[-1] == f"{TESTS} -m not slow -k data"
    assert checkout.make("test", "ALL=1").returncode == 0
    assert checkout.done() == [TESTS]


def test_the_continuous_integration_runs_everything():
    assert (ROOT / ".ci" / "run").read_text().splitlines()[-1] == "make test ALL=1"


def test_the_site_brings_its_own_packages(checkout):
    assert checkout.make("site").returncode == 0
    lines = checkout.done()
    assert installs(lines) == 2 and ".[site]" in lines[-2] and lines[-1] == "run docs/build.py"
    assert checkout.make("site", "ARGS=elsewhere").returncode == 0
    assert checkout.done() == ["run docs/build.py elsewhere"]


def test_a_changed_pyproject_is_installed_again(checkout):
    checkout.make("test")
    checkout.done()
    stamp = checkout.folder / ".venv" / "course-installed"
    later = stamp.stat().st_mtime + 10
    os.utime(checkout.folder / "pyproject.toml", (later, later))
    checkout.make("study")
    assert installs(checkout.done()) == 1


def test_an_interrupted_installation_is_taken_up_again(checkout):
    broken = Path(f"{checkout.log}.broken")
    broken.touch()
    assert checkout.make("course").returncode != 0
    assert [line.split()[0] for line in checkout.done()] == ["install"], "nothing may run on half an environment"
    broken.unlink()
    assert checkout.make("course").returncode == 0
    assert installs(checkout.done()) == 1


def test_a_moved_checkout_and_a_vanished_interpreter_are_set_up_anew(checkout):
    checkout.make("course")
    checkout.done()
    moved = checkout.folder.rename(checkout.folder.with_name("moved"))
    checkout.folder = moved
    checkout.make("course")
    assert installs(checkout.done()) == 1
    (moved / ".venv" / "bin" / "python").unlink()
    assert checkout.make("course").returncode == 0
    assert installs(checkout.done()) == 1


def test_an_old_or_missing_python_is_refused_in_one_line(checkout):
    Path(f"{checkout.log}.old").touch()
    for python in (None, "no-such-python"):
        refused = checkout.make("course", python=python)
        lines = [line for line in refused.stderr.splitlines() if line.startswith("course:")]
        assert refused.returncode != 0 and len(lines) == 1
        assert "no Python 3.11 or newer" in lines[0] and "PYTHON=/path/to/python3" in lines[0]
        assert checkout.done() == []


def test_help_is_the_default_and_lists_every_command(checkout):
    shown = checkout.make()
    assert shown.returncode == 0 and checkout.done() == []
    for command in ("course", "lab", "doctor", "test", "study", "report", "site", "copies", "stick", "clean"):
        assert f"make {command} " in shown.stdout


# --- what make says while it installs -------------------------------------------------------------


@pytest.fixture
def install():
    spec = importlib.util.spec_from_file_location("install", ROOT / "tools" / "install.py")
    module = importlib.util.module_from_spec(spec)
    spec.loader.exec_module(module)
    return module


def test_an_installation_is_a_few_lines_and_pips_words_are_in_the_log(install, tmp_path):
    said, log = io.StringIO(), tmp_path / "install.log"
    assert install.install(["--no-index", "--dry-run", "pip"], log, said) == 0
    assert said.getvalue().count("\n") == 1 and str(log) in said.getvalue() and "pip" in log.read_text()


def test_a_failed_installation_names_the_log_and_what_pip_called_an_error(install, tmp_path):
    said, log = io.StringIO(), tmp_path / "install.log"
    assert install.install(["--no-index", "no-such-package-of-this-course"], log, said) != 0
    assert "ERROR: No matching distribution" in said.getvalue() and str(log) in said.getvalue()


def test_the_bar_follows_pips_lines(install, tmp_path):
    progress = install.Progress(tmp_path)
    for line in ("Collecting torch>=2.11 (from x)", "  Downloading torch-2.14-cp311-any.whl (900.1 MB)"):
        progress.read(line)
    assert str(progress) == f"[{'#' * 15}{'.' * 15}] getting torch (900.1 MB)"
    progress.read("Installing collected packages: torch, six")
    (tmp_path / "torch-2.14.dist-info").mkdir()
    assert "#" * 22 + "." in str(progress) and "unpacking 2 packages" in str(progress)
