"""Which runs of the store stand in a table, and the words that say whose they are.

Importing this module does not import torch.
"""

from collections.abc import Iterable
from dataclasses import fields

import pandas as pd

from course_lib.files import ResultError
from course_lib.profiles import PROFILES, Profile
from course_lib.study.experiments import EXPERIMENTS, TABLES
from course_lib.study.protocols import CONTROL, RECIPES, check_recipe, control_keys, origin

PROFILE_ORDER = ("full", "laptop", "quick")
DATASET_NAMES = {"cifar10": "CIFAR-10", "cifar100": "CIFAR-100", "synthetic": "SYNTHETIC images"}


def name_of(profile: str | Profile) -> str:
    return profile.name if isinstance(profile, Profile) else profile


def runs_of(results: pd.DataFrame, profile: str | Profile, recipe: str, keys: Iterable[str]) -> pd.DataFrame:
    """The runs of ``keys``, by key and seed; a row that the recipe trains as another does is that one's run.

    Raises:
        ValueError: there is no such profile or recipe, neither in the course nor in the store.
    """
    name = _check_set(results, profile, recipe)
    origins = {key: origin(key, recipe) for key in keys}
    chosen = (results["profile"] == name) & (results["recipe"] == results["key"].map(origins))
    numbers = ("last_accuracy", "best_accuracy", "parameters", "epochs")  # floats: means of none are NaN, not errors
    return results[chosen].astype(dict.fromkeys(numbers, float)).sort_values(["key", "seed"])


def _check_set(results: pd.DataFrame, profile: str | Profile, recipe: str) -> str:
    """The profile's name. A misspelt one must not look like one that nobody has run."""
    name = name_of(profile)
    if name not in PROFILES and name not in set(results["profile"]):
        raise ValueError(f"unknown profile {name!r}: choose one of {', '.join(PROFILES)}")
    if recipe not in set(results["recipe"]):
        check_recipe(recipe)
    return name


def paired_deltas(own: pd.DataFrame, baseline: pd.DataFrame) -> pd.Series:
    """Last-epoch accuracy minus the baseline's, in points, one value for each seed that both have."""
    return (own.set_index("seed")["last_accuracy"] - baseline.set_index("seed")["last_accuracy"]).dropna()


def check_alike(runs: pd.DataFrame, n: int) -> None:
    """Refuse (ResultError) to set runs side by side in Table ``n`` that were not trained alike."""
    students = runs["student"].astype(str)
    big = sorted(set(students[~students.str.startswith("gn-")]))
    data = runs["dataset"].astype(str) + ", " + runs["data_subset"].astype(str)
    kinds = (
        ("the profile's settings", runs["profile_spec"].map(lambda spec: str(_profile(spec)))),
        ("the data", data + ", " + runs["test_images"].astype(str) + " test images"),
        ("the epochs of the GhostNets", runs["epochs"][students.str.startswith("gn-")]),
        *((f"the epochs of {name}", runs["epochs"][students == name]) for name in big),
    )
    for what, values in kinds:
        if values.nunique() > 1:
            pair = values.drop_duplicates().index[:2]
            words = " and ".join(f"{runs.loc[index, 'run']} ({values[index]})" for index in pair)
            raise ResultError(f"table {n} cannot be drawn: {what} differ between {words}; run the older one afresh")


# --- words ----------------------------------------------------------------------------------------


def provenance(runs: pd.DataFrame, profile: str | Profile, recipe: str) -> str:
    """The words that stand beside our numbers: the profile as it really ran, the data, the recipe."""
    if runs.empty:
        return f"{name_of(profile)} profile, recipe {recipe!r}: none of these rows has been run"
    run = runs.iloc[-1]
    data = f"{DATASET_NAMES.get(run['dataset'], run['dataset'])}, {int(run['test_images']):,} test images"
    shared = sorted(set(runs["recipe"]) - {recipe})
    same = f" (rows that it trains alike are those of {', '.join(map(repr, shared))})" if shared else ""
    return f"{_profile(run['profile_spec']).label}; {data}; recipe {recipe!r}{same}"


def _profile(spec: dict) -> Profile:
    """The profile as a result holds it; what an older one does not know is left at its default."""
    return Profile(**{field.name: spec[field.name] for field in fields(Profile) if field.name in spec})


def words_for(results: pd.DataFrame, profile: str | Profile, recipe: str = "paper") -> str:
    """A few words to stand beside our numbers: the size of the runs as they were made, and their recipe."""
    runs = runs_of(results, profile, recipe, EXPERIMENTS)
    size = f"{name_of(profile)} profile: not run" if runs.empty else _profile(runs.iloc[-1]["profile_spec"]).label
    return f"{size}; recipe {recipe!r}"


def set_name(profile: str, recipe: str) -> str:
    """``laptop profile``; other recipes than ``paper`` are named."""
    return f"{profile} profile" + ("" if recipe == "paper" else f", recipe {recipe!r}")


def seeds_in_words(counts: pd.Series) -> str:
    """``n = 1 seed``, ``n = 3 seeds, bars ± 1 sd`` or ``n = 1 to 3 seeds, ...`` of the rows that ran."""
    counts = counts[counts > 0]
    if counts.empty:
        return "not run yet"
    low, high = counts.min(), counts.max()
    words = f"n = {high} seed{'s' if high > 1 else ''}" if low == high else f"n = {low} to {high} seeds"
    return words + (", bars ± 1 sd" if high > 1 else "")


# --- what there is --------------------------------------------------------------------------------


def available_profiles(results: pd.DataFrame, recipe: str = "paper") -> list[str]:
    """The profiles that have runs of ``recipe``: full, laptop, quick, then any other."""
    names = set(results.loc[results["recipe"] == recipe, "profile"])
    if not names:
        check_recipe(recipe)
    return [name for name in PROFILE_ORDER if name in names] + sorted(names.difference(PROFILE_ORDER))


def available(results: pd.DataFrame, n: int | None = None) -> list[tuple[str, str]]:
    """Profile and recipe of all that may stand side by side: ``paper`` first, and profiles as above.

    With ``n``, other recipes only where a row of Table ``n`` that they train in their own way has been run: without
    one, all that the table shows is ``paper``'s.
    """
    found = []
    for recipe in RECIPES:
        rows = results if n is None or recipe == "paper" else results[results["table"] == f"table{n}"]
        found += [(profile, recipe) for profile in available_profiles(rows, recipe)]
    return found


def summary(results: pd.DataFrame) -> str:
    """The state of the store, a line for each profile and recipe."""
    lines = []
    for recipe in sorted(set(results["recipe"])):
        rows = {key for key, row in EXPERIMENTS.items() if row.table in TABLES and origin(key, recipe) == recipe}
        rows = set(control_keys()) if recipe == CONTROL else rows
        for profile in available_profiles(results, recipe):
            runs = results[(results["profile"] == profile) & (results["recipe"] == recipe)]
            seeds = runs["seed"].nunique()
            lines.append(
                f"{_profile(runs.iloc[-1]['profile_spec']).label}; recipe {recipe!r}: "
                f"{len(rows.intersection(runs['key']))} of {len(rows)} table rows run, "
                f"{seeds} seed{'s' if seeds > 1 else ''}"
            )
    return "\n".join(lines) or "no finished runs"
