"""Lesson 06's sliders over seeds, test images and spread, moved by keyboard in a real JupyterLab."""

import pytest
from test_sliders import STOPWATCH, drive, up_to_slider

pytestmark = pytest.mark.slow


@pytest.fixture(scope="module")
def analysis(open_and_run):
    """Lesson 06 in JupyterLab, run as far as its sliders."""
    page = open_and_run(*up_to_slider("06", "detectable_explorer"))
    page.evaluate(STOPWATCH)
    return page


@pytest.mark.parametrize("hook", ["course-seeds", "course-images", "course-spread"])
def test_slider(analysis, hook):
    drive(analysis, hook)
