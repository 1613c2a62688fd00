"""Behaviour that all fetchers share."""

# Authors: The skinest developers
# SPDX-License-Identifier: BSD-3-Clause

import shutil
import zipfile
from pathlib import Path

import pytest

from skinest.datasets import (
    fetch_ham10000_masks,
    fetch_isic2016_part2b,
    fetch_isic2016_part3,
    fetch_isic2018_task3,
)

from . import ham10000_archives, isic2016_part2b_archives, isic2016_part3_archives

PART3 = [
    f"{isic2016_part3_archives.TRAIN}_{ending}"
    for ending in ("GroundTruth.csv", "Data.zip")
]
# Of each fetcher: what makes a small data home, the year of the challenge, the files
# that it downloads, and what goes with the paths.
CASES = {
    fetch_isic2016_part3: (isic2016_part3_archives.make_home, 2016, PART3, "target"),
    fetch_isic2016_part2b: (
        isic2016_part2b_archives.make_home,
        2016,
        isic2016_part2b_archives.FILES[:2],
        "mask_paths",
    ),
    fetch_isic2018_task3: (
        ham10000_archives.make_home,
        2018,
        ham10000_archives.FILES,
        "target",
    ),
    fetch_ham10000_masks: (
        ham10000_archives.make_home,
        2018,
        ham10000_archives.FILES,
        "mask_paths",
    ),
}
each_file = pytest.mark.parametrize(
    "fetcher, file",
    [(fetcher, file) for fetcher, (_, _, files, _) in CASES.items() for file in files],
)


@pytest.fixture(params=CASES, ids=lambda fetcher: fetcher.__name__)
def fetcher(request):
    return request.param


@pytest.fixture
def home(fetcher, tmp_path):
    return CASES[fetcher][0](tmp_path)


@pytest.fixture
def new_home(home, tmp_path):
    """Make a data home with nothing but the file that has no address."""
    folder = tmp_path / "new" / "home"
    folder.mkdir(parents=True)
    for file in home.glob("HAM10000_segmentations_*.zip"):
        shutil.copy(file, folder)
    return folder


def fetch(fetcher, home, **options):
    return fetcher(data_home=home, download_if_missing=False, **options)


def fetch_pairs(fetcher, home):
    data = fetch(fetcher, home)
    return list(zip(data.paths, data[CASES[fetcher][3]], strict=True))


def list_files(pairs):
    return [Path(path) for pair in pairs for path in pair if isinstance(path, str)]


@pytest.mark.parametrize(
    "wrong",
    [
        {"data_home": 3},
        {"subset": "validation"},
        {"download_if_missing": "no"},
        {"return_X_y": "yes"},
    ],
)
def test_wrong_arguments(fetcher, wrong):
    with pytest.raises(ValueError, match=next(iter(wrong))):
        fetcher(**wrong)


def test_return_X_y_gives_paths_and_what_goes_with_them(fetcher, home):
    X, y = fetch(fetcher, home, return_X_y=True)
    assert list(zip(X, y, strict=True)) == fetch_pairs(fetcher, home)


def test_archives_are_extracted_beside_them_and_once(fetcher, home, monkeypatch):
    first = fetch_pairs(fetcher, home)
    for file in list_files(first):
        assert (home / f"{file.parent.name}.zip").is_file()
        assert file.parent.parent == home
    monkeypatch.setattr(zipfile.ZipFile, "extractall", None)
    assert fetch_pairs(fetcher, home) == first


def test_read_only_data_home_is_left_alone(
    fetcher, read_only_home, tmp_path, monkeypatch
):
    """Check it for the superuser too, whom the system would let write."""
    before = sorted(read_only_home.iterdir())
    first = fetch_pairs(fetcher, read_only_home)
    assert sorted(read_only_home.iterdir()) == before
    for file in list_files(first):
        assert file.is_relative_to(tmp_path / "cache")
    monkeypatch.setattr(zipfile.ZipFile, "extractall", None)
    assert fetch_pairs(fetcher, read_only_home) == first


@each_file
def test_missing_file_without_download(fetcher, home, file):
    (home / file).unlink()
    with pytest.raises(OSError) as error:
        fetch(fetcher, home)
    official = (
        f"https://isic-challenge-data.s3.amazonaws.com/{CASES[fetcher][1]}/{file}"
    )
    assert str(error.value).startswith(f"{file} is not in {home}")
    assert f"download {official} by hand" in str(error.value)


def test_missing_folder_is_not_made_without_download(fetcher, tmp_path):
    with pytest.raises(OSError, match="is not in"):
        fetch(fetcher, tmp_path / "nowhere")
    assert not (tmp_path / "nowhere").exists()


def test_download(fetcher, server, home, new_home):
    data, expected = fetcher(data_home=new_home), fetch(fetcher, home)
    for path, other in zip(data.paths, expected.paths, strict=True):
        assert Path(path).is_file()
        assert Path(path).name == Path(other).name
    files = CASES[fetcher][2]
    assert sorted(server.requested) == sorted(files)
    fetcher(data_home=new_home)
    assert len(server.requested) == len(files)


@each_file
def test_only_what_is_missing_is_downloaded(fetcher, server, home, tmp_path, file):
    shutil.copytree(home, tmp_path / "most")
    (tmp_path / "most" / file).unlink()
    fetcher(data_home=tmp_path / "most")
    assert server.requested == [file]


@pytest.mark.parametrize("inner", ["", "new"])
def test_no_download_into_a_read_only_folder(fetcher, server, new_home, inner):
    folder = new_home / inner
    if list(new_home.iterdir()):
        folder = new_home  # masks must be there
    new_home.chmod(0o555)
    with pytest.raises(OSError, match="because the folder is read-only"):
        fetcher(data_home=folder)
    new_home.chmod(0o755)
    assert not server.requested
