"""The surface slider: how long Eq. 1's gradient is over all temperatures and alphas, and what it pulls at."""

import numpy as np
from matplotlib.axes import Axes

from classroom.sliders.drawing import ORANGE, Labels, moves, stretch
from classroom.sliders.gallery import choose
from classroom.sliders.softening import gradient_terms, loss_terms
from classroom.sliders.temperature import HIGHEST_TEMPERATURE, LOWEST_TEMPERATURE, Eq1Picture
from course_lib import look
from course_lib.look import BLACK, BLUE, VERMILION

TEMPERATURES = np.geomspace(LOWEST_TEMPERATURE, HIGHEST_TEMPERATURE, 96)  # of the surface, on a logarithmic scale
ALPHAS = np.linspace(0, 1, 64)
BANDS = 12  # of equal height on the surface, so that their borders are lines of equal value


def gradient_surface(teacher: np.ndarray, student: np.ndarray, label: int) -> np.ndarray:
    """The size (Euclidean norm) of Eq. 1's gradient for one image, (ALPHAS, TEMPERATURES)."""
    hard, soft = np.stack([gradient_terms(teacher, student, label, T) for T in TEMPERATURES], axis=1)
    return np.linalg.norm(ALPHAS[:, None, None] * hard + (1 - ALPHAS[:, None, None]) * soft, axis=2)


class Surface(Eq1Picture):
    """The test image, the size of Eq. 1's gradient as a surface with the present point, and the pull on every logit."""

    shows = "A test image, the size of Eq. 1's gradient over temperature and alpha, and the pull on every logit."
    see = "Where is the gradient longest? Do label and teacher pull the same logits the same way?"

    @look.styled()
    def __init__(self, teacher, student, images, classes, *, rows=None) -> None:
        """Of what :func:`classroom.sliders.gallery.choose` takes. Raises ValueError: the parts do not fit."""
        super().__init__(4.8, choose(teacher, student, images, classes, rows))
        self.drawn: int | None = None  # the picture whose surface is drawn
        self.image, self.caption = self.photo((0.012, 0.3, 0.2, 0.4), self.gallery.images[0])
        self._add_surface(self.panel((0.29, 0.115, 0.3, 0.55), x="temperature T", y="alpha (1: label only)"))
        self._add_pulls(self.panel((0.75, 0.115, 0.24, 0.55), x="← down    each logit    up →"))

    def _add_surface(self, axes: Axes) -> None:
        edges = (*np.log2([LOWEST_TEMPERATURE, HIGHEST_TEMPERATURE]), 0, 1)
        colours = {"cmap": "cividis", "vmin": 0, "vmax": 1, "interpolation": "nearest", "aspect": "auto"}
        nothing = np.zeros((len(ALPHAS), len(TEMPERATURES)))
        self.heat = moves(axes.imshow(nothing, extent=edges, origin="lower", **colours))
        shape = {"markersize": 10, "markeredgewidth": 1.8, "clip_on": False}
        (self.mark,) = moves(axes.plot([0], [0], "o", color=VERMILION, markeredgecolor="white", **shape))
        self.size = Labels(axes, [(0, 1.17)], axes.transAxes, gap=0)
        bar = axes.inset_axes((0.28, 1.035, 0.44, 0.06))
        bar.imshow(np.linspace(0, 1, BANDS)[None], **colours)
        bar.set_axis_off()
        self.low = Labels(axes, [(0.25, 1.065)], axes.transAxes, right=True)
        self.high = Labels(axes, [(0.72, 1.065)], axes.transAxes)
        ticks = [0.5, 1, 2, 4, 8, 16]
        axes.set_xticks(np.log2(ticks), [f"{tick:g}" for tick in ticks])

    def _add_pulls(self, axes: Axes) -> None:
        rows = self.rows = np.arange(len(self.gallery.classes))
        self.hard = moves(axes.hlines(rows - 0.19, 0, 0, color=ORANGE, linewidth=6, label="label's"))
        self.soft = moves(axes.hlines(rows + 0.19, 0, 0, color=BLUE, linewidth=6, label="teacher's"))
        (self.total,) = moves(axes.plot(0 * rows, rows, "D", color=VERMILION, markersize=5, label="sum"))
        look_of = {"color": BLACK, "markersize": 5, "clip_on": False, "transform": axes.get_yaxis_transform()}
        (self.truth,) = moves(axes.plot([-0.02], [0], ">", **look_of))
        axes.axvline(0, color=BLACK, linewidth=0.8)
        axes.set_xlim(-1.1, 1.1)  # in units of the largest pull, which the ends of the axis tell
        axes.set_xticks([-1, 0, 1], ["", "0", ""])
        self.scale = Labels(axes, [(1.03, -0.065), (0.1, -0.065)], axes.transAxes, right=True)
        axes.set_ylim(len(rows) - 0.4, -0.6)
        axes.set_yticks(rows, self.gallery.classes)
        axes.tick_params(length=0, pad=8)
        axes.text(-0.5, 1.17, "A step pulls (triangle: the label)", transform=axes.transAxes)
        style = {"ncols": 3, "frameon": False, "columnspacing": 0.8, "handlelength": 1, "handletextpad": 0.4}
        axes.legend(handles=[self.hard, self.soft, self.total], loc="lower left", bbox_to_anchor=(-0.55, 0.99), **style)
        axes.spines["left"].set_visible(False)

    def draw(self, temperature: float, alpha: float, picture: int) -> str:
        parts, (place, name) = self.logits(picture), self.name(picture)
        if picture != self.drawn:
            self._draw_picture(picture)
        pulls = -gradient_terms(*parts, temperature) * [[alpha], [1 - alpha]]
        total = pulls.sum(axis=0)
        self._draw_pulls(pulls, total)
        size, hard, soft = np.linalg.norm([total, *pulls], axis=1)
        self.mark.set_data([np.log2(temperature)], [alpha])
        self.size.write([f"size of Eq. 1's gradient: {size:.2f}"])
        loss = loss_terms(*parts, temperature, alpha).total
        title = f"T = {temperature:g}, alpha = {alpha:.2f}: Eq. 1 gives {loss:.2f}"
        self.title.write([title])
        cosine = f", cosine {pulls[0] @ pulls[1] / (hard * soft):+.2f}" if min(hard, soft) > 1e-6 else ""
        classes, up, down = self.gallery.classes, int(total.argmax()), int(total.argmin())
        return (
            f"{title}; test image {place} ({name}); its gradient has size {size:.2f} ({self.span} on the surface), the "
            f"label's part {hard:.2f}, the teacher's part {soft:.2f}{cosine}. Pulled up most: {classes[up]} "
            f"{total[up]:+.2f}; down most: {classes[down]} {total[down]:+.2f}."
        )

    def _draw_picture(self, picture: int) -> None:
        """Another picture: its photograph, and a surface that stays while only T and alpha move."""
        values = gradient_surface(*self.logits(picture))
        low, high = values.min(), values.max()
        share = (values - low) / max(high - low, 1e-12)
        self.heat.set_data(np.floor(share * BANDS).clip(max=BANDS - 1) / (BANDS - 1))
        self.span = f"{low:.2f} to {high:.2f}"
        self.low.write([f"{low:.2f}"])
        self.high.write([f"{high:.2f}"])
        place, name = self.name(picture)
        self.image.set_data(self.gallery.images[picture])
        self.caption.write([f"{place}: {name}"])
        self.truth.set_ydata([self.gallery.labels[picture]])
        self.drawn = picture

    def _draw_pulls(self, pulls: np.ndarray, total: np.ndarray) -> None:
        end = _round_above(float(np.abs([*pulls, total]).max()))
        self.scale.write([f"{end:+g}", f"{-end:+g}"])
        stretch(self.hard, 0, pulls[0] / end, self.rows - 0.19)
        stretch(self.soft, 0, pulls[1] / end, self.rows + 0.19)
        self.total.set_xdata(total / end)


def _round_above(size: float) -> float:
    """The next of 0.001, 0.002, 0.005, 0.01, ... that is not below ``size``: an axis that changes seldom."""
    ends = (digit * 10.0**power for power in range(-3, 4) for digit in (1, 2, 5))
    return next((round(end, 3) for end in ends if size <= end), size)
