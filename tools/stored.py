"""The state of the results store in words."""

import pandas as pd

from course_lib.profiles import PROFILES, Profile
from course_lib.report.runs import OWN_ROWS, available_profiles
from course_lib.study.experiments import EXPERIMENTS, TABLES
from course_lib.study.protocols import CONTROL, RECIPES, control_keys, origin


def summary(results: pd.DataFrame) -> str:
    """The state of the store, a line for each profile and recipe that may be shown."""
    own = {key for keys in OWN_ROWS.values() for key in keys}
    lines = []
    for recipe in (*RECIPES, CONTROL):
        for profile in available_profiles(results, recipe):
            theirs = {key for key, row in EXPERIMENTS.items() if row.table in TABLES and origin(key, recipe) == recipe}
            rows = set(control_keys()) if recipe == CONTROL else theirs
            runs = results[(results["profile"] == profile) & (results["recipe"] == recipe)]
            words = PROFILES[profile].label if runs.empty else Profile(**runs.iloc[-1]["profile_spec"]).label
            words += f"; recipe {recipe!r}: {len(rows & set(runs['key']))} of {len(rows)} table rows run"
            if mine := {key for key in own if origin(key, recipe) == recipe}:
                words += f", {len(mine & set(runs['key']))} of {len(mine)} with published teachers"
            seeds = runs["seed"].nunique()
            lines.append(words + (f", {seeds} seed{'s' if seeds > 1 else ''}" if seeds else ""))
    return "\n".join(lines)
