"""Images whose labels are in a table."""

# Authors: The skinest developers
# SPDX-License-Identifier: BSD-3-Clause

import ast
import os
import re
import unicodedata
from pathlib import Path

import numpy as np
import pandas as pd
import pytest

from skinest.datasets import load_image_table

COLUMNS = {"name_column": "image_id", "target_column": "dx"}
TABLE = """image_id,lesion_id,dx,age
a,L1,nv,40
b,L1,nv,41
c,L2,mel,
"""


@pytest.fixture
def parts(tmp_path):
    """Return two folders of images, as HAM10000 has them, and write their table."""
    folders = [tmp_path / "images_part_1", tmp_path / "images_part_2" / "inner"]
    for folder, names in zip(folders, (["b", "c"], ["a", "other"]), strict=True):
        folder.mkdir(parents=True)
        for name in names:
            (folder / f"{name}.jpg").write_bytes(b"no image is decoded")
    (tmp_path / "table.csv").write_text(TABLE)
    return folders


def load(parts, table=None, **options):
    file = parts[0].parent / "table.csv"
    if table is not None:
        file.write_bytes(table.encode() if isinstance(table, str) else table)
    return load_image_table(file, parts, **{**COLUMNS, **options})


def names_of(data):
    return [Path(path).stem for path in data.paths]


def test_images_in_parts_are_in_the_order_of_the_table(parts):
    data = load(parts, group_column="lesion_id")
    assert names_of(data) == ["a", "b", "c"]
    assert all(Path(path).is_absolute() for path in data.paths)
    assert data.target_names == ["mel", "nv"]
    assert data.target.tolist() == [1, 1, 0]
    assert data.groups.tolist() == ["L1", "L1", "L2"]
    assert data.columns["age"].tolist() == ["40", "41", None]
    assert data.n_ignored == 1
    assert load(parts).groups is None


def test_target_names_say_which_class_is_1(parts):
    data = load(parts, target_names=["nv", "mel"])
    assert data.target.tolist() == [0, 0, 1]
    with pytest.raises(ValueError, match=r"target_names=\['nv'\] must be.*'mel', 'nv'"):
        load(parts, target_names=["nv"])


def test_labels_that_are_not_expected_are_named_with_an_image(parts):
    table = TABLE.replace("L1,nv,41", "L1,nv2,41")
    with pytest.raises(ValueError, match=r"It lacks 'nv2' \('b', in row 1\)\.$"):
        load(parts, table, target_names=["nv", "mel"])
    with pytest.raises(ValueError, match=r"\['mel', 'nv', 'nv2'\]\.$"):
        load(parts, table, target_names=["nv", "nv2", "mel", "bcc"])


def test_whole_numbers_are_one_class_however_they_are_written(parts):
    """A column with a missing value has 1.0 for 1, also after it is joined."""
    columns = {"image_id": ["a", "b", "c"], "dx": [1, 0.0, 1.0]}
    data = load_image_table(columns, parts, **COLUMNS)
    assert data.target_names == ["0", "1"]
    assert data.target.tolist() == [1, 0, 1]
    ordered = load_image_table(columns, parts, **COLUMNS, target_names=[1.0, 0])
    assert ordered.target.tolist() == [0, 1, 0]
    table = "image_id,dx\na,1\nb,0\nc,1.0\n"
    with pytest.warns(UserWarning, match=r"'1' and '1\.0', .*how a number is written"):
        load(parts, table)


def test_spaces_before_quotes_are_no_part_of_a_field(parts):
    table = 'image_id, dx\na, "nv"\nb, nv\nc, "mel, in situ"\n'
    assert load(parts, table).target_names == ["mel, in situ", "nv"]


@pytest.mark.parametrize("label", ["MEL", "mel ", " Mel"])
def test_labels_that_differ_in_case_or_spaces_only_are_warned_of(parts, label):
    frame = pd.DataFrame(
        {"image_id": ["a", "b", "c", "other"], "dx": ["mel", "mel", "nv", label]}
    )
    says = f"the table has the classes .*{label!r}.*An image of {label!r} is 'other'"
    with pytest.warns(UserWarning, match=says) as seen:
        data = load_image_table(frame, parts, **COLUMNS)
    assert len(data.target_names) == 3
    assert [warning.filename for warning in seen] == [__file__]


def test_similar_labels_that_are_expected_are_not_warned_of(parts, recwarn):
    names = ["mel", "NV", "nv"]
    table = TABLE.replace("nv,41", "NV,41")
    assert load(parts, table, target_names=names).target.tolist() == [2, 1, 0]
    assert not recwarn.list


def test_the_description_counts_the_images_of_each_class(parts):
    data = load(parts)
    table = parts[0].parent / "table.csv"
    assert data.DESCR.startswith(f"Images of {table}\n---")
    assert "3 images of 2 classes: 1 mel, 2 nv." in data.DESCR
    assert f"{parts[0]}, {parts[1]}. They have 1 images that" in data.DESCR


def test_one_folder_and_a_data_frame(parts):
    frame = pd.read_csv(parts[0].parent / "table.csv")
    data = load_image_table(frame, str(parts[0].parent), **COLUMNS)
    assert names_of(data) == ["a", "b", "c"]
    np.testing.assert_array_equal(data.columns["age"], [40, 41, np.nan])


def test_columns_keep_numbers_if_only_names_are_read_as_text(parts):
    (parts[0] / "007.jpg").touch()
    file = parts[0].parent / "table.csv"
    file.write_text(TABLE + "007,L4,nv,64\n")
    assert load(parts).columns["age"].tolist() == ["40", "41", None, "64"]
    frame = pd.read_csv(file, dtype={COLUMNS["name_column"]: str})
    data = load_image_table(frame, parts, **COLUMNS)
    assert names_of(data) == ["a", "b", "c", "007"]
    np.testing.assert_array_equal(data.columns["age"], [40, 41, np.nan, 64])


def test_names_may_have_extensions(parts):
    data = load(parts, TABLE.replace("a,L1", "a.jpg,L1"))
    assert names_of(data) == ["a", "b", "c"]


@pytest.mark.parametrize(
    ("table", "says"),
    [
        (TABLE + "d,L3,nv,1\n", "1 of the 4 images.* have no file.*: d"),
        (TABLE + "a,L3,nv,1\n", "names 'a' a second time, in row 3"),
        (TABLE.replace("mel", ""), "no 'dx' for 'c', in row 2"),
        (TABLE.replace("dx", "diagnosis"), r"no column 'dx'.*'diagnosis'"),
        (TABLE + "e,L3\n", "Line 5 of .* has 2 fields instead of 4"),
        (TABLE + 'e,"L3,nv,1\n', "Line 5 of .* is not CSV"),
        (TABLE.encode() + b"\xe9,L3,nv,1\n", "Line 5 of .* not encoded in UTF-8"),
        (TABLE.encode("utf-16"), "Line 1 of .* not encoded in UTF-8"),
        (TABLE + "e\0,L3,nv,1\n", "Line 5 of .* null character"),
        ("image_id,dx,dx\na,nv,nv\n", "different column names"),
        ("image_id,dx\n", "no line below its header"),
    ],
)
def test_faults_of_a_table_are_named(parts, table, says):
    with pytest.raises(ValueError, match=rf"{says}"):
        load(parts, table)


@pytest.mark.parametrize("missing", ["", None, np.nan, pd.NA, pd.NaT], ids=repr)
@pytest.mark.parametrize("column", ["dx", "lesion_id"])
def test_images_without_a_label_or_lesion_are_not_a_group(parts, column, missing):
    frame = pd.read_csv(parts[0].parent / "table.csv").astype(object)
    frame.loc[1, column] = missing
    with pytest.raises(ValueError, match=rf"no '{column}' for 'b', in row 1"):
        load_image_table(frame, parts, **COLUMNS, group_column="lesion_id")


@pytest.mark.parametrize("text", ["NA", "nan", "NULL", "#N/A"])
@pytest.mark.parametrize("column", ["dx", "lesion_id"])
def test_a_text_for_a_missing_value_is_no_class_and_no_lesion(parts, column, text):
    frame = pd.read_csv(parts[0].parent / "table.csv", dtype=str)
    frame.loc[1, column] = text
    columns = COLUMNS | {"group_column": "lesion_id"}
    with pytest.raises(ValueError, match=rf"'{column}' '{text}' for 'b', in row 1"):
        load(parts, frame.to_csv(index=False), group_column="lesion_id")
    assert text in load_image_table(frame, parts, **columns).columns[column]
    if column == "dx":
        names = ["mel", "nv", text]
        data = load(parts, frame.to_csv(index=False), target_names=names)
        assert data.target.tolist() == [1, 2, 0]


def test_a_name_of_two_files_is_an_error(parts):
    (parts[0] / "a.png").write_bytes(b"")
    with pytest.raises(ValueError, match=r"'a' fits two files.*a\.png"):
        load(parts)
    assert names_of(load(parts, allowed_extensions=[".jpg"])) == ["a", "b", "c"]


def test_what_does_not_exist_is_named(parts):
    with pytest.raises(FileNotFoundError, match=r"no file .*none\.csv"):
        load_image_table(parts[0] / "none.csv", parts, **COLUMNS)
    with pytest.raises(FileNotFoundError, match=r"no folder .*none"):
        load([*parts, parts[0] / "none"])


@pytest.mark.parametrize("gone", [None, np.nan, pd.NA], ids=repr)
def test_missing_values_of_other_columns_stay_missing(parts, gone):
    frame = pd.read_csv(parts[0].parent / "table.csv").astype(object)
    frame["sex"] = ["male", gone, "female"]
    frame["seen"] = [1, "twice", gone]
    frame["places"] = [[1, 2], [3], []]
    columns = pd.DataFrame(load_image_table(frame, parts, **COLUMNS).columns)
    table = {**frame, "flag": np.ones(3, bool), "day": np.zeros(3, "M8[D]")}
    arrays = load_image_table(table, parts, **COLUMNS).columns
    assert [arrays[name].dtype.kind for name in ("flag", "day")] == ["b", "M"]
    assert columns["sex"].isna().tolist() == [False, True, False]
    assert columns["seen"].tolist()[:2] == [1, "twice"]
    assert columns["places"].tolist() == [[1, 2], [3], []]


def test_an_image_with_and_without_extension_is_named_twice(parts):
    with pytest.raises(ValueError, match=r"a\.jpg twice, as 'a' and 'a\.jpg'"):
        load(parts, TABLE + "a.jpg,L3,mel,1\n")


def test_two_columns_of_one_name_are_an_error(parts):
    frame = pd.DataFrame([["a", "nv", "mel"], ["b", "nv", "mel"]])
    frame.columns = ["image_id", "dx", "dx"]
    with pytest.raises(ValueError, match="two columns 'dx'"):
        load_image_table(frame, parts, **COLUMNS)


def test_a_table_and_folders_of_other_types_are_refused(parts):
    with pytest.raises(TypeError, match="table is of type tuple"):
        load_image_table(({"image_id": ["a"]},), parts, **COLUMNS)
    table = parts[0].parent / "table.csv"
    with pytest.raises(TypeError, match="A folder is of type list"):
        load_image_table(table, [[], []], **COLUMNS)


def test_a_folder_that_is_there_twice_is_one(parts):
    assert load([*parts, parts[0]]).n_ignored == 1


@pytest.fixture
def visits(tmp_path, monkeypatch):
    """Go to a folder with images of the same names in two folders of another."""
    monkeypatch.chdir(tmp_path)
    for name in ("p0/0.jpg", "p0/1.jpg", "p1/0.jpg", "2.jpg"):
        path = tmp_path / "img" / name
        path.parent.mkdir(parents=True, exist_ok=True)
        path.touch()
    return tmp_path / "img"


def load_named(names, folder="img", **options):
    table = {"image_id": names, "dx": ["nv", "mel", "nv", "mel"][: len(names)]}
    data = load_image_table(table, folder, **COLUMNS, **options)
    return [os.path.relpath(path, "img").replace(os.sep, "/") for path in data.paths]


@pytest.mark.parametrize("form", ["{}.jpg", "{}", "./{}.jpg", ".\\{}"])
def test_names_may_be_paths_in_the_folder(visits, form):
    names = [form.format(name) for name in ("p1/0", "p0\\0", "2")]
    assert load_named(names) == ["p1/0.jpg", "p0/0.jpg", "2.jpg"]
    for names in (
        [str(visits / name) for name in ("p1/0.jpg", "p0/0", "2.jpg")],
        ["img/p1/0.jpg", "img\\p0/0", "./img/2.jpg"],  # in the working folder
    ):
        assert load_named(names) == ["p1/0.jpg", "p0/0.jpg", "2.jpg"]


def test_absolute_paths_may_lead_through_a_link(visits):
    link = visits.parent / "link"
    try:
        link.symlink_to(visits, target_is_directory=True)
    except OSError:
        pytest.skip("the system allows no links")
    names = [str(link / "p1" / "0.jpg"), str(visits / "2.jpg")]
    assert load_named(names) == ["p1/0.jpg", "2.jpg"]
    with pytest.raises(ValueError, match=r"1 of the 2 images .*: p2/0\.jpg"):
        load_named(["p2/0.jpg", "2.jpg"])


@pytest.fixture(params=[os.link, os.symlink], ids=["hard", "symbolic"])
def link(request):
    """Return a function that links a path to another."""

    def make(path, other):
        try:
            request.param(path, other)
        except OSError:
            pytest.skip("the system allows no links")

    return make


def test_a_file_can_have_several_names(visits, link):
    link(visits / "p0" / "1.jpg", visits / "p0" / "copy.jpg")
    link(visits / "2.jpg", visits / "p1" / "2.jpg")
    names = ["1", "copy.jpg", "p1/2"]
    assert load_named(names) == ["p0/1.jpg", "p0/copy.jpg", "p1/2.jpg"]
    assert load_named(["2", "copy"]) == ["2.jpg", "p0/copy.jpg"]
    table = {"image_id": ["copy", "2.jpg"], "dx": ["nv", "mel"]}
    assert load_image_table(table, "img", **COLUMNS).n_ignored == 2
    with pytest.raises(ValueError, match="'0' fits two files"):
        load_named(["0", "copy"])


@pytest.mark.parametrize("name", ["a", "z"])
def test_names_may_lead_through_a_link_in_the_folder(visits, name):
    """Of both names of a folder, only one is that of the files."""
    try:
        (visits / name).symlink_to(visits / "p1", target_is_directory=True)
    except OSError:
        pytest.skip("the system allows no links")
    first = "a" if name == "a" else "p1"
    assert load_named([f"{name}/0.jpg", "p0/0"]) == [f"{first}/0.jpg", "p0/0.jpg"]
    assert load_named(["p1/0", "2"]) == [f"{first}/0.jpg", "2.jpg"]


@pytest.mark.parametrize("form", ["NFC", "NFD"])
@pytest.mark.parametrize("name", ["{}.jpg", "{}", "{}/1.jpg", "{}/1"])
def test_names_may_be_in_another_form_of_unicode(form, name, visits):
    other = {"NFC": "NFD", "NFD": "NFC"}[form]
    of_file, of_table = (unicodedata.normalize(f, "Nävus") for f in (form, other))
    (visits / of_file).mkdir()
    for path in (f"{of_file}.jpg", f"{of_file}/1.jpg"):
        (visits / path).touch()
    (found, _) = load_named([name.format(of_table), "2"])
    assert found == os.path.splitext(name.format(of_file))[0] + ".jpg"
    absolute = [str(visits / name.format(of_table)), "2"]
    assert load_named(absolute)[0] == found


def test_a_name_in_the_form_of_its_file_comes_first(visits):
    names = [unicodedata.normalize(form, "Nävus.jpg") for form in ("NFD", "NFC")]
    for name in names:
        (visits / name).touch()
    if len(set(os.listdir(visits)) & set(names)) < 2:
        pytest.skip("the file system unites both names")
    assert load_named(names) == names


@pytest.mark.parametrize("folder", ["img", ["img/p0", "img/p1"], ["img", "img/p0"]])
def test_a_name_of_files_in_two_folders_needs_its_folder(visits, folder):
    for name in ("0.jpg", "0"):
        with pytest.raises(
            ValueError, match=r"fits two files.*with its folder"
        ) as info:
            load_named([name, "1.jpg"], folder)
        advised = ast.literal_eval(str(info.value).split("such as ")[1].rstrip("."))
        assert load_named([advised, "1.jpg"], folder) == ["p0/0.jpg", "p0/1.jpg"]
        if isinstance(folder, str):
            assert advised == "p0/0.jpg"


def test_a_file_beside_folders_can_be_named_too(visits):
    (visits / "0.jpg").touch()
    with pytest.raises(ValueError, match=r"with its folder, such as '\./0\.jpg'"):
        load_named(["0.jpg", "1.jpg"])
    assert load_named(["./0.jpg", "1.jpg"]) == ["0.jpg", "p0/1.jpg"]


def test_paths_and_names_of_one_file_are_twice_in_the_table(visits):
    with pytest.raises(ValueError, match=r"1\.jpg twice, as '1' and 'p0/1\.jpg'"):
        load_named(["1", "p0/1.jpg"])


@pytest.mark.parametrize(
    ("file", "name", "says"),
    [
        ("000.jpg", 0, r"'0' may be .*000\.jpg.* as text.* dtype=\{'image_id': str\}"),
        ("p0/017.jpg", "p0/17", r"'p0/17' may be .*017\.jpg.* read the column as text"),
        ("017.jpg", "17.jpg", r"'17\.jpg' may be .*017\.jpg.* read the column as text"),
        ("a.jpg", "A", r"'A' and the file .*a\.jpg differ in upper or lower case"),
        ("a.JPG", "a.jpg", r"'a\.jpg' and the file .*a\.JPG differ in upper or lower"),
        ("P0/b.jpg", "p0/b", r"'p0/b' and the file .*P0.b\.jpg differ in upper or"),
        ("7.jpg", "007", "Add them, or remove their rows"),
        ("10.jpg", 1, "Add them, or remove their rows"),
    ],
)
def test_files_of_similar_names_are_named(tmp_path, file, name, says):
    for path in (tmp_path / file, tmp_path / "there.jpg"):
        path.parent.mkdir(exist_ok=True)
        path.touch()
    with pytest.raises(ValueError, match=rf"1 of the 2 images .*: {name}\. .*{says}"):
        load_named(["there", name], tmp_path)


def test_an_empty_table_is_refused(parts):
    frame = pd.read_csv(parts[0].parent / "table.csv")
    with pytest.raises(ValueError, match=r"the table has no rows\. Pass a table"):
        load_image_table(frame[:0], parts, **COLUMNS)
    with pytest.raises(
        ValueError, match=r"no column 'image_id'\. Its columns are \[\]"
    ):
        load_image_table(pd.DataFrame(), parts, **COLUMNS)


def test_one_class_only_is_warned_of(parts):
    with pytest.warns(
        UserWarning, match=r"table\.csv has one class only, 'nv'"
    ) as seen:
        data = load(parts, TABLE.replace("mel", "nv"))
    assert data.target.tolist() == [0, 0, 0]
    assert [warning.filename for warning in seen] == [__file__]


@pytest.mark.parametrize("separator", [";", "\t"])
def test_separators_other_than_commas_are_explained(parts, separator):
    table = TABLE.replace(",", separator)
    options = re.escape(f"sep={separator!r}, dtype={{'image_id': str}})")
    advice = rf"Separate columns by commas, or pass pd\.read_csv\(file, {options}"
    with pytest.raises(ValueError, match=rf"no column 'image_id'.*{advice}"):
        load(parts, table)
    frame = pd.read_csv(parts[0].parent / "table.csv")
    with pytest.raises(ValueError, match=rf"no column 'image_id'.*{advice}"):
        load_image_table(frame, parts, **COLUMNS)
    with pytest.raises(ValueError, match=rf"Line 2 .* 2 fields instead of 1.*{advice}"):
        load(parts, table.replace("40", "40,5"))


@pytest.mark.parametrize("separator", [",", ";"])
def test_a_first_line_for_excel_is_to_be_deleted(parts, separator):
    table = f"sep={separator}\n" + TABLE.replace(",", separator)
    with pytest.raises(ValueError, match=r"Delete its first line, 'sep=.?', which"):
        load(parts, table)
