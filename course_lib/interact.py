"""The sliders of the lessons, and the same pictures standing still for those who only read.

A slider moves one picture: a matplotlib figure that is made once and whose bars, points and words are then changed, put
into the page as an image with alt text, with the key numbers in a line of words below. Only core ipywidgets are used.
No slider runs a network: the costs of every width and the logits of every picture are at hand.

The numbers of the temperature slider are computed here with numpy, in double precision, from stored logits.
``python -m course_lib.interact`` measures the costs of the width slider anew.
"""

import base64
import functools
import html
import io
import json
from collections.abc import Sequence
from dataclasses import fields
from pathlib import Path
from typing import TYPE_CHECKING, NamedTuple

import numpy as np
import pandas as pd
from matplotlib.artist import Artist
from matplotlib.axes import Axes
from matplotlib.backends.backend_agg import FigureCanvasAgg
from matplotlib.figure import Figure
from PIL import Image

from course_lib.distill import check_temperature_and_alpha
from course_lib.errors import DataError
from course_lib.experiments import find
from course_lib.files import atomic_write, repo_path
from course_lib.models import DISPLAY_NAMES, create_model, fold
from course_lib.models.cost import block_costs
from course_lib.profiles import Profile
from course_lib.report import BLACK, BLUE, OUR_ACCURACY, VERMILION, available_profiles, paper_table, table
from course_lib.results import Logits, load_results

if TYPE_CHECKING:
    import ipywidgets
    import torch

SLIDER_WIDTHS = tuple(round(0.1 * tenths, 1) for tenths in range(5, 41))  # 0.5 to 4.0
LOWEST_TEMPERATURE, HIGHEST_TEMPERATURE = 0.5, 20.0
PICTURES = 40  # on the temperature slider
SKY, ORANGE = "#56B4E9", "#E69F00"  # the rest of the palette that report.py draws with


# --- Eq. 1 by hand --------------------------------------------------------------------------------------------------


class Terms(NamedTuple):
    """Eq. 1 for one image, in nats: ``total`` = alpha * ``hard`` + (1 - alpha) * ``soft``; ``soft`` holds T^2."""

    total: float
    hard: float
    soft: float


def softened(logits: np.ndarray, temperature: float) -> np.ndarray:
    """softmax(logits / T) over the last axis; the same shape, float64.

    Raises:
        ValueError: T is not a number above 0.
    """
    return np.exp(_log_softened(logits, temperature))


def entropy_bits(probabilities: np.ndarray) -> np.ndarray:
    """Shannon entropy over the last axis in bits: 0 for a certain class, log2(C) for C equally likely ones."""
    p = np.asarray(probabilities, dtype=np.float64)
    surprise = -np.log2(p, out=np.zeros_like(p), where=p > 0)  # a class without probability adds nothing
    return (p * surprise).sum(axis=-1)


def kl_divergence(teacher: np.ndarray, student: np.ndarray, temperature: float) -> np.ndarray:
    """KL(teacher_T || student_T) in nats over the last axis of two arrays of logits, both softened by T; without T^2.

    Raises:
        ValueError: T is not a number above 0.
    """
    log_p, log_q = _log_softened(teacher, temperature), _log_softened(student, temperature)
    return (np.exp(log_p) * (log_p - log_q)).sum(axis=-1)


def loss_terms(teacher: np.ndarray, student: np.ndarray, label: int, temperature: float, alpha: float) -> Terms:
    """Eq. 1 for one image from the logits (C,) of both networks and the image's label.

    Raises:
        ValueError: T is not a number above 0, or alpha lies outside 0..1.
    """
    check_temperature_and_alpha(temperature, alpha)
    hard = float(-_log_softened(student, 1.0)[label])
    soft = float(temperature**2 * kl_divergence(teacher, student, temperature))
    return Terms(alpha * hard + (1 - alpha) * soft, hard, soft)


def _log_softened(logits: np.ndarray, temperature: float) -> np.ndarray:
    check_temperature_and_alpha(temperature, alpha=1.0)
    scaled = np.asarray(logits, dtype=np.float64) / temperature
    scaled = scaled - scaled.max(axis=-1, keepdims=True)  # exp() then never overflows
    return scaled - np.log(np.exp(scaled).sum(axis=-1, keepdims=True))


# --- what every width costs -----------------------------------------------------------------------------------------


def width_costs(width: float) -> pd.DataFrame:
    """What each block of GN-S costs at ``width``, for one 32 x 32 image.

    Counted by ``models.cost.block_costs``: its columns for the training form, and again with ``folded_`` in front for
    the folded form. Counting takes seconds, so the counts of the slider's widths are kept in ``data/costs``.

    Raises:
        ValueError: GN-S cannot have this width.
        DataError: the kept counts are damaged.
    """
    stored = _stored_costs(_costs_path())
    return stored[width] if width in stored else measure_costs(width)


@functools.cache
def measure_costs(width: float) -> pd.DataFrame:
    """Count what :func:`width_costs` returns, on networks without weights."""
    import torch

    with torch.device("meta"):
        model = create_model("gn-s", width=width)
    folded = block_costs(fold(model))[["block", "parameters", "macs", "activations"]]
    return (
        block_costs(model)
        .merge(folded.add_prefix("folded_"), left_on="block", right_on="folded_block")
        .drop(columns="folded_block")
    )


def write_costs(widths: Sequence[float] = SLIDER_WIDTHS) -> Path:
    """Count all ``widths`` and keep them for the slider; returns the file.

    Raises:
        CourseError: the file cannot be written.
    """
    counts = pd.concat([measure_costs(width).assign(width=width) for width in widths])
    columns = ["width", *counts.columns.drop("width")]
    atomic_write(_costs_path(), counts.to_csv(columns=columns, index=False, lineterminator="\n").encode())
    return _costs_path()


def _costs_path() -> Path:
    return repo_path("data", "costs", "gn-s.csv")


@functools.cache
def _stored_costs(path: Path) -> dict[float, pd.DataFrame]:
    if not path.exists():
        return {}
    try:
        groups = pd.read_csv(path).groupby("width")
        return {width: group.drop(columns="width").reset_index(drop=True) for width, group in groups}
    except (OSError, ValueError, KeyError) as error:
        raise DataError(f"{path} is damaged ({error}): delete it, or run python -m course_lib.interact") from error


# --- the width slider -----------------------------------------------------------------------------------------------


def width_explorer(results: pd.DataFrame | None = None, *, start: float = 1.0) -> "ipywidgets.VBox":
    """A slider over GN-S's width: what each block costs, and the accuracy where somebody measured it.

    Args:
        results: ``results.load_results()``; by default what is in the store.
        start: the width shown first, 0.5 to 4.0.

    Raises:
        ValueError: ``start`` is no position of the slider.
    """
    from ipywidgets import FloatSlider

    if start not in SLIDER_WIDTHS:
        raise ValueError(f"start={start!r} is no position of the slider: 0.5 to 4.0 in steps of 0.1")
    picture = _WidthPicture(results)
    low, high = SLIDER_WIDTHS[0], SLIDER_WIDTHS[-1]
    slider = FloatSlider(start, min=low, max=high, step=0.1, description="width", readout_format=".1f")
    slider.add_class("course-width")
    return _explorer(picture, [slider])


def width_figure(width: float = 1.0, results: pd.DataFrame | None = None) -> Figure:
    """What :func:`width_explorer` shows at ``width``, as a figure with its words in ``report.alt_text``.

    Raises:
        ValueError: GN-S cannot have this width.
    """
    picture = _WidthPicture(results)
    picture.draw(width)
    return picture.figure


class _WidthPicture:
    """Bars for every block, and accuracy against width; ``draw`` moves them to another width."""

    def __init__(self, results: pd.DataFrame | None) -> None:
        self.series = [_paper_series(), *_our_series(load_results() if results is None else results)]
        self.figure = Figure(figsize=(10, 5.6), dpi=100)
        self.title = self.figure.text(0.012, 0.945, "", fontsize=11, weight="bold")
        note = "pale bar and number: training form.  Dark bar: folded, one convolution for all its branches."
        self.figure.text(0.012, 0.9, note, fontsize=8)
        left = self.figure.add_axes((0.185, 0.1, 0.215, 0.71))
        right = self.figure.add_axes((0.415, 0.1, 0.215, 0.71))
        most = width_costs(SLIDER_WIDTHS[-1])
        self.bars = [_CostBars(left, "parameters", most), _CostBars(right, "MACs", most)]
        self.channels = _name_blocks(left, most)
        full_size = [one for one in self.series if one.full_size]
        reduced = [one for one in self.series if not one.full_size]
        above, below = (0.685, 0.58, 0.3, 0.32), (0.685, 0.1, 0.3, 0.32)
        self.panels = [
            _AccuracyPanel(self.figure.add_axes(above), "Accuracy (%), 50,000 images and 200 epochs", full_size),
            _AccuracyPanel(self.figure.add_axes(below), "Accuracy (%), reduced runs: no reproduction", reduced),
        ]

    @property
    def moving(self) -> list[Artist]:
        parts = [artist for part in (*self.bars, *self.panels) for artist in part.moving]
        return [self.title, *self.channels, *parts]

    def draw(self, width: float) -> str:
        """Show ``width``; returns the key numbers in words."""
        width = round(width, 2)  # the slider's steps add up to 1.2999999999999998
        costs = width_costs(width)
        for text, channels in zip(self.channels, costs["channels"], strict=True):
            text.set_text(str(channels))
        for bars in self.bars:
            bars.draw(costs)
        for panel in self.panels:
            panel.draw(width)
        parameters, macs = costs["parameters"].sum(), costs["macs"].sum()
        self.title.set_text(f"GN-S at width {width:g}: {parameters:,} parameters, {_short(macs)} MACs")
        words = f"{_cost_words(width, costs)} {_accuracy_words(width, self.series)}"
        self.figure.set_label(f"Bars: parameters and MACs of each block; points: accuracy against width. {words}")
        return words


def _name_blocks(axes: Axes, costs: pd.DataFrame) -> list[Artist]:
    """Write names and sizes of the blocks left of the bars; returns the texts for their channels."""

    def write(x: float, row: float, words: str, ha: str) -> Artist:
        place = axes.get_yaxis_transform()  # x in widths of the axes, y in rows
        return axes.text(x, row, words, transform=place, ha=ha, va="center", fontsize=8)

    for x, words, ha in ((-0.8, "block", "left"), (-0.24, "pixels", "right"), (-0.03, "chan.", "right")):
        write(x, -0.9, words, ha)
    for row, block in enumerate(costs.itertuples()):
        write(-0.8, row, _block_name(block.block), "left")
        write(-0.24, row, f"{block.resolution}×{block.resolution}", "right")
    return [write(-0.03, row, "", "right") for row in range(len(costs))]


class _CostBars:
    """A pale bar for each block in the training form, a dark one in it for the folded form, and the number."""

    def __init__(self, axes: Axes, unit: str, most: pd.DataFrame) -> None:
        self.column = unit.lower()
        rows = range(len(most))
        self.pale = axes.barh(rows, 1, color=SKY, height=0.8)
        self.dark = axes.barh(rows, 1, color=BLUE, height=0.45)
        self.numbers = [axes.text(0, row, "", va="center", fontsize=8) for row in rows]
        top = most[self.column].max()
        # Cost grows with the square of the width: on this scale a bar grows with the width itself, and all are seen.
        axes.set_xscale("function", functions=(_root, np.square))
        axes.set_xlim(0, 1.75 * top)  # room for the number beside the longest bar
        tick = 10 ** np.floor(np.log10(top))
        axes.set_xticks([0, tick / 4, tick], ["0", _short(tick / 4), _short(tick)], fontsize=8)
        axes.set_xlabel("(square-root scale)", fontsize=8, labelpad=1)
        axes.set_yticks([])
        axes.set_ylim(len(most) - 0.5, -0.5)
        axes.set_title(unit, fontsize=9)
        axes.spines[["top", "right"]].set_visible(False)

    @property
    def moving(self) -> list[Artist]:
        return [*self.pale, *self.dark, *self.numbers]

    def draw(self, costs: pd.DataFrame) -> None:
        rows = zip(costs[self.column], costs[f"folded_{self.column}"], strict=True)
        for pale, dark, number, (count, folded) in zip(self.pale, self.dark, self.numbers, rows, strict=True):
            pale.set_width(count)
            dark.set_width(folded)
            number.set_x(count)
            number.set_text(f" {_short(count)}")


class _Series(NamedTuple):
    """Accuracies (percent) of GN-S from one source, with the number of seeds, by width.

    ``full_size`` where they may stand beside the paper's.
    """

    name: str
    origin: str
    full_size: bool
    accuracy: dict[float, float]
    seeds: dict[float, int]


class _AccuracyPanel:
    """Measured accuracies against width; the present width is a line, and what was measured there is ringed."""

    def __init__(self, axes: Axes, title: str, series: Sequence[_Series]) -> None:
        self.series = series
        for one, colour, marker in zip(series, (BLUE, VERMILION, BLACK), "osD", strict=False):
            look = {"color": colour, "marker": marker, "linestyle": ":", "label": one.name}
            axes.plot(one.accuracy.keys(), one.accuracy.values(), **look)
        self.line = axes.axvline(1.0, color=BLACK, linewidth=1)
        self.rings = axes.plot([], [], "o", color=BLACK, markersize=13, fillstyle="none")[0]
        axes.text(0, 1.13, title, transform=axes.transAxes, fontsize=9)
        self.words = axes.text(0, 1.03, "", transform=axes.transAxes, fontsize=8)
        axes.set_xlabel("width", fontsize=8, labelpad=1)
        axes.set_xlim(SLIDER_WIDTHS[0] - 0.1, SLIDER_WIDTHS[-1] + 0.1)
        axes.set_ylim(_room([value for one in series for value in one.accuracy.values()]))
        axes.tick_params(labelsize=8)
        axes.grid(alpha=0.3)
        if series:
            axes.legend(loc="lower right", fontsize=8)

    @property
    def moving(self) -> list[Artist]:
        return [self.line, self.rings, self.words]

    def draw(self, width: float) -> None:
        self.line.set_xdata([width, width])
        here = [one for one in self.series if width in one.accuracy]
        self.rings.set_data([width] * len(here), [one.accuracy[width] for one in here])
        found = [f"{one.name} {one.accuracy[width]:.2f}" for one in here]
        nothing = "not measured at this width" if self.series else "none yet"
        self.words.set_text(", ".join(found) or nothing)


def _paper_series() -> _Series:
    rows = paper_table(1).query("model == 'GN-S'")
    accuracy = {find(key).width: float(value) for key, value in rows["accuracy"].items()}
    return _Series("paper", "paper, best of 200 epochs", True, accuracy, dict.fromkeys(accuracy, 1))


def _our_series(results: pd.DataFrame) -> list[_Series]:
    """One for each profile that has runs of GN-S without a teacher: means of the last epochs."""
    found = []
    for profile in available_profiles(results):
        rows = table(1, results, profile).query("model == 'GN-S' and n > 0")
        if len(rows):
            spec = results[(results["profile"] == profile) & results["key"].isin(rows.index)].iloc[-1]["profile_spec"]
            label = Profile(**{field.name: spec[field.name] for field in fields(Profile)}).label
            accuracy = {find(key).width: float(value) for key, value in rows[OUR_ACCURACY].items()}
            seeds = {find(key).width: int(n) for key, n in rows["n"].items()}
            full_size = profile == "full"
            found.append(_Series(f"ours, {profile}", f"ours, last epoch, {label}", full_size, accuracy, seeds))
    return found


def _room(values: Sequence[float]) -> tuple[float, float]:
    """Limits for an accuracy axis that leave room below for the legend."""
    if not values:
        return 0.0, 100.0
    spread = max(max(values) - min(values), 1.0)
    return min(values) - 0.5 * spread, max(values) + 0.2 * spread


def _root(values: np.ndarray) -> np.ndarray:
    return np.sqrt(np.maximum(values, 0))


def _short(count: float) -> str:
    """``464``, ``13.5 k``, ``206 k``, ``1.06 M``: three digits."""
    for unit, name in ((1e6, " M"), (1e3, " k"), (1, "")):
        if count >= unit:
            scaled = count / unit
            return f"{scaled:.{0 if scaled >= 100 or unit == 1 else 1 if scaled >= 10 else 2}f}{name}"
    return "0"


def _block_name(name: str) -> str:
    """``stage3_block2`` as ``block 3.2``."""
    return name.replace("stage", "block ").replace("_block", ".")


def _cost_words(width: float, costs: pd.DataFrame) -> str:
    totals = costs.sum(numeric_only=True)
    dearest = costs.set_index("block")[["parameters", "macs"]] / totals[["parameters", "macs"]]
    most = {column: (_block_name(shares.idxmax()), f"{shares.max():.0%}") for column, shares in dearest.items()}
    return (
        f"Width {width:g}: {totals['parameters']:,} parameters ({totals['folded_parameters']:,} folded), "
        f"{_short(totals['macs'])} MACs ({_short(totals['folded_macs'])} folded), "
        f"{_short(totals['activations'])} activations ({_short(totals['folded_activations'])} folded). "
        f"Most parameters: {' '.join(most['parameters'])}; most MACs: {' '.join(most['macs'])}."
    )


def _accuracy_words(width: float, series: Sequence[_Series]) -> str:
    found = [
        f"{one.accuracy[width]:.2f} % ({one.origin}; n = {one.seeds[width]})" for one in series if width in one.accuracy
    ]
    return f"Accuracy: {', '.join(found)}." if found else "Accuracy: not measured at this width."


# --- the temperature slider -----------------------------------------------------------------------------------------


def temperature_explorer(
    teacher: Logits,
    student: Logits,
    images: "torch.Tensor | np.ndarray",
    classes: Sequence[str],
    *,
    rows: Sequence[int] | None = None,
    temperature: float = 4.0,
    alpha: float = 0.5,
    picture: int = 20,
) -> "ipywidgets.VBox":
    """Sliders over T, alpha and the test image: what the teacher says of it, and Eq. 1 for the student.

    Args:
        teacher, student: ``results.load_logits(...)`` of two networks for the same test images.
        images: uint8 (M, 3, 32, 32), all of these test images or some of them.
        classes: the name of every label.
        rows: (M,) the row of the logits that belongs to each image; by default they are aligned. For the images of
            ``load_dataset("cifar10", "sample")`` and logits of the whole test set it is ``sample_rows()``.
        temperature, alpha, picture: where the sliders stand first. The ``PICTURES`` pictures are drawn from all classes
            alike and sorted by the teacher's doubt (its entropy at T = 1): it is surest of picture 0.

    Raises:
        ValueError: the parts do not fit one another, or a slider has no such position.
    """
    from ipywidgets import FloatSlider, IntSlider

    if not LOWEST_TEMPERATURE <= temperature <= HIGHEST_TEMPERATURE:
        span = f"{LOWEST_TEMPERATURE:g} to {HIGHEST_TEMPERATURE:g}"
        raise ValueError(f"temperature={temperature} is no position of the slider: {span}")
    panel = _TemperaturePicture(_choose(teacher, student, images, classes, rows))
    panel.draw(temperature, alpha, picture)  # refuses what the sliders would silently move into their range
    hot = FloatSlider(
        temperature,
        min=LOWEST_TEMPERATURE,
        max=HIGHEST_TEMPERATURE,
        step=0.5,
        description="T",
        readout_format=".1f",
    )
    weight = FloatSlider(alpha, min=0, max=1, step=0.05, description="alpha")
    number = IntSlider(picture, min=0, max=len(panel.gallery.labels) - 1, description="picture")
    for slider, name in ((hot, "temperature"), (weight, "alpha"), (number, "picture")):
        slider.add_class(f"course-{name}")
    return _explorer(panel, [hot, weight, number])


def temperature_figure(
    teacher: Logits,
    student: Logits,
    images: "torch.Tensor | np.ndarray",
    classes: Sequence[str],
    *,
    rows: Sequence[int] | None = None,
    temperature: float = 4.0,
    alpha: float = 0.5,
    picture: int = 20,
) -> Figure:
    """What :func:`temperature_explorer` shows at these settings, as a figure with its words in ``report.alt_text``.

    Raises:
        ValueError: the parts do not fit one another, T is not above 0, alpha outside 0..1, or there is no such picture.
    """
    panel = _TemperaturePicture(_choose(teacher, student, images, classes, rows))
    panel.draw(temperature, alpha, picture)
    return panel.figure


def sample_rows() -> np.ndarray:
    """The places (1,000,) that the test images of the course's sample have in CIFAR-10's test set, in their order.

    Raises:
        DataError: the sample's list is missing or damaged.
    """
    path = repo_path("data", "sample", "sample.json")
    try:
        return np.array(json.loads(path.read_text(encoding="utf-8"))["splits"]["test"]["indices"], dtype=np.int64)
    except (OSError, ValueError, KeyError, TypeError) as error:
        raise DataError(f"{path} is missing or damaged ({error}): get data/sample from the course again") from error


class _Gallery(NamedTuple):
    """The chosen pictures (P, ...), with both networks' logits in double precision and the places in the test set."""

    teacher: np.ndarray
    student: np.ndarray
    labels: np.ndarray
    images: np.ndarray
    places: np.ndarray
    classes: tuple[str, ...]
    teacher_name: str
    student_name: str


def _choose(
    teacher: Logits,
    student: Logits,
    images: "torch.Tensor | np.ndarray",
    classes: Sequence[str],
    rows: Sequence[int] | None,
) -> _Gallery:
    """As many pictures of each class, from the one that the teacher is surest of to the one that it doubts most."""
    teacher_logits, student_logits = (
        np.asarray(teacher.logits, np.float64),
        np.asarray(student.logits, np.float64),
    )
    labels, images = np.asarray(teacher.labels), np.asarray(images)
    places = np.arange(len(images)) if rows is None else np.asarray(rows)
    if teacher_logits.shape != student_logits.shape or not np.array_equal(labels, np.asarray(student.labels)):
        raise ValueError(
            "the teacher's and the student's logits are not of the same images: load those of one test set"
        )
    if images.ndim != 4 or images.dtype != np.uint8 or not len(images):
        raise ValueError(f"images must be uint8 (M, 3, 32, 32), not {images.dtype} {images.shape}")
    if rows is None and len(images) != len(labels):
        raise ValueError(f"{len(images)} images and {len(labels)} rows of logits: say with rows= which belong together")
    if places.shape != (len(images),) or places.min() < 0 or places.max() >= len(labels):
        raise ValueError(f"rows must name one of the {len(labels)} rows of logits for each of the {len(images)} images")
    if teacher_logits.shape[1] != len(classes):
        raise ValueError(f"logits of {teacher_logits.shape[1]} classes do not fit {len(classes)} class names")
    doubt = entropy_bits(softened(teacher_logits[places], 1.0))
    chosen = []
    for label in range(len(classes)):
        members = np.flatnonzero(labels[places] == label)
        members = members[np.argsort(doubt[members], kind="stable")]
        if len(members):
            evenly = np.linspace(0, len(members) - 1, max(1, PICTURES // len(classes))).round().astype(int)
            chosen.extend(members[np.unique(evenly)])
    chosen = np.array(chosen)[np.argsort(doubt[chosen], kind="stable")]
    places = places[chosen]
    return _Gallery(
        teacher_logits[places],
        student_logits[places],
        labels[places],
        images[chosen].transpose(0, 2, 3, 1),
        places,
        tuple(classes),
        _network_name(teacher, "teacher"),
        _network_name(student, "student"),
    )


def _network_name(logits: Logits, role: str) -> str:
    """``teacher ResNet-18 (12 epochs, 85.3 %)``, as far as the logits say where they come from."""
    model = logits.meta.get("model", "")
    width = f" {logits.meta['width']:.1f}x" if logits.meta.get("width") else ""
    accuracy = 100 * float((np.asarray(logits.logits).argmax(axis=1) == np.asarray(logits.labels)).mean())
    epochs = f"{logits.meta['epochs']} epochs, " if "epochs" in logits.meta else ""
    return f"{role} {DISPLAY_NAMES.get(model, model)}{width} ({epochs}{accuracy:.1f} %)".replace("  ", " ")


class _TemperaturePicture:
    """The test image, both networks' softened probabilities, the entropy and the loss; ``draw`` changes them."""

    def __init__(self, gallery: _Gallery) -> None:
        self.gallery = gallery
        self.figure = Figure(figsize=(10, 4.4), dpi=100)
        self.title = self.figure.text(0.012, 0.935, "", fontsize=11, weight="bold")
        self.figure.text(0.012, 0.875, f"{gallery.teacher_name}; {gallery.student_name}", fontsize=8)
        self._add_image(self.figure.add_axes((0.012, 0.1, 0.27, 0.61)))
        self._add_probabilities(self.figure.add_axes((0.375, 0.1, 0.24, 0.61)))
        self._add_entropy(self.figure.add_axes((0.79, 0.6, 0.195, 0.11)))
        self._add_loss(self.figure.add_axes((0.79, 0.1, 0.195, 0.31)))

    @property
    def moving(self) -> list[Artist]:
        bars = [*self.soft_bars, *self.plain_bars, self.entropy, self.plain_entropy, *self.loss_bars]
        numbers = [*self.soft_numbers, *self.student_numbers, *self.loss_numbers]
        return [self.image, self.caption, *bars, self.markers, *numbers, self.entropy_title, self.title]

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
        place = {"transform": axes.get_yaxis_transform(), "ha": "right", "va": "center", "fontsize": 8}
        self.soft_numbers = [axes.text(1.17, row, "", **place) for row in rows]
        self.student_numbers = [axes.text(1.36, row, "", **place, color=VERMILION) for row in rows]
        axes.text(1.17, -0.85, "teacher", **place)
        axes.text(1.36, -0.85, "student", **place, color=VERMILION)
        axes.set_xlim(0, 1.03)
        axes.set_ylim(len(rows) - 0.5, -0.5)
        axes.set_yticks(rows, self.gallery.classes)
        axes.tick_params(labelsize=8)
        axes.set_xlabel("probability", fontsize=8, labelpad=1)
        axes.legend(fontsize=8, loc="lower left", bbox_to_anchor=(-0.35, 1.07), ncols=3, frameon=False)
        axes.spines[["top", "right"]].set_visible(False)

    def _add_entropy(self, axes: Axes) -> None:
        most = np.log2(len(self.gallery.classes))
        self.entropy = axes.barh([0], [0], color=SKY)[0]
        self.plain_entropy = axes.barh([0], [0], facecolor="none", edgecolor=BLACK)[0]
        self.entropy_title = axes.text(-0.3, 1.15, "", transform=axes.transAxes, fontsize=9)
        axes.set_xlim(0, most)
        axes.set_xticks([0, 1, 2, 3] if most > 3 else [0, most])
        axes.tick_params(labelsize=8)
        axes.set_yticks([0], ["bits"])

    def _add_loss(self, axes: Axes) -> None:
        self.loss_bars = axes.barh([0, 1, 2, 2], [0, 0, 0, 0], color=[ORANGE, BLUE, ORANGE, BLUE])
        self.loss_numbers = [axes.text(0, row, "", va="center", fontsize=8) for row in range(3)]
        axes.text(-0.3, 1.08, "Student's loss (nats)", transform=axes.transAxes, fontsize=9)
        axes.set_xlim(0, 1.3)  # in units of the largest part that the picture can have
        axes.set_xticks([])
        axes.set_xlabel("(each picture has its own scale)", fontsize=8)
        axes.set_yticks(range(3), ["hard: CE", "soft: T²·KL", "Eq. 1"])
        axes.set_ylim(2.5, -0.5)
        axes.tick_params(labelsize=8)
        axes.spines[["top", "right"]].set_visible(False)

    def draw(self, temperature: float, alpha: float, picture: int) -> str:
        """Show these settings; returns the key numbers in words.

        Raises:
            ValueError: T is not above 0, alpha lies outside 0..1, or there is no such picture.
        """
        gallery = self.gallery
        if not 0 <= picture < len(gallery.labels):
            raise ValueError(f"there is no picture {picture}: choose 0 to {len(gallery.labels) - 1}")
        teacher, student, label = gallery.teacher[picture], gallery.student[picture], gallery.labels[picture]
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
        for row, (before, p, q) in enumerate(zip(plain, soft, student, strict=True)):
            self.plain_bars[row].set_width(before)
            self.soft_bars[row].set_width(p)
            self.soft_numbers[row].set_text(f"{p:.2f}")
            self.student_numbers[row].set_text(f"{q:.2f}")
        self.markers.set_xdata(student)

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
        for number, value in zip(self.loss_numbers, (terms.hard, terms.soft, terms.total), strict=True):
            number.set_x(value / highest)
            number.set_text(f" {value:.2f}")


def _highest_term(teacher: np.ndarray, student: np.ndarray, label: int, temperature: float) -> float:
    """The larger part of Eq. 1 at its highest over the slider's temperatures: an axis that only the picture moves."""
    temperatures = (LOWEST_TEMPERATURE, 1.0, 2.0, 4.0, 8.0, HIGHEST_TEMPERATURE, temperature)
    return max(max(loss_terms(teacher, student, label, t, 1.0)[1:]) for t in temperatures)


def _softening_words(gallery: _Gallery, picture: int, temperature: float, alpha: float, terms: Terms) -> str:
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


# --- any slider ---------------------------------------------------------------------------------------------------


def _explorer(
    picture: "_WidthPicture | _TemperaturePicture", sliders: "Sequence[ipywidgets.Widget]"
) -> "ipywidgets.VBox":
    """The sliders, the picture as an image, and a line of words; each move draws it for the values of all sliders."""
    from ipywidgets import HTML, VBox

    image, words, screen = HTML(), HTML(), _Screen(picture.figure, picture.moving)
    image.add_class("course-image")
    words.add_class("course-text")

    def redraw(_change: object = None) -> None:
        said = picture.draw(*(slider.value for slider in sliders))
        image.value = screen.image_tag()
        words.value = f'<p role="status" aria-live="polite">{html.escape(said)}</p>'

    for slider in sliders:
        slider.observe(redraw, "value")
    redraw()
    return VBox([*sliders, image, words])


class _Screen:
    """Draws a figure often and fast: what stands still is drawn once and kept, only ``moving`` is drawn each time."""

    def __init__(self, figure: Figure, moving: Sequence[Artist]) -> None:
        self.figure, self.moving, self.canvas = figure, moving, FigureCanvasAgg(figure)
        for artist in moving:
            artist.set_animated(True)  # which makes the canvas leave it out
        self.canvas.draw()
        self.still = self.canvas.copy_from_bbox(figure.bbox)

    def image_tag(self) -> str:
        """The figure as an image with alt text, its own bytes, and its size so that the page does not jump."""
        self.canvas.restore_region(self.still)
        for artist in self.moving:
            (artist.axes or self.figure).draw_artist(artist)
        pixels = Image.fromarray(np.asarray(self.canvas.buffer_rgba())[..., :3])
        file = io.BytesIO()
        pixels.save(file, "png", compress_level=1)  # a quick redraw matters more than few bytes
        source = base64.b64encode(file.getvalue()).decode("ascii")
        return (
            f'<img alt="{html.escape(self.figure.get_label())}" width="{pixels.width}" height="{pixels.height}" '
            f'style="max-width:100%;height:auto" src="data:image/png;base64,{source}">'
        )


if __name__ == "__main__":
    print(f"wrote {write_costs()}")
