"""The temperature slider: what a teacher says of a test image at T, and what Eq. 1 makes of it for the student."""

from collections.abc import Sequence
from typing import TYPE_CHECKING

import numpy as np
from matplotlib.artist import Artist
from matplotlib.axes import Axes
from matplotlib.figure import Figure

from classroom.sliders.drawing import LABEL_SIZE, ORANGE, SKY, Labels, explorer
from classroom.sliders.gallery import Gallery, choose
from classroom.sliders.softening import Terms, entropy_bits, loss_terms, softened
from course_lib.look import BLACK, BLUE, VERMILION
from course_lib.study.store import Logits

if TYPE_CHECKING:
    import ipywidgets
    import torch

LOWEST_TEMPERATURE, HIGHEST_TEMPERATURE = 0.5, 20.0


def temperature_explorer(
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
    """Sliders over T, alpha and the test image: what the teacher says of it, and Eq. 1 for the student.

    Args:
        teacher, student: ``results.load_logits(...)`` of two networks for the same test images.
        images: uint8 (M, 3, 32, 32), all of these test images or some of them.
        classes: the name of every label.
        rows: (M,) the row of the logits that belongs to each image; by default they are aligned. For the images of
            ``load_dataset("cifar10", "sample")`` and logits of the whole test set it is ``data.sample_test_rows()``.
        temperature, alpha, picture: where the sliders stand first. The ``gallery.PICTURES`` pictures are drawn from all
            classes alike and sorted by the teacher's doubt (its entropy at T = 1): it is surest of picture 0. None:
            the middle.

    Raises:
        ValueError: the parts do not fit one another, or a slider has no such position.
    """
    panel = _TemperaturePicture(choose(teacher, student, images, classes, rows))
    return eq1_explorer(panel, temperature, alpha, picture, css="course")


def eq1_explorer(panel, temperature: float, alpha: float, picture: int | None, css: str) -> "ipywidgets.VBox":
    """Sliders over T, alpha and the test image for a picture of a Gallery; their CSS classes begin with ``css``.

    Raises:
        ValueError: a slider has no such position.
    """
    from ipywidgets import FloatSlider, IntSlider

    if not LOWEST_TEMPERATURE <= temperature <= HIGHEST_TEMPERATURE:
        raise ValueError(f"temperature={temperature} is no position of the slider: choose 0.5 to 20")
    picture = panel.middle if picture is None else picture
    panel.draw(temperature, alpha, picture)  # refuses what the sliders would silently move into their range
    span = {"min": LOWEST_TEMPERATURE, "max": HIGHEST_TEMPERATURE, "step": 0.5}
    hot = FloatSlider(temperature, **span, description="T", readout_format=".1f")
    weight = FloatSlider(alpha, min=0, max=1, step=0.05, description="alpha")
    number = IntSlider(picture, min=0, max=len(panel.gallery.labels) - 1, description="picture")
    for slider, name in ((hot, "temperature"), (weight, "alpha"), (number, "picture")):
        slider.add_class(f"{css}-{name}")
    return explorer(panel, [hot, weight, number])


def temperature_figure(
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
    """What :func:`temperature_explorer` shows at these settings, as a figure with its words in ``report.alt_text``.

    Raises:
        ValueError: the parts do not fit one another, T is not above 0, alpha outside 0..1, or there is no such picture.
    """
    panel = _TemperaturePicture(choose(teacher, student, images, classes, rows))
    panel.draw(temperature, alpha, panel.middle if picture is None else picture)
    return panel.figure


class _TemperaturePicture:
    """The test image, both networks' softened probabilities, the entropy and the loss; ``draw`` changes them."""

    def __init__(self, gallery: Gallery) -> None:
        self.gallery = gallery
        self.middle = len(gallery.labels) // 2
        self.figure = Figure(figsize=(10, 4.4), dpi=100)
        self.title = self.figure.text(0.012, 0.935, "", fontsize=11, weight="bold")
        self.figure.text(0.012, 0.875, gallery.networks, fontsize=LABEL_SIZE)
        self._add_image(self.figure.add_axes((0.012, 0.1, 0.27, 0.61)))
        self._add_probabilities(self.figure.add_axes((0.375, 0.1, 0.24, 0.61)))
        self._add_entropy(self.figure.add_axes((0.79, 0.6, 0.195, 0.11)))
        self._add_loss(self.figure.add_axes((0.79, 0.1, 0.195, 0.31)))

    @property
    def moving(self) -> list[Artist]:
        bars = [
            *self.soft_bars,
            *self.plain_bars,
            self.entropy,
            self.plain_entropy,
            *self.loss_bars,
        ]
        labels = [labels.artist for labels in (self.soft_numbers, self.student_numbers, self.loss_numbers)]
        return [
            self.image,
            self.caption,
            *bars,
            self.markers,
            *labels,
            self.entropy_title,
            self.title,
        ]

    def _add_image(self, axes: Axes) -> None:
        axes.axis("off")
        self.image = axes.imshow(self.gallery.images[0], interpolation="nearest")
        self.caption = axes.text(0, 1.03, "", transform=axes.transAxes, fontsize=9)

    def _add_probabilities(self, axes: Axes) -> None:
        rows = range(len(self.gallery.classes))
        nothing = np.zeros(len(rows))
        self.soft_bars = axes.barh(rows, nothing, color=SKY, label="teacher at T")
        self.plain_bars = axes.barh(rows, nothing, facecolor="none", edgecolor=BLACK, label="teacher at T = 1")
        self.markers = axes.plot(nothing, rows, "D", color=VERMILION, markersize=6, label="student at T")[0]
        place = axes.get_yaxis_transform()  # x in widths of the axes, y in rows
        for x, words in ((1.17, "teacher"), (1.39, "student")):
            axes.text(x, -0.85, words, transform=place, ha="right", va="center", fontsize=LABEL_SIZE)
        self.soft_numbers = Labels(axes, [(1.17, row) for row in rows], place, right=True)
        self.student_numbers = Labels(axes, [(1.39, row) for row in rows], place, right=True)
        axes.set_xlim(0, 1.03)
        axes.set_ylim(len(rows) - 0.5, -0.5)
        axes.set_yticks(rows, self.gallery.classes)
        axes.tick_params(labelsize=LABEL_SIZE)
        axes.set_xlabel("probability", fontsize=LABEL_SIZE, labelpad=1)
        handles = [self.soft_bars, self.plain_bars, self.markers]
        place = {"loc": "lower left", "bbox_to_anchor": (-0.35, 1.07)}
        axes.legend(handles=handles, **place, ncols=3, frameon=False, fontsize=LABEL_SIZE)
        axes.spines[["top", "right"]].set_visible(False)

    def _add_entropy(self, axes: Axes) -> None:
        most = np.log2(len(self.gallery.classes))
        self.entropy = axes.barh([0], [0], color=SKY)[0]
        self.plain_entropy = axes.barh([0], [0], facecolor="none", edgecolor=BLACK)[0]
        self.entropy_title = axes.text(-0.3, 1.15, "", transform=axes.transAxes, fontsize=9)
        axes.set_xlim(0, most)
        axes.set_xticks([0, 1, 2, 3] if most > 3 else [0, most])
        axes.tick_params(labelsize=LABEL_SIZE)
        axes.set_yticks([0], ["bits"])

    def _add_loss(self, axes: Axes) -> None:
        self.loss_bars = axes.barh([0, 1, 2, 2], [0, 0, 0, 0], color=[ORANGE, BLUE, ORANGE, BLUE])
        self.loss_numbers = Labels(axes, [(0, row) for row in range(3)], axes.transData)
        axes.text(-0.3, 1.08, "Student's loss (nats)", transform=axes.transAxes, fontsize=9)
        axes.set_xlim(0, 1.3)  # in units of the largest part that the picture can have
        axes.set_xticks([])
        axes.set_xlabel("(each picture has its own scale)", fontsize=LABEL_SIZE)
        axes.set_yticks(range(3), ["hard: CE", "soft: T²·KL", "Eq. 1"])
        axes.set_ylim(2.5, -0.5)
        axes.tick_params(labelsize=LABEL_SIZE)
        axes.spines[["top", "right"]].set_visible(False)

    def draw(self, temperature: float, alpha: float, picture: int) -> str:
        """Show these settings; returns the key numbers in words.

        Raises:
            ValueError: T is not above 0, alpha lies outside 0..1, or there is no such picture.
        """
        gallery = self.gallery
        if not 0 <= picture < len(gallery.labels):
            raise ValueError(f"there is no picture {picture}: choose 0 to {len(gallery.labels) - 1}")
        teacher, student, label = (
            gallery.teacher[picture],
            gallery.student[picture],
            gallery.labels[picture],
        )
        terms = loss_terms(teacher, student, label, temperature, alpha)
        plain, soft = softened(teacher, 1.0), softened(teacher, temperature)
        self._draw_image(picture)
        self._draw_probabilities(plain, soft, softened(student, temperature))
        self._draw_entropy(plain, soft)
        self._draw_loss(terms, alpha, _highest_term(teacher, student, label, temperature))
        self.title.set_text(f"T = {temperature:g}, alpha = {alpha:.2f}: Eq. 1 gives {terms.total:.2f}")
        words = _softening_words(gallery, picture, temperature, alpha, terms)
        self.figure.set_label(
            f"A test image, bars for the teacher's probabilities, its entropy, and the parts of the loss. {words}"
        )
        return words

    def _draw_image(self, picture: int) -> None:
        gallery = self.gallery
        self.image.set_data(gallery.images[picture])
        self.caption.set_text(f"test image {gallery.places[picture]}: {gallery.classes[gallery.labels[picture]]}")

    def _draw_probabilities(self, plain: np.ndarray, soft: np.ndarray, student: np.ndarray) -> None:
        for row, (before, now) in enumerate(zip(plain, soft, strict=True)):
            self.plain_bars[row].set_width(before)
            self.soft_bars[row].set_width(now)
        self.markers.set_xdata(student)
        self.soft_numbers.write([f"{p:.2f}" for p in soft])
        self.student_numbers.write([f"{p:.2f}" for p in student])

    def _draw_entropy(self, plain: np.ndarray, soft: np.ndarray) -> None:
        now, most = entropy_bits(soft), np.log2(len(soft))
        self.entropy.set_width(now)
        self.plain_entropy.set_width(entropy_bits(plain))
        self.entropy_title.set_text(f"Teacher's entropy: {now:.2f} of {most:.2f}")

    def _draw_loss(self, terms: Terms, alpha: float, highest: float) -> None:
        weighted_hard, weighted_soft = alpha * terms.hard, (1 - alpha) * terms.soft
        for bar, value in zip(self.loss_bars, (terms.hard, terms.soft, weighted_hard, weighted_soft), strict=True):
            bar.set_width(value / highest)
        self.loss_bars[3].set_x(weighted_hard / highest)
        shown = (terms.hard, terms.soft, terms.total)
        ends = [(value / highest, row) for row, value in enumerate(shown)]
        self.loss_numbers.write([f"{value:.2f}" for value in shown], ends)


def _highest_term(teacher: np.ndarray, student: np.ndarray, label: int, temperature: float) -> float:
    """The larger part of Eq. 1 at its highest over the slider's temperatures: an axis that only the picture moves."""
    temperatures = (LOWEST_TEMPERATURE, 1.0, 2.0, 4.0, 8.0, HIGHEST_TEMPERATURE, temperature)
    highest = max(max(loss_terms(teacher, student, label, t, 1.0)[1:]) for t in temperatures)
    return max(highest, 0.1)  # where both networks are certain and right, let next to nothing look like it


def _softening_words(gallery: Gallery, picture: int, temperature: float, alpha: float, terms: Terms) -> str:
    plain, soft = (softened(gallery.teacher[picture], t) for t in (1.0, temperature))
    first, *others = np.argsort(-soft, kind="stable")[:3]
    likely = f"{gallery.classes[first]} {soft[first]:.2f} ({plain[first]:.2f} at T = 1), " + ", ".join(
        f"{gallery.classes[other]} {soft[other]:.2f}" for other in others
    )
    return (
        f"T = {temperature:g}, alpha = {alpha:.2f}, test image {gallery.places[picture]} "
        f"({gallery.classes[gallery.labels[picture]]}): the teacher gives {likely}; "
        f"entropy {entropy_bits(soft):.2f} of {np.log2(len(soft)):.2f} bits; "
        f"hard loss {terms.hard:.2f}, T²·KL {terms.soft:.2f}; "
        f"Eq. 1: {alpha:.2f} × {terms.hard:.2f} + {1 - alpha:.2f} × {terms.soft:.2f} = {terms.total:.2f}."
    )
