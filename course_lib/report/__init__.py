# ruff: noqa: F401
"""Tables, figures and verdicts from the results store; importing it does not import torch."""

from course_lib.report.curves import authors_curves, learning_curves
from course_lib.report.figures import CURVES, deltas_figure, figure_1, seeds_figure, write_report
from course_lib.report.paper import TITLES, authors_histories, authors_runs, paper_table
from course_lib.report.runs import available, available_profiles, set_name, summary, words_for
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
    control_table,
    deltas_in_words,
    show_rows,
    show_table,
    style,
    table,
    verdicts_table,
)
