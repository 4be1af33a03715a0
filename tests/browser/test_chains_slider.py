"""Lesson 4's chain slider in a real JupyterLab: its boxes and its slider by keyboard, and how fast it redraws."""

import statistics

import pytest
from test_sliders import LIMIT_MS, STOPWATCH, keep_screenshot, press, seen, up_to_slider

pytestmark = pytest.mark.slow


@pytest.fixture(scope="module")
def chains(open_and_run):
    """Lesson 04 in JupyterLab, run as far as its chain slider."""
    page = open_and_run(*up_to_slider("04", "chain_explorer"))
    page.evaluate(STOPWATCH)
    return page


def test_assistants_by_keyboard(chains):
    box = chains.locator(".course-assistant-8 input[type=checkbox]")
    box.scroll_into_view_if_needed()
    before = seen(chains)
    milliseconds = [press(chains, box, "Space")]
    with_it = seen(chains)
    for what, old, new in zip(("picture", "alt text", "text line"), before, with_it, strict=True):
        assert old and new and old != new, f"the {what} did not follow the box"
    milliseconds += [press(chains, box, "Space") for _ in range(7)]
    assert seen(chains) == before, "the way back must show what was shown before"
    print(f"course-assistant-8: key to new picture, median {statistics.median(milliseconds):.0f} ms")
    assert statistics.median(milliseconds) < LIMIT_MS


def test_points_by_keyboard(chains):
    handle = chains.locator(".course-points [role=slider]")
    handle.scroll_into_view_if_needed()
    before = seen(chains)
    milliseconds = [press(chains, handle, key) for key in ("ArrowRight", "ArrowLeft", "ArrowLeft", "ArrowRight")]
    keep_screenshot(chains, "course-chains")
    assert seen(chains) == before
    assert statistics.median(milliseconds) < LIMIT_MS
    assert chains.problems == []
