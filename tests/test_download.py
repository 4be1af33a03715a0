"""The downloader against a server that cuts, stalls, lies and forgets: what came is kept, what is damaged is not."""

import hashlib
import os
import time

import pytest
from stand_in import serve

from course_lib.data import download as module
from course_lib.data.download import download
from course_lib.errors import CourseError, DataError

CONTENT = os.urandom(300_000)
MD5 = hashlib.md5(CONTENT).hexdigest()


@pytest.fixture
def path(tmp_path):
    return tmp_path / "cache" / "archive.tar.gz"


@pytest.fixture
def part(path):
    path.parent.mkdir()
    return path.with_name("archive.tar.gz.part")


def test_a_whole_file_comes_and_a_second_call_asks_nothing(path):
    with serve(CONTENT) as server:
        download(server.url, path, MD5)
        download(server.url, path, MD5)
    assert path.read_bytes() == CONTENT
    assert server.asked == [None]
    assert os.listdir(path.parent) == [path.name]


def test_a_cut_connection_is_continued_where_it_stopped(path):
    with serve(CONTENT, "cut", "cut") as server:
        download(server.url, path, MD5)
    assert path.read_bytes() == CONTENT
    assert server.asked == [None, "bytes=150000-", "bytes=225000-"]


def test_a_later_call_asks_for_the_rest_only(path, part):
    part.write_bytes(CONTENT[:1000])
    with serve(CONTENT) as server:
        download(server.url, path, MD5)
    assert path.read_bytes() == CONTENT
    assert server.asked == ["bytes=1000-"]


def test_half_a_file_under_the_final_name_is_named_and_completed(path, part, capsys):
    path.write_bytes(CONTENT[:200_000])
    with serve(CONTENT) as server:
        download(server.url, path, MD5)
    assert path.read_bytes() == CONTENT
    assert server.asked == ["bytes=200000-"]
    assert f"{path} is damaged or not whole" in capsys.readouterr().err


def test_a_server_without_ranges_starts_again(path, part):
    part.write_bytes(CONTENT[:1000])
    with serve(CONTENT, "no-range") as server:
        download(server.url, path, MD5)
    assert path.read_bytes() == CONTENT
    assert server.asked == ["bytes=1000-"]  # once is enough: the old bytes were not kept in front


def test_another_range_than_asked_for_is_refused(path, part):
    part.write_bytes(CONTENT[:1000])
    with serve(CONTENT, "other-range") as server, pytest.raises(DataError, match="another range"):
        download(server.url, path, MD5)
    assert part.read_bytes() == CONTENT[:1000]


def test_a_damaged_part_is_named_thrown_away_and_fetched_again(path, part, capsys):
    part.write_bytes(b"x" * 1000)
    with serve(CONTENT) as server:
        download(server.url, path, MD5)
    assert path.read_bytes() == CONTENT
    assert server.asked == ["bytes=1000-", None]
    assert f"{part} was damaged" in capsys.readouterr().err


def test_a_part_longer_than_the_file_is_fetched_again(path, part):
    part.write_bytes(CONTENT + b"more")
    with serve(CONTENT) as server:
        download(server.url, path, MD5)
    assert path.read_bytes() == CONTENT


def test_a_whole_part_is_only_checked(path, part):
    part.write_bytes(CONTENT)
    with serve(CONTENT) as server:
        download(server.url, path, MD5)
    assert path.read_bytes() == CONTENT
    assert len(server.asked) == 1  # answered 416: nothing is left


def test_corrupted_bytes_are_refused_and_nothing_stays(path):
    with serve(CONTENT, "corrupt") as server, pytest.raises(DataError, match=r"damaged \(its MD5 differs\)"):
        download(server.url, path, MD5)
    assert os.listdir(path.parent) == []


def test_a_missing_file_is_said_in_one_line(path):
    with serve(CONTENT, "404") as server, pytest.raises(DataError, match="answers 404") as caught:
        download(server.url, path, MD5)
    assert "\n" not in str(caught.value)


def test_no_server_is_noticed_at_once(path):
    with serve(CONTENT) as server:
        pass  # gone now
    began = time.monotonic()
    with pytest.raises(DataError, match="cannot be fetched"):
        download(server.url, path, MD5)
    assert time.monotonic() - began < 5


def test_a_silent_host_is_left(path):
    began = time.monotonic()
    with serve(CONTENT, "silent") as server, pytest.raises(DataError, match="timed out"):
        download(server.url, path, MD5, timeout=0.3)
    assert time.monotonic() - began < 5


def test_a_stalled_transfer_is_left_and_its_bytes_are_kept(path):
    with serve(CONTENT, "stall", "silent") as server, pytest.raises(DataError, match="0.1 MB are kept in"):
        download(server.url, path, MD5, timeout=0.3)
    with serve(CONTENT) as server:
        download(server.url, path, MD5)
    assert server.asked == ["bytes=150000-"]
    assert path.read_bytes() == CONTENT


def test_a_slow_host_is_left_when_there_is_another_source(path, monkeypatch):
    monkeypatch.setattr(module, "GRACE_SECONDS", 0.3)
    with serve(CONTENT, "slow") as server, pytest.raises(DataError, match="only .* kB/s"):
        download(server.url, path, MD5, minimum_rate=1e9)
    assert path.with_name(path.name + ".part").stat().st_size >= 150_000


def test_a_folder_that_cannot_be_made_is_said_in_one_line(tmp_path):
    (tmp_path / "cache").write_text("a file, where the folder should be")
    with serve(CONTENT) as server, pytest.raises(CourseError, match="cannot write") as caught:
        download(server.url, tmp_path / "cache" / "archive", MD5)
    assert not isinstance(caught.value, DataError)  # another source would not help


@pytest.mark.skipif(not os.path.exists("/dev/full"), reason="/dev/full is Linux's")
def test_a_full_disk_is_said_in_one_line(path, part):
    part.symlink_to("/dev/full")
    with serve(CONTENT) as server, pytest.raises(CourseError, match="cannot write .*[Nn]o space"):
        download(server.url, path, MD5)


def test_progress_shows_amount_rate_and_time_left(capsys):
    progress = module._Progress("archive", 0, 200_000_000)
    progress.live = True
    progress.began -= 10
    progress.shown = progress.began
    progress.show(100_000_000)
    line = capsys.readouterr().err
    assert "100.0 MB of 200.0 MB" in line and "0 min" in line and "MB/s" in line
