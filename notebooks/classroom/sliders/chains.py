"""The chain slider: which assistants stand between a teacher and its student, on the problem in the plane of ``toy``.

All 16 chains were trained beforehand (``data/make_toy.py``), each 20 times, for three numbers of training points.
"""

import functools
import itertools
import zipfile
import zlib
from collections.abc import Sequence
from pathlib import Path
from typing import TYPE_CHECKING, NamedTuple

import numpy as np
import pandas as pd
from matplotlib.artist import Artist
from matplotlib.axes import Axes
from matplotlib.figure import Figure
from matplotlib.image import AxesImage

from classroom.sliders.drawing import LABEL_SIZE, SKY, Labels, explorer
from course_lib.errors import DataError
from course_lib.files import repo_path
from course_lib.look import BLACK, BLUE, VERMILION

if TYPE_CHECKING:
    import ipywidgets
    import torch

TEACHER, STUDENT = 128, 6  # hidden units
ASSISTANTS = (64, 32, 16, 8)
POINTS = (30, 100, 300)  # training points that every network of a chain learns from
GRID = 48  # places along a side of the map that shows what a network has learned
CLASS_COLOURS = np.array([[0, 114, 178], [230, 159, 0], [0, 158, 115]]) / 255  # blue, orange, green
ALL_CHAINS = tuple(
    (TEACHER, *middle, STUDENT) for length in range(5) for middle in itertools.combinations(ASSISTANTS, length)
)
COLUMNS = (
    "points",
    "chain",
    "hidden",
    "seed",
    "accuracy",
    "agreement",
    "kl",
    "step_agreement",
    "step_kl",
)


def chain_name(sizes: Sequence[int]) -> str:
    """``128-32-6`` for a teacher, an assistant and a student of so many hidden units."""
    return "-".join(str(size) for size in sizes)


def chain_results(path: Path | None = None) -> pd.DataFrame:
    """Every network of every chain on 4,000 test points: one row for each of its 20 seeds.

    Columns: ``points`` it was trained on; ``chain``, the networks up to this one (``alone``: the student that learned
    from labels); ``hidden``; ``seed``; ``accuracy`` in percent; ``agreement`` (percent) and ``kl`` (nats) with the
    teacher; ``step_agreement`` and ``step_kl``, the same with the network that taught it.

    Raises:
        DataError: the file is missing or damaged.
    """
    return _stored_results(path or repo_path("data", "toy", "chains.csv")).copy()


@functools.cache
def _stored_results(path: Path) -> pd.DataFrame:
    try:
        frame = pd.read_csv(path)
        if tuple(frame.columns) != COLUMNS or not set(POINTS) <= set(frame["points"]):
            raise ValueError("columns or rows are missing")
    except (OSError, ValueError) as error:
        raise DataError(f"{path} is damaged ({error}): make it again with python data/make_toy.py chains") from error
    return frame


def grid_points() -> "torch.Tensor":
    """The places (GRID * GRID, 2) of the maps, row by row from the top left."""
    import torch

    along = (torch.arange(GRID) + 0.5) / GRID * 2 - 1
    y, x = torch.meshgrid(-along, along, indexing="ij")
    return torch.stack([x, y], dim=-1).reshape(-1, 2)


def colours_of(probabilities: np.ndarray) -> np.ndarray:
    """Colours (GRID, GRID, 3) of a map of class probabilities (GRID, GRID, 3): mixed, and white outside of the disc."""
    along = (np.arange(GRID) + 0.5) / GRID * 2 - 1
    outside = along[:, None] ** 2 + along[None, :] ** 2 > 1
    mixed = np.asarray(probabilities, dtype=float) @ CLASS_COLOURS
    mixed[outside] = 1.0
    return np.clip(mixed, 0, 1)


@functools.cache
def _stored_maps(path: Path) -> dict[str, np.ndarray]:
    """The maps of seed 0 as colours, by points and chain: ``100 128-32``."""
    try:
        with np.load(path, allow_pickle=False) as archive:
            maps, names = archive["maps"], archive["names"].tolist()
    except (OSError, EOFError, ValueError, KeyError, zipfile.BadZipFile, zlib.error) as error:
        raise DataError(f"{path} is damaged ({error}): make it again with python data/make_toy.py chains") from error
    return {name: colours_of(map_ / 255) for name, map_ in zip(names, maps, strict=True)}


def chain_explorer(assistants: Sequence[int] = (32,), points: int = 100) -> "ipywidgets.VBox":
    """Check boxes for four assistants and a slider over the training points: what becomes of the student.

    Args:
        assistants: those that stand in the chain at first, of 64, 32, 16 and 8 hidden units.
        points: 30, 100 or 300.

    Raises:
        ValueError: there is no such assistant or number of points.
        DataError: ``data/toy`` is missing or damaged.
    """
    from ipywidgets import Checkbox, SelectionSlider

    picture = _ChainPicture()
    picture.draw(*_switches(assistants), points)
    boxes = []
    for size, on in zip(ASSISTANTS, _switches(assistants), strict=True):
        box = Checkbox(on, description=f"assistant with {size} hidden units", indent=False)
        box.add_class(f"course-assistant-{size}")
        boxes.append(box)
    slider = SelectionSlider(value=points, options=POINTS, description="points", continuous_update=False)
    slider.add_class("course-points")
    return explorer(picture, [*boxes, slider])


def chain_figure(assistants: Sequence[int] = (32,), points: int = 100) -> Figure:
    """What :func:`chain_explorer` shows with these assistants, as a figure with its words in ``report.alt_text``.

    Raises:
        ValueError: there is no such assistant or number of points.
        DataError: ``data/toy`` is missing or damaged.
    """
    picture = _ChainPicture()
    picture.draw(*_switches(assistants), points)
    return picture.figure


def _switches(assistants: Sequence[int]) -> list[bool]:
    unknown = sorted(set(assistants) - set(ASSISTANTS))
    if unknown:
        raise ValueError(f"there is no assistant with {unknown[0]} hidden units: choose from 64, 32, 16 and 8")
    return [size in assistants for size in ASSISTANTS]


class _Summary(NamedTuple):
    """Means over the seeds, with standard errors, for one number of points."""

    accuracy: dict[str, float]
    agreement: dict[str, float]
    kl: dict[str, tuple[float, float]]
    delta: np.ndarray  # (16, 2): a chain's student minus the direct one, in points, seed by seed


@functools.cache
def _summary(points: int) -> _Summary:
    rows = chain_results()
    by_seed = rows[rows["points"] == points].pivot(index="seed", columns="chain")
    mean, error = by_seed.mean(), by_seed.sem()
    accuracy = by_seed["accuracy"]
    deltas = [accuracy[chain_name(chain)] - accuracy[chain_name(ALL_CHAINS[0])] for chain in ALL_CHAINS]
    kl = {name: (value, error["kl"][name]) for name, value in mean["kl"].items()}
    pairs = np.array([(delta.mean(), delta.sem()) for delta in deltas])
    return _Summary(mean["accuracy"].to_dict(), mean["agreement"].to_dict(), kl, pairs)


class _ChainPicture:
    """A map for each network of the chain, its distance from the teacher, and the students of all 16 chains."""

    def __init__(self) -> None:
        self.maps = _stored_maps(repo_path("data", "toy", "maps.npz"))
        self.figure = Figure(figsize=(10, 6.2), dpi=100)
        self.title = self.figure.text(0.012, 0.95, "", fontsize=11, weight="bold")
        note = "Maps: what each network answers in the disc (seed 0). Numbers: means over 20 seeds, 4,000 test points."
        self.figure.text(0.012, 0.91, note, fontsize=LABEL_SIZE)
        self.lefts = [0.012 + 0.165 * place for place in range(len(ASSISTANTS) + 2)]
        self.images = [self._add_map(self.figure.add_axes((left, 0.56, 0.15, 0.242))) for left in self.lefts]
        self._add_distances(self.figure.add_axes((0.075, 0.1, 0.34, 0.32)))
        self._add_students(self.figure.add_axes((0.62, 0.1, 0.365, 0.36)))
        page = self.figure.transFigure  # outlines instead of Text: all captions in a fraction of the time
        self.captions = [Labels(self.figure.axes[0], [(0, 0)], page) for _ in range(2)]

    @property
    def moving(self) -> list[Artist]:
        return [
            *(self.title, *self.images, *(labels.artist for labels in self.captions)),
            *(
                self.kl_line,
                self.kl_errors,
                self.kl_words.artist,
                self.delta_errors,
                self.delta_points,
                self.ring,
            ),
        ]

    def _add_map(self, axes: Axes) -> AxesImage:
        axes.axis("off")
        return axes.imshow(np.ones((GRID, GRID, 3)), interpolation="nearest")

    def _add_distances(self, axes: Axes) -> None:
        self.kl_errors = axes.vlines([], 0, 0, color=BLACK, linewidth=1)
        self.kl_line = axes.plot([], [], "o-", color=BLUE)[0]
        self.kl_words = Labels(axes, [(0, 0)], axes.transData, right=True)
        axes.set_title("Distance from the teacher along the chain: KL (nats)", fontsize=9)
        axes.set_xlim(-1, len(ASSISTANTS) + 1.4)
        axes.set_xticks([])
        axes.set_xlabel("the teacher, then each network of the chain", fontsize=LABEL_SIZE)
        axes.set_ylim(
            0,
            1.3 * max(mean for n in POINTS for mean, _ in _summary(n).kl.values() if mean == mean),
        )
        axes.tick_params(labelsize=LABEL_SIZE)
        axes.spines[["top", "right"]].set_visible(False)

    def _add_students(self, axes: Axes) -> None:
        rows = range(len(ALL_CHAINS))
        self.delta_errors = axes.hlines(rows, 0, 0, color=SKY, linewidth=3)
        self.delta_points = axes.plot(np.zeros(len(rows)), rows, "o", color=BLUE, markersize=4)[0]
        self.ring = axes.plot([0], [0], "o", color=VERMILION, markersize=11, fillstyle="none")[0]
        axes.axvline(0, color=BLACK, linewidth=0.8)
        names = ["none (direct)", *(chain_name(chain[1:-1]) for chain in ALL_CHAINS[1:])]
        axes.set_yticks(rows, names, fontsize=LABEL_SIZE - 1)
        axes.set_ylim(len(rows) - 0.4, -0.6)
        ends = [np.abs(_summary(n).delta[:, 0]) + 2 * _summary(n).delta[:, 1] for n in POINTS]
        reach = float(np.max(ends))
        axes.set_xlim(-1.05 * reach, 1.05 * reach)
        axes.set_xlabel("student's accuracy minus direct, points (mean ± 2 s.e.)", fontsize=LABEL_SIZE)
        axes.set_title("All 16 chains: assistants, and what their student gains", fontsize=9)
        axes.tick_params(axis="x", labelsize=LABEL_SIZE)
        axes.spines[["top", "right"]].set_visible(False)

    def draw(self, *settings: int) -> str:
        """Show a chain; ``settings`` are four switches, largest assistant first, and the number of points.

        Raises:
            ValueError: no chain was trained on so many points.
        """
        *switches, points = settings
        if points not in POINTS:
            raise ValueError(f"no chain was trained on {points} points: choose from 30, 100 and 300")
        middle = [size for size, on in zip(ASSISTANTS, switches, strict=True) if on]
        chain, summary = (TEACHER, *middle, STUDENT), _summary(points)
        self._draw_maps(chain, points, summary)
        self._draw_distances(chain, summary)
        delta = self._draw_students(chain, summary)
        named = " → ".join(str(size) for size in chain)
        self.title.set_text(f"Chain {named} hidden units, {points} training points: student {delta}")
        words = _words(chain, points, summary, delta)
        self.figure.set_label(
            f"Maps of the networks of a chain, their distance from the teacher, and the gain of all 16 chains. {words}"
        )
        return words

    def _draw_maps(self, chain: tuple[int, ...], points: int, summary: _Summary) -> None:
        names = [chain_name(chain[: place + 1]) for place in range(len(chain))]
        for image, name in itertools.zip_longest(self.images, names):
            image.set_visible(name is not None)
            if name:
                image.set_data(self.maps[f"{points} {name}"])
        roles = ["teacher", *["assistant"] * (len(chain) - 2), "student"]
        lines = (
            [f"{role}, {size} units" for role, size in zip(roles, chain, strict=True)],
            [f"right {summary.accuracy[name]:.1f} %" for name in names],
        )
        for labels, words, height in zip(self.captions, lines, (0.842, 0.817), strict=True):
            labels.write(words, [(left + 0.01, height) for left in self.lefts[: len(chain)]])

    def _draw_distances(self, chain: tuple[int, ...], summary: _Summary) -> None:
        values = [summary.kl[chain_name(chain[: place + 1])] for place in range(len(chain))]
        self.kl_line.set_data(range(len(chain)), [mean for mean, _ in values])
        self.kl_errors.set_segments(
            [[(place, mean - 2 * error), (place, mean + 2 * error)] for place, (mean, error) in enumerate(values)]
        )
        places = [(place + 0.15, mean + 2 * error + 0.03) for place, (mean, error) in enumerate(values)]
        self.kl_words.write([f"{size}: {mean:.2f}" for size, (mean, _) in zip(chain, values, strict=True)], places)

    def _draw_students(self, chain: tuple[int, ...], summary: _Summary) -> str:
        """Returns the gain of the chain in words."""
        self.delta_points.set_xdata(summary.delta[:, 0])
        self.delta_errors.set_segments(
            [[(mean - 2 * error, row), (mean + 2 * error, row)] for row, (mean, error) in enumerate(summary.delta)]
        )
        row = ALL_CHAINS.index(chain)
        mean, error = summary.delta[row]
        self.ring.set_data([mean], [row])
        return f"{mean:+.2f} ± {2 * error:.2f} points against direct" if row else "taught directly"


def _words(chain: tuple[int, ...], points: int, summary: _Summary, delta: str) -> str:
    name = chain_name(chain)
    steps = ", ".join(
        f"{size} units {summary.kl[chain_name(chain[: place + 1])][0]:.3f}" for place, size in enumerate(chain) if place
    )
    return (
        f"Chain {name}, {points} training points, 20 seeds. KL from the teacher: {steps}. The student agrees with "
        f"the teacher at {summary.agreement[name]:.1f} % of the test points and is right at "
        f"{summary.accuracy[name]:.1f} %; {delta}. The teacher is right at {summary.accuracy[str(TEACHER)]:.1f} %, "
        f"the same student without a teacher at {summary.accuracy['alone']:.1f} %."
    )
