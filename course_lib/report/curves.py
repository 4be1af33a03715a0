"""Learning curves: from the results store, and from the authors' own logs."""

from collections.abc import Sequence

import pandas as pd
from matplotlib.axes import Axes
from matplotlib.figure import Figure
from matplotlib.ticker import MaxNLocator

from course_lib import look
from course_lib.look import CURVE_COLOURS, CURVE_MARKERS, dress, say_not_run, write
from course_lib.profiles import Profile
from course_lib.report.paper import authors_histories
from course_lib.report.runs import provenance, runs_of
from course_lib.study.experiments import find


@look.styled()
def learning_curves(
    results: pd.DataFrame, keys: Sequence[str], profile: str | Profile, recipe: str = "paper"
) -> Figure:
    """Test accuracy after every epoch of up to seven experiments: means over seeds, thin lines the seeds.

    Raises:
        ValueError: a key is unknown, or there are more keys than can be told apart.
    """
    keys = [find(key).key for key in keys]
    runs = runs_of(results, profile, recipe, keys)
    histories = {key: runs.loc[runs["key"] == key, "history"] for key in keys}
    curves = {
        key: [pd.DataFrame(history).set_index("epoch")["test_accuracy"] for history in found]
        for key, found in histories.items()
    }
    return _curves(curves, provenance(runs, profile, recipe), "not run", " (n = {})")


@look.styled()
def authors_curves(keys: Sequence[str]) -> Figure:
    """The same from the authors' own logs: test accuracy after each of their 200 epochs, one seed each.

    Raises:
        ValueError: a key is neither an experiment nor one of ``authors_runs``, or there are too many.
        ResultError: the logs' file is missing or damaged.
    """
    logged = authors_histories()["test_accuracy"]
    known = logged.index.unique("key")
    curves = {key: [logged[key]] if key in known else [] for key in keys if key in known or find(key)}
    return _curves(curves, "The paper's authors' own logs: 200 epochs on 50,000 images, one seed", "no log", "")


def _curves(curves: dict[str, list[pd.Series]], origin: str, absent: str, counted: str) -> Figure:
    """Each key's curves by epoch; those of none are named as ``absent``."""
    if not 1 <= len(curves) <= len(CURVE_COLOURS):
        raise ValueError(f"learning curves are for 1 to {len(CURVE_COLOURS)} experiments, not {len(curves)}")
    figure = look.titled("Test accuracy after every epoch", 3.8, origin)
    axes = figure.subplots()
    dress(axes)
    axes.set(xlabel="epoch", ylabel="test accuracy (%)")
    missing = [key for key, seeds in curves.items() if not seeds]
    axes.set_title(f"{absent}: {', '.join(missing)}" if missing else "", fontsize=8)
    ends = {}
    for number, (key, seeds) in enumerate(curves.items()):
        if seeds:
            last = _draw_curves(axes, seeds, number)
            ends[f"{key} {last[1]:.2f}{counted.format(len(seeds))}"] = (*last, number)
    if ends:
        axes.xaxis.set_major_locator(MaxNLocator(integer=True))
        _label_ends(axes, ends)
    else:
        say_not_run(axes, "both")
    words = "; ".join(ends) or "nothing has run yet"
    figure.set_label(f"Test accuracy in percent after the last epoch: {words}. {origin}.")
    return figure


def _draw_curves(axes: Axes, seeds: list[pd.Series], number: int) -> tuple[int, float]:
    """The mean of ``seeds`` in the look of curve ``number``; returns where it ends."""
    colour, mean = CURVE_COLOURS[number], pd.concat(seeds, axis=1).mean(axis=1)
    if len(seeds) > 1:
        for curve in seeds:
            axes.plot(curve.index, curve, color=colour, linewidth=0.7, alpha=0.5)
    step = max(1, len(mean) // 10)
    every = (number * step // len(CURVE_COLOURS), step)  # markers of several curves beside one another
    axes.plot(mean.index, mean, color=colour, marker=CURVE_MARKERS[number], markevery=every)
    return mean.index[-1], mean.iloc[-1]


def _label_ends(axes: Axes, ends: dict[str, tuple[int, float, int]]) -> None:
    """Write each curve's name beside its own last epoch, apart from the other names."""
    last = max(epoch for epoch, _, _ in ends.values())
    _label_column(axes, {name: end for name, end in ends.items() if end[0] == last})
    for name, (epoch, accuracy, number) in ends.items():
        if epoch < last:  # a line drawn on to the edge would say that the run went on
            side = "right" if epoch - 1 > 0.3 * (last - 1) else "left"
            write(axes, name, (epoch, accuracy), (0, 7), side)
            axes.plot(epoch, accuracy, color=CURVE_COLOURS[number], marker=CURVE_MARKERS[number])


def _label_column(axes: Axes, ends: dict[str, tuple[int, float, int]]) -> None:
    """The names of the curves that go on to the right edge, each with its marker."""
    low, high = axes.get_ylim()
    names = sorted(ends, key=lambda name: ends[name][1])
    heights = [(ends[name][1] - low) / (high - low) for name in names]
    for name, height in zip(names, _apart(heights, 0.075), strict=True):
        epoch, accuracy, number = ends[name]
        look = {"color": CURVE_COLOURS[number], "marker": CURVE_MARKERS[number]}
        axes.plot(1.04, height, **look, transform=axes.transAxes, clip_on=False)
        axes.text(1.06, height, name, transform=axes.transAxes, fontsize=8, va="center")
        line = {"arrowstyle": "-", "color": look["color"], "linewidth": 0.7}
        axes.annotate("", (epoch, accuracy), (1.04, height), textcoords="axes fraction", arrowprops=line)


def _apart(heights: list[float], gap: float) -> list[float]:
    """Rising ``heights``, pushed up and then down until all are ``gap`` apart and none is above 1."""
    heights = list(heights)
    for number in range(1, len(heights)):
        heights[number] = max(heights[number], heights[number - 1] + gap)
    ceiling = 1.0
    for number in reversed(range(len(heights))):
        heights[number] = min(heights[number], ceiling)
        ceiling = heights[number] - gap
    return heights
