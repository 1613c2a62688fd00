"""Extracting archives, as it is seen by the fetcher of ISIC 2016, part 3."""

# Authors: The skinest developers
# SPDX-License-Identifier: BSD-3-Clause

import errno
import os
import platform
import shutil
import subprocess
import sys
import threading
import zipfile
from collections import namedtuple
from pathlib import Path

import numpy as np
import pytest

from .isic2016_part3_archives import TRAIN, TRAIN_LABELS, fetch, list_hidden, make_home

STEM = f"{TRAIN}_Data"
posix_only = pytest.mark.skipif(os.name == "nt", reason="needs locks of folders")


@pytest.fixture
def home(tmp_path):
    return make_home(tmp_path)


@pytest.fixture
def archive(home):
    return home / f"{STEM}.zip"


def write_members(archive, names):
    with zipfile.ZipFile(archive, "w") as opened:
        for name in names:
            opened.writestr(name, "content")


def assert_refused(archive, match, error=ValueError):
    before = sorted(archive.parent.rglob("*"))
    with pytest.raises(error, match=match) as raised:
        fetch(archive.parent)
    assert sorted(archive.parent.rglob("*")) == before
    return str(raised.value)


# Extraction --------------------------------------------------------------------


def test_extracted_files_keep_ordinary_permissions(home):
    path = Path(fetch(home).paths[0])
    (home / "plain").mkdir()
    assert path.parent.stat().st_mode == (home / "plain").stat().st_mode


def test_cache_is_that_of_the_user_by_default(read_only_home, monkeypatch, tmp_path):
    import pooch

    monkeypatch.delenv("SKINEST_CACHE")
    monkeypatch.setattr(pooch, "os_cache", lambda name: tmp_path / "user" / name)
    folder = str(tmp_path / "user" / "skinest")
    assert all(path.startswith(folder) for path in fetch(read_only_home).paths)


@pytest.mark.skipif(sys.platform != "linux", reason="needs names that are not UTF-8")
@pytest.mark.parametrize("mode", [0o755, 0o555])
def test_the_name_of_the_data_home_need_not_be_utf_8(home, mode):
    home = home.rename(home.parent / os.fsdecode(b"d\xfc"))
    home.chmod(mode)
    assert len(fetch(home).paths) == 3
    home.chmod(0o755)


@pytest.mark.parametrize(
    "layout",
    ["", "other/", f"other/{STEM}/", f"{STEM}/{STEM}/", f"{STEM}/other/inner/"],
)
@pytest.mark.parametrize("others", [[], ["__MACOSX/other/._a.jpg", ".DS_Store"]])
def test_files_are_found_in_the_only_folder_of_an_archive(archive, layout, others):
    write_members(archive, [f"{layout}{name}.jpg" for name in TRAIN_LABELS] + others)
    paths = [Path(path) for path in fetch(archive.parent).paths]
    assert {path.parent for path in paths} == {archive.with_suffix("")}
    assert len(paths) == 3
    np.testing.assert_array_equal(fetch(archive.parent).paths, list(map(str, paths)))


@pytest.mark.parametrize("has_archive", [True, False])
def test_files_in_several_folders_can_be_moved_as_the_error_says(archive, has_archive):
    names = list(TRAIN_LABELS)
    folder = archive.with_suffix("")
    write_members(archive, [f"a/{names[0]}.jpg", *(f"b/{n}.jpg" for n in names[1:])])
    with pytest.raises(ValueError, match="in subfolders, move them") as error:
        fetch(archive.parent)
    assert f"(in {folder})" in str(error.value)
    if not has_archive:
        archive.unlink()
    for file in folder.rglob("*.jpg"):
        file.rename(folder / file.name)
    assert {Path(path).parent for path in fetch(archive.parent).paths} == {folder}


@pytest.mark.parametrize("mode", [0o755, 0o555])
def test_replaced_archive_is_extracted_anew(home, mode):
    home.chmod(mode)
    old = fetch(home).paths
    home.chmod(0o755)
    archive = home / f"{STEM}.zip"
    with zipfile.ZipFile(archive, "w") as opened:
        for name in TRAIN_LABELS:
            opened.writestr(f"{STEM}/{name}.jpg", "replaced")
    home.chmod(mode)
    new = fetch(home).paths
    home.chmod(0o755)
    assert {Path(path).read_text() for path in new} == {"replaced"}
    assert all("JPEG of" in Path(path).read_text() for path in old)


@pytest.mark.parametrize("mode", [0o755, 0o555])
def test_a_copy_without_its_times_is_not_extracted_again(home, tmp_path, mode):
    fetch(home)
    copy = tmp_path / "copy"
    shutil.copytree(home, copy, copy_function=shutil.copyfile)
    os.utime(copy / f"{STEM}.zip", (0, 0))
    copy.chmod(mode)
    paths = fetch(copy).paths
    copy.chmod(0o755)
    assert {Path(path).parent for path in paths} == {copy / STEM}
    assert not (tmp_path / "cache").exists()


def test_a_read_only_copy_has_the_same_folder_in_the_cache(home, tmp_path, monkeypatch):
    copy = tmp_path / "copy"
    shutil.copytree(home, copy, copy_function=shutil.copyfile)
    os.utime(copy / f"{STEM}.zip", (0, 0))
    for folder in (home, copy):
        folder.chmod(0o555)
    first = fetch(home).paths
    monkeypatch.setattr(zipfile.ZipFile, "extractall", None)
    np.testing.assert_array_equal(fetch(copy).paths, first)


@pytest.mark.parametrize("stamp", [b"", b"\xff", b"another archive"])
def test_a_folder_of_another_archive_is_left_alone(home, tmp_path, stamp):
    old = fetch(home).paths
    (home / STEM / ".skinest-archive").write_bytes(stamp)
    Path(old[0]).write_text("of another archive")
    new = fetch(home).paths
    assert all(Path(path).is_relative_to(tmp_path / "cache") for path in new)
    assert Path(new[0]).read_text() != Path(old[0]).read_text()


def test_a_damaged_archive_of_an_extracted_folder(archive):
    fetch(archive.parent)
    archive.write_bytes(_truncate(archive.read_bytes()))
    assert_refused(archive, "Delete it and download it again")
    archive.unlink()
    assert len(fetch(archive.parent).paths) == 3


def test_interrupted_extraction_leaves_nothing(home, monkeypatch):
    before = sorted(home.rglob("*"))

    def extract_one(archive, folder):
        archive.extract(archive.namelist()[0], folder)
        raise KeyboardInterrupt

    with monkeypatch.context() as patch:
        patch.setattr(zipfile.ZipFile, "extractall", extract_one)
        with pytest.raises(KeyboardInterrupt):
            fetch(home)
    assert sorted(home.rglob("*")) == before
    assert len(fetch(home).paths) == 3


@pytest.mark.parametrize("mode", [0o755, 0o555])
def test_extracting_together_is_safe(home, monkeypatch, mode):
    home.chmod(mode)
    extract_all, barrier = zipfile.ZipFile.extractall, threading.Barrier(4)

    def extract_together(*args):
        barrier.wait(timeout=10)
        extract_all(*args)

    monkeypatch.setattr(zipfile.ZipFile, "extractall", extract_together)
    results = []
    threads = [
        threading.Thread(target=lambda: results.append(fetch(home).paths.tolist()))
        for _ in range(4)
    ]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join()
    home.chmod(0o755)
    assert len(results) == 4
    assert all(paths == results[0] for paths in results)
    assert all(Path(path).is_file() for path in results[0])
    assert not list_hidden(home.parent)


KILLED = """
import os, signal, sys, zipfile
from skinest.datasets import fetch_isic2016_part3

def kill(archive, folder):
    archive.extract(archive.namelist()[0], folder)
    os.kill(os.getpid(), signal.SIGKILL)

zipfile.ZipFile.extractall = kill
fetch_isic2016_part3(sys.argv[1], download_if_missing=False)
"""


@posix_only
@pytest.mark.parametrize("mode", [0o755, 0o555])
def test_a_killed_process_leaves_nothing_to_the_next(home, mode):
    home.chmod(mode)
    run = subprocess.run([sys.executable, "-c", KILLED, str(home)])
    assert run.returncode < 0
    assert list_hidden(home.parent)
    assert len(fetch(home).paths) == 3
    assert not list_hidden(home.parent)
    home.chmod(0o755)


def leave_scratch(home, monkeypatch):
    """Stop an extraction as if the process was killed, and return what is left."""
    with monkeypatch.context() as patch:
        patch.setattr(zipfile.ZipFile, "extractall", None)
        patch.setattr(shutil, "rmtree", lambda *args, **options: None)
        with pytest.raises(TypeError):
            fetch(home)
    (folder,) = home.glob(".*")
    return folder


@posix_only
def test_what_is_left_goes_although_another_process_has_extracted(home, monkeypatch):
    folder = leave_scratch(home, monkeypatch)
    folder.rename(home.parent / folder.name)
    fetch(home)
    (home.parent / folder.name).rename(folder)
    fetch(home)
    assert not folder.exists()


@posix_only
def test_what_another_machine_left_goes_when_it_is_old(home, monkeypatch):
    """Check this because some file systems do not show locks to other machines."""
    with monkeypatch.context() as patch:
        patch.setattr(platform, "node", lambda: "other")
        folder = leave_scratch(home, monkeypatch)
    fetch(home)
    assert folder.exists()
    time = folder.stat().st_mtime - 2 * 24 * 3600
    os.utime(folder, (time, time))
    fetch(home)
    assert not folder.exists()


def test_files_that_are_being_extracted_are_not_deleted(home, monkeypatch):
    begun, go_on = threading.Event(), threading.Event()

    def extract_slowly(archive, folder):
        for name in archive.namelist():
            archive.extract(name, folder)
            if not begun.is_set():
                begun.set()
                assert go_on.wait(timeout=10)

    monkeypatch.setattr(zipfile.ZipFile, "extractall", extract_slowly)
    results = []
    thread = threading.Thread(target=lambda: results.append(fetch(home).paths))
    thread.start()
    assert begun.wait(timeout=10)
    for _ in range(2):
        assert len(fetch(home, subset="test").paths) == 2
    go_on.set()
    thread.join()
    assert all(Path(path).is_file() for path in results[0])
    assert not list_hidden(home)


def test_folders_of_the_user_are_kept(home):
    for name in (f".{STEM}-backup", ".skinest-own", ".unfinished"):
        (home / name).mkdir()
    fetch(home)
    assert len(list_hidden(home)) == 3


@pytest.mark.parametrize(
    ("members", "says"),
    [
        (["../escaped.jpg"], "it has a member '../escaped.jpg'"),
        (["/escaped.jpg"], "it has a member '/escaped.jpg'"),
        (["a/./b.jpg"], "it has a member 'a/./b.jpg'"),
        (["."], "it has a member '.'"),
        ([f"{'n' * 300}.jpg"], "the name of 'nnn.* is too long"),
        (["a.jpg", "A.JPG"], "it has 'A.JPG' twice, except for case"),
        (["a.jpg", "a.jpg"], "it has 'a.jpg' twice"),
    ],
)
@pytest.mark.filterwarnings("ignore:Duplicate name")
def test_members_that_cannot_be_files_are_refused(archive, tmp_path, members, says):
    with zipfile.ZipFile(archive, "a") as opened:
        for member in members:
            opened.writestr(member, "content")
    assert_refused(archive, rf"is damaged \({says}")
    assert not list(tmp_path.rglob("*escaped*"))


def test_a_link_in_an_archive_is_refused(archive):
    link = zipfile.ZipInfo("link.jpg")
    link.external_attr = 0o120777 << 16
    with zipfile.ZipFile(archive, "a") as opened:
        opened.writestr(link, "/etc/passwd")
    assert_refused(archive, "'link.jpg' is a link")


def test_an_empty_archive_is_refused(archive):
    with zipfile.ZipFile(archive, "w"):
        pass
    assert_refused(archive, "it has no member")


def _truncate(content):
    return content[: len(content) // 2]


def _cut_the_start(content):
    return content[20:]


def _flip_a_byte(content):
    i = content.index(b"JPEG of ISIC_0000001")
    return content[:i] + b"X" + content[i + 1 :]


def _replace(content):
    return b"<html>Not found</html>"


@pytest.mark.parametrize("damage", [_truncate, _cut_the_start, _flip_a_byte, _replace])
def test_damaged_archive(archive, damage):
    archive.write_bytes(damage(archive.read_bytes()))
    message = assert_refused(archive, "Delete it and download it again")
    assert str(archive) in message


# What must not be extracted ----------------------------------------------------


def test_file_in_the_place_of_the_folder(archive):
    archive.with_suffix("").write_text("something else")
    assert_refused(archive, f"{STEM} is a file.*Move or rename", NotADirectoryError)


def test_cache_that_cannot_be_used(read_only_home, tmp_path):
    (tmp_path / "cache").touch()
    with pytest.raises(OSError, match=rf"{STEM}\.zip is extracted.*SKINEST_CACHE"):
        fetch(read_only_home)


def test_encrypted_member(archive):
    content = bytearray(archive.read_bytes())
    for signature, offset in ((b"PK\3\4", 6), (b"PK\1\2", 8)):
        content[content.index(signature) + offset] |= 1
    archive.write_bytes(content)
    assert_refused(archive, "is damaged .*encrypted.* Delete it and download it again")


# Disks -------------------------------------------------------------------------


def test_no_room_is_told_before_anything_is_written(archive, monkeypatch):
    Usage = namedtuple("Usage", "free")
    monkeypatch.setattr(shutil, "disk_usage", lambda folder: Usage(59))
    monkeypatch.setattr(zipfile.ZipFile, "extractall", None)
    message = assert_refused(archive, "make space there", OSError)
    assert f"Extracting {archive} needs 60 bytes in {archive.parent}" in message
    assert "where 59 bytes are free" in message


def test_errors_of_the_disk_leave_nothing(archive, monkeypatch):
    def fail(*args):
        raise OSError(errno.EIO, "input/output error")

    monkeypatch.setattr(zipfile.ZipFile, "extractall", fail)
    assert_refused(archive, "input/output error", OSError)


# By hand -----------------------------------------------------------------------


@pytest.mark.parametrize("has_archive", [True, False])
@pytest.mark.parametrize("inner", ["", STEM])
def test_folder_extracted_by_hand(archive, has_archive, inner):
    # Some programs repeat the name of the archive as a folder.
    folder = archive.with_suffix("") / inner
    folder.mkdir(parents=True)
    for name in TRAIN_LABELS:
        (folder / f"{name}.JPG").write_text("by hand")
    if not has_archive:
        archive.unlink()
    paths = fetch(archive.parent).paths
    assert {Path(path).parent for path in paths} == {folder}
    assert {Path(path).read_text() for path in paths} == {"by hand"}


def test_archive_may_be_deleted_after_its_extraction(archive):
    before = fetch(archive.parent).paths
    archive.unlink()
    np.testing.assert_array_equal(fetch(archive.parent).paths, before)
