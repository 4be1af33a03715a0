"""Lesson 05's check boxes, mean and picture, worked by keyboard in a real JupyterLab."""

import statistics

import pytest
from test_sliders import LIMIT_MS, STOPWATCH, drive, keep_screenshot, press, seen, up_to_slider

pytestmark = pytest.mark.slow


@pytest.fixture(scope="module")
def panel(open_and_run):
    """Lesson 05 in JupyterLab, run as far as the choice of members."""
    page = open_and_run(*up_to_slider("05", "ensemble_explorer"))
    page.evaluate(STOPWATCH)
    return page


def test_members(panel):
    """Space ticks a member; picture, alt text and words follow, and the way back shows what was shown before."""
    boxes = panel.locator("[class*='course-member-'] input[type=checkbox]")
    boxes.first.wait_for()
    assert boxes.count() >= 3
    before, milliseconds = seen(panel), []
    for place in (1, 2):
        box = boxes.nth(place)
        box.focus()
        milliseconds.append(press(panel, box, "Space"))
        assert box.is_checked()
    after = seen(panel)
    assert all(then != now for then, now in zip(before, after, strict=True))
    keep_screenshot(panel, "course-ensemble")
    for place in (2, 1):
        milliseconds.append(press(panel, boxes.nth(place), "Space"))
    assert seen(panel) == before
    print(f"member: key to new picture, median {statistics.median(milliseconds):.0f} ms")
    assert statistics.median(milliseconds) < LIMIT_MS
    assert panel.problems == []


def test_check_boxes_have_accessible_names(panel):
    names = panel.get_by_role("checkbox").all()
    assert len(names) >= 3
    assert panel.get_by_role("checkbox", name="ResNet-18").count() == 1


def test_picture(panel):
    drive(panel, "course-picture")
