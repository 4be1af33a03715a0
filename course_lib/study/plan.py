"""What the study runs, in order of value: rows, protocols and seeds."""

from collections.abc import Iterable

from course_lib.profiles import Profile
from course_lib.study.experiments import EXPERIMENTS, ROWS, find, table_rows
from course_lib.study.protocols import CONTROL, RECIPES, STUDENTS, check_recipe, control_keys, origin
from course_lib.study.runs import Run

# What a profile runs when nothing is asked for: protocols, and seeds from 0 on.
SCOPE = {"quick": (("paper",), 1), "laptop": (("paper",), 1), "full": (RECIPES, 5)}
# Left out of a profile unless asked for by name: what one night on two cores has no room for.
TOO_DEAR = {
    "laptop": tuple(
        key
        for key, row in EXPERIMENTS.items()
        if row.student == "gn-d" or (row.width or 0) > 1.6 or key in ("efficientnetv2_s", "resnet34")
    )
}
# The groups of the queue in order of value: a protocol and a table of it. A group brings its own teachers.
TAUGHT = ("table2", "assistants", "table3", "table4", "ours")
GROUPS = (
    ("paper", "students"),  # the seven widths and GN-D of Table I
    *(("paper", table) for table in TAUGHT),
    ("paper", "table1"),  # what no student needed as a teacher
    (CONTROL, "table1"),
    *((name, table) for name in RECIPES if name != "paper" for table in TAUGHT),
)


def wanted(
    profile: Profile,
    *,
    keys: Iterable[str] | None = None,
    table: str | None = None,
    recipes: Iterable[str] | None = None,
    seeds: Iterable[int] | None = None,
) -> list[Run]:
    """The runs that are wanted, in order of value; the teachers they need are not listed (``with_teachers``).

    Args:
        keys: only these rows; default all of the profile's.
        table: only the rows of one table.
        recipes: default the profile's; ``as_run`` brings the unshuffled baselines.
        seeds: default the profile's. All rows of a seed come before the next seed.

    Raises:
        ValueError: a key, table or recipe is unknown, or the recipes have no row for a key or for the table.
    """
    chosen = None if keys is None else [_trained_here(key) for key in keys]
    if table is not None:
        chosen = in_scope((row.key for row in table_rows(table)), profile)
    names, count = SCOPE.get(profile.name, SCOPE["quick"])
    names = names if recipes is None else tuple(check_recipe(name) for name in recipes)
    choices = {key: [key] for key in chosen or ()} if table is None else {table: chosen}
    for name, part in choices.items():
        if part and not _pairs(part, names, profile):  # only the control's rows are not for every network
            raise ValueError(f"the recipe {CONTROL} has no row for {name}, only for {', '.join(control_keys())}")
    seeds, pairs = range(count) if seeds is None else seeds, _pairs(chosen, names, profile)
    return [Run(key, profile, recipe, seed) for seed in dict.fromkeys(seeds) for key, recipe in pairs]


def _trained_here(key: str) -> str:
    if find(key).method == "published":
        raise ValueError(f"{key} is published, not trained here: name a row that learns from it, gn-s-1.0x<{key}")
    return key


def in_scope(keys: Iterable[str], profile: Profile) -> list[str]:
    """Those of ``keys`` that the profile runs without being asked for each by name."""
    return [key for key in keys if key in EXPERIMENTS and key not in TOO_DEAR.get(profile.name, ())]


def _pairs(chosen: list[str] | None, names: Iterable[str], profile: Profile) -> list[tuple[str, str]]:
    """Row and protocol of a choice (None: all that is in the profile's scope), in order of value."""
    pairs = []
    for recipe, group in GROUPS:
        if recipe == CONTROL:  # as_run brings it
            keys = control_keys(chosen) if CONTROL in names or "as_run" in names else []
        else:
            keys = [key for key in (ROWS if chosen is None else chosen) if group in (ROWS[key].table, _kind(key))]
            # A row that a protocol shares with `paper` is in the queue as paper's.
            keys = [key for key in keys if recipe in {origin(key, name) for name in names if name != CONTROL}]
        keys = sorted(in_scope(keys, profile) if chosen is None else keys, key=list(ROWS).index)
        pairs += [(key, recipe) for key in keys]
    return list(dict.fromkeys(pairs))


def _kind(key: str) -> str:
    return "students" if ROWS[key].table == "table1" and ROWS[key].student in STUDENTS else ""


def rows(keys: Iterable[str] | None, profile: Profile, recipe: str = "paper", seed: int = 0) -> list[Run]:
    """The runs behind the rows ``keys`` of one protocol (default: all of the profile's), in the order given.

    Raises:
        ValueError: a key or the recipe is unknown.
    """
    check_recipe(recipe)
    chosen = in_scope(EXPERIMENTS, profile) if keys is None else [_trained_here(key) for key in keys]
    return [Run(key, profile, origin(key, recipe), seed) for key in chosen]
