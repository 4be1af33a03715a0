"""Whatever a reader's function returns or does, a checker answers in words and raises nothing."""

import importlib
import itertools
import math
import pkgutil

import numpy as np
import pandas as pd
import pytest
import torch
from torch import nn

from classroom import checks

MODULES = [importlib.import_module(f"{checks.__name__}.{each.name}") for each in pkgutil.iter_modules(checks.__path__)]
CHECKERS = [value for module in MODULES for name, value in vars(module).items() if name.startswith("check_")]


class Touchy:
    """An object that cannot even be asked for its numbers."""

    def __array__(self, *_, **__):
        raise OSError("no")

    __float__ = __len__ = __array__


GARBAGE = {
    "text": "27.8 h",
    "empty text": "",
    "bytes": b"7",
    "zero": 0,
    "negative": -7.25,
    "nan": math.nan,
    "infinite": math.inf,
    "complex": 2 + 3j,
    "true": True,
    "a class": float,
    "a function": math.sqrt,
    "an object": object(),
    "a touchy object": Touchy(),
    "empty list": [],
    "list": [1, 2, 3, "x"],
    "ragged": [[1, 2], [3]],
    "pair": (0.5, 0.25),
    "pair of texts": ("32", "high"),
    "pair of nothings": (None, None),
    "three": (1.0, 0.0, 2.0),
    "set": {1, 2},
    "dict": {"paper": "x", "repaired": None},
    "groups": [{"params": 3, "weight_decay": "x"}],
    "endless": itertools.count(),
    "array": np.arange(4),
    "texts": np.array(["a", "b"]),
    "series": pd.Series({"paper": 1.0}),
    "frame": pd.DataFrame({"a": [1.0, 2.0]}),
    "scalar with a graph": torch.tensor(0.7, requires_grad=True),
    "tensor with a graph": torch.ones(3, requires_grad=True),
    "pair with a graph": torch.ones(2, requires_grad=True),
    "list with a graph": [torch.ones(1, requires_grad=True), torch.ones(1)],
    "empty tensor": torch.empty(0),
    "logits": torch.zeros(6, 10),
    "images": torch.full((6, 3, 32, 32), math.nan),
    "complex tensor": torch.ones(2, dtype=torch.complex64),
    "module": nn.Linear(2, 2),
}


@pytest.mark.parametrize("check", CHECKERS, ids=lambda check: check.__name__)
def test_garbage_is_told_in_words(check):
    for name, garbage in GARBAGE.items():
        feedback = check(lambda *_, garbage=garbage, **__: garbage)
        assert feedback.state in ("wrong", "right") and feedback.words, name


def endless(*given):
    return endless(*given)


def wrecks(*given):
    for each in given:
        if isinstance(each, list):
            each[:] = [0.5] * len(each)
        elif isinstance(each, torch.Tensor):
            each.zero_()
    return torch.zeros(6, 10)


def calls_what_it_gets(*given):
    return [each(torch.zeros(1)) for each in given if callable(each)]


def yields(*given):
    yield 1


def by_keyword(*, x=1):
    return x


@pytest.mark.parametrize("check", CHECKERS, ids=lambda check: check.__name__)
@pytest.mark.parametrize("function", [endless, wrecks, calls_what_it_gets, yields, by_keyword, len, print])
def test_odd_functions_are_told_in_one_line(check, function):
    feedback = check(function)
    assert feedback.state == "wrong" and feedback.words and "\n" not in feedback.words
