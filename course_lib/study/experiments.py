"""Every row of the study as data: the 30 of the paper's Tables I to IV, two assistants, and rows of our own.

What the paper says and what its authors ran is told in data/paper/PROTOCOL.md. Nothing here trains or measures: how a
row is trained says ``protocols.py``, ``queue.py`` runs what is listed here, and ``report`` reads the outcome.
"""

import difflib
import re
from collections.abc import Iterable
from dataclasses import dataclass

TABLES = ("table1", "table2", "table3", "table4")
ENSEMBLE_TEACHERS = ("resnet50", "densenet161", "vgg13", "inceptionv3")
# Teachers that others have trained to the end (models/weights.py): fetched, never trained here.
PUBLISHED = ("resnet20", "resnet32", "resnet44", "resnet56")
# The row of Table I as the paper's zoo had it, fine-tuned from ImageNet weights at 224 x 224.
PRETRAINED = "efficientnetv2_s-pretrained"

# ``student<teacher``, table by table in the paper's order. The chain of Table III is ResNet-50 -> ResNet-34 ->
# ResNet-18 -> student, each from fresh weights; no table prints its two ``assistants``.
KEYS = {
    "table1": "gn-s-1.0x gn-s-1.3x gn-s-1.6x gn-s-1.9x gn-s-2.2x gn-s-2.8x gn-s-3.4x gn-d "
    "resnet18 resnet34 resnet50 vgg13 inceptionv3 densenet161 efficientnetv2_s",
    "table2": "gn-s-1.0x<resnet18 gn-s-1.0x<resnet50 gn-s-1.0x<vgg13 gn-s-1.0x<gn-s-2.8x gn-s-2.8x<vgg13 "
    "gn-s-2.8x<efficientnetv2_s gn-d<resnet50 gn-d<vgg13",
    "assistants": "resnet34<resnet50 resnet18<ta",
    "table3": "gn-s-1.0x<ta gn-s-1.3x<ta gn-s-1.6x<ta gn-d<ta",
    "table4": "gn-s-1.0x<ensemble gn-s-2.8x<ensemble gn-d<ensemble",
    # ``resnet20-trained`` is the control of our own chain: an assistant that learned from nobody.
    "ours": f"{PRETRAINED} gn-s-2.8x<{PRETRAINED} resnet20 resnet32 resnet44 resnet56 "
    "gn-s-1.0x<resnet56 gn-s-2.8x<resnet56 gn-d<resnet56 gn-s-1.0x<published resnet20<resnet56 "
    "gn-s-1.0x<resnet20<resnet56 gn-s-1.0x<resnet20 resnet20-trained gn-s-1.0x<resnet20-trained",
}
RUN_NAME = re.compile(r"[a-z0-9][a-z0-9._-]*\.[a-z0-9_-]+\.[a-z0-9_-]+\.seed\d+")  # see ``run_id``
# Who is meant where the part after ``<`` is not the teacher's own key.
MEANT = {"ta": ("resnet18<ta",), "ensemble": ENSEMBLE_TEACHERS, "published": PUBLISHED}


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
    """

    key: str
    table: str
    student: str
    width: float | None
    teachers: tuple[str, ...]


def _row(key: str, table: str) -> Experiment:
    network, _, source = key.partition("<")
    name, width = re.fullmatch(r"(.+?)(?:-([\d.]+)x|-(?:pre)?trained)?", network).groups()
    teachers = MEANT.get(source, (source,)) if source else ()
    if key == "resnet18<ta":
        teachers = ("resnet34<resnet50",)
    return Experiment(key, table, name, width and float(width), teachers)


ROWS = {key: _row(key, table) for table, keys in KEYS.items() for key in keys.split()}
EXPERIMENTS = {key: row for key, row in ROWS.items() if row.table != "ours"}


def find(key: str) -> Experiment:
    """The experiment called ``key``; a ValueError that names the nearest keys where there is none."""
    if key in ROWS:
        return ROWS[key]
    near = difflib.get_close_matches(str(key), ROWS, n=3, cutoff=0.4)
    hint = f"did you mean {' or '.join(near)}?" if near else f"known are {', '.join(ROWS)}"
    raise ValueError(f"unknown experiment {key!r}: {hint}")


def table_rows(table: str) -> list[Experiment]:
    """The experiments of one table in the paper's order. Raises ValueError where there is no such table."""
    if table not in KEYS:
        raise ValueError(f"unknown table {table!r}: choose one of {', '.join((*TABLES, 'assistants', 'ours'))}")
    return [row for row in ROWS.values() if row.table == table]


def baseline_of(experiment: Experiment) -> str:
    """The key of the same network trained without a teacher (of a baseline: its own)."""
    return experiment.student if experiment.width is None else f"{experiment.student}-{experiment.width:.1f}x"


def in_order(keys: Iterable[str]) -> list[str]:
    """``keys`` and every network they learn from, teachers first, none twice. Raises ValueError as ``find``."""
    ordered: dict[str, None] = {}  # a dict keeps the order
    for key in keys:
        ordered |= dict.fromkeys([*in_order(find(key).teachers), key])
    return list(ordered)


def run_id(key: str, *, profile: str, recipe: str, seed: int) -> str:
    """A name for one run that is safe as a file name on every system: ``gn-d_from_vgg13.quick.paper.seed0``.

    A published network is the same for all: ``resnet56.published``. ``profile`` and ``recipe`` are names, not objects;
    where one of them is no file name, or the seed no whole number from 0 on, a ValueError is raised.
    """
    if key in PUBLISHED:
        return f"{key}.published"
    name = f"{key.replace('<', '_from_')}.{profile}.{recipe}.seed{seed}"
    if not RUN_NAME.fullmatch(name):
        raise ValueError(f"cannot name a run {name!r}: use a-z, 0-9, '.', '-' and '_', and a whole seed from 0 on")
    return name
