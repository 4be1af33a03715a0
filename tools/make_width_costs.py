"""Count what each block of GN-S costs at every width of the width slider, and keep it in ``data/costs/gn-s.csv``.

python tools/make_width_costs.py    # seconds
"""

import pandas as pd
import torch

from classroom.sliders.costs import COST_COLUMNS, SLIDER_WIDTHS, costs_path
from course_lib.files import atomic_write
from course_lib.models import create_model, fold
from course_lib.models.cost import block_costs


def measure_costs(width: float) -> pd.DataFrame:
    """Count what ``classroom.sliders.width_costs`` returns, on networks without weights."""
    with torch.device("meta"):
        model = create_model("gn-s", width=width)
    folded = block_costs(fold(model))[["block", "parameters", "macs", "activations"]]
    return (
        block_costs(model)
        .merge(folded.add_prefix("folded_"), left_on="block", right_on="folded_block")
        .drop(columns="folded_block")
    )


def make_width_costs(widths: tuple[float, ...] = SLIDER_WIDTHS) -> None:
    """Count all ``widths``. Raises CourseError: the file cannot be written."""
    counts = pd.concat([measure_costs(width).assign(width=width) for width in widths])
    atomic_write(costs_path(), counts.to_csv(columns=list(COST_COLUMNS), index=False, lineterminator="\n").encode())


if __name__ == "__main__":
    make_width_costs()
    print(f"wrote {costs_path()}")
