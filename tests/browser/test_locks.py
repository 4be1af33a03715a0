"""Predict, then see, in a real JupyterLab: shut until the reader has committed to a number, then open, and kept."""

import json
from pathlib import Path

import nbformat
import pytest

pytestmark = pytest.mark.slow

SCREENSHOTS = Path(__file__).resolve().parent.parent.parent / "build" / "screenshots"
SETUP = """
from pathlib import Path
from classroom import predict, sliders
predict.repo_path = lambda *parts: Path("own", *parts)  # this reader's predictions, not the tester's
Path("own", "notebooks").mkdir(parents=True)
"""
ASK = """
predict.number("Below how many channels in does a ghost module cost more?", 9, sliders.Ghosts(), unit="channels")
"""
CHOOSE = 'predict.choice("Which is larger?", ["seven", "nine"], "nine", "Nine is larger by two.")'


@pytest.fixture(scope="module")
def page(open_and_run):
    """JupyterLab with a notebook of two questions, and the list of what was said."""
    cells = [nbformat.v4.new_code_cell(cell) for cell in (SETUP, ASK, CHOOSE, "predict.mine()")]
    notebook = nbformat.v4.new_notebook(cells=cells)
    notebook.metadata.kernelspec = {"name": "python3", "display_name": "Python 3", "language": "python"}
    return open_and_run(notebook, "predict.ipynb")


def test_the_answer_is_shut_until_a_number_is_given_and_then_its_slider_moves(page, lab):
    lock = page.locator(".course-predict").first
    lock.scroll_into_view_if_needed()
    assert lock.locator(".course-image img").count() == 0 and "9" not in lock.inner_text()
    lock.screenshot(path=SCREENSHOTS / "predict_shut.png")

    field, see = lock.get_by_placeholder("a number"), lock.get_by_role("button", name="See", exact=True)
    field.fill("many")
    see.click()
    lock.get_by_text("Write a number, for example 5.").wait_for()
    assert lock.locator(".course-image img").count() == 0 and field.is_enabled(), "no answer opens nothing"

    field.fill("5")
    see.click()
    lock.get_by_text("You said 5 channels, it is 9 channels.").wait_for()
    image, words = lock.locator(".course-image img"), lock.locator(".course-text")
    image.wait_for()
    assert field.is_disabled() and see.is_disabled(), "what was said stays said"
    lock.screenshot(path=SCREENSHOTS / "predict_open.png")

    before, source = words.inner_text(), image.get_attribute("src")
    lock.locator(".course-ghosts-channels [role=slider]").press("ArrowRight")
    page.wait_for_function("([words, then]) => words.innerText !== then", arg=[words.element_handle(), before])
    assert "20 channels in" in words.inner_text() and image.get_attribute("src") != source
    kept = json.loads((lab.root / "own" / "notebooks" / "my_predictions.json").read_text())
    assert list(kept.values()) == [["5 channels", "9 channels"]]
    assert page.problems == []


def test_show_me_opens_a_choice_and_keeps_nothing(page, lab):
    lock = page.locator(".course-predict").nth(1)
    lock.scroll_into_view_if_needed()
    assert lock.get_by_role("radio").count() == 2 and "larger by two" not in lock.inner_text()
    lock.get_by_role("button", name="Show me").click()
    lock.get_by_text("It is nine.").wait_for()
    lock.get_by_text("Nine is larger by two.").wait_for()
    lock.screenshot(path=SCREENSHOTS / "predict_choice.png")
    assert "Which is larger?" not in (lab.root / "own" / "notebooks" / "my_predictions.json").read_text()
