"""One look for all figures: whatever the reader's own matplotlib is set to, and with words for who cannot see it."""

import base64
import io
import re
import struct

import matplotlib
import pytest
from matplotlib.figure import Figure
from PIL import Image, ImageColor

from course_lib import look


@look.styled()
def curve() -> Figure:
    figure = look.figure(3, 2)
    axes = figure.subplots()
    look.dress(axes)
    axes.plot([1, 2, 4], label="a_b")
    axes.legend()
    look.write(axes, "a_b", (1, 2), (0, 5), "center")
    figure.set_label("A line from 1 to 4.")
    return figure


READERS = {
    "text.usetex": True,
    "figure.facecolor": "black",
    "savefig.facecolor": "black",
    "axes.facecolor": "black",
    "text.color": "white",
    "xtick.color": "white",
    "font.size": 25,
    "savefig.dpi": 300,
    "savefig.bbox": "tight",
    "lines.linewidth": 9,
}


def test_the_readers_own_settings_do_not_reach_a_figure_and_stay_theirs():
    expected = look.png(curve())
    with matplotlib.rc_context(READERS):
        assert look.png(curve()) == expected
        drawn, kept = io.BytesIO(), curve()
        kept.savefig(drawn, format="png")  # by the reader's own hand, in LaTeX where it were not for the course's style
        assert kept.dpi == 100 and {name: matplotlib.rcParams[name] for name in READERS} == READERS
    assert drawn.getvalue() == saved(curve())


def saved(figure: Figure) -> bytes:
    drawn = io.BytesIO()
    figure.savefig(drawn, format="png")
    return drawn.getvalue()


def test_a_figure_of_the_readers_own_is_shown_in_the_courses_style_where_it_is_drawn():
    (axes,) = curve().axes
    assert not axes.spines["top"].get_visible() and not axes.spines["right"].get_visible()
    assert axes.figure.get_layout_engine() is not None
    assert look.figure(3, 2, layout="none").get_layout_engine() is None


def test_show_gives_a_figure_with_alt_and_caption():
    figure = Figure(figsize=(1, 1), label="GN-D 91.23 %")
    text = look.show(figure, alt='a "small" <figure>', caption="See the peak").data
    assert 'alt="a &quot;small&quot; &lt;figure&gt;"' in text
    assert "<figcaption>See the peak</figcaption>" in text
    assert re.match(r"<figure[^>]*><img ", text)
    png = base64.b64decode(re.search(r"base64,([^\"]+)", text)[1])
    assert png.startswith(b"\x89PNG")
    text = look.show(figure).data
    assert 'alt="GN-D 91.23 %"' in text and "<figcaption>GN-D 91.23 %</figcaption>" in text


def test_a_figure_without_words_is_refused():
    with pytest.raises(ValueError, match="alt text"):
        look.show(Figure())


def test_pictures_are_repeatable_hold_no_metadata_and_keep_their_colours():
    first = look.png(curve())
    assert first == look.png(curve())
    assert chunks(first).isdisjoint({b"tEXt", b"iTXt", b"zTXt", b"tIME", b"eXIf"})
    colours = {colour for _, colour in Image.open(io.BytesIO(first)).convert("RGB").getcolors(999)}
    assert ImageColor.getrgb("#1f77b4") in colours, "matplotlib's first"


def chunks(png: bytes) -> set[bytes]:
    kinds, place = set(), 8
    while place < len(png):
        length, kind = struct.unpack(">I4s", png[place : place + 8])
        kinds.add(kind)
        place += length + 12
    return kinds
