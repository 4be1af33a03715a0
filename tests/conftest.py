"""What every test starts from: the quick profile, and nothing of the tester's own environment."""

import os
import socket
import sys
from pathlib import Path

import pytest

sys.path.insert(0, str(Path(__file__).resolve().parent.parent / "docs"))  # the site's two modules

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


def no_network(*_, **__):
    raise AssertionError("the site's build asked for the network")


@pytest.fixture(scope="session")
def site(tmp_path_factory) -> Path:
    """The course's site, built without a network, once for all tests of it."""
    build = pytest.importorskip("build", reason="the site's packages are not installed: pip install -e '.[site]'")
    folder = tmp_path_factory.mktemp("site")
    with pytest.MonkeyPatch.context() as patch:
        patch.setattr(socket.socket, "connect", no_network)
        status = build.build(folder / "site", folder / "source")
    assert status == 0, "Sphinx warned; see what it wrote above"
    return folder / "site"
