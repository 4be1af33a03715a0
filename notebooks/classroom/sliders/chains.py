"""The chain slider: which assistants stand between a teacher and its student, on the problem in the plane of ``toy``.

All 16 chains were trained beforehand (``tools/make_toy.py``), each 20 times, for three numbers of training points.
"""

import functools
import itertools
from collections.abc import Sequence
from pathlib import Path
from typing import TYPE_CHECKING, NamedTuple

import numpy as np
import pandas as pd
from matplotlib.axes import Axes

from classroom.sliders.controls import Choice, Ticks
from classroom.sliders.drawing import SKY, Labels, Picture, moves, stretch
from course_lib import look
from course_lib.files import DataError, repo_path
from course_lib.look import BLACK, BLUE, VERMILION

if TYPE_CHECKING:
    import torch

TEACHER, STUDENT = 128, 6  # hidden units
ASSISTANTS = (64, 32, 16, 8)
POINTS = (30, 100, 300)  # training points that every network of a chain learns from
GRID = 48  # places along a side of the map that shows what a network has learned
ALONG = (np.arange(GRID) + 0.5) / GRID * 2 - 1  # where they are; the disc has radius 1
FROM_MIDDLE = ALONG[:, None] ** 2 + ALONG**2  # (GRID, GRID), squared
CLASS_COLOURS = np.array([[0, 114, 178], [230, 159, 0], [0, 158, 115]]) / 255  # blue, orange, green
ALL_CHAINS = tuple(
    (TEACHER, *middle, STUDENT) for length in range(5) for middle in itertools.combinations(ASSISTANTS, length)
)
COLUMNS = ("points", "chain", "hidden", "seed", "accuracy", "agreement", "kl", "step_agreement", "step_kl")


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
    path = path or repo_path("data", "toy", "chains.csv")
    try:
        frame = pd.read_csv(path)
        if tuple(frame.columns) != COLUMNS or not set(POINTS) <= set(frame["points"]):
            raise ValueError("columns or rows are missing")
    except (OSError, ValueError) as error:
        raise DataError(f"{path} is damaged ({error}): make it again with python tools/make_toy.py chains") from error
    return frame


def grid_points() -> "torch.Tensor":
    """The places (GRID * GRID, 2) of the maps, row by row from the top left."""
    import torch

    x, y = np.meshgrid(ALONG, -ALONG)
    return torch.from_numpy(np.stack([x, y], axis=-1).reshape(-1, 2)).float()


def colours_of(probabilities: np.ndarray) -> np.ndarray:
    """Colours (GRID, GRID, 3) of a map of class probabilities (GRID, GRID, 3): mixed, and white outside of the disc."""
    mixed = np.asarray(probabilities, dtype=float) @ CLASS_COLOURS
    mixed[FROM_MIDDLE > 1] = 1.0
    return np.clip(mixed, 0, 1)


@functools.cache
def stored_maps(path: Path) -> dict[str, np.ndarray]:
    """The maps of seed 0 as colours, by points and chain: ``100 128-32``."""
    try:
        with np.load(path, allow_pickle=False) as archive:
            maps, names = archive["maps"], archive["names"].tolist()
    except Exception as error:  # of the file system, of zip, of NumPy
        raise DataError(f"{path} is damaged ({error}): make it again with python tools/make_toy.py chains") from error
    return {name: colours_of(map_ / 255) for name, map_ in zip(names, maps, strict=True)}


class _Summary(NamedTuple):
    """Means over the seeds, with standard errors, for one number of points."""

    accuracy: dict[str, float]
    agreement: dict[str, float]
    kl: dict[str, tuple[float, float]]
    delta: np.ndarray  # (16, 2): a chain's student minus the direct one, in points, seed by seed


@functools.cache
def means_of(points: int) -> _Summary:
    rows = chain_results()
    by_seed = rows[rows["points"] == points].pivot(index="seed", columns="chain")
    mean, error = by_seed.mean(), by_seed.sem()
    accuracy = by_seed["accuracy"]
    deltas = [accuracy[chain_name(chain)] - accuracy[chain_name(ALL_CHAINS[0])] for chain in ALL_CHAINS]
    kl = {name: (value, error["kl"][name]) for name, value in mean["kl"].items()}
    pairs = np.array([(delta.mean(), delta.sem()) for delta in deltas])
    return _Summary(mean["accuracy"].to_dict(), mean["agreement"].to_dict(), kl, pairs)


class Chains(Picture):
    """A map for each network of the chain, its distance from the teacher, and the students of all 16 chains.

    Settings: ``assistants``, those of 64, 32, 16 and 8 hidden units that stand in the chain; ``points`` to learn from.
    """

    shows = "Maps of the networks of a chain, their distance from the teacher, and the gain of all 16 chains."
    see = "Does any chain's interval lie to the right of zero? Which link adds most of the distance?"
    controls = {
        "assistants": Ticks((32,), ASSISTANTS, "assistant with {} hidden units"),
        "points": Choice(100, POINTS, "points"),
    }

    @look.styled()
    def __init__(self) -> None:
        """Raises DataError: ``data/toy`` is missing or damaged."""
        note = "Maps: what each network answers in the disc (seed 0). Numbers: means over 20 seeds, 4,000 test points."
        super().__init__(8.6, 7, note)
        self.maps = stored_maps(repo_path("data", "toy", "maps.npz"))
        self.images, self.captions = [], []
        for place in range(len(ASSISTANTS) + 2):
            axes = self.panel((0.012 + 0.165 * place, 0.585, 0.15, 0.214))
            axes.axis("off")
            self.images.append(moves(axes.imshow(np.ones((GRID, GRID, 3)), interpolation="nearest")))
            self.captions.append(Labels(axes, [(0.02, 1.2), (0.02, 1.07)], axes.transAxes, gap=0))
        self._add_distances(self.panel((0.065, 0.09, 0.36, 0.36), "KL from the teacher (nats) along the chain"))
        title = "All 16 chains: what their student gains"
        x = "student's accuracy minus direct, points\n(mean ± 2 s.e.)"
        self._add_students(self.panel((0.6, 0.115, 0.385, 0.4), title, x))

    def _add_distances(self, axes: Axes) -> None:
        self.kl_errors = moves(axes.vlines([], 0, 0, color=BLACK, linewidth=1))
        (self.kl_line,) = moves(axes.plot([], [], "o-", color=BLUE))
        self.kl_words = Labels(axes, [(0, 0)], axes.transData, right=True)
        axes.set(xlim=(-1.9, len(ASSISTANTS) + 1.4), xticks=[], xlabel="the teacher, then each network of the chain")
        axes.set_ylim(0, 1.3 * max(mean for n in POINTS for mean, _ in means_of(n).kl.values() if mean == mean))

    def _add_students(self, axes: Axes) -> None:
        rows = range(len(ALL_CHAINS))
        self.delta_errors = moves(axes.hlines(rows, 0, 0, color=SKY, linewidth=3))
        (self.delta_points,) = moves(axes.plot(np.zeros(len(rows)), rows, "o", color=BLUE, markersize=4))
        (self.ring,) = moves(axes.plot([0], [0], "o", color=VERMILION, markersize=11, fillstyle="none"))
        axes.axvline(0, color=BLACK, linewidth=0.8)
        axes.set_yticks(rows, ["none (direct)", *(chain_name(chain[1:-1]) for chain in ALL_CHAINS[1:])])
        axes.set_ylim(len(rows) - 0.4, -0.6)
        reach = 1.05 * np.max([np.abs(means_of(n).delta[:, 0]) + 2 * means_of(n).delta[:, 1] for n in POINTS])
        axes.set_xlim(-reach, reach)

    def draw(self, assistants: Sequence[int], points: int) -> str:
        chain, summary = (TEACHER, *assistants, STUDENT), means_of(points)
        self._draw_maps(chain, points, summary)
        self._draw_distances(chain, summary)
        delta = self._draw_students(chain, summary)
        named = " → ".join(map(str, chain))
        self.title.write([f"Chain {named}, {points} training points: {delta}"])
        return _words(chain, points, summary, delta)

    def _draw_maps(self, chain: tuple[int, ...], points: int, summary: _Summary) -> None:
        roles = ["teacher", *["assistant"] * (len(chain) - 2), "student"]
        for place, (image, caption) in enumerate(zip(self.images, self.captions, strict=True)):
            image.set_visible(place < len(chain))
            if place < len(chain):
                name = chain_name(chain[: place + 1])
                image.set_data(self.maps[f"{points} {name}"])
                caption.write([f"{roles[place]}, {chain[place]} units", f"right {summary.accuracy[name]:.1f} %"])
            else:
                caption.write(["", ""])

    def _draw_distances(self, chain: tuple[int, ...], summary: _Summary) -> None:
        values = [summary.kl[chain_name(chain[: place + 1])] for place in range(len(chain))]
        self.kl_line.set_data(range(len(chain)), [mean for mean, _ in values])
        ends = [(place, mean, 2 * error) for place, (mean, error) in enumerate(values)]
        self.kl_errors.set_segments([[(place, mean - reach), (place, mean + reach)] for place, mean, reach in ends])
        places = [(place - 0.05, mean + reach + 0.03) for place, mean, reach in ends]
        self.kl_words.write([f"{size}: {mean:.2f}" for size, (mean, _) in zip(chain, values, strict=True)], places)

    def _draw_students(self, chain: tuple[int, ...], summary: _Summary) -> str:
        """Returns the gain of the chain in words."""
        means, errors = summary.delta.T
        self.delta_points.set_xdata(means)
        stretch(self.delta_errors, means - 2 * errors, means + 2 * errors, range(len(means)))
        row = ALL_CHAINS.index(chain)
        self.ring.set_data([means[row]], [row])
        return f"{means[row]:+.2f} ± {2 * errors[row]:.2f} points against direct" if row else "taught directly"


def _words(chain: tuple[int, ...], points: int, summary: _Summary, delta: str) -> str:
    name, ends = chain_name(chain), range(1, len(chain))
    steps = ", ".join(f"{chain[end]} units {summary.kl[chain_name(chain[: end + 1])][0]:.3f}" for end in ends)
    return (
        f"Chain {name}, {points} training points, 20 seeds. KL from the teacher: {steps}. The student agrees with "
        f"the teacher at {summary.agreement[name]:.1f} % of the test points and is right at "
        f"{summary.accuracy[name]:.1f} %; {delta}. The teacher is right at {summary.accuracy[str(TEACHER)]:.1f} %, "
        f"the same student without a teacher at {summary.accuracy['alone']:.1f} %."
    )
