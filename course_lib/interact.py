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
from collections.abc import Callable, Sequence
from dataclasses import fields
from pathlib import Path
from typing import TYPE_CHECKING, NamedTuple

import numpy as np
import pandas as pd
from matplotlib.axes import Axes
from matplotlib.figure import Figure

from course_lib.distill import check_temperature_and_alpha
from course_lib.errors import DataError
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
SKY, ORANGE, PALE = "#56B4E9", "#E69F00", "#BBBBBB"  # the rest of the palette that report.py draws with


# --- Eq. 1 by hand --------------------------------------------------------------------------------------------------


class Terms(NamedTuple):
    """Eq. 1 for one image, in nats: ``total`` = alpha * ``hard`` + (1 - alpha) * ``soft``; ``soft`` holds T^2 already."""

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

    Counted by ``models.cost.block_costs``: its columns for the training form, and again with ``folded_`` in front for the
    folded form. Counting takes seconds, so the slider's widths are kept in ``data/costs``; others are counted on demand.

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
    return block_costs(model).merge(folded.add_prefix("folded_"), left_on="block", right_on="folded_block").drop(
        columns="folded_block"
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
    # Typed in, a width may lie between two steps.
    return _explorer(picture.figure, [slider], lambda width: picture.draw(round(width, 1)))


def width_figure(width: float = 1.0, results: pd.DataFrame | None = None) -> Figure:
    """What :func:`width_explorer` shows at ``width``, as a figure with its words in ``report.alt_text``.

    Raises:
        ValueError: GN-S cannot have this width.
    """
    picture = _WidthPicture(results)
    picture.draw(width)
    return picture.figure


class _WidthPicture:
    """Bars for every block, and accuracy against width; ``draw`` moves them."""

    def __init__(self, results: pd.DataFrame | None) -> None:
        results = load_results() if results is None else results
        self.series = [_paper_accuracies(), *_our_accuracies(results)]
        self.figure = Figure(figsize=(10, 5.6), dpi=100)
        blocks = self.figure.add_axes((0.165, 0.1, 0.225, 0.75))
        self.names = [
            blocks.text(-0.03, row, "", transform=blocks.get_yaxis_transform(), ha="right", va="center", fontsize=8)
            for row in range(len(width_costs(1.0)))
        ]
        widest = width_costs(SLIDER_WIDTHS[-1])
        self.bars = [
            _CostBars(blocks, "parameters", widest),
            _CostBars(self.figure.add_axes((0.405, 0.1, 0.225, 0.75)), "macs", widest),
        ]
        self.title = self.figure.text(0.01, 0.955, "", fontsize=11, weight="bold")
        self.figure.text(
            0.01,
            0.91,
            "pale bar and number: training form, with all its branches;  dark: folded into one convolution each",
            fontsize=8,
        )
        same_scale = [series for series in self.series if series.comparable]
        reduced = [series for series in self.series if not series.comparable]
        self.panels = [
            _AccuracyPanel(self.figure.add_axes((0.7, 0.56, 0.285, 0.34)), "50,000 images, 200 epochs", same_scale),
            _AccuracyPanel(self.figure.add_axes((0.7, 0.1, 0.285, 0.34)), "Reduced runs: no reproduction", reduced),
        ]
        self.panels[-1].axes.set_xlabel("width", fontsize=8)

    def draw(self, width: float) -> str:
        """Show ``width``; returns the key numbers in words."""
        costs = width_costs(width)
        for name, row in zip(self.names, costs.itertuples(), strict=True):
            name.set_text(f"{_block_name(row.block)}, {row.resolution}×{row.resolution}, {row.channels} ch")
        for bars in self.bars:
            bars.draw(costs)
        for panel in self.panels:
            panel.draw(width)
        self.title.set_text(f"GN-S {width:g}x: {costs['parameters'].sum():,} parameters, {_short(costs['macs'].sum())} MACs")
        words = f"{_cost_words(width, costs)} {_accuracy_words(width, self.series)}"
        self.figure.set_label(f"Bars for the parameters and MACs of every block, and accuracy against width. {words}")
        return words
