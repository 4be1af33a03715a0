"""A study small enough for a test: real networks, 20 made-up images, an epoch or three."""

from course_lib import results
from course_lib.plan import Run
from course_lib.profiles import Profile

TINY = Profile("tiny", "synthetic", 20, student_epochs=1, teacher_epochs=1, batch_size=10, test_images=20)


def runs(*keys: str, profile: Profile = TINY, recipe: str = "paper", seed: int = 0) -> list[Run]:
    """The runs behind some rows of one recipe."""
    from course_lib import plan

    return plan.rows(keys, profile, recipe, seed)


def stored() -> dict:
    """The store as {key: row of the frame}."""
    return {row.key: row for row in results.load_results().itertuples()}
