"""The surface slider: Eq. 1 of one image over all temperatures and alphas, and what it pulls at, class by class."""

import numpy as np
from matplotlib.axes import Axes

from classroom.sliders.drawing import ORANGE, Labels, moves, stretch
from classroom.sliders.gallery import choose
from classroom.sliders.softening import Terms, gradient_terms, loss_terms
from classroom.sliders.temperature import HIGHEST_TEMPERATURE, LOWEST_TEMPERATURE, Eq1Picture
from course_lib import look
from course_lib.look import BLACK, BLUE, VERMILION

TEMPERATURES = np.geomspace(LOWEST_TEMPERATURE, HIGHEST_TEMPERATURE, 96)  # of the surfaces, on a logarithmic scale
ALPHAS = np.linspace(0, 1, 64)
BANDS = 12  # of equal height on a surface, so that their borders are lines of equal value


def loss_surface(teacher: np.ndarray, student: np.ndarray, label: int) -> tuple[np.ndarray, np.ndarray]:
    """Eq. 1 and the size (Euclidean norm) of its gradient, for one image: two arrays (ALPHAS, TEMPERATURES)."""
    losses = np.empty((len(ALPHAS), len(TEMPERATURES)))
    sizes = np.empty_like(losses)
    for column, temperature in enumerate(TEMPERATURES):
        _, hard, soft = loss_terms(teacher, student, label, temperature, 1.0)
        losses[:, column] = ALPHAS * hard + (1 - ALPHAS) * soft
        hard_pull, soft_pull = gradient_terms(teacher, student, label, temperature)
        total = np.outer(ALPHAS, hard_pull) + np.outer(1 - ALPHAS, soft_pull)
        sizes[:, column] = np.linalg.norm(total, axis=1)
    return losses, sizes


class Surface(Eq1Picture):
    """The test image, Eq. 1 and its gradient's size as surfaces with the present point, and the pull on every logit."""

    shows = (
        "A test image; Eq. 1 and the size of its gradient as surfaces over temperature and alpha, with a point at "
        "the present setting; bars for the pull on every logit."
    )

    @look.styled()
    def __init__(self, teacher, student, images, classes, *, rows=None) -> None:
        """Of what :func:`classroom.sliders.gallery.choose` takes. Raises ValueError: the parts do not fit."""
        super().__init__(4.8, choose(teacher, student, images, classes, rows))
        self.drawn: int | None = None  # the picture whose surfaces are drawn
        self.image, self.caption = self.photo((0.012, 0.3, 0.15, 0.4), self.gallery.images[0])
        self.surfaces = [
            _Surface(self.panel((0.245, 0.115, 0.2, 0.55), x="temperature T"), "Eq. 1", True),
            _Surface(self.panel((0.475, 0.115, 0.2, 0.55), x="temperature T"), "size of its gradient", False),
        ]
        self._add_pulls(self.panel((0.8, 0.115, 0.19, 0.55), x="← down    each logit    up →"))

    def _add_pulls(self, axes: Axes) -> None:
        rows = self.rows = np.arange(len(self.gallery.classes))
        self.hard = moves(axes.hlines(rows - 0.19, 0, 0, color=ORANGE, linewidth=6, label="label's"))
        self.soft = moves(axes.hlines(rows + 0.19, 0, 0, color=BLUE, linewidth=6, label="teacher's"))
        (self.total,) = moves(axes.plot(0 * rows, rows, "D", color=VERMILION, markersize=5, label="sum"))
        look_of = {"color": BLACK, "markersize": 5, "clip_on": False, "transform": axes.get_yaxis_transform()}
        (self.truth,) = moves(axes.plot([-0.02], [0], ">", **look_of))
        axes.axvline(0, color=BLACK, linewidth=0.8)
        axes.set_xlim(-1.1, 1.1)  # in units of ``_round_above`` the largest part, which the ends of the axis tell
        axes.set_xticks([-1, 0, 1], ["", "0", ""])
        self.scale = Labels(axes, [(0.8, -0.065), (-0.1, -0.065)], axes.transAxes)
        axes.set_ylim(len(rows) - 0.4, -0.6)
        axes.set_yticks(rows, self.gallery.classes)
        axes.tick_params(length=0, pad=8)
        axes.text(-0.58, 1.17, "A step pulls (triangle: the label)", transform=axes.transAxes)
        place = {"loc": "lower left", "bbox_to_anchor": (-0.63, 0.99)}
        style = {"ncols": 3, "frameon": False, "columnspacing": 0.8, "handlelength": 1, "handletextpad": 0.4}
        axes.legend(handles=[self.hard, self.soft, self.total], **place, **style)
        axes.spines["left"].set_visible(False)

    def draw(self, temperature: float, alpha: float, picture: int) -> str:
        """Show these settings; returns the key numbers in words."""
        parts = self.logits(picture)
        terms = loss_terms(*parts, temperature, alpha)
        pulls = -gradient_terms(*parts, temperature) * [[alpha], [1 - alpha]]
        if picture != self.drawn:
            self._draw_picture(picture)
        for surface, value in zip(self.surfaces, (terms.total, np.linalg.norm(pulls.sum(axis=0))), strict=True):
            surface.point(temperature, alpha, value)
        self._draw_pulls(pulls)
        self.title.write([f"T = {temperature:g}, alpha = {alpha:.2f}: Eq. 1 gives {terms.total:.2f}"])
        return self._words(picture, temperature, alpha, terms, pulls)

    def _draw_picture(self, picture: int) -> None:
        """Another picture: its photograph, and surfaces that stay while only T and alpha move."""
        parts, (place, name) = self.logits(picture), self.name(picture)
        for surface, values in zip(self.surfaces, loss_surface(*parts), strict=True):
            surface.show(values)
        self.image.set_data(self.gallery.images[picture])
        self.caption.write([f"{place}: {name}"])
        self.truth.set_ydata([parts[2]])
        self.drawn = picture

    def _draw_pulls(self, pulls: np.ndarray) -> None:
        end = _round_above(float(np.abs([*pulls, pulls.sum(axis=0)]).max()))
        hard, soft = pulls / end
        self.scale.write([f"{end:+g}", f"{-end:+g}"])
        stretch(self.hard, 0, hard, self.rows - 0.19)
        stretch(self.soft, 0, soft, self.rows + 0.19)
        self.total.set_xdata(hard + soft)

    def _words(self, picture: int, temperature: float, alpha: float, terms: Terms, pulls: np.ndarray) -> str:
        classes, total = self.gallery.classes, pulls.sum(axis=0)
        place, name = self.name(picture)
        up, down = int(total.argmax()), int(total.argmin())
        hard, soft = np.linalg.norm(pulls, axis=1)
        losses, sizes = (surface.span for surface in self.surfaces)
        both = min(hard, soft) > 1e-6  # where one does not pull there is no direction
        agreement = f", the cosine between the two {pulls[0] @ pulls[1] / (hard * soft):+.2f}" if both else ""
        return (
            f"T = {temperature:g}, alpha = {alpha:.2f}, test image {place} ({name}): "
            f"Eq. 1 gives {terms.total:.2f} ({losses} on the surface); "
            f"its gradient has size {np.linalg.norm(total):.2f} ({sizes}), the label's part {hard:.2f}, the teacher's "
            f"part {soft:.2f}{agreement}. Pulled up most: {classes[up]} {total[up]:+.2f}; "
            f"down most: {classes[down]} {total[down]:+.2f}."
        )


class _Surface:
    """One quantity over temperature (logarithmic) and alpha, in bands, with a point and its value."""

    def __init__(self, axes: Axes, name: str, with_scale: bool) -> None:
        self.name, self.span = name, ""
        edges = (*np.log2([LOWEST_TEMPERATURE, HIGHEST_TEMPERATURE]), 0, 1)
        colours = {"cmap": "cividis", "vmin": 0, "vmax": 1, "interpolation": "nearest", "aspect": "auto"}
        nothing = np.zeros((len(ALPHAS), len(TEMPERATURES)))
        self.heat = moves(axes.imshow(nothing, extent=edges, origin="lower", **colours))
        shape = {"markersize": 10, "markeredgewidth": 1.8, "clip_on": False}
        (self.mark,) = moves(axes.plot([0], [0], "o", color=VERMILION, markeredgecolor="white", **shape))
        self.value = Labels(axes, [(0, 1.2)], axes.transAxes, gap=0)
        bar = axes.inset_axes((0.28, 1.035, 0.44, 0.06))
        bar.imshow(np.linspace(0, 1, BANDS)[None], **colours)
        bar.set_axis_off()
        self.low = Labels(axes, [(0.25, 1.065)], axes.transAxes, right=True)
        self.high = Labels(axes, [(0.72, 1.065)], axes.transAxes)
        ticks = [0.5, 1, 2, 4, 8, 16]
        axes.set_xticks(np.log2(ticks), [f"{tick:g}" for tick in ticks])
        axes.set_yticks([0, 0.25, 0.5, 0.75, 1], ["0", "", "0.5", "", "1"] if with_scale else [""] * 5)
        axes.set_ylabel("alpha (1: label only)" if with_scale else "", labelpad=1)

    def show(self, values: np.ndarray) -> None:
        """Draw another surface, dark where it is low."""
        low, high = values.min(), values.max()
        share = (values - low) / max(high - low, 1e-12)
        self.heat.set_data(np.floor(share * BANDS).clip(max=BANDS - 1) / (BANDS - 1))
        self.span = f"{low:.2f} to {high:.2f}"
        self.low.write([f"{low:.2f}"])
        self.high.write([f"{high:.2f}"])

    def point(self, temperature: float, alpha: float, value: float) -> None:
        self.mark.set_data([np.log2(temperature)], [alpha])
        self.value.write([f"{self.name}: {value:.2f}"])


def _round_above(size: float) -> float:
    """The next of 0.01, 0.02, 0.05, 0.1, ... that is not below ``size``: an axis that changes seldom."""
    ends = (digit * 10.0**power for power in range(-2, 4) for digit in (1, 2, 5))
    return next((round(end, 2) for end in ends if size <= end), size)
