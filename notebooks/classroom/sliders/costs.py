"""What each block of GN-S costs at every width of the slider: counted once and kept in ``data/costs``."""

import functools
from pathlib import Path

import pandas as pd

from course_lib.files import DataError, repo_path

SLIDER_WIDTHS = tuple(round(0.1 * tenths, 1) for tenths in range(5, 41))  # 0.5 to 4.0
COST_COLUMNS = (
    *("width", "block", "resolution", "channels", "parameters", "macs", "activations"),
    *("folded_parameters", "folded_macs", "folded_activations"),
)


def width_costs(width: float) -> pd.DataFrame:
    """What each block of GN-S costs at ``width``, one of ``SLIDER_WIDTHS``, for one 32 x 32 image.

    Columns of ``models.cost.block_costs`` for the training form, and again with ``folded_`` in front for the folded
    one. Counting takes a second each, so ``tools/make_width_costs.py`` has counted all of them.

    Raises:
        ValueError: the slider has no such width.
        DataError: the kept counts are missing or damaged.
    """
    stored = _stored_costs(costs_path())
    if width not in stored:
        raise ValueError(f"GN-S was not counted at width {width}: choose one of {', '.join(map(str, stored))}")
    return stored[width]


def costs_path() -> Path:
    return repo_path("data", "costs", "gn-s.csv")


@functools.cache
def _stored_costs(path: Path) -> dict[float, pd.DataFrame]:
    try:
        counts = pd.read_csv(path)
        blocks = counts.groupby("width")["block"].count()
        if tuple(counts.columns) != COST_COLUMNS or counts.isna().any(axis=None) or blocks.nunique() != 1:
            raise ValueError("columns or rows are missing")
    except (OSError, ValueError, KeyError) as error:
        raise DataError(f"{path} is damaged ({error}): make it again with python tools/make_width_costs.py") from error
    groups = counts.groupby("width")
    return {width: group.drop(columns="width").reset_index(drop=True) for width, group in groups}
