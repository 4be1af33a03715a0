"""Every row of the study as data: the 30 of the paper's Tables I to IV, two assistants, and rows of our own.

What the paper says and what its authors ran is told in data/paper/PROTOCOL.md. Nothing here trains or measures: how a
row is trained says ``protocols.py``, ``queue.py`` runs what is listed here, and ``report`` reads the outcome.
"""

import difflib
import re
from collections.abc import Iterable
from dataclasses import asdict, dataclass

TABLES = ("table1", "table2", "table3", "table4")
ENSEMBLE_TEACHERS = ("resnet50", "densenet161", "vgg13", "inceptionv3")

# The paper names neither; the authors' published scripts use these in every distilled row (PROTOCOL.md, 4.1).
TEMPERATURE = 1.0
ALPHA = 0.5


# Parameters of each network in training form, with ten classes (PROTOCOL.md, 1).
PARAMETERS = {
    "gn-s-1.0x": 483_554, "gn-s-1.3x": 712_198, "gn-s-1.6x": 973_606, "gn-s-1.9x": 1_277_070, "gn-s-2.2x": 1_617_674,
    "gn-s-2.8x": 2_426_850, "gn-s-3.4x": 3_380_066, "gn-d": 6_860_838, "resnet18": 11_173_962, "resnet34": 21_282_122,
    "resnet50": 23_520_842, "vgg13": 28_334_410, "inceptionv3": 21_638_954, "densenet161": 26_482_570,
    "efficientnetv2_s": 20_190_298, "resnet20": 269_722, "resnet32": 464_154, "resnet44": 658_586, "resnet56": 853_018,
}  # fmt: skip


@dataclass(frozen=True)
class Experiment:
    """One network to train.

    Attributes:
        key: the name used everywhere, ``student<teacher`` where there is a teacher: ``gn-s-1.0x<resnet50``.
        table: where the paper prints it, ``table1`` to ``table4``; ``assistants`` for the two networks that
            the chain of Table III needs and no table prints; ``ours`` for rows that the paper does not have.
        student: the network's name for ``create_model``.
        width: GN-S's width multiplier, None for networks that have none.
        teachers: keys of the trained networks it learns from; none for a baseline, several for an ensemble.
        method: ``baseline``, ``kd``, ``assistant`` (a link of the chain), ``ensemble``, or ``published`` by others.
        temperature: softens teacher and student alike (Eq. 1 of the paper).
        alpha: weight of the hard-label term (Eq. 1); 1 for a baseline, which has no other term.
    """

    key: str
    table: str
    student: str
    width: float | None
    teachers: tuple[str, ...]
    method: str
    temperature: float
    alpha: float

    def to_dict(self) -> dict:
        """The fields as JSON knows them (``teachers`` becomes a list)."""
        return asdict(self) | {"teachers": list(self.teachers)}


def _baseline(student: str, width: float | None = None) -> Experiment:
    return Experiment(_network(student, width), "table1", student, width, (), "baseline", 1.0, 1.0)


def _network(student: str, width: float | None) -> str:
    return student if width is None else f"{student}-{width:.1f}x"


def _distilled(table: str, student: str, width: float | None, teachers: tuple[str, ...], method: str, source: str = ""):
    """``source`` is the part of the key after ``<``, where that is not the teacher's own key."""
    key = f"{_network(student, width)}<{source or teachers[0]}"
    return Experiment(key, table, student, width, teachers, method, TEMPERATURE, ALPHA)


def _of_the_paper() -> list[Experiment]:
    baselines = [
        *(_baseline("gn-s", width) for width in (1.0, 1.3, 1.6, 1.9, 2.2, 2.8, 3.4)),
        _baseline("gn-d"),
        *(_baseline(name) for name in ("resnet18", "resnet34", "resnet50", "vgg13", "inceptionv3", "densenet161")),
        _baseline("efficientnetv2_s"),
    ]
    single_teacher = [
        _distilled("table2", student, width, (teacher,), "kd")
        for student, width, teacher in (
            ("gn-s", 1.0, "resnet18"),
            ("gn-s", 1.0, "resnet50"),
            ("gn-s", 1.0, "vgg13"),
            ("gn-s", 1.0, "gn-s-2.8x"),
            ("gn-s", 2.8, "vgg13"),
            ("gn-s", 2.8, "efficientnetv2_s"),
            ("gn-d", None, "resnet50"),
            ("gn-d", None, "vgg13"),
        )
    ]
    # The chain of Table III: ResNet-50 -> ResNet-34 -> ResNet-18 -> student, each from fresh weights.
    assistants = [
        _distilled("assistants", "resnet34", None, ("resnet50",), "assistant"),
        _distilled("assistants", "resnet18", None, ("resnet34<resnet50",), "assistant", "ta"),
    ]
    end_of_chain = [
        _distilled("table3", student, width, ("resnet18<ta",), "assistant", "ta")
        for student, width in (("gn-s", 1.0), ("gn-s", 1.3), ("gn-s", 1.6), ("gn-d", None))
    ]
    ensembles = [
        _distilled("table4", student, width, ENSEMBLE_TEACHERS, "ensemble", "ensemble")
        for student, width in (("gn-s", 1.0), ("gn-s", 2.8), ("gn-d", None))
    ]
    return [*baselines, *single_teacher, *assistants, *end_of_chain, *ensembles]


# The row of Table I as the paper's zoo had it, fine-tuned from ImageNet weights at 224 x 224, and the student of it.
PRETRAINED = "efficientnetv2_s-pretrained"
# Teachers that others have trained to the end (models/weights.py): fetched, never trained here.
PUBLISHED = ("resnet20", "resnet32", "resnet44", "resnet56")
TRAINED_HERE = "resnet20-trained"  # the control of the chain: an assistant that learned from nobody
_OURS = [
    Experiment(PRETRAINED, "ours", "efficientnetv2_s", None, (), "baseline", 1.0, 1.0),
    _distilled("ours", "gn-s", 2.8, (PRETRAINED,), "kd"),
    *(Experiment(name, "ours", name, None, (), "published", 1.0, 1.0) for name in PUBLISHED),
    _distilled("ours", "gn-s", 1.0, ("resnet56",), "kd"),
    _distilled("ours", "gn-s", 2.8, ("resnet56",), "kd"),
    _distilled("ours", "gn-d", None, ("resnet56",), "kd"),
    _distilled("ours", "gn-s", 1.0, PUBLISHED, "ensemble", "published"),
    _distilled("ours", "resnet20", None, ("resnet56",), "assistant"),
    _distilled("ours", "gn-s", 1.0, ("resnet20<resnet56",), "assistant"),
    _distilled("ours", "gn-s", 1.0, ("resnet20",), "kd"),
    Experiment(TRAINED_HERE, "ours", "resnet20", None, (), "baseline", 1.0, 1.0),
    _distilled("ours", "gn-s", 1.0, (TRAINED_HERE,), "kd"),
]

EXPERIMENTS: dict[str, Experiment] = {row.key: row for row in _of_the_paper()}
ROWS: dict[str, Experiment] = EXPERIMENTS | {row.key: row for row in _OURS}  # those of our own run when they are named


def find(key: str) -> Experiment:
    """The experiment called ``key``.

    Raises:
        ValueError: there is none; the message names the nearest keys.
    """
    if key in ROWS:
        return ROWS[key]
    near = difflib.get_close_matches(str(key), ROWS, n=3, cutoff=0.4)
    hint = f"did you mean {' or '.join(near)}?" if near else f"known are {', '.join(ROWS)}"
    raise ValueError(f"unknown experiment {key!r}: {hint}")


def table_rows(table: str) -> list[Experiment]:
    """The experiments of one table in the paper's order.

    Raises:
        ValueError: ``table`` is none of ``table1`` to ``table4``, ``assistants`` and ``ours``.
    """
    rows = [row for row in ROWS.values() if row.table == table]
    if not rows:
        raise ValueError(f"unknown table {table!r}: choose one of {', '.join((*TABLES, 'assistants', 'ours'))}")
    return rows


def baseline_of(experiment: Experiment) -> str:
    """The key of the same network trained without a teacher (of a baseline: its own)."""
    return _network(experiment.student, experiment.width)


def in_order(keys: Iterable[str]) -> list[str]:
    """``keys`` and every network they learn from, teachers first, none twice.

    Raises:
        ValueError: a key is unknown.
    """
    ordered: dict[str, None] = {}  # a dict keeps the order and answers "already there?" at once

    def add(key: str) -> None:
        if key not in ordered:
            for teacher in find(key).teachers:
                add(teacher)
            ordered[key] = None

    for key in keys:
        add(key)
    return list(ordered)


def run_id(key: str, *, profile: str, recipe: str, seed: int) -> str:
    """A name for one run that is safe as a file name on every system: ``gn-d_from_vgg13.quick.paper.seed0``.

    A published network is the same for all: ``resnet56.published``.

    Args:
        profile, recipe: names, not objects.

    Raises:
        ValueError: a part holds other characters than lower-case letters, digits, dot, hyphen and underscore,
            or the seed is not a whole number from 0 on.
    """
    if key in PUBLISHED:
        return f"{key}.published"
    parts = (str(key).replace("<", "_from_"), profile, recipe)
    for part in parts:
        if not re.fullmatch(r"[a-z0-9][a-z0-9._-]*", str(part)):
            raise ValueError(f"cannot name a run after {part!r}: use a-z, 0-9, '.', '-' and '_'")
    if isinstance(seed, bool) or not isinstance(seed, int) or seed < 0:
        raise ValueError(f"the seed must be a whole number from 0 on, not {seed!r}")
    return ".".join((*parts, f"seed{seed}"))
