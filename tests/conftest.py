"""What every test starts from: the quick profile, and nothing of the tester's own environment."""

import os

import pytest

# Read by torch as it is imported: the tests share two cores with the kernels and the browser they start.
os.environ.setdefault("OMP_NUM_THREADS", "2")


@pytest.fixture(scope="session", autouse=True)
def quiet_environment():
    """The quick profile, the repository's own data, no settings of the tester's."""
    with pytest.MonkeyPatch.context() as patch:
        for name in ("COURSE_DATA", "COURSE_HOME", "COURSE_MIRROR"):
            patch.delenv(name, raising=False)
        patch.setenv("COURSE_PROFILE", "quick")
        yield
