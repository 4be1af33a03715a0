"""The look of the course: palette and style, how a figure is begun, how it is shown with alt text.

Every function that draws stands under ``@look.styled()`` and begins with ``look.figure``: then a figure is the same
whatever the reader's own matplotlibrc or ``plt.style`` asks for (LaTeX, a dark page), and the reader's stays as it is.
"""

import base64
import html
import io
import textwrap
from contextlib import AbstractContextManager
from typing import TYPE_CHECKING

import matplotlib.style
from matplotlib import patheffects
from matplotlib.axes import Axes
from matplotlib.collections import QuadMesh
from matplotlib.figure import Figure
from matplotlib.image import AxesImage
from PIL import Image

if TYPE_CHECKING:
    from IPython.display import HTML

# Okabe and Ito's palette, which readers with any colour vision can tell apart; always with a second cue.
BLACK, BLUE, VERMILION, GREEN = "#000000", "#0072B2", "#D55E00", "#009E73"
CURVE_COLOURS = (BLUE, VERMILION, GREEN, "#CC79A7", BLACK, "#E69F00", "#56B4E9")
CURVE_MARKERS = "osD^vPX"

# What differs from matplotlib's own defaults, which hold for all else.
STYLE = {
    "figure.dpi": 100,
    "figure.constrained_layout.use": True,
    "font.size": 10,  # at the size shown: readable in a lecture room
    "axes.titlesize": 10,
    "figure.titlesize": 10,
    "figure.labelsize": 10,
    "axes.spines.top": False,
    "axes.spines.right": False,
}


def styled() -> AbstractContextManager:
    """The course's style and nothing of the reader's: ``@look.styled()`` over a function, or ``with look.styled():``.

    Matplotlib reads its settings as each part of a figure is made, so the whole drawing belongs inside.
    """
    return matplotlib.style.context(STYLE, after_reset=True)


class StyledFigure(Figure):
    """A figure that is drawn and saved in the course's style too: some parts (ticks) are made only then."""

    @styled()
    def draw(self, renderer) -> None:
        super().draw(renderer)

    @styled()
    def savefig(self, *arguments, **options) -> None:
        super().savefig(*arguments, **options)


@styled()
def figure(width: float, height: float, **options) -> Figure:
    """An empty figure, sides in inches at 100 dots an inch; ``options`` are ``Figure``'s (``layout="none"``)."""
    return StyledFigure(figsize=(width, height), **options)


@styled()
def titled(title: str, height: float, origin: str, shared: bool = True) -> Figure:
    """An empty figure of the lessons' width that says below where its numbers come from; ``height`` in inches."""
    empty = figure(8.4, height)
    empty.suptitle(title, fontsize=11)
    empty.supxlabel(textwrap.fill(origin, 110) + ("" if shared else "\nThe two panels have scales of their own."))
    return empty


def dress(axes: Axes, grid: str = "both") -> None:
    """A pale grid across ``axes``, or only the lines that one axis ("x", "y") is read by."""
    axes.grid(axis=grid, alpha=0.3)


def say_not_run(axes: Axes, scale: str) -> None:
    """Words in place of data, and no numbers on the ``scale`` ("x", "y", "both") that would measure them."""
    blank = {"facecolor": "white", "edgecolor": "none"}
    axes.text(0.5, 0.5, "not run yet", transform=axes.transAxes, ha="center", va="center", bbox=blank)
    axes.tick_params(axis=scale, length=0, labelleft=False, labelbottom=False)


def write(axes: Axes, words: str, place: tuple[float, float], offset: tuple[float, float], ha: str) -> None:
    """Small words beside a point, ``offset`` in points, with a white rim so that lines do not cross them."""
    rim = [patheffects.withStroke(linewidth=2.5, foreground="white")]
    axes.annotate(words, place, offset, textcoords="offset points", ha=ha, path_effects=rim, zorder=5)


def alt_text(figure: Figure) -> str:
    """The figure in words, with its key numbers; every function that draws leaves it in the figure's label."""
    return figure.get_label()


def show(figure: Figure, alt: str | None = None, caption: str | None = None) -> "HTML":
    """The figure for a notebook, with ``alt`` (default ``alt_text``) for those who cannot see it.

    ``caption`` stands below it; without one, the alt text does. Raises ValueError where there is no alt text.
    """
    from IPython.display import HTML

    alt = alt or alt_text(figure)
    if not alt:
        raise ValueError("a figure needs alt text: say in words what it shows, with the key number")
    source = base64.b64encode(png(figure)).decode("ascii")
    return HTML(
        f'<figure style="margin:0"><img alt="{html.escape(alt)}" src="data:image/png;base64,{source}" '
        f'style="max-width:100%"><figcaption>{html.escape(caption or alt)}</figcaption></figure>'
    )


def png(figure: Figure) -> bytes:
    """Small and repeatable: few colours (more for photographs and heat maps), and no version or date inside."""
    drawn, small = io.BytesIO(), io.BytesIO()
    with styled():
        figure.savefig(drawn, format="png")
    # An octree keeps each of a drawing's few colours as it is; the median of all of them would mix rare ones.
    rich = figure.findobj(AxesImage) or figure.findobj(QuadMesh)
    colours, method = (256, Image.Quantize.MEDIANCUT) if rich else (64, Image.Quantize.FASTOCTREE)
    few = Image.open(drawn).convert("RGB").quantize(colours, method, dither=Image.Dither.NONE)
    few.save(small, "png", optimize=True)
    return small.getvalue()
