"""The lessons' sliders, moved by keyboard in a real JupyterLab: picture, words and alt text follow, and fast."""

import re
import statistics
from pathlib import Path

import nbformat
import pytest

from course_lib.notebooks import find_lessons

pytestmark = pytest.mark.slow

SCREENSHOTS = Path(__file__).resolve().parent.parent.parent / "build" / "screenshots"
# The promise is a redraw in under 100 ms (median); this limit is loose, for machines that do other things meanwhile.
LIMIT_MS = 500
MOVES = 12

# From the key press to the moment the browser has the new picture. Load events do not bubble, but can be captured.
STOPWATCH = """() => {
    document.addEventListener('keydown', () => { window.pressed = performance.now(); }, true);
    document.addEventListener('load', event => {
        if (event.target.matches('.course-image img')) window.redrawn = performance.now();
    }, true);
}"""


def up_to_slider(lesson: str, function: str) -> tuple[nbformat.NotebookNode, str]:
    """The lesson's cells up to the one that calls ``function``, without live training and without outputs."""
    (path,) = find_lessons([lesson])
    notebook = nbformat.read(path, as_version=4)
    code = [cell for cell in notebook.cells if cell.cell_type == "code"]
    calling = next((place for place, cell in enumerate(code) if re.search(rf"\b{function}\(", cell.source)), None)
    assert calling is not None, f"{path.name} has no cell that calls {function}"
    notebook.cells = [cell for cell in code[: calling + 1] if "training" not in cell.metadata.get("tags", [])]
    for cell in notebook.cells:
        cell.outputs, cell.execution_count = [], None
    return notebook, path.name


@pytest.fixture(scope="module")
def architecture(open_and_run):
    """Lesson 01 in JupyterLab, run as far as its width slider."""
    page = open_and_run(*up_to_slider("01", "width_explorer"))
    page.evaluate(STOPWATCH)
    return page


@pytest.fixture(scope="module")
def distillation(open_and_run):
    """Lesson 03 in JupyterLab, run as far as its temperature and alpha sliders."""
    page = open_and_run(*up_to_slider("03", "temperature_explorer"))
    page.evaluate(STOPWATCH)
    return page


def test_width(architecture):
    drive(architecture, "course-width")


def test_temperature(distillation):
    drive(distillation, "course-temperature")


def test_picture(distillation):
    drive(distillation, "course-picture")


def test_alpha(distillation):
    drive(distillation, "course-alpha")


def drive(page, hook: str) -> None:
    """Move the slider by keyboard from end to end; check what it shows and how fast; leave screenshots."""
    handle = page.locator(f".{hook} [role=slider]")
    handle.wait_for()
    handle.scroll_into_view_if_needed()
    press(page, handle, "End")
    highest = seen(page)
    keep_screenshot(page, f"{hook}-highest")
    press(page, handle, "Home")
    lowest = seen(page)
    for what, low, high in zip(("picture", "alt text", "text line"), lowest, highest, strict=True):
        assert low and high and low != high, f"the {what} did not follow {hook}"
    there_and_back = ["ArrowRight"] * (MOVES // 2) + ["ArrowLeft"] * (MOVES // 2)
    milliseconds = [press(page, handle, key) for key in there_and_back]
    assert seen(page) == lowest, "the way back must show what was shown before"
    median = statistics.median(milliseconds)
    print(f"{hook}: key to new picture, median {median:.0f} ms, slowest {max(milliseconds):.0f} ms of {MOVES}")
    keep_screenshot(page, f"{hook}-lowest")
    assert median < LIMIT_MS
    assert page.problems == []


def press(page, handle, key: str) -> float:
    """Press a key on the slider, wait for the new picture; the milliseconds between the two."""
    page.evaluate("() => { window.redrawn = null; }")
    handle.press(key)
    page.wait_for_function("() => window.redrawn !== null", timeout=10_000)
    return page.evaluate("() => window.redrawn - window.pressed")


def keep_screenshot(page, name: str) -> None:
    """The sliders with their picture and words, to look at afterwards."""
    shown = page.locator(".jp-OutputArea-output", has=page.locator(".course-image")).last
    shown.screenshot(path=SCREENSHOTS / f"{name}.png")


def seen(page) -> tuple[str, str, str]:
    """What the reader gets now from the last explorer of the page: picture, alt text, text line."""
    image = page.locator(".course-image img").last
    return image.get_attribute("src"), image.get_attribute("alt"), page.locator(".course-text").last.inner_text()
