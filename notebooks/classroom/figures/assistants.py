"""Figures of lesson 4: a ladder of teachers, three polynomials, maps of the disc, and the capacity gap."""

from collections.abc import Mapping

import numpy as np
import pandas as pd
from matplotlib.axes import Axes
from matplotlib.figure import Figure

from classroom.figures.common import one_panel
from classroom.sliders.chains import ALONG, CLASS_COLOURS, FROM_MIDDLE, GRID, colours_of
from classroom.sliders.drawing import room
from classroom.toy import Points
from course_lib import look
from course_lib.look import BLACK, BLUE, CURVE_COLOURS, CURVE_MARKERS, VERMILION

LIGHT, GREY = "#f0b48a", "#777777"
LADDER_PANELS = {"accuracy (%)": (BLUE, "o"), "entropy (bits)": (VERMILION, "s"), "agreement (%)": (BLACK, "D")}
GAP_PANELS = {
    "kl": "KL from the teacher (nats)",
    "agreement": "agreement with it (%)",
    "accuracy": "student's accuracy (%)",
}


@look.styled()
def ladder(teachers: pd.DataFrame, student: str) -> Figure:
    """Accuracy, entropy and likeness to a student of teachers of growing size, a panel each.

    Args:
        teachers: a row a teacher, the smallest first: ``parameters (M)`` and the columns of ``LADDER_PANELS``.
        student: the name of the network that ``agreement (%)`` is with.
    """
    figure = look.figure(8.4, 2.8)
    ticks = [f"{name.split('-')[-1]}\n{size:.2f} M" for name, size in teachers["parameters (M)"].items()]
    for axes, (column, (colour, marker)) in zip(figure.subplots(1, 3), LADDER_PANELS.items(), strict=True):
        axes.plot(range(len(teachers)), teachers[column], marker=marker, color=colour)
        axes.set_xticks(range(len(teachers)), ticks)
        axes.set_title(column.replace("agreement", f"agreement with\n{student}"))
        axes.margins(x=0.12)
        if "%" in column:  # small differences look small
            axes.set_ylim(room(teachers[column]))
        look.dress(axes, "y")
    figure.supxlabel("ResNet with so many layers, parameters")
    first, last = teachers.iloc[0], teachers.iloc[-1]
    words = "; ".join(f"{name} {first[name]:.2f} and {last[name]:.2f}" for name in LADDER_PANELS)
    figure.set_label(f"Teachers of growing size. Of {teachers.index[0]} and {teachers.index[-1]}: {words}.")
    return figure


@look.styled()
def polynomials(
    x: np.ndarray, teacher: np.ndarray, assistant: np.ndarray, direct: np.ndarray, chain: np.ndarray
) -> Figure:
    """A teacher, an assistant and two students as curves over ``x``; all arrays (N,)."""
    figure, axes = one_panel(7, 3.2)
    axes.plot(x, teacher, color=BLACK, label="teacher, degree 15")
    axes.plot(x, assistant, color=BLUE, linestyle="--", label="assistant, degree 7")
    axes.plot(x, direct, color=LIGHT, linewidth=4, label="student, degree 3, direct")
    axes.plot(x, chain, color=VERMILION, linestyle=":", label="the same, chain")
    axes.set(xlabel="x", ylabel="f(x)")
    figure.legend(ncols=2, loc="outside lower center")
    distance, apart = np.mean((direct - teacher) ** 2), np.abs(direct - chain).max()
    same = "the student is one and the same curve" if apart < 1e-6 else f"the students are up to {apart:.3f} apart"
    figure.set_label(
        "A wavy teacher, a smoother assistant, and two students of degree 3. Taught directly or through the "
        f"assistant, {same}; the direct one lies at a distance of {distance:.3f} from the teacher."
    )
    return figure


@look.styled()
def disc_maps(maps: Mapping[str, np.ndarray | Points]) -> Figure:
    """What networks answer at every place of the disc, side by side.

    Args:
        maps: by title, class probabilities (GRID * GRID, 3) at ``sliders.chains.grid_points()``, or labelled points.
    """
    side = min(2.1, 8.4 / len(maps))
    figure = look.figure(side * len(maps), side + 0.3)
    panels = figure.subplots(1, len(maps), squeeze=False)[0]
    words = [_disc_panel(axes, title, answer) for axes, (title, answer) in zip(panels, maps.items(), strict=True)]
    classes = "one a class (A blue, B orange, C green), with the share that each class takes"
    figure.set_label(f"A disc in three colours, {classes}. {'; '.join(words)}.")
    return figure


def _disc_panel(axes: Axes, title: str, answer: np.ndarray | Points) -> str:
    """Draws one disc and returns its title with the shares of the three classes."""
    axes.set_title(title)
    axes.axis("off")
    if isinstance(answer, Points):
        classes = np.asarray(answer.labels)
        for number, marker in enumerate("os^"):
            axes.scatter(*np.asarray(answer.x)[classes == number].T, s=14, c=[CLASS_COLOURS[number]], marker=marker)
        axes.set(xlim=(-1, 1), ylim=(-1, 1), aspect="equal")
    else:
        probabilities = np.asarray(answer).reshape(GRID, GRID, 3)
        axes.imshow(colours_of(probabilities), extent=(-1, 1, -1, 1))
        classes = probabilities.argmax(axis=-1)[FROM_MIDDLE <= 1]
        for number, letter in enumerate("ABC"):  # where each class is surest, away from the edge
            likely = probabilities[..., number] * (FROM_MIDDLE < 0.7)
            row, column = np.unravel_index(likely.argmax(), likely.shape)
            axes.text(ALONG[column], -ALONG[row], letter, color="white", weight="bold", ha="center", va="center")
    shares = np.bincount(classes, minlength=3) / len(classes)
    return f"{title}: " + ", ".join(f"{share:.0%}" for share in shares)


@look.styled()
def gap_figure(gap: pd.DataFrame, named: int = 6) -> Figure:
    """KL, agreement and accuracy of students against the size of their teacher: means over seeds, bars two s.e.

    Args:
        gap: ``data/toy/gap.csv``, a row a network and seed; ``teacher`` is 0 for a student that learned from labels,
            ``student`` is 0 for the teachers themselves.
        named: hidden units of the student whose numbers the words tell.

    Raises:
        ValueError: no student of ``named`` units was taught.
    """
    taught = gap[(gap["teacher"] > 0) & (gap["student"] > 0)]
    if named not in set(taught["student"]):
        raise ValueError(
            f"no student of {named} units was taught: choose from {', '.join(map(str, sorted(set(taught['student']))))}"
        )
    import seaborn  # here, since it takes a second

    sizes = sorted(taught["teacher"].unique())
    lines = taught.assign(student=[f"student of {units} units" for units in taught["student"]])
    order = [f"student of {units} units" for units in sorted(taught["student"].unique())]
    style = {"palette": CURVE_COLOURS[: len(order)], "markers": list(CURVE_MARKERS[: len(order)])}
    style |= {"errorbar": ("se", 2), "capsize": 0.1, "linewidth": 1.5, "markersize": 6}
    figure = look.figure(8.6, 3.6)
    panels = figure.subplots(1, len(GAP_PANELS))
    for axes, (column, title) in zip(panels, GAP_PANELS.items(), strict=True):
        seaborn.pointplot(lines, x="teacher", y=column, hue="student", hue_order=order, ax=axes, **style, legend=False)
        axes.set(xlabel="hidden units of the teacher", ylabel="", title=title)
    for name, colour, marker in zip(order, CURVE_COLOURS, CURVE_MARKERS, strict=False):
        panels[-1].plot([], [], color=colour, marker=marker, label=name)
    _gap_references(panels[-1], gap, sizes)
    figure.legend(*panels[-1].get_legend_handles_labels(), ncols=3, loc="outside lower center")
    means = taught[taught["student"] == named].groupby("teacher")[list(GAP_PANELS)].mean()
    figure.set_label(_gap_words(means, named, gap))
    return figure


def _gap_references(axes: Axes, gap: pd.DataFrame, sizes: list[int]) -> None:
    """The teachers' own accuracy, and each student's without a teacher."""
    teachers = gap[gap["student"] == 0].groupby("teacher")["accuracy"].mean().reindex(sizes)
    axes.plot(range(len(sizes)), teachers, color=GREY, linestyle="--", label="the teacher")
    alone = gap[gap["teacher"] == 0].groupby("student")["accuracy"].mean()
    for number, accuracy in enumerate(alone):
        label = "a student without a teacher" if number == 0 else None
        axes.axhline(accuracy, color=BLACK, linewidth=1, linestyle=":", label=label, zorder=1)


def _gap_words(means: pd.DataFrame, named: int, gap: pd.DataFrame) -> str:
    small, large = means.iloc[0], means.iloc[-1]
    words = (
        f"KL, agreement and accuracy of students against the size of their teacher. The student of {named} units: "
        f"KL {small['kl']:.2f} from a teacher of {means.index[0]} units, {large['kl']:.2f} from one of "
        f"{means.index[-1]}; agreement {small['agreement']:.0f} and {large['agreement']:.0f} %; "
        f"accuracy {small['accuracy']:.1f} and {large['accuracy']:.1f} %"
    )
    alone = gap.loc[(gap["teacher"] == 0) & (gap["student"] == named), "accuracy"]
    without = "" if alone.empty else f", {alone.mean():.1f} % without a teacher"
    return f"{words}{without}. Bars are two standard errors."
