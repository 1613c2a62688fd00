"""Read the tables of a data set, and match them with its images."""

# Authors: The skinest developers
# SPDX-License-Identifier: BSD-3-Clause

import csv
import io
from typing import NamedTuple

import numpy as np

from ._archives import extract_archive

_N_NAMED = 5
_N_SHOWN = 120  # letters of a line
EXTRACT = (
    "If files were deleted, delete their folder; it is then extracted again. If they "
    "are in subfolders, move them into that folder."
)
ADD_LINES = "Add their lines, or delete the table and download it again."
_AGAIN = "Correct it, or delete the file and download it again."


def read_table(file, parse, *, header=None):
    """Read a CSV file with one image per line into a dict, in the order of the file.

    Empty lines, white space around fields and a byte order mark are ignored.

    Parameters
    ----------
    file : Path
        The file. The first field of a line is the name of an image.

    parse : callable
        Converts the list of the other fields to the value of the image. In a
        ValueError that it raises, the text follows the name of the line.

    header : list of str or None, default=None
        Fields of the first line; every line must have as many. None means that there
        is not a header, and any number of fields is allowed.

    Returns
    -------
    value_of : dict
        For the name of each image, the result of `parse`.

    Raises
    ------
    ValueError
        If the header is wrong, a line has a wrong number of fields or invalid fields,
        an image has two lines, or there are no images.
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
            raise ValueError(f"{begin} has no image name. {_AGAIN}")
        if name in value_of:
            raise ValueError(f"{begin} has an image a second time. {_AGAIN}")
        try:
            value_of[name] = parse(fields)
        except ValueError as error:
            raise ValueError(f"{begin} {error} {_AGAIN}") from None
    if not value_of:
        raise ValueError(f"{file} has no images. Delete it and download it again.")
    return value_of


def _read_rows(file):
    """Yield the name of each line in error messages, and its fields."""
    text = io.StringIO(_read_text(file), newline="")
    reader = csv.reader(text, strict=True, skipinitialspace=True)
    try:
        for row in filter(None, reader):
            fields = [field.strip() for field in row]
            line = ",".join(fields)
            if len(line) > _N_SHOWN:
                line = f"{line[:_N_SHOWN]}..."
            yield f"Line {reader.line_num} of {file}, {line!r},", fields
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


def read_columns(file, name_column) -> dict[str, list[str]]:
    """Read a CSV file with a header into a dict of columns, which are text.

    Parameters
    ----------
    file : Path
        The file.

    name_column : str
        The column of the names of images, for advice in errors.

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
            raise ValueError(
                f"{begin} has {len(row)} fields instead of {len(header)}."
                f"{advise_on_separators(header, name_column)}"
            )
        for name, field in zip(header, row, strict=True):
            columns[name].append(field)
    if not columns[header[0]]:
        raise ValueError(f"{file} has no line below its header.")
    return columns


def advise_on_separators(header, name_column) -> str:
    """Return a sentence for errors if a table has other separators than commas."""
    if header and str(header[0]).startswith("sep="):
        return f" Delete its first line, {header[0]!r}, which only Excel reads."
    for separator in ";", "\t":
        if len(header) == 1 and separator in str(header[0]):
            return (
                " Separate columns by commas, or pass "
                f"pd.read_csv(file, sep={separator!r}, dtype={{{name_column!r}: str}})."
            )
    return ""


class Labelled(NamedTuple):
    """Images and their labels, in the order of the ground truth.

    `names` are the names of the images; `paths` and `target` are as returned by
    fetchers. `place` is the name of the folders of the images in error messages.
    """

    names: list
    paths: np.ndarray
    target: np.ndarray
    place: str


def read_labelled(files, parse, *, header=None):
    """Read images and labels of subsets, one subset after the other.

    `files` are those of `Challenge.require`, the others as for :func:`read_table`.
    Raises ValueError if a file is damaged, a label has no image, or an image has no
    label.
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
    """Return the path of the table in a ground truth archive."""
    table = extract_archive(archive) / f"{archive.stem}.csv"
    if not table.is_file():
        raise ValueError(
            f"The archive {archive} (in {table.parent}) has no file {table.name}. "
            "Delete both and download the archive again."
        )
    return table


def find_images(archive, *, ending=".jpg"):
    """Extract an archive and find the images in it.

    Returns a dict of their paths, by their names without the `ending`, and the name of
    their folder for error messages. Raises ValueError if the archive is damaged, or if
    two files differ only in capital letters of the ending.
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

    Error messages describe the images by `place`, and the masks by `of`, such as
    ``" of globules"``. Raises ValueError if the archive is damaged, an image has no
    mask, or a mask has no image.
    """
    mask_of, masks = find_images(archive, ending=ending)
    kinds = ("image", f" in {place}"), ("mask", f"{of} in {masks}")
    cure = "Delete these masks, or add the images."
    _check_pairs(names, mask_of, *kinds, cure)
    return [mask_of[name] for name in names]


def _check_pairs(names, others, kind, other_kind, cure):
    """Raise ValueError if `names` and `others` are not the same."""
    check_all_known(names, others, kind, other_kind, EXTRACT)
    check_all_known(sorted(others), set(names), other_kind, kind, cure)


def check_all_known(names, known, kind, known_kind, cure):
    """Raise ValueError if some of `names` are not in `known`.

    Kinds describe names in the message: a word, and the text after its plural. `cure`
    is advice for the user.
    """
    unknown = [name for name in names if name not in known]
    if unknown:
        some = ", ".join(unknown[:_N_NAMED]) + ", ..." * (len(unknown) > _N_NAMED)
        raise ValueError(
            f"{len(unknown)} of the {len(names)} {kind[0]}s{kind[1]} have no "
            f"{known_kind[0]}{known_kind[1]}: {some}. {cure}"
        )
