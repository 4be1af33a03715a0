"""Fills a folder with all that a room without a network needs: the course, its packages, its web pages.

python -m tools.stick                      into build/stick/
python -m tools.stick --out /media/stick   straight to the stick

The packages fit machines like this one: the same system, processor and minor version of Python, in no older release.
For a mixed room run it on one machine of each kind with the same folder; their packages lie there side by side.
"""

import argparse
import platform
import re
import shutil
import subprocess
import sys
import tomllib
from collections.abc import Callable, Sequence
from pathlib import Path

from course_lib.errors import CourseError
from course_lib.files import repo_path

ROOT = Path(__file__).resolve().parent.parent
LEFT_OUT = (".git", ".venv", "build", "cache", "__pycache__", "*.egg-info", ".*_cache", ".ipynb_checkpoints", ".ci")
START = """KNOWLEDGE DISTILLATION ON TINY IMAGES: without a network
=======================================================

Just read?  Open site/index.html in a browser (if the folder is there).

To run the lessons you need Python {python}, and 10 GB of disk on Linux, about 3 GB on Windows and macOS.
Copy this whole folder to the machine, open a terminal in it, and type:

Linux, macOS:

  cd course
  python3 -m venv .venv
  .venv/bin/python -m pip install --no-index --find-links ../wheels -e .
  .venv/bin/python -m course_lib doctor
  .venv/bin/python -m jupyterlab notebooks/00_start_here.ipynb

Windows (PowerShell):

  cd course
  py -{minor} -m venv .venv
  .venv\\Scripts\\python -m pip install --no-index --find-links ..\\wheels -e .
  .venv\\Scripts\\python -m course_lib doctor
  .venv\\Scripts\\python -m jupyterlab notebooks\\00_start_here.ipynb

"doctor" says what is missing and what to do. "No matching distribution" means that wheels/ was filled for another
system or another version of Python: fill it again on a machine like this one (python -m tools.stick --help).
"""


def fill(folder: Path, options: argparse.Namespace, run: Callable = subprocess.run) -> None:
    """Put the course, START.txt, the site where it was made, and the packages into ``folder``.

    Args:
        folder: it may hold an older stick; packages that it has already are not loaded again.
        options: see ``parser``.
        run: starts pip; a test puts its own here.

    Raises:
        CourseError: pip could not get all packages, or ``folder`` lies inside the course.
    """
    place = folder.resolve()
    if place.is_relative_to(ROOT) and not place.is_relative_to(ROOT / "build"):
        raise CourseError(f"{folder} lies inside the course, which would be copied into itself: choose another folder")
    folder.mkdir(parents=True, exist_ok=True)
    shutil.rmtree(folder / "course", ignore_errors=True)
    shutil.copytree(ROOT, folder / "course", ignore=shutil.ignore_patterns(*LEFT_OUT))
    site = repo_path("build", "site")
    if site.is_dir():
        shutil.copytree(site, folder / "site", dirs_exist_ok=True)
    else:
        print("no web pages go along: `make site` first, if they shall")
    command = pip_download(folder / "wheels", options)
    if run(command, cwd=ROOT).returncode != 0:
        raise CourseError("pip could not get all packages; its own words stand above")
    (folder / "START.txt").write_text(start(folder / "wheels"), encoding="utf-8")


def start(wheels: Path) -> str:
    """The text of START.txt, with the versions of Python that the folder's packages fit."""
    own = f"{sys.version_info.major}.{sys.version_info.minor}"
    built_for = (re.search(r"-cp3(\d+)-cp3\1-", path.name) for path in wheels.glob("*.whl"))
    others = {f"3.{match[1]}" for match in built_for if match} - {own}
    python = " or ".join([f"{own} ({platform.python_version()} or a later release of it)", *sorted(others)])
    return START.format(python=python, minor=own)


def pip_download(wheels: Path, options: argparse.Namespace) -> list[str]:
    """The command that loads the packages and what they need."""
    pip = [sys.executable, "-m", "pip", "--disable-pip-version-check"]
    return [*pip, "download", "--dest", str(wheels), *(options.packages or requirements())]


def requirements() -> list[str]:
    """What a machine without a network needs to install the course itself: its dependencies and the build's."""
    declared = tomllib.loads((ROOT / "pyproject.toml").read_text(encoding="utf-8"))
    return [*declared["project"]["dependencies"], *declared["build-system"]["requires"]]


def size(folder: Path) -> float:
    """The files of ``folder``, in GB."""
    return sum(path.stat().st_size for path in folder.rglob("*") if path.is_file()) / 1e9


def parser() -> argparse.ArgumentParser:
    """The command line."""
    top = argparse.ArgumentParser(
        prog="python -m tools.stick", description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter
    )
    top.add_argument("--out", type=Path, default=repo_path("build", "stick"), help="the folder (default: build/stick)")
    top.add_argument("--packages", nargs="+", help="only these packages, to try it out")
    return top


def main(arguments: Sequence[str] | None = None) -> int:
    """Fill the folder and say how large it is."""
    options = parser().parse_args(arguments)
    try:
        fill(options.out, options)
    except (CourseError, OSError) as error:
        print(f"course: {error}", file=sys.stderr)
        return 1
    parts = [f"{part.name} {size(part):.2f} GB" for part in sorted(options.out.iterdir()) if part.is_dir()]
    print(f"{options.out}: {', '.join(parts)}. Copy the folder to the stick; START.txt says how to go on.")
    return 0


if __name__ == "__main__":
    sys.exit(main())
