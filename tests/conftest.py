"""What every test starts from: the quick profile, and nothing of the tester's own environment."""

import os
import socket
import sys
from pathlib import Path

import pytest
from filelock import FileLock

sys.path.insert(0, str(Path(__file__).resolve().parent.parent / "docs"))  # the site's two modules

# Read by torch as it is imported: two workers, the kernels and the browser they start share two cores.
os.environ.setdefault("OMP_NUM_THREADS", "1" if "PYTEST_XDIST_WORKER" in os.environ else "2")


@pytest.fixture(scope="session", autouse=True)
def quiet_environment():
    """The quick profile, the repository's own data, no settings of the tester's."""
    with pytest.MonkeyPatch.context() as patch:
        for name in ("COURSE_DATA", "COURSE_HOME", "COURSE_MIRROR"):
            patch.delenv(name, raising=False)
        patch.setenv("COURSE_PROFILE", "quick")
        yield


def no_network(*_, **__):
    raise AssertionError("the site's build asked for the network")


@pytest.fixture(scope="session")
def site(tmp_path_factory) -> Path:
    """The course's site, built without a network, once for all tests of it in all workers."""
    build = pytest.importorskip("build", reason="the site's packages are not installed: pip install -e '.[site]'")
    base = tmp_path_factory.getbasetemp()
    folder = (base.parent if "PYTEST_XDIST_WORKER" in os.environ else base) / "site"
    with FileLock(f"{folder}.lock"), pytest.MonkeyPatch.context() as patch:
        if not folder.exists():
            patch.setattr(socket.socket, "connect", no_network)
            build.build(folder)
    return folder
