"""The ensemble slider: which of the published networks to average, and how; what becomes of the soft target."""

import itertools
import math
from collections.abc import Mapping, Sequence
from typing import NamedTuple

import numpy as np
from matplotlib.axes import Axes

from classroom.sliders.controls import Choice, Slider, Ticks
from classroom.sliders.drawing import SKY, Labels, Picture, moves, room
from classroom.sliders.gallery import PICTURES, aligned
from classroom.sliders.softening import entropy_bits, softened
from course_lib import look
from course_lib.look import BLACK, BLUE, VERMILION
from course_lib.models import DISPLAY_NAMES
from course_lib.study.experiments import PUBLISHED
from course_lib.study.store import Logits, load_logits

HOWS = ("mean of logits", "mean of probabilities")
MOST_MEMBERS = 6  # with so many there are 63 choices, all of which are drawn


def stored_members() -> dict[str, Logits]:
    """The published networks' test logits by display name (``ResNet-20``), the smallest first; ``meta`` has the origin.

    Raises:
        ResultError: a file is missing or damaged.
    """
    return {DISPLAY_NAMES[name]: load_logits(name) for name in PUBLISHED}


class Measures(NamedTuple):
    """An ensemble on all test images: accuracy in percent, loss in nats, mean entropy of its answers in bits.

    ``differ``: share of images on which two of its members answer differently, in percent; ``together``: how many times
    as often two of them are both wrong as independent ones would be. Both are means over the pairs, NaN for one member.
    """

    accuracy: float
    loss: float
    entropy: float
    differ: float
    together: float


class Pool:
    """The members' answers, and what any choice of them comes to; a choice is ticks (K,) in the order of ``names``."""

    def __init__(self, members: Mapping[str, Logits]) -> None:
        """Raises ValueError: no member or too many, or logits of different images."""
        if not 1 <= len(members) <= MOST_MEMBERS:
            raise ValueError(f"an ensemble here has 1 to {MOST_MEMBERS} members to choose from, not {len(members)}")
        first = next(iter(members.values()))
        for name, network in members.items():
            if network.logits.shape != first.logits.shape or not np.array_equal(network.labels, first.labels):
                raise ValueError(f"the logits of {name} are not of the same images as the others'")
        self.names, self.labels = tuple(members), np.asarray(first.labels)
        self.logits = np.stack([np.asarray(network.logits, dtype=np.float32) for network in members.values()])
        self.soft = softened(self.logits, 1.0)
        self.answers = self.logits.argmax(axis=2)
        self.accuracies = 100 * (self.answers == self.labels).mean(axis=1)

    def probabilities(self, ticks: Sequence[bool], how: str) -> np.ndarray:
        """The soft target (N, C) of the members chosen."""
        chosen = np.asarray(ticks, dtype=bool)
        return self.soft[chosen].mean(axis=0) if how == HOWS[1] else softened(self.logits[chosen].mean(axis=0), 1.0)

    def measure(self, ticks: Sequence[bool], how: str) -> tuple[Measures, np.ndarray]:
        """The measures of the members chosen, and their soft target (N, C)."""
        p = self.probabilities(ticks, how)
        of_label = p[np.arange(len(p)), self.labels]
        pairs = list(itertools.combinations(self.answers[np.asarray(ticks, dtype=bool)], 2))
        measures = Measures(
            accuracy=100 * float((p.argmax(axis=1) == self.labels).mean()),
            loss=float(-np.log(np.maximum(of_label, 1e-12)).mean()),
            entropy=float(entropy_bits(p).mean()),
            differ=100 * float(np.mean([(a != b).mean() for a, b in pairs])) if pairs else math.nan,
            together=float(np.mean([self._together(a, b) for a, b in pairs])) if pairs else math.nan,
        )
        return measures, p

    def _together(self, a: np.ndarray, b: np.ndarray) -> float:
        wrong_a, wrong_b = a != self.labels, b != self.labels
        independent = wrong_a.mean() * wrong_b.mean()
        return float((wrong_a & wrong_b).mean() / independent) if independent else math.nan

    def choices(self, how: str) -> tuple[np.ndarray, np.ndarray]:
        """Number of members (S,) and accuracy in percent (S,) of every choice of at least one member."""
        ticks = np.array(list(itertools.product((False, True), repeat=len(self.names)))[1:])
        right = [(self.probabilities(row, how).argmax(axis=1) == self.labels).mean() for row in ticks]
        return ticks.sum(axis=1), 100 * np.array(right)


class Ensemble(Picture):
    """The test image, the soft target of the chosen members' mean, all possible choices, and the members.

    Settings: the names ``chosen`` (all at first); ``how``, the kind of mean, one of ``HOWS``; the number of the
    ``picture``: they are sorted by how much the members disagree on them, least on picture 0.
    """

    shows = "A test image, bars for the ensemble with a dot a member, the accuracy of all choices, and of each member."
    see = "Averaging helps less than it would with independent members: they are often wrong together."

    @look.styled()
    def __init__(self, members: Mapping[str, Logits], images, classes, *, rows=None) -> None:
        """``members``: name to logits (``stored_members()``); the others as :func:`gallery.aligned`.

        Raises:
            ValueError: the parts do not fit one another.
        """
        super().__init__(8.6, 5.6)
        self.pool, self.classes = Pool(members), tuple(classes)
        images, everywhere = aligned(images, classes, rows, self.pool.soft.shape[1:])
        soft = self.pool.soft[:, everywhere]
        doubt = entropy_bits(soft.mean(axis=0)) - entropy_bits(soft).mean(axis=0)
        order = np.argsort(doubt, kind="stable")
        order = order[np.unique(np.linspace(0, len(order) - 1, PICTURES).round().astype(int))]
        self.places, self.images = everywhere[order], images[order]
        self.clouds = {how: self.pool.choices(how) for how in HOWS}
        self.controls = {
            "chosen": Ticks(self.pool.names, self.pool.names),
            "how": Choice(HOWS[0], HOWS, "take the"),
            "picture": Slider(len(order) - 1, 0, len(order) - 1, 1, "picture"),
        }
        self.image, self.caption = self.photo((0.012, 0.46, 0.21, 0.38), self.images[0])
        places = [(0, -0.1 - 0.14 * line) for line in range(4)]
        self.numbers = Labels(self.image.axes, places, self.image.axes.transAxes, gap=0)
        self._add_answer(self.panel((0.345, 0.09, 0.165, 0.7), x="probability of its classes"))
        self._add_cloud(self.panel((0.725, 0.57, 0.26, 0.27), "Accuracy (%); ring: your choice", "members"))
        self._add_members(self.panel((0.725, 0.09, 0.26, 0.3), x="accuracy (%); full: chosen"))

    def _add_answer(self, axes: Axes) -> None:
        lines = range(len(self.classes))
        self.bars = moves(axes.barh(lines, np.zeros(len(lines)), color=SKY, label="ensemble"))
        (self.dots,) = moves(axes.plot([], [], "o", color=BLACK, markersize=4, alpha=0.6, label="each chosen member"))
        self.shares = Labels(axes, [(1.28, line) for line in lines], axes.get_yaxis_transform(), right=True)
        axes.set(xlim=(0, 1.03), ylim=(len(lines) - 0.5, -0.5))
        axes.set_yticks(lines, self.classes)
        style = {"ncols": 2, "frameon": False, "columnspacing": 1, "handlelength": 1.2}
        axes.legend(handles=[self.bars, self.dots], loc="lower left", bbox_to_anchor=(-0.5, 0.99), **style)

    def _add_cloud(self, axes: Axes) -> None:
        most = len(self.pool.names)
        (self.points,) = moves(axes.plot([], [], "o", color=BLUE, markersize=4, alpha=0.6))
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
        axes.set(ylim=(len(names) - 0.5, -0.7), xlim=room(everything, above=0.3))
        look.dress(axes, "x")

    def draw(self, chosen: Sequence[str], how: str, picture: int) -> str:
        place = self.places[picture]
        self.image.set_data(self.images[picture])
        self.caption.write([f"test image {place}: {self.classes[self.pool.labels[place]]}"])
        ticks = np.array([name in chosen for name in self.pool.names])
        self.points.set_data(*self.clouds[how])
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
        self.numbers.write(["nobody to ask"] + [""] * 3)
        return words

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
        (best, second), pairs = np.argsort(-p, kind="stable")[:2], ""
        if math.isfinite(measures.together):
            pairs = (
                f" Two of them answer differently on {measures.differ:.1f} % of the images, and are both wrong "
                f"{measures.together:.2f} times as often as independent ones."
            )
        return (
            f"{names}; {how}: accuracy {measures.accuracy:.2f} % of {len(self.pool.labels):,} test images, "
            f"loss {measures.loss:.3f}, entropy {measures.entropy:.2f} bits.{pairs} Test image {place} "
            f"({self.classes[self.pool.labels[place]]}): {self.classes[best]} {p[best]:.2f}, "
            f"{self.classes[second]} {p[second]:.2f}."
        )


def _table(measures: Measures) -> list[str]:
    """The ensemble's numbers under the picture, a line each."""
    lines = [f"cross-entropy {measures.loss:.3f} nats", f"entropy of answers {measures.entropy:.2f} bits"]
    if not math.isfinite(measures.together):
        return [*lines, "one member: no pair", ""]
    return [*lines, f"two differ on {measures.differ:.1f} %", f"both wrong {measures.together:.1f} x independent"]
