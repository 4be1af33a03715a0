"""Parts of the site, without making all of it: what a page needs to move, the numbers, the slides, links, equations."""

import json
import math
import re
from contextlib import nullcontext
from pathlib import Path

import nbformat
import numpy as np
import pytest
from torch import nn

from classroom import predict, sliders
from course_lib.data import CLASSES
from course_lib.files import CourseError
from course_lib.study.store import load_logits
from tools.folders import MARK

ROOT = Path(__file__).resolve().parent.parent
build = pytest.importorskip("build", reason="the site's packages are not installed: pip install -e '.[site]'")
decks = pytest.importorskip("decks")
mathml = pytest.importorskip("mathml").mathml
moving = pytest.importorskip("moving")
network_steps = pytest.importorskip("network_steps")
slider_data = pytest.importorskip("slider_data")

PICTURE = '<figure><img alt="A curve" src="data:image/png;base64,AA=="><figcaption>A curve</figcaption></figure>'


def notebook(*cells: str | tuple[str, str]) -> nbformat.NotebookNode:
    """Text cells, and code cells with an output in HTML: (code, output)."""
    made = nbformat.v4.new_notebook()
    for cell in cells:
        if isinstance(cell, str):
            made.cells.append(nbformat.v4.new_markdown_cell(cell))
        else:
            output = nbformat.v4.new_output("execute_result", {"text/html": cell[1]}, execution_count=1)
            made.cells.append(nbformat.v4.new_code_cell(cell[0], outputs=[output], execution_count=1))
    return made


def question(monkeypatch) -> str:
    monkeypatch.setattr(predict, "_kept", dict)
    monkeypatch.setenv("COURSE_PRINTED", "1")
    return predict.number("How many percent?", 12, "because", unit="%").data


def test_every_slider_of_the_site_is_one_of_the_lessons_with_a_script_and_a_table():
    lessons = {name.lower() for name, kind in vars(sliders).items() if isinstance(kind, type)}
    numbers = {*moving.MAKERS, *moving.SHOWS_NUMBERS_OF} - {"picture"}
    assert set(moving.TABLES) == lessons - {"picture", "pool"} == numbers
    for name in moving.TABLES:
        assert f'course.slider("{name}"' in (moving.WEB / f"{name}.js").read_text()


def test_a_page_gets_the_scripts_that_it_needs_and_no_others():
    assert moving.scripts("<p>words</p>", "../") == ""
    found = re.findall(r'src="\.\./web/([\w-]+)\.js"', moving.scripts('<div data-slider="width">', "../"))
    assert found == ["sliders", "data-width", "width"]
    found = re.findall(r'src="web/([\w-]+)\.js"', moving.scripts('<div data-slider="surface">', ""))
    assert found == ["sliders", "data-temperature", "temperature", "surface"], "it shows another slider's numbers"
    assert moving.scripts('<div data-slider="pool">', "") == "", "it has no script: its still picture stays"


def test_a_lesson_with_a_question_shows_the_readers_own_predictions(monkeypatch):
    lesson = notebook("# Title", ("ask()", question(monkeypatch)))
    moving.make_move(lesson, "../")
    assert "course-mine" in lesson.cells[-1].source and "../web/predict.js" in lesson.cells[-1].source
    lesson = notebook("# Title", ("ask()", question(monkeypatch)), ("predict.mine()", predict.mine().data))
    moving.make_move(lesson, "../")
    assert (
        "course-mine" in lesson.cells[2].outputs[0].data["text/html"] and "course-mine" not in lesson.cells[-1].source
    )
    plain = notebook("# Title", ("1", "<p>1</p>"))
    moving.make_move(plain, "../")
    assert len(plain.cells) == 2


def test_the_numbers_are_written_whole(tmp_path):
    with pytest.raises(ValueError):
        moving.script("width", {"value": math.nan})
    text = moving.script("width", {"values": np.float32([0.1, 2]), "one": np.int64(3)})
    assert json.loads(text.split(" = ")[-1].removesuffix(";\n")) == {"values": [0.10000000149011612, 2], "one": 3}
    with pytest.raises(TypeError):
        moving.script("width", {"value": object()})


def test_the_temperature_slider_holds_the_lessons_pictures_among_its_own():
    data, gallery = slider_data.temperature(), slider_data.temperature_picture().gallery
    assert 180 <= len(data["places"]) <= 260
    assert [data["places"][at] for at in data["lesson"]] == gallery.places.tolist()
    teacher = load_logits(slider_data.TEACHER)
    assert np.array_equal(data["teacher"], teacher.logits[data["places"]])
    doubt = sliders.entropy_bits(sliders.softened(data["teacher"], 1.0))
    assert np.all(np.diff(doubt) >= 0), "from the image that the teacher is surest of"


def test_tables_for_readers_without_javascript_hold_the_sliders_numbers():
    assert "<td>483,554</td>" in moving.table("width") and "<td>91.37</td>" in moving.table("width")
    assert moving.table("ensemble").count("<tr>") == 16, "a head and all 15 choices of four"
    assert "<td>91.25</td>" in moving.table("stopat")


def test_a_step_that_the_page_does_not_know_is_named():
    class Odd(nn.Module):
        def forward(self, x):
            return x.tanh()

    with pytest.raises(ValueError, match="does not know the step tanh"):
        network_steps.steps_of(Odd())


def test_a_deck_has_the_lessons_questions_equations_and_pictures(tmp_path, monkeypatch):
    path = tmp_path / "07_test.ipynb"
    (tmp_path / "chain.svg").write_text("<svg/>")
    lesson = notebook(
        "# 07 Test: a lesson\n\n**The question of this lesson:** what becomes of it?\n\n**Time:** no time at all",
        "![A chain](chain.svg)",
        "## 1. Why so?\n\nBecause [this](../README.md) is so, as everybody can see.\n\n$$a = \\frac{1}{2}$$",
        ("draw()", PICTURE),
        "**What to see:** the curve falls for ever.\n\nMore words.",
        ("ask()", question(monkeypatch)),
        "**What to see:** the answer is small.",
        ("long()", f"<table>{'<tr><td>1</td></tr>' * 40}</table>"),
        "## Exercises\n\nNot on a slide.",
        ("draw()", PICTURE),
    )
    nbformat.write(lesson, path)
    page = decks.deck(path)
    slides = page.split('<section class="slide">')[1:]
    assert len(slides) == 5, "the title, a drawing, the section, its picture, its question"
    assert 'alt="A chain" src="data:image/svg' in slides.pop(1)
    assert "<h1>07 Test: a lesson</h1>" in slides[0] and "what becomes of it?" in slides[0]
    assert "no time at all" not in page
    assert "<mfrac>" in slides[1] and "Because this is so" in slides[1] and "README" not in page
    assert "<img" in slides[2] and "falls for ever" in slides[2] and "More words" not in page
    assert "the answer is small" in slides[3].partition("<details>")[2].partition("</details>")[0]
    assert "Not on a slide" not in page
    assert CLASSES[0] not in page and 'src="http' not in page and 'href="http' not in page


# --- making the site --------------------------------------------------------------------------------


def test_equations_become_mathml():
    element = mathml(r"p_i^{(T)} = \frac{e^{v_i/T}}{\sum_j e^{v_j/T}}", "block")
    assert element.startswith("<math ") and "<mfrac>" in element and 'display="block"' in element
    assert r"\frac{e^{v_i/T}}" in element.partition(">")[0], "the source is the equation's alternative text"
    for wrong in (r"\nosuchcommand x", r"\frac{1}{"):
        with pytest.raises(ValueError, match="equation"):
            mathml(wrong)


def test_links_are_made_fit_for_the_site(tmp_path):
    stage = build.Stage(tmp_path)
    lesson = ROOT / "notebooks" / "00_start_here.ipynb"
    text = "[a](../course_lib/models/zoo.py) [b](../README.md#two-commands) [c](../data/results) [d](#here)"
    assert stage.linked(text, lesson) == (
        "[a](../library/course_lib-models-zoo.md) [b](../index.md#two-commands) c [d](#here)"
    )
    assert stage.linked("[s](solutions)", lesson) == "[s](../notebooks/solutions/index.md)"
    assert stage.linked("[e](../environment.yml)", lesson) == "[e](../environment.yml)"
    assert stage.files == {ROOT / "environment.yml"}
    fenced = "```\n[a](../course_lib/models/zoo.py)\n```"
    assert stage.linked(fenced, lesson) == fenced


def test_a_warning_is_an_error_and_the_old_site_stays(tmp_path, monkeypatch):
    monkeypatch.setattr(build.moving, "write", lambda folder: None)
    monkeypatch.setattr(build.decks, "write", lambda folder, lessons: None)

    def with_a_dead_link(arguments):
        (Path(arguments[-2]) / "exercises.md").write_text("# Exercises\n\n[gone](nowhere.md)\n")
        (Path(arguments[-1]) / "index.html").write_text("new")
        return 1

    for sphinx, words in ((lambda arguments: 0, ""), (with_a_dead_link, "Sphinx warned")):
        with pytest.raises(CourseError, match=words) if words else nullcontext():
            build.build(tmp_path / "site", sphinx)
    assert [path.name for path in sorted((tmp_path / "site").iterdir())] == [MARK, ".nojekyll"]


def test_a_folder_that_holds_somebodys_pages_is_refused(tmp_path, capsys):
    (tmp_path / "home.html").write_text("my home page")
    assert build.main([str(tmp_path)]) == 1 and "home.html" in capsys.readouterr().err
    assert [path.name for path in tmp_path.iterdir()] == ["home.html"]
