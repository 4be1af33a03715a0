"""A run has one worker; a dead worker holds nothing."""

import errno
import os
import platform
import signal
import subprocess
import sys
import textwrap

import pytest

from course_lib.errors import CourseError
from course_lib.study import locks
from course_lib.study.locks import Held, run_lock

HOLDER = """
    import sys, time
    from course_lib.study.locks import run_lock
    with run_lock("a-run"):
        print("held", flush=True)
        time.sleep(60)
"""


@pytest.fixture(autouse=True)
def home(tmp_path, monkeypatch):
    monkeypatch.setenv("COURSE_HOME", str(tmp_path))
    return tmp_path


def test_a_lock_is_one_processes_until_it_dies(home):
    other = subprocess.Popen([sys.executable, "-c", textwrap.dedent(HOLDER)], stdout=subprocess.PIPE, text=True)
    try:
        assert other.stdout.readline() == "held\n"
        with pytest.raises(Held) as caught, run_lock("a-run"):
            pass
        assert str(caught.value) == f"a-run is being run by process {other.pid} on {platform.node()}"
        with run_lock("another-run"):
            pass
        os.kill(other.pid, signal.SIGKILL)
    finally:
        other.kill()
        other.wait()
    stale = home / "data" / "cache" / "locks" / "a-run.lock"
    assert str(other.pid) in stale.read_text()  # the dead process is still named in the file
    with run_lock("a-run"):  # and holds nothing
        assert str(os.getpid()) in stale.read_text()


def test_a_lock_can_be_taken_again_after_an_error():
    with pytest.raises(RuntimeError), run_lock("a-run"):
        raise RuntimeError
    with run_lock("a-run"), pytest.raises(Held, match=f"process {os.getpid()}"), run_lock("a-run"):
        pass


def test_a_folder_that_cannot_be_written_is_one_line(home):
    (home / "data").write_text("no folder")
    with pytest.raises(CourseError, match="cannot lock .*a-run.lock") as caught, run_lock("a-run"):
        pass
    assert "\n" not in str(caught.value)


def test_a_file_system_without_locks_is_one_line_and_nobody_holds_the_run(monkeypatch):
    def no_locks(*_):
        raise OSError(errno.ENOLCK, "No locks available")

    monkeypatch.setattr(locks, "_windows_lock", no_locks)
    monkeypatch.setattr(locks, "fcntl", None)
    with pytest.raises(CourseError, match="cannot lock .*a-run.lock: No locks available; put") as caught:
        with run_lock("a-run"):
            pass
    assert not isinstance(caught.value, Held) and "\n" not in str(caught.value)


def test_a_look_at_a_lock_leaves_it_as_it_was(home):
    assert not locks.is_held("a-run") and not (home / "data").exists()
    with run_lock("a-run"):
        assert locks.is_held("a-run")
    path = home / "data" / "cache" / "locks" / "a-run.lock"
    path.write_text('{"pid": 1, "host": "dead"}')  # as a killed process leaves it
    assert not locks.is_held("a-run") and "dead" in path.read_text()


def test_a_file_without_words_names_nobody(home):
    assert locks.holder(home / "nothing") == "another process"
