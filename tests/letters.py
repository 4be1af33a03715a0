"""How large a figure's letters are where readers see it: on the site's pages, or in a notebook on a small laptop."""

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


def small_letters(figure: Figure) -> dict[str, float]:
    """Every text that is drawn in less than ``SMALLEST`` points at the size shown, with its points."""
    drawn, draw = [], Text.draw
    with pytest.MonkeyPatch.context() as patch:
        patch.setattr(Text, "draw", lambda text, renderer: drawn.append(text) or draw(text, renderer))
        look.png(figure)
    share = shown_share(100 * figure.get_figwidth())
    points = {text.get_text(): share * text.get_fontsize() * (0.7 if raised(text) else 1) for text in drawn}
    return {words: size for words, size in points.items() if words.strip() and size < SMALLEST}


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
    small = [found for found in map(small_letters, made) if found]
    assert not small, f"letters below {SMALLEST:g} pt: {small}"
