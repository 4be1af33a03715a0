"""The ensemble slider: which networks to average, and how; what becomes of accuracy, loss and the soft target."""

import itertools
import math
from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import TYPE_CHECKING, NamedTuple

import numpy as np
from matplotlib.artist import Artist
from matplotlib.axes import Axes
from matplotlib.figure import Figure

from classroom.sliders.drawing import LABEL_SIZE, SKY, Labels, explorer
from classroom.sliders.softening import entropy_bits, softened
from course_lib.files import repo_path
from course_lib.look import BLACK, BLUE, VERMILION
from course_lib.models import DISPLAY_NAMES
from course_lib.study.store import Logits, load_logits

if TYPE_CHECKING:
    import ipywidgets
    import torch

HOWS = ("mean of logits", "mean of logits, equal voices", "mean of probabilities")
MOST_MEMBERS = 12  # check boxes that fit
MOST_CHOICES = 300  # points in the cloud of all choices
PICTURES = 40  # on the slider


def stored_members(profile: str | None = None) -> dict[str, Logits]:
    """The networks whose test logits ship, by a name for people (``GN-S 1.0x``), the best first.

    Args:
        profile: None for those of ``data/logits`` and then those of ``data/logits/members``, all of them; ``full`` or
            ``laptop`` for the networks without a teacher that the study left in that folder (recipe ``paper``), the
            best ``MOST_MEMBERS``.

    ``meta`` of each says where it comes from. Logits of other images than the first network's are left out.
    """
    folders = [(), ("members",)] if profile is None else [(profile,)]
    members: dict[str, Logits] = {}
    for folder in (repo_path("data", "logits", *parts) for parts in folders):
        stored = {path.stem: load_logits(path.stem, folder) for path in sorted(Path(folder).glob("*.npz"))}
        for stem, network in sorted(stored.items(), key=lambda item: -_accuracy(item[1])):
            first = next(iter(members.values()), network)
            alike = np.array_equal(network.labels, first.labels) and network.logits.shape == first.logits.shape
            if alike and (profile is None or _is_baseline(network.meta)):
                name = _display_name(stem, network.meta)
                members[name if name not in members else f"{name} ({stem})"] = network
    return members if profile is None else dict(list(members.items())[:MOST_MEMBERS])


def _is_baseline(meta: dict) -> bool:
    """Whether the study trained this network without a teacher, by the paper's recipe."""
    return "<" not in meta.get("key", "") and meta.get("recipe_name", "paper") == "paper"


def _accuracy(network: Logits) -> float:
    """In percent."""
    return 100 * float((np.asarray(network.logits).argmax(axis=1) == np.asarray(network.labels)).mean())


def _display_name(stem: str, meta: dict) -> str:
    """``GN-S 1.0x``; a plain network and another view of a network by its file's name."""
    model = DISPLAY_NAMES.get(meta.get("model"))
    if model is None or meta.get("view"):
        return stem
    return model + (f" {meta['width']:.1f}x" if meta.get("width") else "")


def ensemble_explorer(
    members: Mapping[str, Logits],
    images: "torch.Tensor | np.ndarray",
    classes: Sequence[str],
    *,
    rows: "torch.Tensor | Sequence[int] | None" = None,
    chosen: Sequence[str] | None = None,
    how: str = HOWS[0],
    picture: int | None = None,
) -> "ipywidgets.VBox":
    """A check box for each member, the kind of mean, and the test image: the ensemble of those that are ticked.

    Args:
        members: name to logits, all of the same test images, 12 at most: ``stored_members()``.
        images: uint8 (M, 3, 32, 32), all of these test images or some of them.
        classes: the name of every label.
        rows: (M,) the row of the logits that belongs to each image; by default they are aligned.
        chosen: names ticked first; by default all.
        how: one of ``HOWS``.
        picture: where that slider stands first. The ``PICTURES`` pictures are sorted by how much the members disagree
            on them: least on picture 0. None: the middle.

    Raises:
        ValueError: the parts do not fit one another, or there is no such member, mean or picture.
    """
    from ipywidgets import Checkbox, Dropdown, GridBox, IntSlider, Layout

    panel = _EnsemblePicture(members, images, classes, rows)
    picture = panel.middle if picture is None else picture
    ticked = panel.ticks(chosen)
    panel.draw(*ticked, how, picture)  # refuses what the widgets would silently change
    boxes = [Checkbox(tick, description=name, indent=False) for name, tick in zip(members, ticked, strict=True)]
    means = Dropdown(options=HOWS, value=how, description="take the")
    number = IntSlider(picture, min=0, max=len(panel.places) - 1, description="picture")
    for place, box in enumerate(boxes):
        box.add_class(f"course-member-{place}")
    means.add_class("course-mean")
    number.add_class("course-picture")
    shown = explorer(panel, [*boxes, means, number])
    for box in boxes:
        box.layout.width = "230px"
    grid = GridBox(boxes, layout=Layout(grid_template_columns="repeat(auto-fill, 240px)", width="100%"))
    shown.children = (grid, means, number, *shown.children[-2:])
    return shown


def ensemble_figure(
    members: Mapping[str, Logits],
    images: "torch.Tensor | np.ndarray",
    classes: Sequence[str],
    *,
    rows: "torch.Tensor | Sequence[int] | None" = None,
    chosen: Sequence[str] | None = None,
    how: str = HOWS[0],
    picture: int | None = None,
) -> Figure:
    """What :func:`ensemble_explorer` shows at these settings, as a figure with its words in ``report.alt_text``.

    Raises:
        ValueError: the parts do not fit one another, or there is no such member, mean or picture.
    """
    panel = _EnsemblePicture(members, images, classes, rows)
    panel.draw(*panel.ticks(chosen), how, panel.middle if picture is None else picture)
    return panel.figure


class Measures(NamedTuple):
    """An ensemble on all test images: accuracy in percent, loss in nats, entropy in bits, and its mean confidence (%).

    ``differ``: share of images on which two of its members answer differently, in percent; ``together``: how many times
    as often two of them are both wrong as independent ones would be. Both are means over the pairs, NaN for one member.
    """

    accuracy: float
    loss: float
    entropy: float
    confidence: float
    differ: float
    together: float


class Pool:
    """The members' answers in the forms that the means need; ``probabilities`` and ``measure`` take ticks (K,)."""

    def __init__(self, members: Mapping[str, Logits]) -> None:
        if not 1 <= len(members) <= MOST_MEMBERS:
            raise ValueError(f"an ensemble here has 1 to {MOST_MEMBERS} members to choose from, not {len(members)}")
        first = next(iter(members.values()))
        for name, network in members.items():
            if network.logits.shape != first.logits.shape or not np.array_equal(network.labels, first.labels):
                raise ValueError(f"the logits of {name} are not of the same images as the others'")
        self.names = tuple(members)
        self.labels = np.asarray(first.labels)
        self.logits = np.stack([np.asarray(network.logits, dtype=np.float32) for network in members.values()])
        self.soft = softened(self.logits, 1.0).astype(np.float32)
        self.spreads = self.logits.std(axis=(1, 2))
        answers = self.logits.argmax(axis=2)
        right = answers == self.labels
        self.accuracies = 100 * right.mean(axis=1)
        self.differ = 100 * (answers[:, None] != answers[None]).mean(axis=2)
        wrong = (~right).astype(float)
        self.both_wrong = wrong @ wrong.T / len(self.labels)

    def _parts(self, ticks: np.ndarray, how: str) -> tuple[np.ndarray, np.ndarray]:
        """Arrays (K, N, C) and weights (K,) whose weighted sum is the mean asked for."""
        weights = ticks / ticks.sum()
        if how == HOWS[2]:
            return self.soft, weights
        if how == HOWS[1]:  # each at the mean spread of the chosen
            return self.logits, weights * self.spreads[ticks].mean() / self.spreads
        return self.logits, weights

    def probabilities(self, ticks: Sequence[bool], how: str) -> np.ndarray:
        """The ensemble's soft target (N, C)."""
        ticks = np.asarray(ticks, dtype=bool)
        parts, weights = self._parts(ticks, how)
        mean = sum(weights[k] * parts[k] for k in np.flatnonzero(ticks))
        if how == HOWS[2]:
            return mean
        mean -= mean.max(axis=1, keepdims=True)
        p = np.exp(mean)
        return p / p.sum(axis=1, keepdims=True)

    def measure(self, ticks: Sequence[bool], how: str) -> tuple[Measures, np.ndarray]:
        """The ensemble's measures, and its soft target (N, C)."""
        p, who = self.probabilities(ticks, how), np.flatnonzero(ticks)
        of_label = p[np.arange(len(p)), self.labels]
        pairs = list(itertools.combinations(who, 2))
        differ = np.mean([self.differ[pair] for pair in pairs]) if pairs else math.nan
        wrong = 1 - self.accuracies / 100
        ratios = [self.both_wrong[i, j] / (wrong[i] * wrong[j]) for i, j in pairs if wrong[i] * wrong[j] > 0]
        measures = Measures(
            accuracy=100 * float((p.argmax(axis=1) == self.labels).mean()),
            loss=float(-np.log(np.maximum(of_label, 1e-12)).mean()),
            entropy=float(-(p * np.log2(np.maximum(p, 1e-12))).sum(axis=1).mean()),
            confidence=100 * float(p.max(axis=1).mean()),
            differ=float(differ),
            together=float(np.mean(ratios)) if ratios else math.nan,
        )
        return measures, p

    def cloud(self, how: str) -> tuple[np.ndarray, np.ndarray]:
        """Number of members (S,) and accuracy in percent (S,) of every choice, or of ``MOST_CHOICES`` of very many."""
        count = len(self.names)
        ticks = np.array(list(itertools.product((False, True), repeat=count))[1:])
        if len(ticks) > MOST_CHOICES:
            ticks = ticks[np.sort(np.random.default_rng(0).choice(len(ticks), MOST_CHOICES, replace=False))]
        weights = np.stack([self._parts(row, how)[1] * row for row in ticks]).astype(np.float32)
        parts, right = (self.soft if how == HOWS[2] else self.logits), np.zeros(len(ticks))
        for start in range(0, len(self.labels), 1000):  # in pieces: all choices of all images take much memory
            piece = parts[:, start : start + 1000]
            means = (weights @ piece.reshape(count, -1)).reshape(len(ticks), -1, piece.shape[2])
            right += (means.argmax(axis=2) == self.labels[start : start + 1000]).sum(axis=1)
        return ticks.sum(axis=1), 100 * right / len(self.labels)


class _EnsemblePicture:
    """The test image, the soft target, all possible choices, and the members; ``draw`` changes them."""

    def __init__(self, members, images, classes, rows) -> None:
        images = np.asarray(images)
        self.pool, self.classes = Pool(members), tuple(classes)
        everywhere = np.arange(len(self.pool.labels)) if rows is None else np.asarray(rows)
        _check_fit(self.pool, images, len(classes), everywhere)
        soft = self.pool.soft[:, everywhere].astype(np.float64)
        doubt = entropy_bits(soft.mean(axis=0)) - entropy_bits(soft).mean(axis=0)
        order = np.argsort(doubt, kind="stable")
        order = order[np.unique(np.linspace(0, len(order) - 1, PICTURES).round().astype(int))]
        self.places, self.images = everywhere[order], images[order].transpose(0, 2, 3, 1)
        self.middle = len(order) // 2
        self.clouds = {how: self.pool.cloud(how) for how in HOWS}
        self.figure = Figure(figsize=(10, 5), dpi=100)
        self.title = self.figure.text(0.012, 0.945, "", fontsize=11, weight="bold")
        self._add_image(self.figure.add_axes((0.012, 0.44, 0.2, 0.4)))
        self._add_answer(self.figure.add_axes((0.3, 0.1, 0.21, 0.68)))
        self._add_cloud(self.figure.add_axes((0.685, 0.57, 0.3, 0.28)))
        self._add_members(self.figure.add_axes((0.685, 0.1, 0.3, 0.32)))

    @property
    def moving(self) -> list[Artist]:
        parts = [
            self.image,
            self.caption,
            *self.bars,
            self.dots,
            self.shares.artist,
            self.points,
            self.ring,
        ]
        return [*parts, self.filled, self.line, self.line_label, self.numbers.artist, self.title]

    def ticks(self, chosen: Sequence[str] | None) -> list[bool]:
        """One tick a member. Raises ValueError where a name is unknown."""
        unknown = set(chosen or ()) - set(self.pool.names)
        if unknown:
            raise ValueError(
                f"no member is called {', '.join(sorted(unknown))}: there are {', '.join(self.pool.names)}"
            )
        return [chosen is None or name in chosen for name in self.pool.names]

    def _add_image(self, axes: Axes) -> None:
        axes.axis("off")
        axes.set_anchor("NW")
        self.image = axes.imshow(self.images[0], interpolation="nearest")
        self.caption = axes.text(0, 1.03, "", transform=axes.transAxes, fontsize=9)
        self.numbers = Labels(axes, [(-0.03, -0.1 - 0.13 * line) for line in range(5)], axes.transAxes)

    def _add_answer(self, axes: Axes) -> None:
        lines = range(len(self.classes))
        self.bars = axes.barh(lines, np.zeros(len(lines)), color=SKY, label="ensemble")
        self.dots = axes.plot([], [], "o", color=BLACK, markersize=4, alpha=0.6, label="each chosen member")[0]
        self.shares = Labels(axes, [(1.21, line) for line in lines], axes.get_yaxis_transform(), right=True)
        axes.set_xlim(0, 1.03)
        axes.set_ylim(len(lines) - 0.5, -0.5)
        axes.set_yticks(lines, self.classes)
        axes.tick_params(labelsize=LABEL_SIZE)
        axes.set_xlabel("probability of this picture's classes", fontsize=LABEL_SIZE, labelpad=1)
        handles = [self.bars, self.dots]
        place = {"loc": "lower left", "bbox_to_anchor": (-0.38, 1.0)}
        axes.legend(handles=handles, **place, ncols=2, frameon=False, fontsize=LABEL_SIZE)
        axes.spines[["top", "right"]].set_visible(False)

    def _add_cloud(self, axes: Axes) -> None:
        most = len(self.pool.names)
        self.points = axes.plot([], [], ".", color=BLUE, markersize=4, alpha=0.5)[0]
        self.ring = axes.plot([], [], "o", color=VERMILION, markersize=11, fillstyle="none", markeredgewidth=2)[0]
        axes.set_xlim(0.5, most + 0.5)
        axes.set_xticks(range(1, most + 1))
        axes.set_ylim(_room(np.concatenate([accuracy for _, accuracy in self.clouds.values()])))
        axes.set_xlabel("number of members", fontsize=LABEL_SIZE, labelpad=1)
        axes.tick_params(labelsize=LABEL_SIZE)
        axes.set_title("Accuracy (%) of the possible choices; ring: yours", fontsize=9, loc="right")
        axes.grid(alpha=0.3)
        axes.spines[["top", "right"]].set_visible(False)

    def _add_members(self, axes: Axes) -> None:
        names, accuracies = self.pool.names, self.pool.accuracies
        axes.plot(accuracies, range(len(names)), "o", color=BLUE, markersize=7, fillstyle="none")
        self.filled = axes.plot([], [], "o", color=BLUE, markersize=7)[0]
        self.line = axes.axvline(0, color=VERMILION, linewidth=1.5)
        self.line_label = axes.text(0, -0.9, "ensemble", fontsize=LABEL_SIZE, color=VERMILION, ha="center")
        axes.set_yticks(range(len(names)), names)
        axes.set_ylim(len(names) - 0.5, -0.7)
        everything = np.concatenate([accuracies, *(accuracy for _, accuracy in self.clouds.values())])
        axes.set_xlim(_room(everything))
        axes.set_xlabel("accuracy (%); full dots are chosen", fontsize=LABEL_SIZE, labelpad=1)
        axes.tick_params(labelsize=LABEL_SIZE)
        axes.grid(axis="x", alpha=0.3)
        axes.spines[["top", "right"]].set_visible(False)

    def draw(self, *settings) -> str:
        """Show a tick for each member, the kind of mean, and the picture's number; returns the key numbers in words.

        Raises:
            ValueError: there is no such mean or no such picture.
        """
        *ticks, how, picture = settings
        if how not in HOWS:
            raise ValueError(f"unknown mean {how!r}: choose one of {', '.join(HOWS)}")
        if not 0 <= picture < len(self.places):
            raise ValueError(f"there is no picture {picture}: choose 0 to {len(self.places) - 1}")
        self.image.set_data(self.images[picture])
        place = self.places[picture]
        self.caption.set_text(f"test image {place}: {self.classes[self.pool.labels[place]]}")
        self._draw_cloud(how)
        if not any(ticks):
            return self._draw_nobody()
        measures, p = self.pool.measure(ticks, how)
        members = self.pool.soft[np.flatnonzero(ticks), place]  # (K, C)
        self._draw_answer(p[place], members)
        self._draw_choice(ticks, measures)
        names = ", ".join(name for name, tick in zip(self.pool.names, ticks, strict=True) if tick)
        title = f"{sum(ticks)} of {len(ticks)} members, {how}: {measures.accuracy:.2f} % right"
        self.title.set_text(title if sum(ticks) > 1 else f"{names} alone: {measures.accuracy:.2f} % right")
        self.numbers.write(_table(measures))
        words = self._words(names, how, picture, measures, p[place])
        self.figure.set_label(
            "A test image, bars for the ensemble's probabilities with a dot for each member, the accuracy of the "
            f"possible choices, and that of each member. {words}"
        )
        return words

    def _draw_nobody(self) -> str:
        words = "No member is chosen: tick one at least."
        nothing = np.zeros((0, len(self.classes)))
        self._draw_answer(np.zeros(len(self.classes)), nothing)
        for artist in (self.ring, self.filled):
            artist.set_data([], [])
        self.line.set_visible(False)
        self.line_label.set_text("")
        self.title.set_text(words)
        self.numbers.write(["nobody to ask"] + ["-"] * 4)
        self.figure.set_label(words)
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

    def _draw_choice(self, ticks: Sequence[bool], measures: Measures) -> None:
        who = np.flatnonzero(ticks)
        self.ring.set_data([len(who)], [measures.accuracy])
        self.filled.set_data(self.pool.accuracies[who], who)
        self.line.set_visible(True)
        self.line.set_xdata([measures.accuracy, measures.accuracy])
        self.line_label.set_x(measures.accuracy)
        self.line_label.set_text("ensemble")

    def _words(self, names: str, how: str, picture: int, measures: Measures, p: np.ndarray) -> str:
        place = self.places[picture]
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


def _check_fit(pool: Pool, images: np.ndarray, classes: int, places: np.ndarray) -> None:
    if images.ndim != 4 or images.dtype != np.uint8 or not len(images):
        raise ValueError(f"images must be uint8 (M, 3, 32, 32), not {images.dtype} {images.shape}")
    n = len(pool.labels)
    if places.shape != (len(images),) or places.min() < 0 or places.max() >= n:
        raise ValueError(f"{len(images)} images and {n} rows of logits: say with rows= which row belongs to each image")
    if pool.logits.shape[2] != classes:
        raise ValueError(f"logits of {pool.logits.shape[2]} classes do not fit {classes} class names")


def _table(measures: Measures) -> list[str]:
    """The ensemble's numbers under the picture, a line each."""
    lines = [
        f"cross-entropy {measures.loss:.3f} nats",
        f"entropy of its answers {measures.entropy:.2f} bits",
        f"confidence {measures.confidence:.1f} %, right {measures.accuracy:.1f} %",
    ]
    if not math.isfinite(measures.together):
        return [*lines, "one member:", "no pair to compare"]
    return [
        *lines,
        f"two differ on {measures.differ:.1f} %",
        f"both wrong {measures.together:.2f} x independent",
    ]


def _room(values: np.ndarray) -> tuple[float, float]:
    spread = max(float(np.ptp(values)), 1.0)
    return float(values.min()) - 0.1 * spread, float(values.max()) + 0.1 * spread
