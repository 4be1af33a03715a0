"""The figures of lesson 06: differences with their intervals, and what the authors' logs tell of their runs.

Each function returns a figure with its words in ``look.alt_text``. Importing this module does not import torch.
"""

import itertools
from collections.abc import Iterable, Mapping

import numpy as np
import pandas as pd
import seaborn
from matplotlib.figure import Figure

from classroom.figures.common import intervals, one_panel
from course_lib import look


@look.styled()
def differences_figure(pairs: Mapping[int, np.ndarray], line: float) -> Figure:
    """Histograms of simulated differences of two equal networks, in points, a panel for each number of test images.

    ``pairs``: number of images -> differences (studies,); ``line``: where dashed lines stand, on both sides.
    """
    figure = look.figure(8.4, 2.6)
    panels = np.atleast_1d(figure.subplots(1, len(pairs), sharex=True))
    for axes, (images, differences) in zip(panels, pairs.items(), strict=True):
        axes.hist(differences, bins=np.arange(-4, 4.1, 0.2) + 0.1, fc="#cfe3f1", ec=look.BLUE)
        for side in (-line, line):
            axes.axvline(side, color=look.VERMILION, linestyle="--")
        axes.set_title(f"{images:,} test images")
        axes.set_xlabel("difference of two equal networks (points)")
        axes.set_yticks([])
        axes.spines["left"].set_visible(False)
    words = "; ".join(f"{images:,} images: sd {values.std():.2f}" for images, values in pairs.items())
    figure.set_label(f"Simulated differences of two equal networks, in points. {words}. Dashed: {line}.")
    return figure


def intervals_figure(
    deltas: pd.Series, halves: pd.Series | None = None, *, words: str, open_rows: Iterable[str] = ()
) -> Figure:
    """Differences in points, one below the other by the names in their index, with half of their intervals if given.

    ``words`` say whose differences these are; ``open_rows`` are drawn as squares.
    """
    ends = (deltas, deltas) if halves is None else (deltas - halves, deltas + halves)
    figure = intervals(deltas, *ends, open_rows, "student minus its baseline (points)")
    figure.axes[0].axvline(0, color=look.BLACK, linewidth=1)
    said = f"{words}: {(deltas < 0).sum()} of {len(deltas)} below zero."
    if halves is not None:
        clear = deltas.index[deltas.abs() > halves]
        said += f" {len(clear)} leave zero out of their interval{': ' if len(clear) else ''}{', '.join(clear)}."
    figure.set_label(said)
    return figure


@look.styled()
def leads_figure(runs: pd.DataFrame) -> Figure:
    """By how many points the first batch of an epoch was better than the mean, of each run, in the order of the days.

    ``runs``: rows of ``report.authors_runs()``; the day stands in the name of the log.
    """
    days = pd.to_datetime(runs["log"].str.extract(r"_(2025\d{4})")[0], format="%Y%m%d")
    leads = runs["first_batch_lead"]
    figure, axes = one_panel(8.4, 3, "y")
    axes.axhline(0, color=look.BLACK, linewidth=1)
    axes.errorbar(days, leads, 2 * runs["first_batch_lead_se"], fmt="o", color=look.BLUE, mfc="white", capsize=2)
    axes.set_ylabel("lead of the first batch (points)")
    axes.set_xticks(sorted(set(days)), [f"{day.day} {day:%b}" for day in sorted(set(days))], rotation=60)
    low = leads < leads.mean()
    figure.set_label(
        f"Lead of the first batch in {len(runs)} runs, in points: {low.sum()} runs from {leads[low].min():+.2f} to "
        f"{leads[low].max():+.2f}, {(~low).sum()} from {leads[~low].min():+.2f} to {leads[~low].max():+.2f}."
    )
    return figure


@look.styled()
def settling_figure(shares: pd.Series, asked: int) -> Figure:
    """Share (percent) of pairs that stand in their final order, by epoch; the epoch that was asked for has a mark."""
    figure, axes = one_panel(8.4, 2.6, "both")
    axes.plot(shares.index, shares, color=look.BLUE)
    axes.plot(asked, shares[asked], "o", color=look.VERMILION)
    drawn = {"ha": "center", "arrowprops": {"arrowstyle": "-", "color": look.VERMILION}}
    axes.annotate(f"epoch {asked}: {shares[asked]:.0f} %", (asked, shares[asked]), (asked, 10), **drawn)
    axes.set(xlabel="epoch", ylabel="pairs in final order (%)", ylim=(0, 104), xlim=(0, shares.index[-1] + 1))
    figure.set_label(f"Pairs in their final order, in percent: {shares[asked]:.0f} at epoch {asked}, 100 at the end.")
    return figure


@look.styled()
def shipped_figure(shipped: pd.DataFrame) -> Figure:
    """Accuracy (percent) against milliseconds for one image: each trained network in PyTorch, as ONNX and in 8 bits.

    ``shipped``: ``data/costs/shipped.csv`` by key. What has no trained weights has no accuracy, and is not drawn.
    """
    figure, axes = one_panel(8.4, 3.4, "both")
    trained = shipped.dropna(subset="float32_accuracy")
    ms = trained[["torch_ms", "float32_ms", "int8_ms"]]
    accuracy = trained[["float32_accuracy", "float32_accuracy", "int8_accuracy"]].to_numpy()
    axes.plot(ms.T, accuracy.T, color="#999999", linewidth=1)
    for form, (name, mark, colour) in enumerate(
        (("PyTorch", "o", look.BLACK), ("ONNX", "s", look.BLUE), ("ONNX, 8 bits", "v", look.VERMILION))
    ):
        axes.plot(ms.iloc[:, form], accuracy[:, form], mark, color=colour, label=name)
    for row, key in enumerate(ms.index):  # names by turns above and below: neighbours are near
        look.write(axes, key, (ms.iloc[row, 0], accuracy[row, 0]), (6, -12 if row % 2 else 5), "left")
    axes.set(xscale="log", xlabel="one image on one thread (ms)", ylabel="test accuracy (%)", xlim=(0.5, 100))
    axes.set_xticks([1, 3, 10, 30, 100], ["1", "3", "10", "30", "100"])
    axes.margins(y=0.15)
    axes.legend(frameon=False, loc="lower right")
    said = "; ".join(
        f"{row.Index} {row.torch_ms:.1f}, {row.float32_ms:.1f}, {row.int8_ms:.1f}" for row in ms.itertuples()
    )
    figure.set_label(f"Accuracy against latency. Milliseconds in PyTorch, as ONNX, in 8 bits: {said}.")
    return figure


@look.styled()
def softening_figure(runs: pd.DataFrame) -> Figure:
    """What a teacher changed, by temperature and alpha, as a heat map: points, mean over seeds, and how many seeds.

    ``runs``: a row for each pair of runs, with ``temperature``, ``alpha`` and ``delta``. A cell without runs says so.
    """
    cells = runs.groupby(["alpha", "temperature"])["delta"].agg(["mean", "size"])
    grid = cells["mean"].unstack().reindex(index=[0.1, 0.5, 0.9], columns=[1.0, 4.0, 8.0])
    figure, axes = one_panel(6.4, 3.2)
    furthest = max(1.0, cells["mean"].abs().max())
    bar = {"label": "points against no teacher"}
    seaborn.heatmap(grid, ax=axes, cmap="PuOr", vmin=-furthest, vmax=furthest, cbar_kws=bar, linewidths=1)
    said = []
    for (row, alpha), (column, t) in itertools.product(enumerate(grid.index), enumerate(grid.columns)):
        mean, count = cells.loc[(alpha, t)] if (alpha, t) in cells.index else (np.nan, 0)
        words = f"{mean:+.2f}\n(n = {count:.0f})" if count else "not run"
        dark = "white" if abs(mean) > 0.6 * furthest else look.BLACK
        axes.text(column + 0.5, row + 0.5, words, ha="center", va="center", color=dark)
        said += [f"T = {t:g}, alpha = {alpha:g}: {words}".replace("\n", " ")]
    axes.set(xlabel="temperature T", ylabel="alpha, weight of the label", xticklabels=["1", "4", "8"])
    figure.set_label(f"What a teacher changed, in points. {'; '.join(said)}.")
    return figure
