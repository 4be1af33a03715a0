"""The parts of the site that move: which scripts a page needs, the numbers they show, and the slides."""

import json
import math
import re

import nbformat
import numpy as np
import pytest
from torch import nn

from classroom import predict, sliders
from course_lib.data import CLASSES
from course_lib.study.store import load_logits

moving = pytest.importorskip("moving", reason="the site's packages are not installed: pip install -e '.[site]'")
decks = pytest.importorskip("decks")
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
    monkeypatch.setenv("COURSE_PRINTED", "1")
    return predict.number("How many percent?", 12, "because", unit="%").data


def test_every_slider_of_the_site_is_one_of_the_lessons_with_a_script_and_a_table():
    lessons = {name.lower() for name, kind in vars(sliders).items() if isinstance(kind, type)}
    assert set(moving.TABLES) <= lessons and set(moving.TABLES) == set(moving.MAKERS) - {"picture"}
    for name in moving.TABLES:
        assert f'course.slider("{name}"' in (moving.WEB / f"{name}.js").read_text()


def test_a_page_gets_the_scripts_that_it_needs_and_no_others():
    assert moving.scripts("<p>words</p>", "../") == ""
    found = re.findall(r'src="\.\./web/([\w-]+)\.js"', moving.scripts('<div data-slider="width">', "../"))
    assert found == ["course", "data-width", "width"]
    assert moving.scripts('<div data-slider="surface">', "") == "", "it has no script: its still picture stays"


def test_a_lesson_with_a_question_ends_with_the_readers_predictions(monkeypatch):
    (end,) = moving.end_of(notebook("# Title", ("ask()", question(monkeypatch))), "../")
    assert "course-mine" in end.source and "../web/predict.js" in end.source
    assert moving.end_of(notebook("# Title", ("1", "<p>1</p>")), "../") == []


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
    lesson = notebook(
        "# 07 Test: a lesson\n\n**The question of this lesson:** what becomes of a test?\n\n- a list",
        "## 1. Why so?\n\nBecause [this](../README.md) is so, as everybody can see.\n\n$$a = \\frac{1}{2}$$",
        ("draw()", PICTURE),
        "**What to see:** the curve falls for ever.\n\nMore words.",
        ("ask()", question(monkeypatch)),
        ("long()", f"<table>{'<tr><td>1</td></tr>' * 40}</table>"),
        "## Exercises\n\nNot on a slide.",
        ("draw()", PICTURE),
    )
    nbformat.write(lesson, path)
    page = decks.deck(path)
    slides = page.split('<section class="slide">')[1:]
    assert len(slides) == 4, "the title, the section, its picture, its question"
    assert "<h1>07 Test: a lesson</h1>" in slides[0] and "what becomes of a test?" in slides[0]
    assert "<mfrac>" in slides[1] and "Because this is so" in slides[1] and "README" not in page
    assert "<img" in slides[2] and "falls for ever" in slides[2] and "More words" not in page
    assert "<details>" in slides[3] and "Not on a slide" not in page
    assert CLASSES[0] not in page and 'src="http' not in page and 'href="http' not in page
