"""Count what each block of GN-S costs at every width of the width slider, and keep it in ``data/costs/gn-s.csv``.

python tools/make_width_costs.py    # seconds
"""

import pandas as pd

from classroom.sliders.costs import COST_COLUMNS, SLIDER_WIDTHS, costs_path, measure_costs
from course_lib.files import atomic_write


def make_width_costs(widths: tuple[float, ...] = SLIDER_WIDTHS) -> None:
    """Count all ``widths``. Raises CourseError: the file cannot be written."""
    counts = pd.concat([measure_costs(width).assign(width=width) for width in widths])
    atomic_write(costs_path(), counts.to_csv(columns=list(COST_COLUMNS), index=False, lineterminator="\n").encode())


if __name__ == "__main__":
    make_width_costs()
    print(f"wrote {costs_path()}")
