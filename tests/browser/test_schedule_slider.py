"""Lesson 02's schedule sliders, moved by keyboard in a real JupyterLab."""

import pytest
from test_sliders import STOPWATCH, drive, up_to_slider

pytestmark = pytest.mark.slow


@pytest.fixture(scope="module")
def baselines(open_and_run):
    """Lesson 02 in JupyterLab, run as far as its schedule sliders."""
    page = open_and_run(*up_to_slider("02", "schedule_explorer"))
    page.evaluate(STOPWATCH)
    return page


def test_warmup(baselines):
    drive(baselines, "course-warmup")


def test_peak(baselines):
    drive(baselines, "course-peak")
