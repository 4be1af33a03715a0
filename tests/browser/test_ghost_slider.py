"""Lesson 01's ghost slider, moved by keyboard in a real JupyterLab."""

import pytest
from test_sliders import STOPWATCH, drive, press, seen, up_to_slider

pytestmark = pytest.mark.slow


@pytest.fixture(scope="module")
def ghosts(open_and_run):
    """Lesson 01 in JupyterLab, run as far as its ghost slider."""
    page = open_and_run(*up_to_slider("01", "ghost_explorer"))
    page.evaluate(STOPWATCH)
    return page


def test_ghost_channels(ghosts):
    drive(ghosts, "course-ghost-channels")


@pytest.mark.parametrize("name", ["parts", "kernel"])
def test_the_short_sliders(ghosts, name):
    handle = ghosts.locator(f".course-ghost-{name} [role=slider]")
    press(ghosts, handle, "End")
    highest = seen(ghosts)
    press(ghosts, handle, "ArrowLeft")
    assert all(one != other for one, other in zip(highest, seen(ghosts), strict=True))
    press(ghosts, handle, "ArrowRight")
    assert seen(ghosts) == highest
    assert ghosts.problems == []
