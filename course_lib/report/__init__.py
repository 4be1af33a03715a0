# ruff: noqa: F401
"""Tables, figures and verdicts from the results store; importing it does not import torch."""

from course_lib.report.figures import evidence_figure, figure_1, write_report
from course_lib.report.paper import TITLES, authors_histories, authors_runs, paper_table
from course_lib.report.runs import OWN_ROWS, available, available_profiles, set_name, summary
from course_lib.report.tables import (
    AUTHORS_ACCURACY,
    AUTHORS_DELTA,
    DELTA_SD,
    OUR_ACCURACY,
    OUR_BEST,
    OUR_DELTA,
    OUR_PARAMETERS,
    OUR_SD,
    PAPER_ACCURACY,
    PAPER_DELTA,
    PAPER_PARAMETERS,
    ShownTable,
    own_table,
    show_table,
    style,
    table,
    verdicts_table,
)
