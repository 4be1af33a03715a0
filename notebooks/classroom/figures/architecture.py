"""Figures of lesson 1: feature maps, what they have in common, kernels of branches, and where parameters work."""

from collections.abc import Mapping, Sequence

import numpy as np
import pandas as pd
from matplotlib.figure import Figure

from classroom.figures.common import WIDEST, Panel, gallery, one_panel
from course_lib import look
from course_lib.look import BLUE, VERMILION


@look.styled()
def correlations(r: np.ndarray, names: Sequence) -> Figure:
    """The matrix ``r`` (N, N) of correlations between maps called ``names``."""
    import seaborn  # in the functions that need it, since it takes a second

    figure, axes = one_panel(5.6, 4.6)
    scale = {"cmap": "RdBu_r", "vmin": -1, "vmax": 1, "cbar_kws": {"label": "r"}}
    seaborn.heatmap(r, ax=axes, **scale, square=True, xticklabels=names, yticklabels=names)
    axes.tick_params(axis="y", labelrotation=0)
    alike = int((_likeness(r).max(axis=1) > 0.9).sum())
    figure.set_label(f"Correlation of the stem's maps: {alike} of {len(r)} maps have a partner with |r| > 0.9")
    return figure


@look.styled()
def look_alikes(photo: Panel, maps: Sequence, r: np.ndarray, names: Sequence, pairs: int = 3) -> Figure:
    """A photograph and the pairs of its maps that are most alike; no map twice.

    Args:
        photo: the image that the maps are of.
        maps: N pictures (H, W).
        r: (N, N) correlations.
        names: N names.
        pairs: how many; at most N / 2.
    """
    left, panels, found = _likeness(r), [], []
    for _ in range(pairs):
        pair = np.unravel_index(left.argmax(), left.shape)
        left[list(pair)] = left[:, list(pair)] = -1
        found.append(f"{r[pair]:.2f}")
        panels += [(maps[i], f"map {names[i]}\nr = {r[pair]:.2f}") for i in pair]
    figure = gallery([panels], photo, size=1.35)
    figure.set_label(f"A test image and the {pairs} pairs of its maps that are most alike: r = {', '.join(found)}")
    return figure


def _likeness(r: np.ndarray) -> np.ndarray:
    """|r| of different maps; 0 on the diagonal."""
    return np.abs(r) * (1 - np.eye(len(r)))


@look.styled()
def kernels(parts: Mapping[str, np.ndarray]) -> Figure:
    """Small kernels (k, k) side by side in one range of colours, with their numbers; the last is their sum."""
    import seaborn

    limit = max(np.abs(np.asarray(kernel)).max() for kernel in parts.values())
    figure = look.figure(min(1.6 * len(parts), WIDEST), 1.85)
    scale = {"cmap": "RdBu_r", "vmin": -limit, "vmax": limit, "cbar": False}
    for axes, (name, kernel) in zip(figure.subplots(1, len(parts), squeeze=False)[0], parts.items(), strict=True):
        last = np.asarray(kernel)
        seaborn.heatmap(last, ax=axes, **scale, annot=True, fmt=".2f", square=True, xticklabels=[], yticklabels=[])
        axes.set_title(name)
    middle = last[len(last) // 2, len(last) // 2]
    figure.set_label(f"{', '.join(parts)}: one kernel each. The middle of {name} is {middle:.2f}")
    return figure


@look.styled()
def where_parameters_work(shares: Mapping[str, pd.Series]) -> Figure:
    """Bars: percent of each network's parameters (index: side of the feature maps in pixels), two networks."""
    sides = [32, 16, 8, 4, 2, 1]
    figure, axes = one_panel(7, 3)
    words = []
    for (name, share), colour, hatch, aside in zip(
        shares.items(), (BLUE, VERMILION), ("", "//"), (-0.19, 0.19), strict=True
    ):
        heights = share.reindex(sides, fill_value=0)
        style = {"color": colour, "hatch": hatch, "edgecolor": "white", "label": name}
        bars = axes.bar(np.arange(6) + aside, heights, width=0.36, **style)
        axes.bar_label(bars, [f"{height:.0f}" if height else "" for height in heights])
        last = min(side for side in share.index if side > 1)
        words.append(f"{share[last]:.0f} % of {name}'s at {last} x {last}")
    axes.set_xticks(range(6), [*sides[:-1], "1: after\nthe mean"])
    axes.set(xlabel="side of the feature maps in pixels", ylabel="parameters (%)", ylim=(0, 75))
    axes.legend(loc="upper left")
    figure.set_label(f"Where the parameters work, by the side of the maps: {', '.join(words)}")
    return figure
