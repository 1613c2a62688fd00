"""Reading the tables of a data set, and matching them with its images."""

# Authors: The skinest developers
# SPDX-License-Identifier: BSD-3-Clause

import csv
import io
from typing import NamedTuple

import numpy as np

from ._archives import extract_archive

_N_NAMED = 5
_N_SHOWN = 120  # letters of a line
_ANEW = "Where files were deleted, delete their folder, and it is extracted anew."
ADD_LINES = "Add their lines, or delete the table and download it again."
_AGAIN = "Mend it, or delete the file and download it again."


def read_table(file, parse, *, header=None):
    """Read a CSV file with one image per line into a dict, in its order.

    Empty lines, white space around the fields, and a byte order mark do not
    matter.

    Parameters
    ----------
    file : Path
        The file. The first field of a line is the name of an image.

    parse : callable
        Makes the value of the image from the list of the other fields. It raises
        ValueError with the end of a sentence that begins with the line.

    header : list of str or None, default=None
        The fields that the file must begin with, and as many as every line must
        have. With None there is no header, and any number of fields.

    Returns
    -------
    value_of : dict
        What `parse` made, by the names of the images.

    Raises
    ------
    ValueError
        If the header is another one, a line has the wrong number of fields, has
        one that `parse` refuses, or names an image a second time, or if no line
        names an image.
    """
    value_of = {}
    rows = _read_rows(file)
    if header is not None:
        begin, row = next(rows, (f"Line 1 of {file}, '',", []))
        if row != header:
            raise ValueError(
                f"{begin} is not the header {','.join(header)!r}. {_AGAIN}"
            )
    for begin, row in rows:
        if header is not None and len(row) != len(header):
            raise ValueError(
                f"{begin} has {len(row)} fields instead of {len(header)}: "
                f"{', '.join(header)}. {_AGAIN}"
            )
        name, *fields = row
        if not name:
            raise ValueError(f"{begin} names no image. {_AGAIN}")
        if name in value_of:
            raise ValueError(f"{begin} names an image a second time. {_AGAIN}")
        try:
            value_of[name] = parse(fields)
        except ValueError as error:
            raise ValueError(f"{begin} {error} {_AGAIN}") from None
    if not value_of:
        raise ValueError(f"{file} names no image. Delete it and download it again.")
    return value_of


def _read_rows(file):
    """Yield the name of each line in error messages, and its fields."""
    reader = csv.reader(io.StringIO(_read_text(file), newline=""), strict=True)
    try:
        for row in filter(None, reader):
            fields = [field.strip() for field in row]
            text = ",".join(fields)
            if len(text) > _N_SHOWN:
                text = f"{text[:_N_SHOWN]}..."
            yield f"Line {reader.line_num} of {file}, {text!r},", fields
    except csv.Error as error:
        raise ValueError(
            f"Line {reader.line_num} of {file} is not CSV: {error}. Quotes around a "
            "field must be closed."
        ) from error


def _read_text(file) -> str:
    """Return the text of a table; raise ValueError unless it is UTF-8."""
    if file.exists() and not file.is_file():
        raise ValueError(f"{file} is not a regular file.")
    content = file.read_bytes()
    try:
        text = content.decode("utf-8-sig")
        place, fault = text.find("\0"), "has a null character"
    except UnicodeDecodeError as error:
        text, place = content[: error.start].decode("utf-8"), error.start
        fault = "is not encoded in UTF-8"
    if place < 0:
        return text
    line = text.count("\n", 0, place) + 1
    raise ValueError(
        f"Line {line} of {file} {fault}. Save the table as CSV in UTF-8: some programs "
        "write UTF-16 or Latin-1."
    )


def read_columns(file) -> dict[str, list[str]]:
    """Read a CSV file with a header into a dict of columns.

    Raises
    ------
    ValueError
        If two columns have one name, a line has another number of fields than the
        header, or there is no line.
    """
    rows = _read_rows(file)
    _, header = next(rows, ("", []))
    if len(set(header)) < len(header) or not header:
        raise ValueError(f"{file} must begin with a line of different column names.")
    columns: dict[str, list[str]] = {name: [] for name in header}
    for begin, row in rows:
        if len(row) != len(header):
            raise ValueError(f"{begin} has {len(row)} fields instead of {len(header)}.")
        for name, field in zip(header, row, strict=True):
            columns[name].append(field)
    if not columns[header[0]]:
        raise ValueError(f"{file} has no line below its header.")
    return columns


class Labelled(NamedTuple):
    """Images and their labels, in the order of the ground truth.

    `paths` and `target` are those that fetchers return, `names` the names of the
    images. `place` is what errors call the folders of the images.
    """

    names: list
    paths: np.ndarray
    target: np.ndarray
    place: str


def read_labelled(files, parse, *, header=None):
    """Read images and labels of subsets, one subset after the other.

    `files` are those of `Challenge.require`, the others as for :func:`read_table`.
    Raises ValueError for what is damaged, and for a label without an image or the
    reverse.
    """
    names, paths, target, places = [], [], [], []
    for truth, archive in files:
        labels = truth if truth.suffix == ".csv" else _find_table(truth)
        label_of = read_table(labels, parse, header=header)
        path_of, place = find_images(archive)
        kinds = ("label", f" in {labels}"), ("image", f" in {place}")
        _check_pairs(label_of, path_of, *kinds, ADD_LINES)
        names += label_of
        paths += [path_of[name] for name in label_of]
        target += label_of.values()
        places.append(place)
    return Labelled(
        names,
        np.array(paths, dtype=object),
        np.array(target, dtype=int),
        " and ".join(places),
    )


def _find_table(archive):
    """Return the path of the table in the archive of a ground truth."""
    table = extract_archive(archive) / f"{archive.stem}.csv"
    if not table.is_file():
        raise ValueError(
            f"The archive {archive} (in {table.parent}) holds no {table.name}. "
            "Delete both and download the archive again."
        )
    return table


def find_images(archive, *, ending=".jpg"):
    """Extract an archive and find the images in it.

    Returns their paths, by their names without the `ending`, and what errors call
    their folder. Raises ValueError for a damaged archive, and if two files have the
    same name but for capitals in the ending.
    """
    folder = extract_archive(archive)
    path_of = {}
    for path in folder.iterdir():
        is_named = path.name.lower().endswith(ending) and path.name[0] != "."
        if is_named and path.is_file():
            name = path.name[: -len(ending)]
            if name in path_of:
                raise ValueError(f"{folder} has two files of the image {name}.")
            path_of[name] = str(path)
    return path_of, f"{archive} (in {folder})"


def find_masks(archive, names, place, *, ending, of=""):
    """Extract an archive and list the masks in it, in the order of `names`.

    Errors call the images those in `place`, and name what the masks show by `of`, as
    in ``" of globules"``. Raises ValueError for a damaged archive, and for an image
    without a mask or the reverse.
    """
    mask_of, masks = find_images(archive, ending=ending)
    kinds = ("image", f" in {place}"), ("mask", f"{of} in {masks}")
    cure = "Delete these masks, or add the images."
    _check_pairs(names, mask_of, *kinds, cure)
    return [mask_of[name] for name in names]


def _check_pairs(names, others, kind, other_kind, cure):
    """Raise ValueError unless `names` and `others` are the same."""
    check_all_known(names, others, kind, other_kind, _ANEW)
    check_all_known(sorted(others), set(names), other_kind, kind, cure)


def check_all_known(names, known, kind, known_kind, cure):
    """Raise ValueError if some of `names` are not among the `known` ones.

    Kinds are what errors say of names: a word, and what comes after its plural. `cure`
    is what to do.
    """
    unknown = [name for name in names if name not in known]
    if unknown:
        some = ", ".join(unknown[:_N_NAMED]) + ", ..." * (len(unknown) > _N_NAMED)
        raise ValueError(
            f"{len(unknown)} of the {len(names)} {kind[0]}s{kind[1]} have no "
            f"{known_kind[0]}{known_kind[1]}: {some}. {cure}"
        )
