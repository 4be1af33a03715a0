"""The temperature slider: what a teacher says of a test image at T, and what Eq. 1 makes of it for the student."""

import numpy as np
from matplotlib.axes import Axes

from classroom.sliders.controls import Slider
from classroom.sliders.drawing import ORANGE, SKY, Labels, Picture, moves
from classroom.sliders.gallery import Gallery, choose
from classroom.sliders.softening import Terms, entropy_bits, loss_terms, softened
from course_lib import look
from course_lib.look import BLACK, BLUE, VERMILION

LOWEST_TEMPERATURE, HIGHEST_TEMPERATURE = 0.5, 20.0


class Eq1Picture(Picture):
    """A picture of Eq. 1 for one of the test images of a :class:`Gallery`.

    Settings: ``temperature``, ``alpha`` and the number of the ``picture``. The pictures are drawn from all classes
    alike and sorted by the teacher's doubt (its entropy at T = 1): it is surest of picture 0.
    """

    def __init__(self, height: float, gallery: Gallery) -> None:
        super().__init__(8.6, height, gallery.networks)
        self.gallery = gallery
        last = len(gallery.labels) - 1
        self.controls = {
            "temperature": Slider(4.0, LOWEST_TEMPERATURE, HIGHEST_TEMPERATURE, 0.5, "T", digits=1),
            "alpha": Slider(0.5, 0.0, 1.0, 0.05, "alpha", digits=2),
            "picture": Slider((last + 1) // 2, 0, last, 1, "picture"),
        }

    def logits(self, picture: int) -> tuple[np.ndarray, np.ndarray, int]:
        """The teacher's, the student's, and the label."""
        return self.gallery.teacher[picture], self.gallery.student[picture], self.gallery.labels[picture]

    def name(self, picture: int) -> tuple[int, str]:
        """Its place in the test set, and its class."""
        return self.gallery.places[picture], self.gallery.classes[self.gallery.labels[picture]]


class Temperature(Eq1Picture):
    """The test image, both networks' softened probabilities, the teacher's entropy, and the student's loss."""

    shows = "A test image, bars for the teacher's probabilities, its entropy, and the parts of the loss."
    see = "Raise T: the order of the classes stays, and their probabilities draw together."

    @look.styled()
    def __init__(self, teacher, student, images, classes, *, rows=None) -> None:
        """Of what :func:`classroom.sliders.gallery.choose` takes. Raises ValueError: the parts do not fit."""
        super().__init__(4.8, choose(teacher, student, images, classes, rows))
        self.image, self.caption = self.photo((0.012, 0.1, 0.225, 0.6), self.gallery.images[0])
        self._add_probabilities(self.panel((0.36, 0.1, 0.205, 0.6), x="probability"))
        self._add_loss(self.panel((0.83, 0.1, 0.16, 0.4), x="(each picture has its own scale)"))

    def _add_probabilities(self, axes: Axes) -> None:
        rows = range(len(self.gallery.classes))
        nothing = np.zeros(len(rows))
        self.soft_bars = moves(axes.barh(rows, nothing, color=SKY, label="teacher at T"))
        self.plain_bars = moves(axes.barh(rows, nothing, facecolor="none", edgecolor=BLACK, label="teacher at T = 1"))
        (self.markers,) = moves(axes.plot(nothing, rows, "D", color=VERMILION, markersize=6, label="student at T"))
        place = axes.get_yaxis_transform()  # x in widths of the axes, y in rows
        for x, words in ((1.25, "teacher"), (1.6, "student")):
            axes.text(x, -0.85, words, transform=place, ha="right", va="center")
        self.soft_numbers, self.student_numbers = (
            Labels(axes, [(x, row) for row in rows], place, right=True, gap=0) for x in (1.25, 1.6)
        )
        axes.set(xlim=(0, 1.03), ylim=(len(rows) - 0.5, -0.5))
        axes.set_yticks(rows, self.gallery.classes)
        style = {"ncols": 3, "frameon": False, "columnspacing": 1, "handlelength": 1.5}
        handles = [self.soft_bars, self.plain_bars, self.markers]
        axes.legend(handles=handles, loc="lower left", bbox_to_anchor=(-0.4, 1.09), **style)

    def _add_loss(self, axes: Axes) -> None:
        self.loss_bars = moves(axes.barh([0, 1, 2, 2], [0, 0, 0, 0], color=[ORANGE, BLUE, ORANGE, BLUE]))
        self.loss_numbers = Labels(axes, [(0, row) for row in range(3)], axes.transData)
        self.entropy = Labels(axes, [(-0.52, 1.45), (-0.52, 1.32)], axes.transAxes, gap=0)
        axes.text(-0.52, 1.05, "Student's loss (nats)", transform=axes.transAxes)
        axes.xaxis.label.set(x=0.98, ha="right")
        axes.set(xlim=(0, 1.4), xticks=[], ylim=(2.5, -0.5))  # in units of the largest part that the picture can have
        axes.set_yticks(range(3), ["hard: CE", "soft: T²·KL", "Eq. 1"])

    def draw(self, temperature: float, alpha: float, picture: int) -> str:
        teacher, student, label = parts = self.logits(picture)
        terms = loss_terms(*parts, temperature, alpha)
        plain, soft = softened(teacher, 1.0), softened(teacher, temperature)
        place, name = self.name(picture)
        self.image.set_data(self.gallery.images[picture])
        self.caption.write([f"test image {place}: {name}"])
        self._draw_probabilities(plain, soft, softened(student, temperature))
        self._draw_loss(terms, alpha, _highest_term(*parts, temperature))
        bits, most = entropy_bits(soft), np.log2(len(soft))
        self.entropy.write(["Teacher's entropy:", f"{bits:.2f} of {most:.2f} bits"])
        self.title.write([f"T = {temperature:g}, alpha = {alpha:.2f}: Eq. 1 gives {terms.total:.2f}"])
        return (
            f"T = {temperature:g}, alpha = {alpha:.2f}, test image {place} ({name}): the teacher gives "
            f"{self._likely(plain, soft)}; entropy {bits:.2f} of {most:.2f} bits; "
            f"hard loss {terms.hard:.2f}, T²·KL {terms.soft:.2f}; "
            f"Eq. 1: {alpha:.2f} × {terms.hard:.2f} + {1 - alpha:.2f} × {terms.soft:.2f} = {terms.total:.2f}."
        )

    def _draw_probabilities(self, plain: np.ndarray, soft: np.ndarray, student: np.ndarray) -> None:
        for bars, shares in ((self.plain_bars, plain), (self.soft_bars, soft)):
            for bar, share in zip(bars, shares, strict=True):
                bar.set_width(share)
        self.markers.set_xdata(student)
        self.soft_numbers.write([f"{p:.2f}" for p in soft])
        self.student_numbers.write([f"{p:.2f}" for p in student])

    def _draw_loss(self, terms: Terms, alpha: float, highest: float) -> None:
        weighted_hard, weighted_soft = alpha * terms.hard, (1 - alpha) * terms.soft
        for bar, value in zip(self.loss_bars, (terms.hard, terms.soft, weighted_hard, weighted_soft), strict=True):
            bar.set_width(value / highest)
        self.loss_bars[3].set_x(weighted_hard / highest)
        shown = (terms.hard, terms.soft, terms.total)
        ends = [(value / highest, row) for row, value in enumerate(shown)]
        self.loss_numbers.write([f"{value:.2f}" for value in shown], ends)

    def _likely(self, plain: np.ndarray, soft: np.ndarray) -> str:
        """The three likeliest classes in words."""
        classes = self.gallery.classes
        first, *others = np.argsort(-soft, kind="stable")[:3]
        named = [f"{classes[first]} {soft[first]:.2f} ({plain[first]:.2f} at T = 1)"]
        return ", ".join(named + [f"{classes[other]} {soft[other]:.2f}" for other in others])


def _highest_term(teacher: np.ndarray, student: np.ndarray, label: int, temperature: float) -> float:
    """The larger part of Eq. 1 at its highest over the slider's temperatures: an axis that only the picture moves."""
    temperatures = (LOWEST_TEMPERATURE, 1.0, 2.0, 4.0, 8.0, HIGHEST_TEMPERATURE, temperature)
    highest = max(max(loss_terms(teacher, student, label, t, 1.0)[1:]) for t in temperatures)
    return max(highest, 0.1)  # where both networks are certain and right, let next to nothing look like it
