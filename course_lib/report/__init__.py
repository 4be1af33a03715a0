# ruff: noqa: F401
"""Tables, figures and verdicts from the results store; importing it does not import torch."""

from course_lib.report.figures import evidence_figure, figure_1
from course_lib.report.paper import TITLES, authors_histories, authors_runs, paper_table
from course_lib.report.runs import OWN_ROWS, available, available_profiles, set_name
from course_lib.report.tables import (
    AUTHORS_ACCURACY,
    AUTHORS_DELTA,
    OUR_ACCURACY,
    OUR_DELTA,
    PAPER_ACCURACY,
    PAPER_DELTA,
    own_table,
    show_table,
    style,
    table,
    verdicts_table,
)
