"""Files of predictions for the ISIC challenges."""

# Authors: The skinest developers
# SPDX-License-Identifier: BSD-3-Clause

import csv
import warnings
from pathlib import Path

import numpy as np
import pytest

from skinest.metrics import write_isic_submission

COLUMNS = ["MEL", "NV", "BCC", "AKIEC", "BKL", "DF", "VASC"]
IMAGES = ["test/ISIC_0034321.jpg", Path("ISIC_0034322.JPG"), "ISIC_0034323"]
NAMES = ["ISIC_0034321", "ISIC_0034322", "ISIC_0034323"]


@pytest.fixture
def proba():
    return np.random.default_rng(0).dirichlet(np.ones(7), size=3)


def read(path):
    with open(path, newline="") as file:
        return list(csv.reader(file))


def test_a_column_for_each_diagnosis_and_a_line_for_each_image(tmp_path, proba):
    file = tmp_path / "submission.csv"
    write_isic_submission(file, IMAGES, proba)
    header, *rows = read(file)
    assert header == ["image", *COLUMNS]
    assert [row[0] for row in rows] == NAMES
    written = np.array([row[1:] for row in rows]).astype(float)
    np.testing.assert_array_equal(written, proba)  # all digits


@pytest.mark.parametrize("ending", [".jp2", ".ppm", ".AVIF", ".gif", ".dib"])
def test_the_ending_of_each_format_that_is_read_is_left_out(tmp_path, proba, ending):
    file = tmp_path / "submission.csv"
    write_isic_submission(file, [name + ending for name in NAMES], proba)
    assert [row[0] for row in read(file)[1:]] == NAMES


def test_columns_are_sorted_by_their_names(tmp_path, proba):
    """As in classes_ of a classifier of "akiec", "bcc" and so on."""
    classes = sorted(name.lower() for name in COLUMNS)
    order = [COLUMNS.index(name.upper()) for name in classes]
    for name, options in (
        ("a", {"y_proba": proba}),
        ("b", {"y_proba": proba[:, order], "classes": classes}),
    ):
        write_isic_submission(tmp_path / name, IMAGES, **options)
    assert read(tmp_path / "a") == read(tmp_path / "b")


def test_columns_of_a_table_are_sorted_by_their_names(tmp_path, proba):
    """A table has names, so its order must not decide what a column is."""
    pd = pytest.importorskip("pandas")
    order = np.argsort(COLUMNS)
    table = pd.DataFrame(proba[:, order], columns=np.array(COLUMNS)[order])
    write_isic_submission(tmp_path / "a", IMAGES, proba)
    write_isic_submission(tmp_path / "b", IMAGES, table)
    write_isic_submission(tmp_path / "c", IMAGES, pd.DataFrame(proba))
    assert read(tmp_path / "a") == read(tmp_path / "b") == read(tmp_path / "c")
    with pytest.raises(ValueError, match=r"unknown \['PMEL'"):
        write_isic_submission(
            tmp_path / "d", IMAGES, table.rename(columns={"MEL": "pMEL"})
        )


def test_images_may_be_a_column_of_a_table(tmp_path, proba):
    pd = pytest.importorskip("pandas")
    table = pd.DataFrame({"path": IMAGES}, index=[7, 8, 9])
    write_isic_submission(tmp_path / "a", IMAGES, proba)
    for number, images in enumerate(
        (
            table,
            table["path"],
            table.to_numpy(),
            np.array(NAMES),
            np.array(NAMES)[:, None],
        )
    ):
        write_isic_submission(tmp_path / str(number), images, proba)
        assert read(tmp_path / str(number)) == read(tmp_path / "a")


def test_whole_numbers_are_written_as_floats(tmp_path):
    """The scoring program refuses integers."""
    write_isic_submission(tmp_path / "a.csv", IMAGES[:1], [[1, 0, 0, 0, 0, 0, 0]])
    assert read(tmp_path / "a.csv")[1][1:] == ["1.0", *["0.0"] * 6]


@pytest.mark.parametrize("has_unknown", [False, True])
def test_2019_has_a_column_for_unknown_diagnoses(tmp_path, has_unknown):
    columns = ["MEL", "NV", "BCC", "AK", "BKL", "DF", "VASC", "SCC", "UNK"]
    n = 9 if has_unknown else 8
    proba = np.arange(1.0, n + 1)[None] / 50
    for name, classes in (("a", None), ("b", columns[:n])):
        options = {"challenge": "2019", "classes": classes}
        write_isic_submission(tmp_path / name, IMAGES[:1], proba, **options)
        header, row = read(tmp_path / name)
        assert header == ["image", *columns]
        expected = [*proba[0], 0.0][:9]
        assert [float(value) for value in row[1:]] == expected


def test_2016_has_one_probability_and_no_header(tmp_path):
    file = tmp_path / "part3.csv"
    write_isic_submission(file, IMAGES, [0.25, 1, 0], challenge="2016")
    expected = "ISIC_0034321,0.25\nISIC_0034322,1.0\nISIC_0034323,0.0\n"
    assert file.read_bytes() == expected.encode()


def test_an_existing_file_is_kept(tmp_path, proba):
    file = tmp_path / "submission.csv"
    file.write_text("mine")
    with pytest.raises(FileExistsError, match="overwrite=True"):
        write_isic_submission(file, IMAGES, proba)
    assert file.read_text() == "mine"
    write_isic_submission(str(file), IMAGES, proba, overwrite=True)
    assert len(read(file)) == 4


def test_ties_are_warned_of(tmp_path, proba):
    """The scoring program counts images without one greatest probability as wrong."""
    proba[1] = [0.4, 0.4, 0.1, 0.1, 0, 0, 0]
    with pytest.warns(UserWarning, match=r"1 images .* such as \['ISIC_0034322'\]"):
        write_isic_submission(tmp_path / "a.csv", IMAGES, proba)
    proba[1, 2] = 0.45  # the tie is below the greatest one
    with warnings.catch_warnings(action="error"):
        write_isic_submission(tmp_path / "b.csv", IMAGES, proba)


def change(proba, value, at=(1, 2)):
    proba = proba.copy()
    proba[at] = value
    return proba


@pytest.mark.parametrize(
    ("given", "says"),
    [
        (lambda p: (IMAGES, change(p, 1.5)), r"1 values .* first is 1\.5 at \[1, 2\]"),
        (lambda p: (IMAGES, change(p, np.nan)), r"first is nan at \[1, 2\]"),
        (lambda p: (IMAGES, np.log(p)), r"21 values that are not in \[0, 1\]"),
        (lambda p: (IMAGES, p[:2]), r"shape \(2, 7\), but must be \(3, n_classes\)"),
        (lambda p: (IMAGES, p[:, 0]), r"shape \(3,\), but must be \(3, n_classes\)"),
        (lambda p: (IMAGES, p[:, :6]), "6 columns, but there are 7 classes"),
        (lambda p: (IMAGES[:1] * 3, p), r"more than once, such as \['ISIC_0034321'\]"),
        (lambda p: ([np.zeros((2, 2))] * 3, p), r"images\[0\] is of type ndarray"),
        (lambda p: ("abc", p), "images='abc' must be a list"),
        (lambda p: ([], p[:0]), r"images=\[\] must be a list"),
        (lambda p: (["a/1.jpg", "a/2,3.jpg", "c"], p), r"images\[1\]='a/2,3.jpg' has"),
        (lambda p: (["1", "2", "a\\3.jpg"], p), r"images\[2\]='a.*jpg' has the name"),
        (lambda p: (["1", "a/.jpg", "3"], p), r"images\[1\]='a/.jpg' has the name"),
        (lambda p: (["1", "", "3"], p), r"images\[1\]='' has the name ''"),
        (
            lambda p: (["1", "2 .jpg", "3"], p),
            r"images\[1\]='2 .jpg' has the",
        ),
        (
            lambda p: (["1", "2\udcfc.jpg", "3"], p),
            r"images\[1\]='2.*jpg' has the name",
        ),
    ],
)
def test_bad_input_is_refused_and_nothing_is_written(tmp_path, proba, given, says):
    with pytest.raises(ValueError, match=says):
        write_isic_submission(tmp_path / "a.csv", *given(proba))
    assert not list(tmp_path.iterdir())


@pytest.mark.parametrize(
    ("classes", "says"),
    [
        ([*COLUMNS[:6], "SCC"], r"missing \['VASC'\], unknown \['SCC'\]"),
        (range(7), r"unknown \['0', '1'"),
        ([*COLUMNS, "NV"], r"in any order"),
    ],
)
def test_wrong_classes(tmp_path, proba, classes, says):
    with pytest.raises(ValueError, match=says):
        write_isic_submission(tmp_path / "a.csv", IMAGES, proba, classes=classes)


def test_two_columns_for_2016(tmp_path):
    with pytest.raises(ValueError, match=r"must be \(1,\): the probability of malig"):
        write_isic_submission(tmp_path / "a", ["a"], [[0.2, 0.8]], challenge="2016")


def test_a_missing_folder(tmp_path, proba):
    with pytest.raises(FileNotFoundError, match="there is no folder"):
        write_isic_submission(tmp_path / "no" / "a.csv", IMAGES, proba)


def test_a_folder_is_not_a_file(tmp_path, proba):
    for overwrite in (False, True):
        with pytest.raises(FileExistsError, match="is a folder"):
            write_isic_submission(tmp_path, IMAGES, proba, overwrite=overwrite)
