"""What an ensemble of stored networks comes to: any choice of them, averaged in one of three ways."""

import itertools
import math
from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import NamedTuple

import numpy as np

from classroom.sliders.softening import softened
from course_lib.files import repo_path
from course_lib.models import DISPLAY_NAMES
from course_lib.study.store import Logits, load_logits

HOWS = ("mean of logits", "mean of logits, equal voices", "mean of probabilities")
MOST_MEMBERS = 12  # check boxes that fit
MOST_CHOICES = 300  # points in the cloud of all choices


def stored_members(profile: str | None = None) -> dict[str, Logits]:
    """The networks whose test logits ship, by a name for people (``GN-S 1.0x``), the best first.

    Args:
        profile: None for those of ``data/logits`` and then those of ``data/logits/members``, all of them; ``full`` or
            ``laptop`` for the networks without a teacher that the study left in that folder (recipe ``paper``), the
            best ``MOST_MEMBERS``.

    ``meta`` of each says where it comes from. Logits of other images than the first network's are left out.
    """
    folders = [(), ("members",)] if profile is None else [(profile,)]
    members: dict[str, Logits] = {}
    for folder in (repo_path("data", "logits", *parts) for parts in folders):
        stored = {path.stem: load_logits(path.stem, folder) for path in sorted(Path(folder).glob("*.npz"))}
        for stem, network in sorted(stored.items(), key=lambda item: -_accuracy(item[1])):
            first = next(iter(members.values()), network)
            alike = np.array_equal(network.labels, first.labels) and network.logits.shape == first.logits.shape
            if alike and (profile is None or _is_baseline(network.meta)):
                name = _display_name(stem, network.meta)
                members[name if name not in members else f"{name} ({stem})"] = network
    return members if profile is None else dict(list(members.items())[:MOST_MEMBERS])


def _is_baseline(meta: dict) -> bool:
    """Whether the study trained this network without a teacher, by the paper's recipe."""
    return "<" not in meta.get("key", "") and meta.get("recipe_name", "paper") == "paper"


def _accuracy(network: Logits) -> float:
    """In percent."""
    return 100 * float((np.asarray(network.logits).argmax(axis=1) == np.asarray(network.labels)).mean())


def _display_name(stem: str, meta: dict) -> str:
    """``GN-S 1.0x``; a plain network and another view of a network by its file's name."""
    model = DISPLAY_NAMES.get(meta.get("model"))
    if model is None or meta.get("view"):
        return stem
    return model + (f" {meta['width']:.1f}x" if meta.get("width") else "")


class Measures(NamedTuple):
    """An ensemble on all test images: accuracy in percent, loss in nats, entropy in bits, and its mean confidence (%).

    ``differ``: share of images on which two of its members answer differently, in percent; ``together``: how many times
    as often two of them are both wrong as independent ones would be. Both are means over the pairs, NaN for one member.
    """

    accuracy: float
    loss: float
    entropy: float
    confidence: float
    differ: float
    together: float


class Pool:
    """The members' answers in the forms that the means need; ``probabilities`` and ``measure`` take ticks (K,)."""

    def __init__(self, members: Mapping[str, Logits]) -> None:
        if not 1 <= len(members) <= MOST_MEMBERS:
            raise ValueError(f"an ensemble here has 1 to {MOST_MEMBERS} members to choose from, not {len(members)}")
        first = next(iter(members.values()))
        for name, network in members.items():
            if network.logits.shape != first.logits.shape or not np.array_equal(network.labels, first.labels):
                raise ValueError(f"the logits of {name} are not of the same images as the others'")
        self.names = tuple(members)
        self.labels = np.asarray(first.labels)
        self.logits = np.stack([np.asarray(network.logits, dtype=np.float32) for network in members.values()])
        self.soft = softened(self.logits, 1.0).astype(np.float32)
        self.spreads = self.logits.std(axis=(1, 2))
        answers = self.logits.argmax(axis=2)
        right = answers == self.labels
        self.accuracies = 100 * right.mean(axis=1)
        self.differ = 100 * (answers[:, None] != answers[None]).mean(axis=2)
        wrong = (~right).astype(float)
        self.both_wrong = wrong @ wrong.T / len(self.labels)

    def _parts(self, ticks: np.ndarray, how: str) -> tuple[np.ndarray, np.ndarray]:
        """Arrays (K, N, C) and weights (K,) whose weighted sum is the mean asked for."""
        weights = ticks / ticks.sum()
        if how == HOWS[2]:
            return self.soft, weights
        if how == HOWS[1]:  # each at the mean spread of the chosen
            return self.logits, weights * self.spreads[ticks].mean() / self.spreads
        return self.logits, weights

    def probabilities(self, ticks: Sequence[bool], how: str) -> np.ndarray:
        """The ensemble's soft target (N, C)."""
        ticks = np.asarray(ticks, dtype=bool)
        parts, weights = self._parts(ticks, how)
        mean = sum(weights[k] * parts[k] for k in np.flatnonzero(ticks))
        if how == HOWS[2]:
            return mean
        mean -= mean.max(axis=1, keepdims=True)
        p = np.exp(mean)
        return p / p.sum(axis=1, keepdims=True)

    def measure(self, ticks: Sequence[bool], how: str) -> tuple[Measures, np.ndarray]:
        """The ensemble's measures, and its soft target (N, C)."""
        p, who = self.probabilities(ticks, how), np.flatnonzero(ticks)
        of_label = p[np.arange(len(p)), self.labels]
        pairs = list(itertools.combinations(who, 2))
        differ = np.mean([self.differ[pair] for pair in pairs]) if pairs else math.nan
        wrong = 1 - self.accuracies / 100
        ratios = [self.both_wrong[i, j] / (wrong[i] * wrong[j]) for i, j in pairs if wrong[i] * wrong[j] > 0]
        measures = Measures(
            accuracy=100 * float((p.argmax(axis=1) == self.labels).mean()),
            loss=float(-np.log(np.maximum(of_label, 1e-12)).mean()),
            entropy=float(-(p * np.log2(np.maximum(p, 1e-12))).sum(axis=1).mean()),
            confidence=100 * float(p.max(axis=1).mean()),
            differ=float(differ),
            together=float(np.mean(ratios)) if ratios else math.nan,
        )
        return measures, p

    def cloud(self, how: str) -> tuple[np.ndarray, np.ndarray]:
        """Number of members (S,) and accuracy in percent (S,) of every choice, or of ``MOST_CHOICES`` of very many."""
        count = len(self.names)
        ticks = np.array(list(itertools.product((False, True), repeat=count))[1:])
        if len(ticks) > MOST_CHOICES:
            ticks = ticks[np.sort(np.random.default_rng(0).choice(len(ticks), MOST_CHOICES, replace=False))]
        weights = np.stack([self._parts(row, how)[1] * row for row in ticks]).astype(np.float32)
        parts, right = (self.soft if how == HOWS[2] else self.logits), np.zeros(len(ticks))
        for start in range(0, len(self.labels), 1000):  # in pieces: all choices of all images take much memory
            piece = parts[:, start : start + 1000]
            means = (weights @ piece.reshape(count, -1)).reshape(len(ticks), -1, piece.shape[2])
            right += (means.argmax(axis=2) == self.labels[start : start + 1000]).sum(axis=1)
        return ticks.sum(axis=1), 100 * right / len(self.labels)
