"""The surface slider: Eq. 1 of one image over all temperatures and alphas, and what it pulls at, class by class."""

from collections.abc import Sequence
from typing import TYPE_CHECKING

import numpy as np
from matplotlib.artist import Artist
from matplotlib.axes import Axes
from matplotlib.figure import Figure

from classroom.sliders.drawing import LABEL_SIZE, ORANGE, Labels
from classroom.sliders.gallery import Gallery, choose
from classroom.sliders.softening import Terms, gradient_terms, loss_terms
from classroom.sliders.temperature import HIGHEST_TEMPERATURE, LOWEST_TEMPERATURE, eq1_explorer
from course_lib.look import BLACK, BLUE, VERMILION
from course_lib.study.store import Logits

if TYPE_CHECKING:
    import ipywidgets
    import torch

TEMPERATURES = np.geomspace(LOWEST_TEMPERATURE, HIGHEST_TEMPERATURE, 96)  # of the surfaces, on a logarithmic scale
ALPHAS = np.linspace(0, 1, 64)
BANDS = 12  # of equal height on a surface, so that their borders are lines of equal value


def surface_explorer(
    teacher: Logits,
    student: Logits,
    images: "torch.Tensor | np.ndarray",
    classes: Sequence[str],
    *,
    rows: "torch.Tensor | Sequence[int] | None" = None,
    temperature: float = 4.0,
    alpha: float = 0.5,
    picture: int | None = None,
) -> "ipywidgets.VBox":
    """Sliders over T, alpha and the test image: a point moves on the surfaces of Eq. 1 and of its gradient's size.

    Args: those of :func:`classroom.sliders.temperature_explorer`, with the same pictures.

    Raises:
        ValueError: the parts do not fit one another, or a slider has no such position.
    """
    panel = _SurfacePicture(choose(teacher, student, images, classes, rows))
    return eq1_explorer(panel, temperature, alpha, picture, css="course-surface")


def surface_figure(
    teacher: Logits,
    student: Logits,
    images: "torch.Tensor | np.ndarray",
    classes: Sequence[str],
    *,
    rows: "torch.Tensor | Sequence[int] | None" = None,
    temperature: float = 4.0,
    alpha: float = 0.5,
    picture: int | None = None,
) -> Figure:
    """What :func:`surface_explorer` shows at these settings, as a figure with its words in ``report.alt_text``.

    Raises:
        ValueError: the parts do not fit one another, T is not above 0, alpha outside 0..1, or there is no such picture.
    """
    panel = _SurfacePicture(choose(teacher, student, images, classes, rows))
    panel.draw(temperature, alpha, panel.middle if picture is None else picture)
    return panel.figure


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


class _SurfacePicture:
    """The test image, two surfaces with the present point, and the pull on every logit; ``draw`` changes them."""

    def __init__(self, gallery: Gallery) -> None:
        self.gallery = gallery
        self.middle = len(gallery.labels) // 2
        self.shown: int | None = None  # the picture whose surfaces are drawn
        self.figure = Figure(figsize=(10, 4.4), dpi=100)
        self.figure.text(0.012, 0.875, gallery.networks, fontsize=LABEL_SIZE)
        photo = self.figure.add_axes((0.012, 0.3, 0.165, 0.41))
        photo.axis("off")
        self.image = photo.imshow(gallery.images[0], interpolation="nearest")
        self.title = Labels(photo, [(0.012, 0.948)], self.figure.transFigure, size=11, bold=True, gap=0)
        self.caption = Labels(photo, [(0, 1.062)], photo.transAxes, gap=0)
        self.surfaces = [
            _Surface(self.figure.add_axes((0.245, 0.115, 0.2, 0.57)), "Eq. 1", True),
            _Surface(self.figure.add_axes((0.475, 0.115, 0.2, 0.57)), "size of its gradient", False),
        ]
        self._add_pulls(self.figure.add_axes((0.775, 0.115, 0.215, 0.57)))

    @property
    def moving(self) -> list[Artist]:
        surfaces = [artist for surface in self.surfaces for artist in surface.moving]
        return [
            self.image,
            self.caption.artist,
            *surfaces,
            self.hard,
            self.soft,
            self.total,
            self.truth,
            self.scale.artist,
            self.title.artist,
        ]

    def _add_pulls(self, axes: Axes) -> None:
        rows = np.arange(len(self.gallery.classes))
        # Thick lines: one artist for all bars is drawn much faster than one for each.
        self.hard = axes.hlines(rows - 0.19, 0, 0, color=ORANGE, linewidth=6, label="label's part")
        self.soft = axes.hlines(rows + 0.19, 0, 0, color=BLUE, linewidth=6, label="teacher's part")
        self.total = axes.plot(0 * rows, rows, "D", color=VERMILION, markersize=5, label="sum")[0]
        self.truth = axes.plot([-0.02], [0], ">", color=BLACK, markersize=5, transform=axes.get_yaxis_transform())[0]
        self.truth.set_clip_on(False)
        axes.axvline(0, color=BLACK, linewidth=0.8)
        axes.set_xlim(-1.1, 1.1)  # in units of ``_round_above`` the largest part, which the ends of the axis tell
        axes.set_xticks([-1, 0, 1], ["", "0", ""])
        self.scale = Labels(axes, [(0.88, -0.045), (-0.1, -0.045)], axes.transAxes)
        axes.set_xlabel("← down      each logit      up →", fontsize=LABEL_SIZE, labelpad=4)
        axes.set_ylim(len(rows) - 0.4, -0.6)
        axes.set_yticks(rows, self.gallery.classes)
        axes.tick_params(labelsize=LABEL_SIZE, length=0, pad=8)
        axes.text(-0.42, 1.2, "A step pulls (triangle: the label)", transform=axes.transAxes, fontsize=9)
        place = {"loc": "lower left", "bbox_to_anchor": (-0.47, 1.0)}
        look = {
            "ncols": 3,
            "frameon": False,
            "columnspacing": 0.8,
            "handlelength": 1,
            "handletextpad": 0.4,
        }
        axes.legend(handles=[self.hard, self.soft, self.total], **place, **look, fontsize=LABEL_SIZE)
        axes.spines[["top", "right", "left"]].set_visible(False)

    def draw(self, temperature: float, alpha: float, picture: int) -> str:
        """Show these settings; returns the key numbers in words.

        Raises:
            ValueError: T is not above 0, alpha lies outside 0..1, or there is no such picture.
        """
        gallery = self.gallery
        if not 0 <= picture < len(gallery.labels):
            raise ValueError(f"there is no picture {picture}: choose 0 to {len(gallery.labels) - 1}")
        parts = gallery.teacher[picture], gallery.student[picture], gallery.labels[picture]
        terms = loss_terms(*parts, temperature, alpha)
        pulls = -gradient_terms(*parts, temperature) * [[alpha], [1 - alpha]]
        size = np.linalg.norm(pulls.sum(axis=0))
        if picture != self.shown:
            self._show(picture)
        for surface, value in zip(self.surfaces, (terms.total, size), strict=True):
            surface.point(temperature, alpha, value)
        self._draw_pulls(pulls)
        self.title.write([f"T = {temperature:g}, alpha = {alpha:.2f}: Eq. 1 gives {terms.total:.2f}"])
        words = self._words(picture, temperature, alpha, terms, pulls)
        self.figure.set_label(
            "A test image; Eq. 1 and the size of its gradient as surfaces over temperature and alpha, with a point at "
            f"the present setting; bars for the pull on every logit. {words}"
        )
        return words

    def _show(self, picture: int) -> None:
        """Another picture: its photograph, and surfaces that stay while only T and alpha move."""
        gallery = self.gallery
        parts = gallery.teacher[picture], gallery.student[picture], gallery.labels[picture]
        for surface, values in zip(self.surfaces, loss_surface(*parts), strict=True):
            surface.show(values)
        self.image.set_data(gallery.images[picture])
        self.caption.write([f"test image {gallery.places[picture]}: {gallery.classes[parts[2]]}"])
        self.truth.set_ydata([parts[2]])
        self.shown = picture

    def _draw_pulls(self, pulls: np.ndarray) -> None:
        end = _round_above(float(np.abs([*pulls, pulls.sum(axis=0)]).max()))
        hard, soft = pulls / end
        self.scale.write([f"{end:+g}", f"{-end:+g}"])
        for bars, lengths, shift in ((self.hard, hard, -0.19), (self.soft, soft, 0.19)):
            bars.set_segments([[(0, row + shift), (length, row + shift)] for row, length in enumerate(lengths)])
        self.total.set_xdata(hard + soft)

    def _words(self, picture: int, temperature: float, alpha: float, terms: Terms, pulls: np.ndarray) -> str:
        gallery, total = self.gallery, pulls.sum(axis=0)
        up, down = int(total.argmax()), int(total.argmin())
        hard, soft = np.linalg.norm(pulls, axis=1)
        losses, sizes = (surface.span for surface in self.surfaces)
        return (
            f"T = {temperature:g}, alpha = {alpha:.2f}, test image {gallery.places[picture]} "
            f"({gallery.classes[gallery.labels[picture]]}): Eq. 1 gives {terms.total:.2f} ({losses} on the surface); "
            f"its gradient has size {np.linalg.norm(total):.2f} ({sizes}), the label's part {hard:.2f}, the teacher's "
            f"part {soft:.2f}{_agreement(pulls)}. Pulled up most: {gallery.classes[up]} {total[up]:+.2f}; "
            f"down most: {gallery.classes[down]} {total[down]:+.2f}."
        )


class _Surface:
    """One quantity over temperature (logarithmic) and alpha, in bands, with a point and its value."""

    def __init__(self, axes: Axes, name: str, with_scale: bool) -> None:
        self.name, self.span = name, ""
        edges = (*np.log2([LOWEST_TEMPERATURE, HIGHEST_TEMPERATURE]), 0, 1)
        look = {"cmap": "cividis", "vmin": 0, "vmax": 1, "interpolation": "nearest"}
        nothing = np.zeros((len(ALPHAS), len(TEMPERATURES)))
        self.heat = axes.imshow(nothing, extent=edges, origin="lower", aspect="auto", **look)
        shape = {"markersize": 10, "markeredgewidth": 1.8, "clip_on": False}
        self.mark = axes.plot([0], [0], "o", color=VERMILION, markeredgecolor="white", **shape)[0]
        self.value = Labels(axes, [(0, 1.218)], axes.transAxes, size=9, gap=0)
        bar = axes.inset_axes((0.3, 1.045, 0.4, 0.06))
        bar.imshow(np.linspace(0, 1, BANDS)[None], aspect="auto", **look)
        bar.set_axis_off()
        self.ends = Labels(axes, [(0, 1.075), (0.7, 1.075)], axes.transAxes)
        ticks = [0.5, 1, 2, 4, 8, 16]
        axes.set_xticks(np.log2(ticks), [f"{tick:g}" for tick in ticks])
        axes.set_xlabel("temperature T", fontsize=LABEL_SIZE, labelpad=1)
        axes.set_yticks([0, 0.25, 0.5, 0.75, 1], ["0", "", "0.5", "", "1"] if with_scale else [])
        if with_scale:
            axes.set_ylabel("alpha (1: label only)", fontsize=LABEL_SIZE, labelpad=1)
        axes.tick_params(labelsize=LABEL_SIZE)

    @property
    def moving(self) -> list[Artist]:
        return [self.heat, self.mark, self.value.artist, self.ends.artist]

    def show(self, values: np.ndarray) -> None:
        """Draw another surface, dark where it is low."""
        low, high = values.min(), values.max()
        share = (values - low) / max(high - low, 1e-12)
        self.heat.set_data(np.floor(share * BANDS).clip(max=BANDS - 1) / (BANDS - 1))
        self.span = f"{low:.2f} to {high:.2f}"
        self.ends.write([f"{low:.2f}", f"{high:.2f}"])

    def point(self, temperature: float, alpha: float, value: float) -> None:
        self.mark.set_data([np.log2(temperature)], [alpha])
        self.value.write([f"{self.name}: {value:.2f}"])


def _agreement(pulls: np.ndarray) -> str:
    """``, cosine between the two 0.93``, where both parts pull at all."""
    hard, soft = np.linalg.norm(pulls, axis=1)
    if min(hard, soft) < 1e-6:
        return ""
    cosine = float(np.clip(pulls[0] @ pulls[1] / (hard * soft), -1, 1))
    return f", the cosine between the two {cosine:+.2f}"


def _round_above(size: float) -> float:
    """The next of 0.01, 0.02, 0.05, 0.1, ... that is not below ``size``: an axis that changes seldom."""
    for end in (digit * 10.0**power for power in range(-2, 4) for digit in (1, 2, 5)):
        if size <= end:
            return round(end, 2)
    return size
