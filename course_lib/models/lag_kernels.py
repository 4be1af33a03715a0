"""The two loops behind ``merging.py``, compiled by numba on first use and kept in its cache.

They read a picture's pixels once for all lags, where tensor operations would write and read a product as large as the
picture for each lag.
"""

from collections.abc import Sequence

import numba
import numpy as np
import torch
from torch import Tensor

OFFSET = np.uint64  # the inner loops add unsigned offsets to a count from zero: no index can be negative, which the
# compiler has to know before it makes vector instructions of them


def forward(x: Tensor, y: Tensor, lags: Sequence[tuple[int, int]], row_class: Sequence[int], classes: int) -> Tensor:
    """Sums of products of a pixel of ``x`` and one of ``y``, both (N, C, H, W), by lag and the first's row and column.

    (lags + 1, classes, W, C): over all images and all rows of a class, a pixel of ``x`` times the pixel of ``y`` that
    lies ``lag`` (down, right) of it, where there is one; in the last place the pixels of ``x`` themselves.
    """
    n, channels, height, width = x.shape
    line, length, steps = _in_order(x), width * channels, _steps(lags, channels)
    shares = np.zeros((_threads(), (len(lags) + 1) * classes * length), line.dtype)  # each thread adds up some images
    loop = _sums_at_once if len(shares) > 1 else _sums
    loop(line, _in_order(y), 0, n, height, length, steps, np.array(row_class), classes, shares)
    return torch.from_numpy(shares.sum(0)).view(len(lags) + 1, classes, width, channels)


def backward(x: Tensor, of_sums: Tensor, lags: Sequence, row_class: Sequence[int], of_x: Tensor) -> None:
    """Add to ``of_x`` (N, C, H, W, in channels_last order) what flows back to ``x`` from its sums."""
    n, channels, height, width = x.shape
    factors, classes = of_sums.contiguous().view(-1).numpy(), of_sums.shape[1]
    length, steps = width * channels, _steps(lags, channels)
    loop = _gradients_at_once if _threads() > 1 else _gradients
    loop(_in_order(x), 0, n, height, length, steps, np.array(row_class), classes, factors, _in_order(of_x))


def _in_order(x: Tensor) -> np.ndarray:
    """``x`` (N, C, H, W) as one line of numbers: pixel by pixel, row by row. No copy where it is channels_last."""
    return x.detach().permute(0, 2, 3, 1).contiguous().view(-1).numpy()


def _steps(lags: Sequence, channels: int) -> np.ndarray:
    """Lags as rows down and places along a row, where a pixel takes ``channels`` places."""
    return np.array(lags) * np.array([1, channels])


def _threads() -> int:
    """How many threads torch uses: as many shares are summed up, so that the sums are the same on every machine.

    With one, the plain loops are called: numba's pool would wake all its threads even then, and those of two runs on
    two cores wait for each other so long that each trains at a fifteenth of its speed.
    """
    threads = torch.get_num_threads()
    if threads > 1:
        numba.set_num_threads(min(threads, numba.config.NUMBA_NUM_THREADS))
    return threads


def _compiled(**options):
    """numba's compiler, with its cache on disk where it finds a folder for that."""

    def compiled(function):
        try:
            return numba.njit(fastmath=True, cache=True, **options)(function)
        except RuntimeError:  # neither this folder nor the home can be written: compile anew in each process
            return numba.njit(fastmath=True, **options)(function)

    return compiled


@_compiled()
def _add(total, at, x, x_at, count):
    for i in range(count):
        total[at + i] += x[x_at + i]


@_compiled()
def _add_product(total, at, x, x_at, y, y_at, count):
    for i in range(count):
        total[at + i] += x[x_at + i] * y[y_at + i]


@_compiled(nogil=True)
def _sums(x, y, first, last, height, length, steps, row_class, classes, shares):
    sums = shares[0]
    for n in range(first, last):
        for h in range(height):
            row, own = (n * height + h) * length, row_class[h] * length
            _add(sums, OFFSET(own + len(steps) * classes * length), x, OFFSET(row), OFFSET(length))
            for k in range(len(steps)):
                down, along = steps[k]
                low, count = max(0, -along), length - abs(along)
                if 0 <= h + down < height and count > 0:
                    one, other = row + low, row + down * length + low + along
                    at = own + k * classes * length + low
                    _add_product(sums, OFFSET(at), x, OFFSET(one), y, OFFSET(other), OFFSET(count))


@_compiled(parallel=True)
def _sums_at_once(x, y, first, last, height, length, steps, row_class, classes, shares):
    threads, images = len(shares), last - first
    for thread in numba.prange(threads):
        low, high = first + thread * images // threads, first + (thread + 1) * images // threads
        _sums(x, y, low, high, height, length, steps, row_class, classes, shares[thread : thread + 1])


@_compiled(nogil=True)
def _gradients(x, first, last, height, length, steps, row_class, classes, factors, of_x):
    for n in range(first, last):
        for h in range(height):
            row, own = (n * height + h) * length, row_class[h] * length
            _add(of_x, OFFSET(row), factors, OFFSET(own + len(steps) * classes * length), OFFSET(length))
            for k in range(len(steps)):
                down, along = steps[k]
                low, count = max(0, -along), length - abs(along)
                if count > 0 and h + down < height:  # this pixel as the first of the two
                    at, other = own + k * classes * length + low, row + down * length + low + along
                    _add_product(of_x, OFFSET(row + low), factors, OFFSET(at), x, OFFSET(other), OFFSET(count))
                if count > 0 and h - down >= 0:  # and as the second
                    at, other = (k * classes + row_class[h - down]) * length + low, row - down * length + low
                    _add_product(of_x, OFFSET(row + low + along), factors, OFFSET(at), x, OFFSET(other), OFFSET(count))


@_compiled(parallel=True)
def _gradients_at_once(x, first, last, height, length, steps, row_class, classes, factors, of_x):
    for n in numba.prange(first, last):
        _gradients(x, n, n + 1, height, length, steps, row_class, classes, factors, of_x)
