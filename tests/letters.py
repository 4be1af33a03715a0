"""A figure's letters where readers see it, on the site's pages or in a notebook: large enough, and all inside."""

from collections.abc import Iterator

import pytest
from matplotlib.figure import Figure
from matplotlib.text import Text

from course_lib import look

PAGE = 832  # CSS pixels, 96 an inch: the site's column (docs/style.css), and JupyterLab's on a window of 1,280
SMALLEST = 10.0  # points


def shown_share(pixels: float) -> float:
    """What a page makes of a picture's inch, which has 100 pixels: it shows none larger than the column."""
    return 100 / 96 * min(1, PAGE / pixels)


def faults(figure: Figure) -> dict[str, str]:
    """Every text that is drawn in less than ``SMALLEST`` points at the size shown, or that the picture's edge cuts."""
    boxes, draw = {}, Text.draw  # a text's box at its last drawing: a legend lays out its own anew every time

    def observed(text: Text, renderer) -> None:
        draw(text, renderer)
        boxes[text] = text.get_window_extent(renderer)

    with pytest.MonkeyPatch.context() as patch:
        patch.setattr(Text, "draw", observed)
        look.png(figure)
    found, share, (width, height) = {}, shown_share(100 * figure.get_figwidth()), figure.bbox.size
    for text, box in boxes.items():
        words, points = text.get_text(), share * text.get_fontsize() * (0.7 if raised(text) else 1)
        if not words.strip():
            continue
        if points < SMALLEST:
            found[words] = f"{points:.1f} points"
        if min(box.x0, box.y0) < -2 or box.x1 > width + 2 or box.y1 > height + 2:
            found[words] = f"cut by the edge: {box}"
    return found


def raised(text: Text) -> bool:
    """Whether there is an exponent or an index in it, which is drawn in 0.7 of the size."""
    return "$" in text.get_text() and any(sign in text.get_text() for sign in "^_")


@pytest.fixture(autouse=True)
def readable(monkeypatch) -> Iterator[None]:
    """In a module that imports it: whatever a test there draws has letters that can be read."""
    made, make = [], look.figure

    def figure(*size: float, **options) -> Figure:
        made.append(make(*size, **options))
        return made[-1]

    monkeypatch.setattr(look, "figure", figure)
    yield
    hard = [found for found in map(faults, made) if found]
    assert not hard, f"hard to read: {hard}"
