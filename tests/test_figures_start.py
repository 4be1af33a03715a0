"""Lesson 00's figures draw the numbers they are given, and their words say them."""

import base64
import io
import re

import numpy as np
import pandas as pd
import pytest
from letters import SMALLEST, readable, shown_share  # noqa: F401 (autouse: the letters of all that is drawn here)
from PIL import Image

from classroom.figures import start
from course_lib import look
from course_lib.files import repo_path
from course_lib.report import AUTHORS_DELTA, PAPER_DELTA


def test_every_difference_has_its_row_and_a_missing_log_is_no_point():
    one = pd.DataFrame({"student": ["GN-S"] * 2, "teacher": ["A", "B"], PAPER_DELTA: [-1.0, 0.5], AUTHORS_DELTA: -0.2})
    other = pd.DataFrame({"student": ["GN-D"], PAPER_DELTA: [-0.3], AUTHORS_DELTA: [np.nan]})
    figure = start.differences({"one teacher": one, "a chain": other})
    (axes,) = figure.axes
    assert [label.get_text() for label in axes.get_yticklabels()] == ["GN-S from A", "GN-S from B", "GN-D from a chain"]
    printed, logged = axes.get_lines()[:2]
    assert list(printed.get_xdata()) == [-1.0, 0.5, -0.3]
    assert list(logged.get_xdata())[:2] == [-0.2, -0.2] and np.isnan(logged.get_xdata()[2])
    assert "printed, 2 of 3 below zero; in the authors' logs, 2 of 2" in look.alt_text(figure)


def test_two_curves_have_bars_of_two_standard_errors():
    figure = start.two_students({"alone": [10.0, 20.0], "taught": [10.0, 50.0]}, images=400)
    alone, taught = figure.axes[0].containers
    ends = np.array(taught[2][0].get_segments())[:, :, 1]
    assert ends[1].tolist() == pytest.approx([45.0, 55.0])
    assert list(alone[0].get_ydata()) == [10.0, 20.0]
    assert "at last: alone 20.0 %, taught 50.0 %" in look.alt_text(figure)


def test_no_picture_of_a_lesson_is_wider_than_its_page():
    """What is wider is shown smaller, and its letters with it."""
    found = 0
    for path in sorted(repo_path("notebooks").glob("*.ipynb")):
        for image in re.findall(r"data:image/png;base64,([\w+/=]+)", path.read_text(encoding="utf-8")):
            width = Image.open(io.BytesIO(base64.b64decode(image))).width
            assert shown_share(width) * look.STYLE["font.size"] >= SMALLEST, f"{path.name} has one of {width} pixels"
            found += 1
    assert found > 50
