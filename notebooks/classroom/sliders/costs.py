"""What each block of GN-S costs at every width of the slider: counted once and kept in ``data/costs``."""

import functools
from pathlib import Path

import pandas as pd

from course_lib.files import DataError, repo_path
from course_lib.models import create_model, fold
from course_lib.models.cost import block_costs

SLIDER_WIDTHS = tuple(round(0.1 * tenths, 1) for tenths in range(5, 41))  # 0.5 to 4.0
COST_COLUMNS = (
    *("width", "block", "resolution", "channels", "parameters", "macs", "activations"),
    *("folded_parameters", "folded_macs", "folded_activations"),
)


def width_costs(width: float) -> pd.DataFrame:
    """What each block of GN-S costs at ``width``, for one 32 x 32 image.

    Columns of ``models.cost.block_costs`` for the training form, and again with ``folded_`` in front for the folded
    one. Counting takes seconds, so the counts of the slider's widths are kept in ``data/costs``.

    Raises:
        ValueError: GN-S cannot have this width.
        DataError: the kept counts are damaged.
    """
    stored = _stored_costs(costs_path())
    return stored[width] if width in stored else measure_costs(width)


@functools.cache
def measure_costs(width: float) -> pd.DataFrame:
    """Count what :func:`width_costs` returns, on networks without weights."""
    import torch

    with torch.device("meta"):
        model = create_model("gn-s", width=width)
    folded = block_costs(fold(model))[["block", "parameters", "macs", "activations"]]
    return (
        block_costs(model)
        .merge(folded.add_prefix("folded_"), left_on="block", right_on="folded_block")
        .drop(columns="folded_block")
    )


def costs_path() -> Path:
    return repo_path("data", "costs", "gn-s.csv")


@functools.cache
def _stored_costs(path: Path) -> dict[float, pd.DataFrame]:
    if not path.exists():
        return {}
    try:
        counts = pd.read_csv(path)
        blocks = counts.groupby("width")["block"].count()
        if tuple(counts.columns) != COST_COLUMNS or counts.isna().any(axis=None) or blocks.nunique() != 1:
            raise ValueError("columns or rows are missing")
    except (OSError, ValueError, KeyError) as error:
        raise DataError(f"{path} is damaged ({error}): delete it, or run python tools/make_width_costs.py") from error
    groups = counts.groupby("width")
    return {width: group.drop(columns="width").reset_index(drop=True) for width, group in groups}
