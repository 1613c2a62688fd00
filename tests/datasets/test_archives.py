# Authors: The skinest developers
# SPDX-License-Identifier: BSD-3-Clause

import errno
import os
import shutil
import stat
import zipfile
from collections import namedtuple

import pytest

from skinest.datasets._archives import extract_archive
from skinest.datasets._tables import list_images, read_table


@pytest.fixture
def archive(tmp_path):
    file = tmp_path / "home" / "images.zip"
    file.parent.mkdir()
    with zipfile.ZipFile(file, "w") as opened:
        opened.writestr("images/a.jpg", "a" * 1500)
        opened.writestr("images/b.jpg", "b" * 1500)
    return file


def list_names(folder):
    return sorted(path.name for path in folder.iterdir() if path.name[0] != ".")


def assert_refused(archive, match, error=ValueError):
    before = sorted(archive.parent.rglob("*"))
    with pytest.raises(error, match=match) as raised:
        extract_archive(archive)
    assert sorted(archive.parent.rglob("*")) == before
    return str(raised.value)


# What must not be extracted ----------------------------------------------------


def test_symbolic_link(archive):
    link = zipfile.ZipInfo("images/link.jpg")
    link.create_system = 3
    link.external_attr = (stat.S_IFLNK | 0o777) << 16
    with zipfile.ZipFile(archive, "a") as opened:
        opened.writestr(link, "/etc")
        opened.writestr("images/link.jpg/passwd", "")
    assert_refused(archive, "its member 'images/link.jpg' is a symbolic link")


@pytest.mark.filterwarnings("ignore:Duplicate name")
@pytest.mark.parametrize("name", ["images/a.jpg", "images/./a.jpg", "images//a.jpg"])
def test_file_that_is_there_twice(archive, name):
    with zipfile.ZipFile(archive, "a") as opened:
        opened.writestr(name, "another")
    assert_refused(archive, "it holds 'images/a.jpg' twice")


def test_file_that_is_a_folder_too(archive):
    with zipfile.ZipFile(archive, "a") as opened:
        opened.writestr("images/a.jpg/b.jpg", "another")
    assert_refused(archive, "'images/a.jpg' is both a file and a folder")


def test_file_in_the_place_of_the_folder(archive):
    archive.with_suffix("").write_text("something else")
    assert_refused(archive, "images is a file.*Move or rename", NotADirectoryError)


def test_cache_that_cannot_be_used(archive, monkeypatch):
    archive.parent.chmod(0o555)
    (archive.parent.parent / "cache").touch()  # where the cache would be
    with pytest.raises(OSError, match=r"images\.zip is extracted.*SKINEST_CACHE"):
        extract_archive(archive)
    archive.parent.chmod(0o755)


def test_encrypted_member(archive):
    content = bytearray(archive.read_bytes())
    for signature, offset in ((b"PK\3\4", 6), (b"PK\1\2", 8)):
        content[content.index(signature) + offset] |= 1
    archive.write_bytes(content)
    assert_refused(archive, "is damaged .*encrypted.* Delete it and download it again")


# Disks -------------------------------------------------------------------------


def test_no_room_is_told_before_anything_is_written(archive, monkeypatch):
    Usage = namedtuple("Usage", "free")
    monkeypatch.setattr(shutil, "disk_usage", lambda folder: Usage(2500))
    monkeypatch.setattr(zipfile.ZipFile, "extractall", None)
    message = assert_refused(archive, "make room there", OSError)
    assert f"Extracting {archive} needs 3.0 kB in {archive.parent}" in message
    assert "where 2.5 kB are free" in message


def test_disk_that_gets_full(archive, monkeypatch):
    def extract_one(opened, folder):
        opened.extract(opened.namelist()[0], folder)
        raise OSError(errno.ENOSPC, os.strerror(errno.ENOSPC))

    with monkeypatch.context() as patch:
        patch.setattr(zipfile.ZipFile, "extractall", extract_one)
        assert_refused(archive, "needs 3.0 kB in .* make room there", OSError)
    assert list_names(extract_archive(archive)) == ["a.jpg", "b.jpg"]


def test_other_errors_of_the_disk_stay_as_they_are(archive, monkeypatch):
    def fail(*args):
        raise OSError(errno.EIO, "input/output error")

    monkeypatch.setattr(zipfile.ZipFile, "extractall", fail)
    assert_refused(archive, "input/output error", OSError)


# By hand -----------------------------------------------------------------------


@pytest.mark.parametrize("has_archive", [True, False])
@pytest.mark.parametrize("inner", ["", "images"])
def test_folder_extracted_by_hand(archive, has_archive, inner):
    """Some programs repeat the name of the archive as a folder."""
    folder = archive.with_suffix("") / inner
    folder.mkdir(parents=True)
    (folder / "c.jpg").write_text("by hand")
    if not has_archive:
        archive.unlink()
    assert extract_archive(archive) == folder


def test_archive_may_be_deleted_after_its_extraction(archive):
    folder = extract_archive(archive)
    archive.unlink()
    assert extract_archive(archive) == folder


# Tables and images -------------------------------------------------------------


def test_two_files_of_one_image(tmp_path):
    (tmp_path / "a.jpg").touch()
    (tmp_path / "a.JPG").touch()
    if len(list(tmp_path.iterdir())) == 1:
        pytest.skip("capitals do not matter on this disk")
    with pytest.raises(ValueError, match=rf"{tmp_path} has two files of the image a"):
        list_images(tmp_path)


@pytest.mark.parametrize("content", ["", "\n\n", "\ufeff"])
def test_table_without_lines(tmp_path, content):
    (tmp_path / "labels.csv").write_text(content, encoding="utf-8")
    with pytest.raises(ValueError, match=r"labels\.csv names no image"):
        read_table(tmp_path / "labels.csv", len)


def test_table_of_a_header_only(tmp_path):
    (tmp_path / "labels.csv").write_text("image,label\n")
    with pytest.raises(ValueError, match=r"labels\.csv names no image"):
        read_table(tmp_path / "labels.csv", len, header=["image", "label"])


def test_field_that_is_too_long_for_csv(tmp_path):
    (tmp_path / "labels.csv").write_text("a,1\n" + "x" * 200_000)
    with pytest.raises(ValueError, match=r"Line 2 of .*labels\.csv is not CSV: field"):
        read_table(tmp_path / "labels.csv", len)


def test_long_line_is_shortened_in_the_error(tmp_path):
    (tmp_path / "labels.csv").write_text("<html>" * 1000)
    with pytest.raises(
        ValueError, match=r"Line 1 of .*<html>.*\.\.\.', is not"
    ) as error:
        read_table(tmp_path / "labels.csv", len, header=["image", "label"])
    assert len(str(error.value)) < 500
