"""Which pixels a depthwise convolution's taps see together: the bookkeeping behind ``merging.py``.

Two taps k and l of one output pixel look at two input pixels that lie l - k apart: their *lag*. Summed over all output
pixels, the products of taps k and l are therefore sums of products of pixels one lag apart, but for the borders, where
some taps look outside of the picture, and for strides, where only some pixels are looked at. A 3 x 3 kernel has 45
pairs of taps and 13 lags; each lag is summed once, and a table of zeros and ones makes the pairs of it. Everything here
depends on sizes alone and is computed once for each.
"""

import functools
import itertools
from typing import NamedTuple

import numpy as np
import torch
from torch import Tensor


class Geometry(NamedTuple):
    """Of a depthwise convolution that pads by half of its kernel (odd sides): all in pixels."""

    height: int
    width: int
    kernel: tuple[int, int]
    stride: int

    @property
    def taps(self) -> int:
        """How many weights a channel has."""
        return self.kernel[0] * self.kernel[1]

    @property
    def places(self) -> int:
        """How many output pixels a channel of one image has."""
        return -(-self.height // self.stride) * -(-self.width // self.stride)


@functools.cache
def lags(geometry: Geometry) -> tuple[tuple[int, int], ...]:
    """The lags (down, right) between two taps; of a lag and its opposite only the one that points forward."""
    down, right = geometry.kernel[0] - 1, geometry.kernel[1] - 1
    candidates = itertools.product(range(down + 1), range(-right, right + 1))
    return tuple(lag for lag in candidates if lag >= (0, 0))


@functools.cache
def row_classes(geometry: Geometry) -> tuple[tuple[int, ...], int]:
    """The class of each row of pixels, and how many classes there are.

    Rows are of one class when the same taps reach them: all inner rows, but not those at the borders; with stride 2
    also odd and even rows apart.
    """
    height, kernel = geometry.height, geometry.kernel[0]
    reached = [_reaching_taps(row, height, kernel, geometry.stride) for row in range(height)]
    known = sorted(set(reached))
    return tuple(known.index(taps) for taps in reached), len(known)


def _reaching_taps(place: int, size: int, kernel: int, stride: int) -> tuple[bool, ...]:
    """For each tap along one axis, whether there is an output pixel whose tap lies on pixel ``place``."""
    centres = [place - (tap - kernel // 2) for tap in range(kernel)]
    return tuple(0 <= centre < size and centre % stride == 0 for centre in centres)


@functools.lru_cache(maxsize=64)
def tap_table(geometry: Geometry) -> Tensor:
    """Which sums of ``lag_kernels.forward`` make up which sum over the taps, as zeros and ones.

    Returns:
        (taps * taps + taps, (lags + 1) * row classes * W): first the products of taps k and l, then the single taps.
        The product belongs to the lag l - k wherever an output pixel's tap k lies on the first of the two pixels.
    """
    height, width, (kernel_h, kernel_w), stride = geometry
    places = list(itertools.product(range(kernel_h), range(kernel_w)))
    classes, class_count = row_classes(geometry)
    reached_rows = {number: _reaching_taps(row, height, kernel_h, stride) for row, number in enumerate(classes)}
    reached_columns = np.array([_reaching_taps(column, width, kernel_w, stride) for column in range(width)])
    lag_number = {lag: number for number, lag in enumerate(lags(geometry))}
    products = np.zeros((geometry.taps, geometry.taps, len(lag_number) + 1, class_count, width), dtype=np.float32)
    singles = np.zeros((geometry.taps, len(lag_number) + 1, class_count, width), dtype=np.float32)
    for (k, first), (row_class, reached) in itertools.product(enumerate(places), reached_rows.items()):
        if not reached[first[0]]:
            continue
        singles[k, -1, row_class] = reached_columns[:, first[1]]
        for m, second in enumerate(places):
            lag = (second[0] - first[0], second[1] - first[1])
            if lag in lag_number:
                products[k, m, lag_number[lag], row_class] = reached_columns[:, first[1]]
    for k, m in itertools.combinations(range(geometry.taps), 2):
        products[m, k] = products[k, m]  # places are in reading order, so (k, m) with k < m has a forward lag
    rows = np.concatenate([products.reshape(geometry.taps**2, -1), singles.reshape(geometry.taps, -1)])
    return torch.from_numpy(rows)
