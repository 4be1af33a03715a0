"""What the study runs, in order of value: rows, protocols and seeds."""

from collections.abc import Iterable

from course_lib.profiles import Profile
from course_lib.study.experiments import EXPERIMENTS, PRETRAINED, PUBLISHED, ROWS, find, table_rows
from course_lib.study.protocols import CONTROL, FACTORS, RECIPES, check_recipe, control_keys, origin
from course_lib.study.runs import Run

WIDTHS = "gn-s-1.3x gn-s-1.6x gn-s-1.9x gn-s-2.2x gn-s-2.8x gn-s-3.4x gn-d"
BOTH = "paper repaired"
# Rows, protocols and seeds, the most valuable group first (docs/hypotheses.md says what is expected of each). A group
# brings its own teachers; a row that a protocol trains as ``paper`` does is run once.
FIRST = (
    ("gn-s-1.0x", "paper", range(3)),
    ("gn-s-1.0x<resnet56", BOTH, range(3)),
    (WIDTHS, "paper", range(1)),
    ("gn-s-1.0x<published", "repaired", range(3)),
    ("gn-s-1.0x<published", "paper", range(1)),
    ("gn-s-1.0x<resnet20<resnet56", "repaired", range(3)),
    ("gn-s-1.0x<resnet20 gn-s-1.0x<resnet20-trained", "repaired", range(1)),
    ("gn-s-2.8x<resnet56 gn-d<resnet56", "repaired", range(1)),
    ("gn-s-1.0x gn-s-1.0x<resnet56", BOTH, range(3, 5)),
)
ONE_CHANGE = (
    ("gn-s-1.0x gn-s-1.0x<resnet56", " ".join(FACTORS), range(1)),
    ("gn-s-1.0x", "seven_epochs", range(3)),
)
LATER = (
    # The paper's own teachers, each with its student, and the chain of Table III.
    *((f"{teacher} gn-s-1.0x<{teacher}", BOTH, range(1)) for teacher in ("resnet18", "vgg13", "resnet50", "gn-s-2.8x")),
    ("resnet34", "paper", range(1)),
    ("resnet34<resnet50 resnet18<ta gn-s-1.0x<ta gn-s-1.3x<ta gn-s-1.6x<ta gn-d<ta", "paper", range(1)),
    (WIDTHS, "paper", range(1, 3)),
)
# All that is trained here, but for what starts from ImageNet weights.
EVERYTHING = " ".join(key for key in ROWS if key not in PUBLISHED and PRETRAINED not in key)
SCOPE = {"laptop": (*FIRST, *ONE_CHANGE, *LATER), "full": (*FIRST, *LATER, (EVERYTHING, " ".join(RECIPES), range(5)))}
SELF_TEST = ((" ".join(EXPERIMENTS), "paper", range(1)),)  # of ``quick``: each row of the paper once


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
        keys: these rows, whether they are in the profile's groups or not; default all of those.
        table: of the profile's groups only the rows of one table.
        recipes, seeds: in place of the groups' own; ``paper`` and seed 0 for rows that are named. ``as_run`` brings the
            unshuffled baselines; all rows of a seed come before the next seed.

    Raises ValueError where a key, table or recipe is unknown, or the recipes have no row for a key or for the table.
    """
    recipes = None if recipes is None else [check_recipe(name) for name in recipes]
    groups = [(rows.split(), names.split(), own) for rows, names, own in SCOPE.get(profile.name, SELF_TEST)]
    choices = {}
    if keys is not None:
        keys = [find(key).key for key in keys]
        if others := [key for key in keys if key in PUBLISHED]:
            words = "is published, not trained here: name a row that learns from it"
            raise ValueError(f"{others[0]} {words}, gn-s-1.0x<{others[0]}")
        groups, choices = [(keys, ["paper"], range(1))], {key: [key] for key in keys}
    elif table is not None:
        of_table = [row.key for row in table_rows(table)]
        groups = [([key for key in rows if key in of_table], names, own) for rows, names, own in groups]
        choices = {table: of_table}
    for name, rows in choices.items():
        if recipes and not _pairs(rows, recipes):  # only the control's rows are not for every network
            raise ValueError(f"the recipe {CONTROL} has no row for {name}, only for {', '.join(control_keys())}")
    runs = []
    for asked in [None] if seeds is None else seeds:
        for rows, names, own in groups:
            pairs = _pairs(rows, recipes or names)
            for seed in own if asked is None else [asked]:
                runs += [Run(key, profile, recipe, seed) for key, recipe in pairs]
    return list(dict.fromkeys(runs))


def _pairs(keys: list[str], recipes: list[str]) -> list[tuple[str, str]]:
    """Row and protocol of a choice, protocol by protocol; ``as_run`` brings the control before its own rows."""
    pairs = []
    for recipe in recipes:
        if recipe in ("as_run", CONTROL):
            pairs += [(key, CONTROL) for key in control_keys(keys)]
        if recipe != CONTROL:
            pairs += [(key, origin(key, recipe)) for key in keys]
    return list(dict.fromkeys(pairs))
