"""Checkers as data: the cases, the right value, what each known mistake gives, and its words.

A declared checker is a function of a case. It returns the right value and a dict from words to mistakes::

    @declared([(50_000, 200, 100.0)], "and now with your own machine's speed.")
    def check_hours(images, epochs, speed):
        "``answer(images, epochs, speed)``: hours of one training run."
        right = images * epochs / speed / 3600
        return right, {"that is in minutes: an hour has 60 of them": right * 60}

What does not fit, such as a function that trains, stays code under ``@checker`` and uses ``compare`` and ``tell``.
"""

import copy
import functools
import inspect
import math
from collections.abc import Callable, Iterable, Mapping
from typing import Any

import numpy as np
import torch
from torch import Tensor, nn

from classroom.checks.reading import close, number, numbers
from classroom.checks.verdict import Feedback, Wrong, checker, require

Mistake = bool | float | Tensor | Callable[[float | Tensor], bool]


def declared(
    cases: Iterable[Any],
    praise: str,
    hint: str = "",
    shape: str = "",
    tolerance: float = 1e-4,
    read: Callable[[object], object] = lambda result: result,
) -> Callable[[Callable], Callable[..., Feedback]]:
    """Make a checker of a function from a case to (right value, {words: mistake}).

    The reader's function gets a copy of each case in turn: a tuple of arguments, or the only one. ``praise`` are the
    words for the right answer; ``hint`` ends those for values that no known mistake gives, ``shape`` those for a wrong
    shape; ``tolerance`` is that of ``close``. ``read`` may look at the result before it is compared.
    """

    def make(known: Callable) -> Callable[..., Feedback]:
        @checker
        @functools.wraps(known)
        def check(answer) -> str:
            for case in cases:
                case = case if isinstance(case, tuple) else (case,)
                given = copy.deepcopy(case)
                result = read(answer(*given))
                right, mistakes = known(*case)
                compare(result, right, mistakes, "", hint, where(known, case), shape, tolerance)
                words = "the value is right, but your function changes what it was given: work on a copy"
                require(_equal(given, case), words)
            return praise

        return check

    return make


def compare(
    result: object,
    right: float | Tensor | Iterable[float],
    mistakes: Mapping[str, Mistake],
    what: str,
    hint: str = "",
    place: str = "",
    shape: str = "",
    tolerance: float = 1e-4,
) -> None:
    """Pass where ``result``, read in the form of ``right``, is right; else raise Wrong with the words that fit best.

    A mistake that happens to give the right value in this case is passed over.
    """
    several = np.ndim(right) > 0
    found = numbers(result, np.shape(right), what, shape) if several else number(result, what, finite=False)
    if close(found, right, tolerance):
        return
    tell(mistakes, found, tolerance)
    if several:
        require(bool(found.isfinite().all()), f"{what or 'your result'} has values that are not finite. {hint}")
        wanted, came = (shown(torch.as_tensor(each).tolist()) for each in (right, found))
        raise Wrong(place + (hint or f"it should be {wanted}, yours: {came}"))
    number(found, what)
    raise Wrong(f"{place}it is {shown(right)}, yours says {shown(found)}{': ' if hint else ''}{hint}")


def tell(mistakes: Mapping[str, Mistake], found: float | Tensor | None = None, tolerance: float = 1e-4) -> None:
    """Raise Wrong with the words of the first mistake that was made.

    A mistake is the value that it gives ``found`` is compared with, a question about ``found``, or simply True.
    """
    for words, mistake in mistakes.items():
        if callable(mistake):
            made = bool(mistake(found))
        else:
            made = mistake if isinstance(mistake, bool) else close(found, mistake, tolerance)
        require(not made, words)


def where(known: Callable, case: tuple) -> str:
    """The case in words, "for c = 16, d = 20: ", as far as it can be said in a few."""
    said = {name: shown(value) for name, value in zip(inspect.signature(known).parameters, case, strict=True)}
    short = [f"{name} = {words}" for name, words in said.items() if words]
    return f"for {', '.join(short)}: " if short else ""


def shown(value: object) -> str:
    """A number, a short list of numbers or a layer, for a sentence; nothing where it would be long."""
    if isinstance(value, nn.Module):
        words = repr(value)
    elif isinstance(value, list):
        parts = [shown(part) for part in value]
        words = f"[{', '.join(parts)}]" if all(parts) else ""
    elif isinstance(value, tuple):
        words = f"({', '.join(map(shown, value))})"
    elif isinstance(value, int | float | Tensor | np.number) and np.ndim(value) == 0:
        words = f"{float(value):,.0f}" if abs(value) < 1e12 and value == int(value) else f"{float(value):.5g}"
    else:
        words = ""
    return words if len(words) < 100 and "\n" not in words else ""


def _equal(one: object, other: object) -> bool:
    """Whether a case is as it was; networks may well be switched or trained, so they are not looked at."""
    if type(one) is not type(other):
        return False
    if isinstance(one, Tensor | np.ndarray):
        return one.shape == other.shape and bool((one == other).all())
    if isinstance(one, list | tuple):
        return len(one) == len(other) and all(map(_equal, one, other))
    if isinstance(one, dict):
        return one.keys() == other.keys() and all(_equal(one[key], other[key]) for key in one)
    return not isinstance(one, int | float | str) or one == other or math.isnan(one)
