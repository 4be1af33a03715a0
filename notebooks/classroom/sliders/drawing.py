"""What all sliders are made of: a figure that is reused, short labels that change fast, and the widgets around them.

What stands still in a figure is drawn once and kept; a move draws only what changes, into a small image with alt text.
"""

import base64
import functools
import html
import io
from collections.abc import Callable, Sequence
from typing import TYPE_CHECKING, Protocol

import matplotlib.path as mpath
import numpy as np
from matplotlib.artist import Artist
from matplotlib.axes import Axes
from matplotlib.backends.backend_agg import FigureCanvasAgg
from matplotlib.collections import PathCollection
from matplotlib.figure import Figure
from matplotlib.font_manager import FontProperties
from matplotlib.textpath import TextPath
from matplotlib.transforms import Affine2D, Transform
from PIL import Image

from course_lib.look import BLACK

if TYPE_CHECKING:
    import ipywidgets

LABEL_SIZE = 8  # points
SKY, ORANGE = "#56B4E9", "#E69F00"  # the rest of the palette that report.py draws with


class Picture(Protocol):
    """What an explorer shows: a figure, the artists in it that change, and ``draw``, which changes them.

    ``draw`` takes the value of each slider and returns the key numbers in words.
    """

    figure: Figure
    draw: Callable[..., str]

    @property
    def moving(self) -> list[Artist]: ...


def explorer(picture: Picture, sliders: "Sequence[ipywidgets.Widget]") -> "ipywidgets.VBox":
    """The sliders, the picture as an image, and a line of words; each move draws it for the values of all sliders."""
    from ipywidgets import HTML, VBox

    image, words, screen = HTML(), HTML(), _Screen(picture.figure, picture.moving)
    image.add_class("course-image")
    words.add_class("course-text")

    def redraw(_change: object = None) -> None:
        said = picture.draw(*(slider.value for slider in sliders))
        image.value = screen.image_tag()
        words.value = f'<p role="status" aria-live="polite">{html.escape(said)}</p>'

    for slider in sliders:
        slider.layout.width = "500px"
        slider.observe(redraw, "value")
    redraw()
    return VBox([*sliders, image, words])


class Labels:
    """Short texts that change often, as outlines in a single artist: far faster to draw than so many ``Text``s.

    Each is centred on the height of its ``places`` entry, in the coordinates of ``transform``, and begins ``gap``
    points to the right of it, or with ``right`` ends there. ``size`` and ``gap`` are in points.
    """

    def __init__(
        self,
        axes: Axes,
        places: Sequence[tuple[float, float]],
        transform: Transform,
        *,
        right: bool = False,
        size: float = LABEL_SIZE,
        bold: bool = False,
        gap: float = LABEL_SIZE / 2,
    ) -> None:
        self.right, self.size, self.bold, self.gap = right, size, bold, gap
        self.artist = PathCollection([], offsets=places, offset_transform=transform, facecolor=BLACK, linewidth=0)
        self.artist.set_transform(Affine2D().scale(1 / 72) + axes.figure.dpi_scale_trans)  # outlines are in points
        axes.add_collection(self.artist, autolim=False)
        self.artist.set_clip_on(False)

    def write(self, words: Sequence[str], places: Sequence[tuple[float, float]] | None = None) -> None:
        """Show ``words``, one at each place, and move the places where new ones are given."""
        self.artist.set_paths([self._outline(word) for word in words])
        if places is not None:
            self.artist.set_offsets(places)

    def _outline(self, word: str) -> mpath.Path:
        """The outline of a word, put together from those of its characters, which are kept."""
        glyphs = [_glyph(character, self.size, self.bold) for character in word]
        starts = np.cumsum([0.0] + [advance for _, _, advance in glyphs])
        x = -starts[-1] if self.right else self.gap
        y = -0.36 * self.size  # digits are 0.73 of the size high
        moved = [vertices + (x + start, y) for (vertices, _, _), start in zip(glyphs, starts[:-1], strict=True)]
        return mpath.Path(np.concatenate(moved), np.concatenate([codes for _, codes, _ in glyphs]))


@functools.cache
def _glyph(character: str, size: float, bold: bool) -> tuple[np.ndarray, np.ndarray, float]:
    """Vertices and codes of a character's outline, and how far to the right of it the next one begins, in points."""
    font = FontProperties(weight="bold" if bold else "normal")
    alone, after = (TextPath((0, 0), text, size=size, prop=font) for text in ("|", character + "|"))
    own = len(after.vertices) - len(alone.vertices)  # the bar measures; TextPath cannot draw a single space
    return after.vertices[:own], after.codes[:own], after.vertices[own, 0] - alone.vertices[0, 0]


class _Screen:
    """Draws a figure often and fast: what stands still is drawn once and kept, only ``moving`` is drawn each time."""

    def __init__(self, figure: Figure, moving: Sequence[Artist]) -> None:
        self.figure, self.moving, self.canvas = figure, moving, FigureCanvasAgg(figure)
        for artist in moving:
            artist.set_animated(True)  # which makes the canvas leave it out
        self.canvas.draw()
        self.still = self.canvas.copy_from_bbox(figure.bbox)

    def image_tag(self) -> str:
        """The figure as an image with alt text, its own bytes, and its size so that the page does not jump."""
        self.canvas.restore_region(self.still)
        for artist in self.moving:
            (artist.axes or self.figure).draw_artist(artist)
        pixels = Image.fromarray(np.asarray(self.canvas.buffer_rgba())).convert("RGB")
        file = io.BytesIO()
        few_colours = pixels.quantize(256, Image.Quantize.FASTOCTREE, dither=Image.Dither.NONE)
        few_colours.save(file, "png", compress_level=1)  # a third of the bytes, in half of the time
        source = base64.b64encode(file.getvalue()).decode("ascii")
        return (
            f'<img alt="{html.escape(self.figure.get_label())}" width="{pixels.width}" height="{pixels.height}" '
            f'style="max-width:100%;height:auto" src="data:image/png;base64,{source}">'
        )
