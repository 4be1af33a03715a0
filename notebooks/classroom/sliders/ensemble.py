"""The ensemble slider: which networks to average, and how; what becomes of accuracy, loss and the soft target."""

import math
from collections.abc import Mapping, Sequence

import numpy as np
from matplotlib.axes import Axes

from classroom.sliders.controls import Choice, Slider, Ticks
from classroom.sliders.drawing import SKY, Labels, Picture, moves, room
from classroom.sliders.gallery import PICTURES, aligned
from classroom.sliders.pool import HOWS, Measures, Pool
from classroom.sliders.softening import entropy_bits
from course_lib import look
from course_lib.look import BLACK, BLUE, VERMILION
from course_lib.study.store import Logits


class Ensemble(Picture):
    """The test image, the soft target of the chosen members' mean, all possible choices, and the members.

    Settings: the names ``chosen`` (all at first); ``how``, the kind of mean, one of ``pool.HOWS``; the number of the
    ``picture``: they are sorted by how much the members disagree on them, least on picture 0.
    """

    shows = (
        "A test image, bars for the ensemble's probabilities with a dot for each member, the accuracy of the possible "
        "choices, and that of each member."
    )

    @look.styled()
    def __init__(self, members: Mapping[str, Logits], images, classes, *, rows=None) -> None:
        """``members``: name to logits, 12 at most (``stored_members()``); the others as :func:`gallery.aligned`.

        Raises:
            ValueError: the parts do not fit one another.
        """
        super().__init__(10, 5.6)
        self.pool, self.classes = Pool(members), tuple(classes)
        images, everywhere = aligned(images, classes, rows, self.pool.soft.shape[1:])
        soft = self.pool.soft[:, everywhere].astype(np.float64)
        doubt = entropy_bits(soft.mean(axis=0)) - entropy_bits(soft).mean(axis=0)
        order = np.argsort(doubt, kind="stable")
        order = order[np.unique(np.linspace(0, len(order) - 1, PICTURES).round().astype(int))]
        self.places, self.images = everywhere[order], images[order]
        self.clouds = {how: self.pool.cloud(how) for how in HOWS}
        self.controls = {
            "chosen": Ticks(self.pool.names, self.pool.names),
            "how": Choice(HOWS[0], HOWS, "take the"),
            "picture": Slider(len(order) // 2, 0, len(order) - 1, 1, "picture"),
        }
        self.image, self.caption = self.photo((0.012, 0.46, 0.21, 0.38), self.images[0])
        self.numbers = Labels(
            self.image.axes, [(0, -0.1 - 0.14 * line) for line in range(5)], self.image.axes.transAxes, gap=0
        )
        self._add_answer(self.panel((0.33, 0.09, 0.175, 0.7), x="probability of its classes"))
        self._add_cloud(self.panel((0.725, 0.57, 0.26, 0.27), "Accuracy (%); ring: your choice", "members"))
        self._add_members(self.panel((0.725, 0.09, 0.26, 0.3), x="accuracy (%); full: chosen"))

    def _add_answer(self, axes: Axes) -> None:
        lines = range(len(self.classes))
        self.bars = moves(axes.barh(lines, np.zeros(len(lines)), color=SKY, label="ensemble"))
        (self.dots,) = moves(axes.plot([], [], "o", color=BLACK, markersize=4, alpha=0.6, label="each chosen member"))
        self.shares = Labels(axes, [(1.21, line) for line in lines], axes.get_yaxis_transform(), right=True)
        axes.set(xlim=(0, 1.03), ylim=(len(lines) - 0.5, -0.5))
        axes.set_yticks(lines, self.classes)
        style = {"ncols": 2, "frameon": False, "columnspacing": 1, "handlelength": 1.2}
        axes.legend(handles=[self.bars, self.dots], loc="lower left", bbox_to_anchor=(-0.5, 0.99), **style)

    def _add_cloud(self, axes: Axes) -> None:
        most = len(self.pool.names)
        (self.points,) = moves(axes.plot([], [], ".", color=BLUE, markersize=4, alpha=0.5))
        ring = {"color": VERMILION, "markersize": 11, "fillstyle": "none", "markeredgewidth": 2}
        (self.ring,) = moves(axes.plot([], [], "o", **ring))
        heights = np.concatenate([accuracy for _, accuracy in self.clouds.values()])
        axes.set(xlim=(0.5, most + 0.5), xticks=range(1, most + 1), ylim=room(heights))
        look.dress(axes)

    def _add_members(self, axes: Axes) -> None:
        names, accuracies = self.pool.names, self.pool.accuracies
        axes.plot(accuracies, range(len(names)), "o", color=BLUE, markersize=7, fillstyle="none")
        (self.filled,) = moves(axes.plot([], [], "o", color=BLUE, markersize=7))
        self.line = moves(axes.axvline(0, color=VERMILION, linewidth=1.5))
        self.line_label = moves(axes.text(0, -0.95, "ensemble", color=VERMILION, ha="center"))
        axes.set_yticks(range(len(names)), names)
        everything = np.concatenate([accuracies, *(accuracy for _, accuracy in self.clouds.values())])
        axes.set(ylim=(len(names) - 0.5, -0.7), xlim=room(everything))
        look.dress(axes, "x")

    def draw(self, chosen: Sequence[str], how: str, picture: int) -> str:
        """Show the mean of the chosen members; returns the key numbers in words."""
        place = self.places[picture]
        self.image.set_data(self.images[picture])
        self.caption.write([f"test image {place}: {self.classes[self.pool.labels[place]]}"])
        self._draw_cloud(how)
        ticks = np.array([name in chosen for name in self.pool.names])
        if not ticks.any():
            return self._draw_nobody()
        measures, p = self.pool.measure(ticks, how)
        self._draw_answer(p[place], self.pool.soft[ticks, place])
        self._draw_choice(ticks, measures)
        names = ", ".join(chosen)
        title = f"{len(chosen)} of {len(ticks)} members, {how}" if len(chosen) > 1 else f"{names} alone"
        self.title.write([f"{title}: {measures.accuracy:.2f} % right"])
        self.numbers.write(_table(measures))
        return self._words(names, how, place, measures, p[place])

    def _draw_nobody(self) -> str:
        words = "No member is chosen: tick one at least."
        self._draw_answer(np.zeros(len(self.classes)), np.zeros((0, len(self.classes))))
        for artist in (self.ring, self.filled):
            artist.set_data([], [])
        self.line.set_visible(False)
        self.line_label.set_text("")
        self.title.write([words])
        self.numbers.write(["nobody to ask"] + [""] * 4)
        return words

    def _draw_cloud(self, how: str) -> None:
        sizes, accuracies = self.clouds[how]
        aside = 0.5 * (np.arange(len(sizes)) * 0.618 % 1 - 0.5)  # spread, so that points do not hide one another
        self.points.set_data(sizes + np.where(sizes == len(self.pool.names), 0, aside), accuracies)

    def _draw_answer(self, p: np.ndarray, members: np.ndarray) -> None:
        for bar, share in zip(self.bars, p, strict=True):
            bar.set_width(share)
        self.dots.set_data(members.ravel(), np.tile(np.arange(len(p)), len(members)))
        self.shares.write([f"{share:.2f}" for share in p])

    def _draw_choice(self, ticks: np.ndarray, measures: Measures) -> None:
        who = np.flatnonzero(ticks)
        self.ring.set_data([len(who)], [measures.accuracy])
        self.filled.set_data(self.pool.accuracies[who], who)
        self.line.set_visible(True)
        self.line.set_xdata([measures.accuracy, measures.accuracy])
        self.line_label.set_x(measures.accuracy)
        self.line_label.set_text("ensemble")

    def _words(self, names: str, how: str, place: int, measures: Measures, p: np.ndarray) -> str:
        best, second = np.argsort(-p, kind="stable")[:2]
        pairs = (
            f" Two of them answer differently on {measures.differ:.1f} % of the images, and are both wrong "
            f"{measures.together:.2f} times as often as independent ones."
            if math.isfinite(measures.together)
            else ""
        )
        return (
            f"{names}; {how}: accuracy {measures.accuracy:.2f} % of {len(self.pool.labels):,} test images, "
            f"loss {measures.loss:.3f}, entropy {measures.entropy:.2f} bits, mean confidence "
            f"{measures.confidence:.1f} %.{pairs} Test image {place} "
            f"({self.classes[self.pool.labels[place]]}): {self.classes[best]} {p[best]:.2f}, "
            f"{self.classes[second]} {p[second]:.2f}."
        )


def _table(measures: Measures) -> list[str]:
    """The ensemble's numbers under the picture, a line each."""
    lines = [
        f"cross-entropy {measures.loss:.3f} nats",
        f"entropy of answers {measures.entropy:.2f} bits",
        f"confidence {measures.confidence:.1f} %, right {measures.accuracy:.1f} %",
    ]
    if not math.isfinite(measures.together):
        return [*lines, "one member: no pair", ""]
    return [*lines, f"two differ on {measures.differ:.1f} %", f"both wrong {measures.together:.2f} x independent"]
