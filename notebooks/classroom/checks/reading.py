"""How checkers read what the reader's function returned: as numbers, tensors or parts, or Wrong in words.

A right answer may come as a Python number, a NumPy array, a pandas series or a tensor, with or without a graph.
"""

import itertools
import math
from collections.abc import Iterable, Mapping
from typing import Any

import numpy as np
import torch
from torch import Tensor

from classroom.checks.verdict import Wrong, require


def number(value: object, what: str, finite: bool = True) -> float:
    """``value`` as a float; a tensor or array of one element will do. Wrong where it is none, or not ``finite``."""
    found = _array(value)
    require(found is not None, f"return {what}: a number, not {_named(value)}")
    require(
        found.size == 1,
        f"return {what}: a single number, not the shape {found.shape}. Is a mean or a sum missing?",
    )
    single = float(found.reshape(()))
    require(math.isfinite(single) or not finite, f"return {what}: a finite number, not {single}")
    return single


def numbers(value: object, shape: tuple[int, ...], what: str, hint: str = "") -> Tensor:
    """``value`` as float64 of ``shape``, without its graph; Wrong, with ``hint``, where it has another shape."""
    found = _array(value)
    require(found is not None, f"{what} must be a tensor of numbers, but {_named(value)} came")
    words = f"{what} must have the shape {tuple(shape)}, yours has {found.shape}"
    require(found.shape == tuple(shape), f"{words}: {hint}" if hint else words)
    return torch.from_numpy(found.copy())


def tensor(value: object, what: str) -> Tensor:
    """A tensor as it came, without its graph; Wrong where it is something else."""
    require(isinstance(value, Tensor), f"return {what}, a tensor, not {_named(value)}")
    require(not value.is_complex(), f"return {what}, a tensor of real numbers, not of complex ones")
    return value.detach()


def items(value: object, words: str, at_most: int = 10_000) -> list[Any]:
    """The parts of anything that can be gone through, but for text and dicts; Wrong with ``words`` otherwise."""
    try:
        require(not isinstance(value, str | bytes | Mapping), words)
        return list(itertools.islice(iter(value), at_most))
    except TypeError:
        raise Wrong(words) from None


def pair(value: object, words: str) -> tuple[Any, Any]:
    """Two things in order, as a tuple, a list, an array or a tensor; Wrong with ``words`` otherwise."""
    require(isinstance(value, tuple | list | np.ndarray | Tensor), words)
    both = items(value, words)
    require(len(both) == 2, words)
    return both[0], both[1]


def same(found: Tensor | float, right: Tensor | float, tolerance: float = 1e-4) -> bool:
    """Whether two numbers or tensors agree within ``tolerance``, relative and absolute; shapes count."""
    found, right = (torch.as_tensor(each).detach().double() for each in (found, right))
    return found.shape == right.shape and torch.allclose(found, right, rtol=tolerance, atol=tolerance)


def near(found: float, right: float, tolerance: float = 1e-4) -> bool:
    """Whether two numbers agree within ``tolerance`` of their size, however small they are."""
    return math.isclose(found, float(right), rel_tol=tolerance, abs_tol=1e-9)


def recognise(found: Tensor | float, mistakes: Mapping[str, Tensor | float], tolerance: float = 1e-4) -> None:
    """Raise Wrong with the words of the first known mistake that gives ``found``."""
    for words, wrong in mistakes.items():
        require(not same(found, wrong, tolerance), words)


def recognise_number(found: float, mistakes: Iterable[tuple[float, str]], tolerance: float = 1e-4) -> None:
    """The same for numbers that may be small: (what a mistake gives, its words)."""
    for wrong, words in mistakes:
        require(not near(found, wrong, tolerance), words)


def _array(value: object) -> np.ndarray | None:
    """``value`` as float64, or None where it does not consist of numbers."""
    try:
        found = np.asarray(_without_graph(value))
        return None if found.dtype.kind in "SUMmVc" else found.astype(float)
    except Exception:  # a reader's object may raise anything when it is asked for its numbers
        return None


def _without_graph(value: object) -> object:
    if isinstance(value, Tensor):
        plain = value.detach().cpu()
        return plain.resolve_conj().numpy() if plain.is_complex() else plain.double().numpy()
    return [_without_graph(part) for part in value] if isinstance(value, list | tuple) else value


def _named(value: object) -> str:
    return f"{str(value)[:40]!r} ({type(value).__name__})" if isinstance(value, str) else type(value).__name__
