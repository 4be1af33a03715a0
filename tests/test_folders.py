"""Folders that a command makes anew, and a student's copy of the lessons: what is somebody's own is kept."""

import os
from pathlib import Path

import nbformat
import pytest

from course_lib.__main__ import main
from course_lib.files import CHECKOUT, CourseError
from tools import folders
from tools.lessons import execute


def make(place, **contents):
    with folders.replace_folder(place, "a test") as new:
        for name, text in contents.items():
            (new / name).write_text(text)


def shown(folder):
    return {path.name: path.read_text() for path in folder.iterdir() if path.name != folders.MARK}


def test_a_folder_is_made_and_made_anew(tmp_path):
    place = tmp_path / "new" / "site"
    make(place, one="1", two="2")
    (place / "__pycache__").mkdir()
    (place / "__pycache__" / "x.pyc").write_text("litter")
    make(place, one="changed")
    assert shown(place) == {"one": "changed"}
    assert (place / folders.MARK).read_text().startswith("made by: a test\n")
    assert list(place.parent.iterdir()) == [place]


def test_an_empty_folder_is_taken(tmp_path):
    (tmp_path / ".DS_Store").write_text("litter")
    make(tmp_path, one="1")
    assert shown(tmp_path) == {"one": "1"}


@pytest.mark.parametrize("deed", ["a foreign folder", "a file added", "a file changed", "a folder of folders"])
def test_what_the_course_did_not_make_is_kept(tmp_path, deed):
    place, kept = tmp_path / "course", tmp_path / "course" / "slides"
    if deed == "a folder of folders":
        kept.mkdir(parents=True)
    else:
        if deed == "a foreign folder":
            place.mkdir()
        else:
            make(place, slides="ours")
        (kept if deed != "a file added" else place / "more").write_text("my own lecture")
    with pytest.raises(CourseError, match="move it away first|choose another folder") as caught:
        make(place, slides="ours")
    assert "\n" not in str(caught.value) and list(tmp_path.iterdir()) == [place]
    assert kept.is_dir() or "my own lecture" in shown(place).values()


@pytest.mark.parametrize("where", [".", "..", CHECKOUT, CHECKOUT.parent])
def test_the_checkout_and_the_current_folder_are_never_replaced(tmp_path, monkeypatch, where):
    make(tmp_path / "stick" / "course", one="1")  # carries the list, as a stick's course does
    monkeypatch.chdir(tmp_path / "stick" / "course")
    with pytest.raises(CourseError, match="is or holds"):
        make(Path(where), one="other")
    assert shown(tmp_path / "stick" / "course") == {"one": "1"}


def test_a_body_that_fails_leaves_the_old_folder(tmp_path):
    make(tmp_path / "site", one="1")
    with pytest.raises(ZeroDivisionError), folders.replace_folder(tmp_path / "site", "a test") as new:
        (new / "half").write_text(str(1 / 0))
    assert shown(tmp_path / "site") == {"one": "1"} and len(list(tmp_path.iterdir())) == 1


def test_an_exchange_that_fails_puts_the_old_folder_back(tmp_path, monkeypatch):
    make(tmp_path / "site", one="1")
    rename = os.rename

    def refuse_new(source, target):
        if Path(source).name == "new":
            raise PermissionError(13, "Permission denied")
        rename(source, target)

    monkeypatch.setattr(os, "rename", refuse_new)
    with pytest.raises(CourseError, match="cannot replace .*site: Permission denied"):
        make(tmp_path / "site", one="2")
    assert shown(tmp_path / "site") == {"one": "1"} and len(list(tmp_path.iterdir())) == 1


# --- copies of the lessons ------------------------------------------------------------------------

LESSON = [
    nbformat.v4.new_markdown_cell(
        "# 00\n![A net](pictures/net.svg) [next](01_more.ipynb) [key](solutions/00.ipynb) [web](https://a.b) [up](#x)"
    ),
    nbformat.v4.new_code_cell(
        "from classroom import predict\nfrom course_lib.files import repo_path\nprint('runs')",
        outputs=[nbformat.v4.new_output("stream", text="ran before")],
        execution_count=7,
    ),
]


@pytest.fixture
def home(tmp_path, monkeypatch) -> Path:
    """A course of two lessons and a picture."""
    monkeypatch.setenv("COURSE_HOME", str(tmp_path / "home"))
    (tmp_path / "home" / "notebooks" / "pictures").mkdir(parents=True)
    (tmp_path / "home" / "notebooks" / "pictures" / "net.svg").write_text("<svg/>")
    for name in ("00_tiny", "01_more"):
        nbformat.write(nbformat.v4.new_notebook(cells=LESSON), tmp_path / "home" / "notebooks" / f"{name}.ipynb")
    return tmp_path / "home"


def test_copies_have_no_outputs_and_no_dead_links_and_run(home, tmp_path, capsys):
    place = tmp_path / "for students"
    for _ in range(2):  # one that nobody worked in is replaced
        assert main(["copies", "--to", str(place)]) == 0
    assert "2 lessons without outputs" in capsys.readouterr().out
    assert {path.name for path in place.iterdir()} == {"00_tiny.ipynb", "01_more.ipynb", "pictures", folders.MARK}
    assert (place / "pictures" / "net.svg").exists()
    words, code = nbformat.read(place / "00_tiny.ipynb", as_version=4).cells
    expected = "# 00\n![A net](pictures/net.svg) [next](01_more.ipynb) key [web](https://a.b) [up](#x)"
    assert words.source == expected and (code.outputs, code.execution_count) == ([], None)
    assert execute(place / "00_tiny.ipynb").cells[1].outputs[0].text == "runs\n"


def test_a_students_work_is_never_overwritten(home, tmp_path, capsys):
    assert main(["copies", "--to", str(tmp_path / "mine")]) == 0
    (tmp_path / "mine" / "00_tiny.ipynb").write_text("my answers")
    assert main(["copies", "--to", str(tmp_path / "mine")]) == 1
    said = capsys.readouterr().err
    assert said.startswith("course: ") and "00_tiny.ipynb" in said and said.count("\n") == 1
    assert (tmp_path / "mine" / "00_tiny.ipynb").read_text() == "my answers"
