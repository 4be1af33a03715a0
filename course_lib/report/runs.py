"""Which runs of the store stand in a table, and the words that say whose they are.

Evidence are the runs of ``laptop`` and ``full``: ``quick``, which shows that a row runs from end to end and no more, is
never offered here.
"""

from collections.abc import Iterable

import pandas as pd

from course_lib.files import ResultError
from course_lib.profiles import PROFILES, Profile
from course_lib.study.experiments import TABLES
from course_lib.study.protocols import PROTOCOLS, RECIPES, check_recipe, origin

PROFILE_ORDER = ("full", "laptop")
# Students of published teachers, which stand below the paper's rows of Tables II to IV. The student of a ResNet-20 that
# was trained here stands twice: as one of a single teacher, and as the control of the chain.
OWN_ROWS = {
    2: (
        *(f"{student}<resnet56" for student in ("gn-s-1.0x", "gn-s-2.8x", "gn-d")),
        *(f"gn-s-1.0x<{teacher}" for teacher in ("resnet20", "resnet20-trained")),
    ),
    3: ("gn-s-1.0x<resnet20<resnet56", "gn-s-1.0x<resnet20-trained"),
    4: ("gn-s-1.0x<published",),
}


def runs_of(results: pd.DataFrame, profile: str, recipe: str, keys: Iterable[str]) -> pd.DataFrame:
    """The runs of ``keys``, by key and seed; a row that the recipe trains as another does is that one's run.

    Raises ValueError where there is no such profile or recipe: a misspelt one must not look like one that nobody ran.
    """
    if profile not in PROFILES:
        raise ValueError(f"unknown profile {profile!r}: choose one of {', '.join(PROFILES)}")
    origins = {key: origin(key, check_recipe(recipe)) for key in keys}
    chosen = (results["profile"] == profile) & (results["recipe"] == results["key"].map(origins))
    numbers = ("last_accuracy", "best_accuracy", "parameters", "epochs")  # floats: means of none are NaN, not errors
    return results[chosen].astype(dict.fromkeys(numbers, float)).sort_values(["key", "seed"])


def own_rows(n: int, results: pd.DataFrame, profile: str, recipe: str) -> list[tuple[str, str]]:
    """Key and recipe of each line of our own below Table ``n``: at each T that was run, or as ``recipe`` has it."""
    keys = OWN_ROWS.get(n, ())
    run = {each: set(runs_of(results, profile, each, keys)["key"]) for each in ("paper", "repaired")}
    return [(key, one) for key in keys for one in [each for each in run if key in run[each]] or [origin(key, recipe)]]


def temperature_of(key: str, recipe: str) -> float:
    """The T at which a row learns."""
    return (PROTOCOLS["paper"].settings | PROTOCOLS[origin(key, recipe)].settings)["temperature"]


def paired_deltas(own: pd.DataFrame, baseline: pd.DataFrame) -> pd.Series:
    """Last-epoch accuracy minus the baseline's, in points, one value for each seed that both have."""
    return (own.set_index("seed")["last_accuracy"] - baseline.set_index("seed")["last_accuracy"]).dropna()


def check_alike(runs: pd.DataFrame, n: int) -> None:
    """Refuse (ResultError) to set runs side by side in Table ``n`` that were not trained alike."""
    runs = runs[~runs.index.duplicated()]
    networks = runs["student"].astype(str).where(lambda name: ~name.str.startswith("gn-"), "the GhostNets")
    data = runs["dataset"].astype(str) + ", " + runs["data_subset"].astype(str)
    kinds = (
        ("the profile's settings", runs["profile_spec"].map(lambda spec: str(Profile(**spec)))),
        ("the data", data + ", " + runs["test_images"].astype(str) + " test images"),
        *((f"the epochs of {name}", runs["epochs"][networks == name]) for name in sorted(set(networks))),
    )
    for what, values in kinds:
        if values.nunique() > 1:
            pair = values.drop_duplicates().index[:2]
            words = " and ".join(f"{runs.loc[index, 'run']} ({values[index]})" for index in pair)
            raise ResultError(f"table {n} cannot be drawn: {what} differ between {words}; run the older one afresh")


def provenance(runs: pd.DataFrame, profile: str, recipe: str) -> str:
    """The words that stand beside our numbers: the profile as it really ran, the data, the recipe."""
    if runs.empty:
        return f"{profile} profile, recipe {recipe!r}: none of these rows has been run"
    run = runs.iloc[-1]
    shared = sorted(set(runs["recipe"]) - {recipe})
    same = f" (rows that it trains alike are those of {', '.join(map(repr, shared))})" if shared else ""
    label = Profile(**run["profile_spec"]).label
    return f"{label}; CIFAR-10, {int(run['test_images']):,} test images; recipe {recipe!r}{same}"


def set_name(profile: str, recipe: str) -> str:
    """``laptop profile``; other recipes than ``paper`` are named."""
    return f"{profile} profile" + ("" if recipe == "paper" else f", recipe {recipe!r}")


def seeds_in_words(counts: pd.Series) -> str:
    """``n = 1 seed``, ``n = 3 seeds`` or ``n = 1 to 3 seeds`` of the rows that ran."""
    counts = counts[counts > 0]
    if counts.empty:
        return "not run yet"
    low, high = counts.min(), counts.max()
    return f"n = {high} seed{'s' if high > 1 else ''}" if low == high else f"n = {low} to {high} seeds"


def available_profiles(results: pd.DataFrame, recipe: str = "paper") -> list[str]:
    """The profiles that may be shown: ``full`` and ``laptop`` where ``recipe`` has runs; of ``paper`` never none."""
    names = set(results.loc[results["recipe"] == check_recipe(recipe), "profile"])
    found = [name for name in PROFILE_ORDER if name in names]
    return found or (["laptop"] if recipe == "paper" else [])


def available(results: pd.DataFrame, n: int | None = None) -> list[tuple[str, str]]:
    """Profile and recipe of all that may stand side by side, in Table ``n`` or in any: ``paper`` first.

    Other recipes only where a row of the paper that they train in their own way has been run: without one, all that a
    table shows is ``paper``'s and our own rows.
    """
    theirs = results[results["table"].isin(TABLES if n is None else (f"table{n}",))]
    rest = [(profile, recipe) for recipe in RECIPES[1:] for profile in available_profiles(theirs, recipe)]
    return [*((profile, "paper") for profile in available_profiles(results)), *rest]
