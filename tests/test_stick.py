"""The folder for a room without a network: what is in it, what pip is asked for, and whose files are left alone."""

import os
import platform
import subprocess
import sys
import zipfile
from types import SimpleNamespace

import pytest

from course_lib.files import CourseError
from tools import stick


@pytest.fixture
def checkout(tmp_path, monkeypatch):
    """A small stand-in for the checkout, called ``course`` as on every stick."""
    root = tmp_path / "room" / "course"
    (root / "notebooks").mkdir(parents=True)
    (root / ".git").mkdir()
    for name in ("notes.txt", "notebooks/00_start_here.ipynb", ".git/config"):
        (root / name).write_text(name)
    (root / "pyproject.toml").write_bytes((stick.ROOT / "pyproject.toml").read_bytes())
    monkeypatch.setattr(stick, "ROOT", root)
    monkeypatch.setattr("tools.folders.CHECKOUT", root)
    return root


def succeeds(command, cwd):
    return SimpleNamespace(returncode=0)


def test_the_folder_has_the_course_and_says_how_to_start(checkout, tmp_path):
    for _ in range(2):  # an older stick is replaced
        stick.fill(tmp_path / "stick", run=succeeds)
    assert (tmp_path / "stick/course/notebooks/00_start_here.ipynb").is_file()
    assert not (tmp_path / "stick/course/.git").exists()
    start = (tmp_path / "stick/START.txt").read_text()
    assert "--no-index --find-links ../wheels -e ." in start and r"..\wheels" in start


@pytest.mark.parametrize("out", ["..", "../course", "notebooks", "../course/stick"])
def test_a_folder_that_would_swallow_the_checkout_is_refused(checkout, monkeypatch, out):
    monkeypatch.chdir(checkout)
    with pytest.raises(CourseError, match="choose another folder"):
        stick.fill(stick.Path(out), run=succeeds)
    assert (checkout / "notes.txt").exists() and (checkout / ".git/config").exists()


def test_somebodys_own_folder_of_that_name_is_kept(checkout, tmp_path):
    mine = tmp_path / "stick" / "course" / "slides.txt"
    mine.parent.mkdir(parents=True)
    mine.write_text("my own lecture")
    with pytest.raises(CourseError, match="course holds slides.txt"):
        stick.fill(tmp_path / "stick", run=succeeds)
    assert mine.read_text() == "my own lecture"


@pytest.mark.skipif(not hasattr(os, "mkfifo"), reason="Windows has no pipes in folders")
def test_what_cannot_be_carried_is_named_and_left_out(checkout, tmp_path, capsys):
    (checkout / "notebooks" / ".#00_start_here.ipynb").symlink_to("me@host.123")  # an editor's lock
    os.mkfifo(checkout / "pipe")
    stick.fill(tmp_path / "stick", run=succeeds)
    said = capsys.readouterr().out
    assert ".#00_start_here.ipynb" in said and "pipe" in said
    assert sorted(path.name for path in (tmp_path / "stick/course/notebooks").iterdir()) == ["00_start_here.ipynb"]


def test_pip_is_asked_for_everything_the_course_declares_and_a_failure_is_said(checkout, tmp_path):
    asked = []

    def fails(command, cwd):
        asked.extend(command)
        return SimpleNamespace(returncode=1)

    with pytest.raises(CourseError, match="pip could not get"):
        stick.fill(tmp_path / "stick", run=fails)
    assert asked[1:3] == ["-m", "pip"] and any(part.startswith("torchvision") for part in asked)
    assert any(part.startswith("setuptools") for part in asked), "installing the course itself builds it"


def test_start_names_the_versions_of_python_that_the_packages_fit(tmp_path):
    for name in ("torch-2.9-cp399-cp399-manylinux.whl", "numpy-2-cp37-abi3-win.whl", "six-1-py3-none-any.whl"):
        (tmp_path / name).touch()
    words = stick.start(tmp_path)
    own = f"{sys.version_info.major}.{sys.version_info.minor}"
    assert f"Python {own} ({platform.python_version()} or a later release of it) or 3.99, and" in words
    assert f"py -{own} -m venv" in words


def wheel(folder, name: str) -> None:
    """A package of one empty module."""
    folder.mkdir(parents=True, exist_ok=True)
    about = f"{name}-1.0.dist-info"
    with zipfile.ZipFile(folder / f"{name}-1.0-py3-none-any.whl", "w") as archive:
        archive.writestr(f"{name}.py", "")
        archive.writestr(f"{about}/METADATA", f"Metadata-Version: 2.1\nName: {name}\nVersion: 1.0\n")
        archive.writestr(f"{about}/WHEEL", "Wheel-Version: 1.0\nRoot-Is-Purelib: true\nTag: py3-none-any\n")
        archive.writestr(f"{about}/RECORD", "")


@pytest.mark.slow
def test_the_real_course_goes_along_and_pip_installs_from_the_folder_without_an_index(tmp_path, monkeypatch):
    """The real commands, on a package as small as they come."""
    wheel(tmp_path / "index", "tinything")
    monkeypatch.setenv("PIP_NO_INDEX", "1")
    monkeypatch.setenv("PIP_FIND_LINKS", str(tmp_path / "index"))
    assert stick.main(["--out", str(tmp_path / "stick"), "--packages", "tinything"]) == 0
    for needed in ("notebooks/00_start_here.ipynb", "data/sample/sample.json", "pyproject.toml"):
        assert (tmp_path / "stick" / "course" / needed).is_file(), needed
    for needless in (".git", ".venv", "build", "data/cache"):
        assert not (tmp_path / "stick" / "course" / needless).exists()
    assert stick.size(tmp_path / "stick" / "course") < 0.05, "the course itself is small"
    monkeypatch.delenv("PIP_FIND_LINKS")
    install = [sys.executable, "-m", "pip", "install", "-q", "--no-index", "--find-links", "../wheels"]
    install += ["--target", str(tmp_path / "installed"), "tinything"]
    subprocess.run(install, cwd=tmp_path / "stick" / "course", check=True)
    assert (tmp_path / "installed" / "tinything.py").is_file()
