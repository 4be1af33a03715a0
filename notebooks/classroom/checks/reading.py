"""How checkers read what the reader's function returned: as numbers, tensors or parts, or Wrong in words.

A right answer may come as a Python number, a NumPy array, a pandas series or a tensor, with or without a graph.
"""

import inspect
import itertools
import math
from collections.abc import Mapping
from typing import Any

import numpy as np
import torch
from torch import Tensor

from classroom.checks.verdict import Wrong, require


def number(value: object, what: str, finite: bool = True) -> float:
    """``value`` as a float; a tensor or array of one element will do. Wrong where it is none, or not ``finite``."""
    found, wanted = _array(value), f"return {what}: a" if what else "return a"
    require(found is not None, f"{wanted} number, not {_named(value)}")
    words = f"{wanted} single number, not the shape {found.shape}. Is a mean or a sum missing?"
    require(found.size == 1, words)
    single = float(found.reshape(()))
    require(math.isfinite(single) or not finite, f"{wanted} finite number, not {single}")
    return single


def numbers(value: object, shape: tuple[int, ...], what: str, hint: str = "") -> Tensor:
    """``value`` as float64 of ``shape``, without its graph; Wrong, with ``hint``, where it has another shape."""
    found, what = _array(value), what or "your result"
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


def close(found: Any, right: Any, tolerance: float = 1e-4) -> bool:
    """Whether two numbers, lists or tensors agree; shapes count.

    Tensors agree within ``tolerance``, relative and absolute, single numbers within a tenth of it absolute, for they
    may be small; 0 is exact.
    """
    found, right = (_double(each) for each in (found, right))
    absolute = tolerance if found.ndim else tolerance / 10
    return found.shape == right.shape and torch.allclose(found, right, rtol=tolerance, atol=absolute)


def _double(value: Any) -> Tensor:
    return value.detach().double() if isinstance(value, Tensor) else torch.tensor(np.asarray(value, dtype=float))


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
    if isinstance(value, str):
        return f"{value[:40]!r} (str)"
    if inspect.isroutine(value):
        return "a function: are the brackets of a call missing?"
    return f"the class {value.__name__}" if isinstance(value, type) else type(value).__name__
