"""What all sliders are made of: a picture with moving parts, its controls, and the two ways to show it.

What stands still in a figure is drawn once and kept; a move draws only what changes, into a small image with alt text.
"""

import base64
import functools
import html
import io
import json
import os
from collections.abc import Collection, Sequence
from typing import TYPE_CHECKING, TypeVar

import matplotlib.path as mpath
import numpy as np
from matplotlib.artist import Artist
from matplotlib.axes import Axes
from matplotlib.backends.backend_agg import FigureCanvasAgg
from matplotlib.collections import LineCollection, PathCollection
from matplotlib.figure import Figure
from matplotlib.font_manager import FontProperties
from matplotlib.textpath import TextPath
from matplotlib.transforms import Affine2D, Transform
from PIL import Image

from classroom.sliders.controls import Control
from course_lib import look

if TYPE_CHECKING:
    import ipywidgets
    from IPython.display import HTML

LABEL_SIZE, TITLE_SIZE = 10, 11  # points, at the size shown
SKY, ORANGE = "#56B4E9", "#E69F00"  # of the palette, for areas
Moving = TypeVar("Moving")


def printed() -> bool:
    """Whether this lesson runs to be read: who executes it sets ``COURSE_PRINTED``, and nobody moves its widgets."""
    return bool(os.environ.get("COURSE_PRINTED"))


def explore(picture: "Picture", /, **settings) -> "ipywidgets.VBox | HTML":
    """The picture's controls, the picture as an image, and a line of words; each move draws it anew.

    Where the lesson is ``printed``, the picture standing still, as HTML that the web pages put a slider in
    (docs/web/sliders.js).

    Args:
        picture: what to show, ``Width()`` for example; its class says which settings it has.
        settings: where its controls stand first.

    Raises:
        ValueError: the picture has no such setting, or the setting no such position.
    """
    if printed():
        return _printed(picture, settings)
    from ipywidgets import HTML, VBox

    settings = picture.settings(settings)
    image, words, screen = HTML(), HTML(), _Screen(picture.figure)
    image.add_class("course-image")
    words.add_class("course-text")

    def redraw(_change: object = None) -> None:
        said = picture.show({name: control.read(widgets[name]) for name, control in picture.controls.items()})
        image.value = screen.image_tag()
        words.value = f'<p role="status" aria-live="polite">{html.escape(said)}</p>'

    widgets = {name: control.widget(settings[name], redraw) for name, control in picture.controls.items()}
    for name, widget in widgets.items():
        widget.add_class(f"course-{type(picture).__name__.lower()}-{name}")
    redraw()
    return VBox([*widgets.values(), image, words])


def _printed(picture: "Picture", settings: dict) -> "HTML":
    from IPython.display import HTML

    shown = look.show(still(picture, **settings), caption=picture.see)
    name, places = type(picture).__name__.lower(), html.escape(json.dumps(picture.settings(settings)))
    return HTML(f'<div class="course-slider" data-slider="{name}" data-settings="{places}">{shown.data}</div>')


def still(picture: "Picture", /, **settings) -> Figure:
    """What :func:`explore` shows at these settings, as a figure with its words in ``look.alt_text``.

    Raises:
        ValueError: as :func:`explore`.
    """
    picture.show(picture.settings(settings))
    return picture.figure


class Picture:
    """A figure with moving parts.

    A subclass makes it once, in ``__init__`` under ``look.styled()``, where it passes what will move through ``moves``.
    Its ``draw`` takes the value of each of its ``controls``.
    """

    shows: str  # what is drawn: the alt text begins with it
    see: str  # what to look for: the caption where the picture is printed
    controls: dict[str, Control]

    def __init__(self, width: float, height: float, note: str = "") -> None:
        """Begin an empty page, sides in inches, with a title that moves and a note below it that does not."""
        self.figure = look.figure(width, height, layout="none")
        page = self.figure.add_axes((0, 0, 1, 1))
        page.axis("off")
        page.text(0.012, 1 - 0.57 / height, note)
        place = [(0.012, 1 - 0.24 / height)]
        self.title = Labels(page, place, page.transAxes, size=TITLE_SIZE, bold=True, gap=0)

    def panel(self, rect: tuple[float, float, float, float], title: str = "", x: str = "", y: str = "") -> Axes:
        """Axes at left, bottom, width, height, as shares of the page."""
        axes = self.figure.add_axes(rect)
        axes.set_title(title, fontsize=LABEL_SIZE, loc="left")
        axes.set_xlabel(x, labelpad=2)
        axes.set_ylabel(y)
        return axes

    def photo(self, rect: tuple[float, float, float, float], image: np.ndarray) -> tuple[Artist, "Labels"]:
        """A test image (H, W, 3) that moves, with a caption above it."""
        axes = self.panel(rect)
        axes.axis("off")
        axes.set_anchor("NW")
        shown = moves(axes.imshow(image, interpolation="nearest"))
        return shown, Labels(axes, [(0, 1.06)], axes.transAxes, gap=0)

    def settings(self, given: dict) -> dict:
        """All settings: those given, checked, and the others where they begin."""
        for name in given.keys() - self.controls.keys():
            raise ValueError(f"{type(self).__name__} has no setting {name!r}: it has {', '.join(self.controls)}")
        return {name: control.check(name, given.get(name, control.start)) for name, control in self.controls.items()}

    @look.styled()
    def show(self, settings: dict) -> str:
        """Draw the picture at these settings; returns the key numbers in words and makes them its alt text."""
        words = self.draw(**settings)
        self.figure.set_label(f"{self.shows} {words}")
        return words

    def draw(self, **settings) -> str:
        """Move the parts to these settings; returns the key numbers in words."""
        raise NotImplementedError


def moves(artists: Moving) -> Moving:
    """Say that an artist, or each of several, will move."""
    for artist in [artists] if isinstance(artists, Artist) else artists:
        artist.set_animated(True)  # which makes a canvas leave it out, but not a saved figure
    return artists


def stretch(
    bars: LineCollection, starts: Sequence[float] | float, ends: Sequence[float], rows: Sequence[float]
) -> None:
    """Let the thick lines that stand for ``bars`` run from ``starts`` to ``ends``: one artist is drawn much faster."""
    starts = np.broadcast_to(starts, np.shape(ends))
    bars.set_segments(np.stack([np.column_stack([starts, rows]), np.column_stack([ends, rows])], axis=1))


def room(values: Collection[float], below: float = 0.1, above: float = 0.1) -> tuple[float, float]:
    """Limits of an axis for accuracies, with room in shares of their range (one point at least)."""
    spread = max(max(values) - min(values), 1.0)
    return min(values) - below * spread, max(values) + above * spread


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
        look_of = {"facecolor": look.BLACK, "linewidth": 0, "zorder": 4}
        self.artist = moves(PathCollection([], offsets=places, offset_transform=transform, **look_of))
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
        if not word:
            return mpath.Path(np.zeros((0, 2)))
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
    """Draws a figure often and fast: what stands still is drawn once and kept, only what moves is drawn each time."""

    def __init__(self, figure: Figure) -> None:
        self.figure, self.canvas = figure, FigureCanvasAgg(figure)
        self.moving = sorted(figure.findobj(lambda artist: artist.get_animated()), key=lambda artist: artist.zorder)
        self.canvas.draw()
        self.still = self.canvas.copy_from_bbox(figure.bbox)

    @look.styled()
    def image_tag(self) -> str:
        """The figure as an image with alt text, its own bytes, and its size so that the page does not jump."""
        self.canvas.restore_region(self.still)
        for artist in self.moving:
            artist.axes.draw_artist(artist)
        pixels = Image.fromarray(np.asarray(self.canvas.buffer_rgba())).convert("RGB")
        file = io.BytesIO()
        few_colours = pixels.quantize(256, Image.Quantize.FASTOCTREE, dither=Image.Dither.NONE)
        few_colours.save(file, "png", compress_level=1)  # a third of the bytes, in half of the time
        source = base64.b64encode(file.getvalue()).decode("ascii")
        return (
            f'<img alt="{html.escape(self.figure.get_label())}" width="{pixels.width}" height="{pixels.height}" '
            f'style="max-width:100%;height:auto" src="data:image/png;base64,{source}">'
        )
