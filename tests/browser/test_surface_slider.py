"""Lesson 03's second slider, on the loss surface, moved by keyboard in a real JupyterLab."""

import pytest
from test_sliders import STOPWATCH, drive, up_to_slider

pytestmark = pytest.mark.slow


@pytest.fixture(scope="module")
def surface(open_and_run):
    """Lesson 03 in JupyterLab, run as far as its surface slider, without the slider before it."""
    notebook, name = up_to_slider("03", "surface_explorer")
    notebook.cells = [cell for cell in notebook.cells if "temperature_explorer(" not in cell.source]
    page = open_and_run(notebook, name)
    page.evaluate(STOPWATCH)
    return page


@pytest.mark.parametrize("hook", ["temperature", "alpha", "picture"])
def test_moves_by_keyboard(surface, hook):
    drive(surface, f"course-surface-{hook}")
