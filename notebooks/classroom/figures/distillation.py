"""The figures of lesson 03: what a teacher says, what the temperature does to it, and how honest it is.

Probabilities are shares of 1; images are bytes (height, width, 3).
"""

from collections.abc import Mapping, Sequence

import numpy as np
from matplotlib.figure import Figure

from classroom.figures.common import gallery, powers_of_two
from course_lib import look
from course_lib.look import BLACK, BLUE, CURVE_COLOURS, VERMILION

LOOKS = ("o-", "s--", "^:")


@look.styled()
def answers(images: np.ndarray, truths: Sequence[str], probabilities: np.ndarray, classes: Sequence[str]) -> Figure:
    """N images with their true class, and below each a bar for every class: ``probabilities`` (N, classes)."""
    figure = look.figure(9, 4.6)
    panels = figure.subplots(2, len(images), height_ratios=(1, 1.5), squeeze=False)
    for number, (above, below) in enumerate(panels.T):
        above.imshow(images[number])
        above.set_title(truths[number])
        above.axis("off")
        below.barh(classes, probabilities[number], color=BLUE)
        below.set(xlim=(0, 1), xlabel="probability", xticks=[0, 0.5, 1])
        below.tick_params(labelleft=number == 0)
        below.invert_yaxis()
    highest = ", ".join(f"{p.max():.2f} for {classes[p.argmax()]}" for p in probabilities)
    figure.set_label(f"{len(images)} test images and the teacher's probabilities; its highest: {highest}")
    return figure


@look.styled()
def resemblance_map(means: np.ndarray, classes: Sequence[str]) -> Figure:
    """The mean probability of each wrong class (columns) for images of each class (rows): ``means`` (C, C)."""
    import seaborn  # here, since it takes a second

    figure = look.figure(6, 4.8)
    axes = figure.subplots()
    others = np.where(np.eye(len(classes), dtype=bool), np.nan, means)  # the diagonal would outshine the rest
    named = {"xticklabels": classes, "yticklabels": classes, "cbar_kws": {"label": "mean probability"}}
    seaborn.heatmap(others, ax=axes, cmap="cividis", square=True, **named)
    axes.set(xlabel="class the teacher considers", ylabel="true class")
    axes.set_xticks(axes.get_xticks(), classes, rotation=45, ha="right")
    row, column = np.unravel_index(np.nanargmax(others), others.shape)
    highest = f"{others[row, column]:.2f}, for {classes[column]} where {classes[row]} is true"
    figure.set_label(f"Mean probability of each wrong class; the highest is {highest}")
    return figure


def second_choices(images: np.ndarray, truth: str, first: Sequence[float], second: Mapping[str, float]) -> Figure:
    """N images of the class ``truth``, each with its probability and with its second choice and that one's."""
    chosen = zip(images, first, second.items(), strict=True)
    panels = [(image, f"{truth} {p:.2f}\n{name} {q:.2f}") for image, p, (name, q) in chosen]
    figure = gallery([panels or [(np.ones((1, 1)), "")]], size=1.5)
    named = ", ".join(second) or "none"
    figure.set_label(f"Images that the teacher rightly calls {truth}, each with another second choice: {named}")
    return figure


@look.styled()
def softening_curves(
    temperatures: np.ndarray, probabilities: np.ndarray, classes: Sequence[str], foremost: int = 3
) -> Figure:
    """One image's probabilities (N, C) against N rising temperatures; the ``foremost`` in colour, the rest grey."""
    figure = look.figure(7, 3.2)
    axes = figure.subplots()
    order = probabilities.mean(axis=0).argsort()[::-1]
    axes.plot(temperatures, probabilities[:, order[foremost:]], color="0.75", lw=1)
    for place, (k, dash) in enumerate(zip(order[:foremost], ("-", "--", "-."), strict=False)):
        axes.plot(temperatures, probabilities[:, k], dash, color=CURVE_COLOURS[place + 1], label=classes[k])
    axes.set_xscale("log", base=2)
    axes.set(xlabel="temperature T", ylabel="probability")
    axes.legend(title=f"grey: the {len(order[foremost:])} others")
    best = probabilities[:, order[0]]
    figure.set_label(
        f"One image's {len(order)} probabilities against T; the first choice falls from {best[0]:.2f} at "
        f"T = {temperatures[0]:g} to {best[-1]:.2f} at T = {temperatures[-1]:g}"
    )
    return figure


@look.styled()
def gradient_sizes(temperatures: np.ndarray, plain: np.ndarray, limit: float) -> Figure:
    """The mean size of KL's gradient against T, as it is (``plain``) and times T², which tends to ``limit``."""
    figure = look.figure(7, 3.4)
    axes = figure.subplots()
    scaled = plain * temperatures**2
    axes.loglog(temperatures, plain, "s--", base=2, color=VERMILION, label="KL alone")
    axes.loglog(temperatures, scaled, "o-", base=2, color=BLUE, label="T² · KL")
    axes.axhline(limit, color=BLACK, linestyle=":", label="limit: |z − v| / 10")
    axes.set(xlabel="temperature T", ylabel="mean gradient norm")
    look.dress(axes)
    axes.legend()
    figure.set_label(
        f"Gradient of the soft term against T. At T = {temperatures[-1]:g} it is {plain[-1]:.1e} for KL alone and "
        f"{scaled[-1]:.3f} for T² KL; the limit is {limit:.3f}"
    )
    return figure


@look.styled()
def reliability_bars(bins: Mapping[str, tuple[np.ndarray, np.ndarray, np.ndarray, float]]) -> Figure:
    """The accuracy in each bin of confidence, a panel for each network; honest bars end on the dotted line.

    ``bins``: for each name the images, the accuracy and the mean confidence of every bin, (bins,) each, and the ECE.
    """
    figure = look.figure(9, 3.2)
    panels = figure.subplots(1, max(len(bins), 1), sharey=True, squeeze=False)[0]
    for axes, (name, (n, accuracy, confidence, ece)) in zip(panels, bins.items(), strict=False):
        full = n > 0
        axes.bar(confidence[full], accuracy[full], width=0.06, color=BLUE)
        axes.plot([0, 1], [0, 1], ":", color=BLACK)
        axes.set(title=f"{name}\nECE {ece:.3f}", xlabel="confidence", xlim=(0, 1), ylim=(0, 1))
    panels[0].set_ylabel("accuracy")
    words = ", ".join(f"{name} {ece:.3f}" for name, (*_, ece) in bins.items())
    figure.set_label(f"Reliability of the teacher on the test images; ECE: {words or 'nothing to judge'}")
    return figure


@look.styled()
def doubt_against_sureness(factors: Sequence[float], bits: Mapping[float, Sequence[float]], highest: float) -> Figure:
    """The entropy of soft targets against N factors on the teacher's logits, N bits for each temperature.

    ``highest``: the entropy of an answer that says nothing, in bits.
    """
    figure = look.figure(7, 3.2)
    axes = figure.subplots()
    for (T, values), marks, colour in zip(bits.items(), LOOKS, CURVE_COLOURS, strict=False):
        axes.plot(factors, values, marks, color=colour, label=f"T = {T}")
    axes.axhline(highest, color=BLACK, lw=0.8)
    axes.text(factors[-1], highest + 0.05, "all classes alike: says nothing", ha="right")
    powers_of_two(axes, factors, "teacher's logits multiplied by")
    axes.set(ylabel="entropy (bits)", ylim=(-0.1, highest + 0.4))
    axes.legend()
    words = "; ".join(f"at T = {T} from {values[0]:.2f} to {values[-1]:.2f} bits" for T, values in bits.items())
    figure.set_label(f"Entropy of soft targets as a teacher that is right becomes surer: {words}")
    return figure


@look.styled()
def missed_bits(standins: Mapping[str, float]) -> Figure:
    """Bits of the teacher's answer that each stand-in misses, as bars."""
    figure = look.figure(7, 2.4)
    axes = figure.subplots()
    axes.bar_label(axes.barh(list(standins), list(standins.values()), color=BLUE), fmt="%.2f", padding=3)
    axes.set_xlabel("bits of the teacher's answer that are missed (mean)")
    axes.set_xlim(0, 1.15 * max(standins.values(), default=1))
    axes.invert_yaxis()
    words = ", ".join(f"{name} {value:.2f}" for name, value in standins.items())
    figure.set_label(f"What stand-ins miss of the teacher's answers, in bits at T = 1: {words or 'none'}")
    return figure


def scraps(image: np.ndarray, large: np.ndarray, corners: Sequence[tuple[int, int]]) -> Figure:
    """What the student sees, the enlarged image with the places of some crops, and these crops, as large as the image.

    ``corners``: the row and column of the upper left pixel of each crop.
    """
    side = image.shape[0]
    panels = [(image, "\nthe student's"), (large, f"enlarged to {large.shape[0]},\nwith {len(corners)} crops")]
    panels += [(large[row : row + side, column : column + side], "the teacher's") for row, column in corners]
    figure = gallery([panels], size=1.5)
    frame = side * np.array([[0, 1, 1, 0, 0], [0, 0, 1, 1, 0]])
    for row, column in corners:
        figure.axes[1].plot(column + frame[0], row + frame[1], "w")
    share = 100 * side**2 / (large.shape[0] * large.shape[1])
    figure.set_label(f"A test image, and {len(corners)} crops that show {share:.1f} % of it each")
    return figure
