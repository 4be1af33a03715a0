"""What the study runs, and in which order: the rows, recipes and seeds as a queue in order of value."""

from collections.abc import Iterable
from dataclasses import dataclass
from pathlib import Path
from typing import TYPE_CHECKING

from course_lib.files import repo_path
from course_lib.profiles import PROFILES, Profile
from course_lib.study import experiments, store
from course_lib.study.experiments import EXPERIMENTS, TABLES, Experiment
from course_lib.study.protocols import CONTROL, RECIPES, check_recipe, control_keys, origin, training_recipe

if TYPE_CHECKING:
    from course_lib.training.recipe import Recipe

# What a profile runs when nothing is asked for: recipes, and seeds from 0 on.
SCOPE = {"quick": (("paper",), 1), "laptop": (("paper",), 1), "full": (RECIPES, 5)}
# Left out of a profile unless asked for by name: what one night on two cores has no room for.
TOO_DEAR = {
    "laptop": tuple(
        key
        for key, row in EXPERIMENTS.items()
        if row.student == "gn-d" or (row.width or 0) > 1.6 or key in ("efficientnetv2_s", "resnet34")
    )
}
# The groups of the queue in order of value: a recipe and a table of it. A group brings its own teachers.
GROUPS = (
    ("paper", "students"),  # the seven widths and GN-D of Table I
    ("paper", "table2"),
    ("paper", "table3"),
    ("paper", "table4"),
    ("paper", "table1"),  # what no student needed as a teacher
    (CONTROL, "table1"),
    ("as_run", "table2"),
    ("as_run", "table3"),
    ("as_run", "table4"),
    ("repaired", "table2"),
    ("repaired", "table3"),
    ("repaired", "table4"),
)


@dataclass(frozen=True)
class Run:
    """One network to train: a row of a table under one recipe from one seed.

    Attributes:
        key: the row, see ``experiments.EXPERIMENTS``.
        profile: how much is trained.
        recipe: the recipe it is trained and stored under (``recipes.origin``).
        seed: of weights, order, crops and flips; its teachers have the same one.
        pretrained: EfficientNetV2-S starts from ImageNet weights.
    """

    key: str
    profile: Profile
    recipe: str = "paper"
    seed: int = 0
    pretrained: bool = False

    @property
    def experiment(self) -> Experiment:
        """The row's entry in the registry."""
        return EXPERIMENTS[self.key]

    @property
    def name(self) -> str:
        """The run's identity, and its file name."""
        return experiments.run_id(self.key, profile=self.profile.name, recipe=self.recipe, seed=self.seed)

    @property
    def teachers(self) -> tuple["Run", ...]:
        """The runs whose networks this one learns from."""
        return tuple(
            Run(key, self.profile, origin(key, self.recipe), self.seed, self.pretrained)
            for key in self.experiment.teachers
        )

    @property
    def result(self) -> Path:
        """Where its result lies in the store."""
        return store.result_path(self.name, self.profile.name)

    @property
    def checkpoint(self) -> Path:
        """Where its weights lie on this machine."""
        return repo_path("data", "cache", "checkpoints", f"{self.name}.pt")

    def __str__(self) -> str:
        recipe = "" if self.recipe == "paper" else f", {self.recipe}"
        return f"{self.key}{recipe}, seed {self.seed}"


def settings_of(run: Run) -> "Recipe":
    """Epochs, rates, temperature, alpha and shuffling that the run is trained with."""
    return training_recipe(run.experiment, run.profile, run.seed, run.recipe, pretrained=run.pretrained)


def run_named(name: str) -> Run | None:
    """The run that calls itself ``name`` (``Run.name``); None where no run of the study does."""
    _, profile, recipe, seed = ([""] * 4 + name.rsplit(".", 3))[-4:]
    if profile not in PROFILES or recipe not in (*RECIPES, CONTROL) or not seed.removeprefix("seed").isdecimal():
        return None
    runs = (Run(key, PROFILES[profile], recipe, int(seed.removeprefix("seed"))) for key in EXPERIMENTS)
    return next((run for run in runs if run.name == name), None)


def with_teachers(runs: Iterable[Run]) -> list[Run]:
    """``runs`` and every run they learn from, teachers first, none twice."""
    ordered: dict[Run, None] = {}

    def add(run: Run) -> None:
        if run not in ordered:
            for teacher in run.teachers:
                add(teacher)
            ordered[run] = None

    for run in runs:
        add(run)
    return list(ordered)


def rows(
    keys: Iterable[str] | None, profile: Profile, recipe: str = "paper", seed: int = 0, pretrained: bool = False
) -> list[Run]:
    """The runs behind the rows ``keys`` of one recipe (default: all of the profile's), in the order given.

    Raises:
        ValueError: a key or the recipe is unknown.
    """
    check_recipe(recipe)
    chosen = in_scope(EXPERIMENTS, profile) if keys is None else [experiments.find(key).key for key in keys]
    return [Run(key, profile, origin(key, recipe), seed, pretrained) for key in chosen]


def in_scope(keys: Iterable[str], profile: Profile) -> list[str]:
    """Those of ``keys`` that the profile runs without being asked for each by name."""
    return [key for key in keys if key not in TOO_DEAR.get(profile.name, ())]


def queue(
    profile: Profile,
    *,
    keys: Iterable[str] | None = None,
    table: str | None = None,
    recipes: Iterable[str] | None = None,
    seeds: Iterable[int] | None = None,
    pretrained: bool = False,
) -> list[Run]:
    """The runs that are wanted, in order of value; the teachers they need are not listed (``with_teachers``).

    Args:
        keys: only these rows; default all of the profile's.
        table: only the rows of one table.
        recipes: default the profile's; ``as_run`` brings the unshuffled baselines.
        seeds: default the profile's. All rows of a seed come before the next seed.
        pretrained: EfficientNetV2-S from ImageNet weights.

    Raises:
        ValueError: a key, table or recipe is unknown, or the recipes have no row for a key or for the table.
    """
    chosen = None if keys is None else [experiments.find(key).key for key in keys]
    if table is not None:
        chosen = in_scope((row.key for row in experiments.table_rows(table)), profile)
    names, count = SCOPE.get(profile.name, SCOPE["quick"])
    names = names if recipes is None else tuple(check_recipe(name) for name in recipes)
    seeds = range(count) if seeds is None else seeds
    choices = {key: [key] for key in chosen or ()} if table is None else {table: chosen}
    for name, part in choices.items():
        if part and not _rows_of(part, names, profile):  # only the control's rows are not for every network
            raise ValueError(f"the recipe {CONTROL} has no row for {name}, only for {', '.join(control_keys())}")
    pairs = _rows_of(chosen, names, profile)
    return list(dict.fromkeys(Run(key, profile, recipe, seed, pretrained) for seed in seeds for key, recipe in pairs))


def _rows_of(chosen: list[str] | None, names: Iterable[str], profile: Profile) -> list[tuple[str, str]]:
    """Key and recipe of the rows of a choice, in order of value."""
    return [
        (key, recipe)
        for recipe, group in GROUPS
        for key in _members(group, recipe, chosen, profile)
        # A row that a recipe shares with `paper` is in the queue as paper's; as_run brings its control.
        if _is_asked_for(key, recipe, names)
    ]


def _is_asked_for(key: str, recipe: str, names: Iterable[str]) -> bool:
    if recipe == CONTROL:
        return CONTROL in names or "as_run" in names
    return any(origin(key, name) == recipe for name in names if name != CONTROL)


def _members(group: str, recipe: str, chosen: list[str] | None, profile: Profile) -> list[str]:
    """The rows of a group in the paper's order."""
    if recipe == CONTROL:
        keys = control_keys(chosen)
        return in_scope(keys, profile) if chosen is None else keys
    if group == "students":
        keys = [key for key, row in EXPERIMENTS.items() if row.table == "table1" and row.student.startswith("gn-")]
    else:
        keys = [key for key, row in EXPERIMENTS.items() if row.table == group]
    if group == "table3":  # assistants asked for by name belong to their chain
        keys = [*(key for key in chosen or () if EXPERIMENTS[key].table not in TABLES), *keys]
    return in_scope(keys, profile) if chosen is None else [key for key in keys if key in chosen]
