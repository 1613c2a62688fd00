# Authors: The skinest developers
# SPDX-License-Identifier: BSD-3-Clause

import os
import shutil
import threading
import zipfile
from pathlib import Path

import numpy as np
import pytest

from skinest.datasets import _archives, _sources, fetch_isic2016_part3, get_data_home
from skinest.datasets._base import is_writable

REAL_DATA = os.environ.get("SKINEST_DATA")
TRAIN = "ISBI2016_ISIC_Part3_Training"
TEST = "ISBI2016_ISIC_Part3_Test"
TRAIN_LABELS = {
    "ISIC_0000002": "malignant",
    "ISIC_0000000": "benign",
    "ISIC_0000001": "benign",
}
TEST_LABELS = {"ISIC_0000003": "0.0", "ISIC_0000013": "1.0"}


def write_subset(folder, stem, labels, images=None):
    folder.mkdir(parents=True, exist_ok=True)
    lines = "".join(f"{name},{label}\n" for name, label in labels.items())
    (folder / f"{stem}_GroundTruth.csv").write_text(lines)
    with zipfile.ZipFile(folder / f"{stem}_Data.zip", "w") as archive:
        for name in sorted(labels if images is None else images):
            archive.writestr(f"{stem}_Data/{name}.jpg", f"JPEG of {name}")


@pytest.fixture
def home(tmp_path):
    folder = tmp_path / "home"
    write_subset(folder, TRAIN, TRAIN_LABELS)
    write_subset(folder, TEST, TEST_LABELS)
    return folder


def fetch(home, **options):
    return fetch_isic2016_part3(data_home=home, download_if_missing=False, **options)


def hidden_files(folder):
    return [path for path in Path(folder).rglob(".*") if path.name[1:6] != "skine"]


# Reading what is there ---------------------------------------------------------


def test_train_subset_in_the_order_of_the_ground_truth(home):
    data = fetch(home)
    names = [Path(path).stem for path in data.paths]
    assert names == list(TRAIN_LABELS)
    assert data.target.tolist() == [1, 0, 0]
    assert data.target.dtype == int
    assert data.target_names == ["benign", "malignant"]
    assert data.paths.ndim == 1
    assert data.paths.dtype == object
    for path in data.paths:
        assert isinstance(path, str)
        assert os.path.isabs(path)
        assert Path(path).read_text() == f"JPEG of {Path(path).stem}"
    for fact in ("CC0", "arXiv:1605.01397", "'train'", "3 images", "2 benign"):
        assert fact in data.DESCR


def test_test_subset(home):
    data = fetch(home, subset="test")
    assert [Path(path).stem for path in data.paths] == list(TEST_LABELS)
    assert data.target.tolist() == [0, 1]


def test_all_is_train_then_test(home):
    paths, target = fetch(home, subset="all", return_X_y=True)
    assert [Path(p).stem for p in paths] == [*TRAIN_LABELS, *TEST_LABELS]
    assert target.tolist() == [1, 0, 0, 0, 1]


def test_default_data_home_is_the_environment_variable(home, monkeypatch):
    monkeypatch.setenv("SKINEST_DATA", str(home))
    assert len(fetch_isic2016_part3(download_if_missing=False).paths) == 3


def test_relative_data_home_gives_absolute_paths(home, monkeypatch):
    monkeypatch.chdir(home.parent)
    assert all(os.path.isabs(path) for path in fetch("home").paths)


@pytest.mark.parametrize(
    "wrong",
    [
        {"data_home": 3},
        {"subset": "validation"},
        {"download_if_missing": "no"},
        {"return_X_y": "yes"},
    ],
)
def test_wrong_arguments(wrong):
    with pytest.raises(ValueError, match=next(iter(wrong))):
        fetch_isic2016_part3(**wrong)


# Extraction --------------------------------------------------------------------


def test_extracts_beside_the_archive_once(home, monkeypatch):
    first = fetch(home).paths
    folder = home / f"{TRAIN}_Data"
    assert {Path(path).parent for path in first} == {folder}
    assert not hidden_files(home)
    monkeypatch.setattr(_archives, "_unzip", None)
    np.testing.assert_array_equal(fetch(home).paths, first)


def test_extracted_files_keep_ordinary_permissions(home):
    path = Path(fetch(home).paths[0])
    (home / "plain").mkdir()
    assert path.parent.stat().st_mode == (home / "plain").stat().st_mode


def test_read_only_data_home_is_left_alone(read_only_home, tmp_path, monkeypatch):
    before = sorted(read_only_home.iterdir())
    first = fetch(read_only_home).paths
    assert sorted(read_only_home.iterdir()) == before
    assert all(path.startswith(str(tmp_path / "cache")) for path in first)
    monkeypatch.setattr(_archives, "_unzip", None)
    np.testing.assert_array_equal(fetch(read_only_home).paths, first)


def test_read_only_folder_is_read_only_for_the_superuser_too(read_only_home, tmp_path):
    assert not is_writable(read_only_home)
    assert is_writable(tmp_path)


def test_cache_is_that_of_the_user_by_default(read_only_home, monkeypatch, tmp_path):
    import pooch

    monkeypatch.delenv("SKINEST_CACHE")
    monkeypatch.setattr(pooch, "os_cache", lambda name: tmp_path / "user" / name)
    folder = str(tmp_path / "user" / "skinest")
    assert all(path.startswith(folder) for path in fetch(read_only_home).paths)


def test_folder_filled_by_hand_is_used(home):
    folder = home / f"{TRAIN}_Data"
    folder.mkdir()
    for name in TRAIN_LABELS:
        (folder / f"{name}.JPG").write_text("by hand")
    assert {Path(path).read_text() for path in fetch(home).paths} == {"by hand"}


@pytest.mark.parametrize("mode", [0o755, 0o555])
def test_replaced_archive_is_extracted_anew(home, mode):
    home.chmod(mode)
    old = fetch(home).paths
    home.chmod(0o755)
    archive = home / f"{TRAIN}_Data.zip"
    with zipfile.ZipFile(archive, "w") as opened:
        for name in TRAIN_LABELS:
            opened.writestr(f"{TRAIN}_Data/{name}.jpg", "replaced")
    home.chmod(mode)
    new = fetch(home).paths
    home.chmod(0o755)
    assert {Path(path).read_text() for path in new} == {"replaced"}
    assert all("JPEG of" in Path(path).read_text() for path in old)


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
    unzip, barrier = _archives._unzip, threading.Barrier(4)

    def unzip_together(*args):
        barrier.wait(timeout=10)
        unzip(*args)

    monkeypatch.setattr(_archives, "_unzip", unzip_together)
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
    assert not hidden_files(home.parent)


@pytest.mark.parametrize(
    "member", ["../escaped.jpg", "/escaped.jpg", "C:\\escaped.jpg", "a/../../b.jpg"]
)
def test_member_that_would_leave_the_folder(home, member):
    with zipfile.ZipFile(home / f"{TRAIN}_Data.zip", "a") as archive:
        archive.writestr(member, "escaped")
    before = sorted(home.parent.rglob("*"))
    with pytest.raises(ValueError, match="outside the target folder"):
        fetch(home)
    assert sorted(home.parent.rglob("*")) == before


def _truncate(content):
    return content[: len(content) // 2]


def _flip_a_byte(content):
    place = content.index(b"JPEG of ISIC_0000001")
    return content[:place] + b"X" + content[place + 1 :]


def _replace(content):
    return b"<html>Not found</html>"


@pytest.mark.parametrize("damage", [_truncate, _flip_a_byte, _replace])
def test_damaged_archive(home, damage):
    archive = home / f"{TRAIN}_Data.zip"
    archive.write_bytes(damage(archive.read_bytes()))
    before = sorted(home.rglob("*"))
    with pytest.raises(ValueError, match="Delete it and download it again") as error:
        fetch(home)
    assert str(archive) in str(error.value)
    assert sorted(home.rglob("*")) == before


# Labels and images -------------------------------------------------------------


def test_label_without_image(tmp_path):
    labels = {f"ISIC_{i:07d}": "benign" for i in range(9)}
    write_subset(tmp_path, TRAIN, labels, images=list(labels)[:2])
    with pytest.raises(ValueError, match="7 of the 9 labels") as error:
        fetch(tmp_path)
    assert "ISIC_0000002, ISIC_0000003" in str(error.value)
    assert "ISIC_0000008" not in str(error.value)


def test_image_without_label(tmp_path):
    write_subset(tmp_path, TRAIN, TRAIN_LABELS, images=[*TRAIN_LABELS, "ISIC_77"])
    with pytest.raises(ValueError, match=r"1 of the 4 images.*no label.*: ISIC_77\."):
        fetch(tmp_path)


def test_files_that_are_no_images_are_ignored(home):
    with zipfile.ZipFile(home / f"{TRAIN}_Data.zip", "a") as archive:
        archive.writestr(f"{TRAIN}_Data/LICENSE.txt", "CC0")
        archive.writestr(f"{TRAIN}_Data/._ISIC_0000000.jpg", "of a file manager")
        archive.writestr(f"__MACOSX/{TRAIN}_Data/._ISIC_0000000.jpg", "the same")
    assert len(fetch(home).paths) == 3


@pytest.mark.parametrize("line", ["ISIC_0000001,unknown", "ISIC_0000001", "a,benign,1"])
def test_unknown_label(home, line):
    labels = home / f"{TRAIN}_GroundTruth.csv"
    labels.write_text(f"ISIC_0000002,malignant\n\n{line}\n")
    with pytest.raises(ValueError, match=rf"Line 3 of .*{TRAIN}.*'{line}'"):
        fetch(home)


def test_image_labelled_twice(home):
    labels = home / f"{TRAIN}_GroundTruth.csv"
    labels.write_text("ISIC_0000002,malignant\nISIC_0000002,benign\n")
    with pytest.raises(ValueError, match=r"Line 2 of .*second time"):
        fetch(home)


def test_line_ends_and_byte_order_mark_do_not_matter(home):
    labels = home / f"{TRAIN}_GroundTruth.csv"
    text = labels.read_text().replace("\n", "\r\n")
    labels.write_bytes(b"\xef\xbb\xbf" + text.encode())
    assert fetch(home).target.tolist() == [1, 0, 0]


# Missing files and downloads ---------------------------------------------------


@pytest.mark.parametrize("suffix", ["Data.zip", "GroundTruth.csv"])
def test_missing_file_without_download(home, suffix, monkeypatch, official_urls):
    monkeypatch.setattr(_sources, "BASE_URL_OF", official_urls)
    (home / f"{TRAIN}_{suffix}").unlink()
    with pytest.raises(OSError) as error:
        fetch(home)
    official = "https://isic-challenge-data.s3.amazonaws.com/2016/"
    for part in (f"{TRAIN}_{suffix} is not in {home}", f"{official}{TRAIN}_{suffix}"):
        assert part in str(error.value)


def test_missing_folder_is_not_made_without_download(tmp_path):
    with pytest.raises(OSError, match="is not in"):
        fetch(tmp_path / "nowhere")
    assert not (tmp_path / "nowhere").exists()


def test_download(server, tmp_path, capsys):
    data = fetch_isic2016_part3(data_home=tmp_path / "new" / "home", subset="all")
    assert data.target.tolist() == [1, 0, 0, 0, 1]
    assert all(Path(path).is_file() for path in data.paths)
    assert len(server.requested) == 4
    assert f"{TRAIN}_Data.zip" in capsys.readouterr().err
    fetch_isic2016_part3(data_home=tmp_path / "new" / "home", subset="all")
    assert len(server.requested) == 4


@pytest.mark.parametrize("missing", ["Data.zip", "GroundTruth.csv"])
def test_only_what_is_missing_is_downloaded(server, home, tmp_path, missing):
    shutil.copytree(home, tmp_path / "half")
    (tmp_path / "half" / f"{TEST}_{missing}").unlink()
    fetch_isic2016_part3(data_home=tmp_path / "half", subset="test")
    assert server.requested == [f"{TEST}_{missing}"]


def test_hash_of_a_file_that_is_there_is_not_asked(home, monkeypatch):
    monkeypatch.setattr(_sources, "SHA256_OF", {f"{TRAIN}_Data.zip": "0" * 64})
    assert len(fetch_isic2016_part3(data_home=home).paths) == 3


def test_no_download_into_a_read_only_folder(server, tmp_path):
    folder = tmp_path / "locked"
    folder.mkdir(mode=0o555)
    with pytest.raises(OSError, match="read-only"):
        fetch_isic2016_part3(data_home=folder)
    assert not server.requested


# get_data_home -----------------------------------------------------------------


def test_get_data_home_makes_the_folder(tmp_path):
    folder = get_data_home(tmp_path / "a" / "b")
    assert folder == str(tmp_path / "a" / "b")
    assert os.path.isdir(folder)


def test_get_data_home_from_the_environment(tmp_path, monkeypatch):
    monkeypatch.setenv("SKINEST_DATA", str(tmp_path / "named"))
    assert get_data_home() == str(tmp_path / "named")


def test_get_data_home_is_the_cache_by_default(tmp_path, monkeypatch):
    import pooch

    monkeypatch.setattr(pooch, "os_cache", lambda name: tmp_path / name)
    assert get_data_home() == str(tmp_path / "skinest")


def test_get_data_home_knows_the_home_of_the_user(tmp_path, monkeypatch):
    monkeypatch.setenv("HOME", str(tmp_path))
    monkeypatch.setenv("USERPROFILE", str(tmp_path))
    assert get_data_home("~/skin") == str(tmp_path / "skin")


@pytest.mark.parametrize("inner", ["", "skin"])
def test_file_instead_of_a_folder(tmp_path, inner):
    (tmp_path / "file").touch()
    for call in (get_data_home, fetch_isic2016_part3):
        with pytest.raises(
            NotADirectoryError, match=rf"folder, and {tmp_path}/file is"
        ):
            call(tmp_path / "file" / inner)


# The real images ---------------------------------------------------------------


@pytest.mark.skipif(not REAL_DATA, reason="SKINEST_DATA names no folder")
@pytest.mark.parametrize("subset, counts", [("train", (605, 144)), ("test", (242, 63))])
def test_real_data(subset, counts):
    stem = {"train": TRAIN, "test": TEST}[subset]
    if not (Path(REAL_DATA) / f"{stem}_Data.zip").is_file():
        pytest.skip(f"{stem}_Data.zip is not in SKINEST_DATA")
    paths, target = fetch(REAL_DATA, subset=subset, return_X_y=True)
    assert tuple(np.bincount(target)) == counts
    assert all(Path(path).read_bytes()[:3] == b"\xff\xd8\xff" for path in paths)
