"""Reading the tables of a data set, and matching them with its images."""

# Authors: The skinest developers
# SPDX-License-Identifier: BSD-3-Clause

import csv

_N_NAMED = 5
_N_SHOWN = 120  # letters of a line
_ANEW = "Where files were deleted, delete their folder, and it is extracted anew."
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
        place, row = next(rows, (f"Line 1 of {file}, '',", []))
        if row != header:
            raise ValueError(
                f"{place} is not the header {','.join(header)!r}. {_AGAIN}"
            )
    for place, row in rows:
        if header is not None and len(row) != len(header):
            raise ValueError(
                f"{place} has {len(row)} fields instead of {len(header)}: "
                f"{', '.join(header)}. {_AGAIN}"
            )
        name, *fields = row
        if not name:
            raise ValueError(f"{place} names no image. {_AGAIN}")
        if name in value_of:
            raise ValueError(f"{place} names an image a second time. {_AGAIN}")
        try:
            value_of[name] = parse(fields)
        except ValueError as error:
            raise ValueError(f"{place} {error} {_AGAIN}") from None
    if not value_of:
        raise ValueError(f"{file} names no image. Delete it and download it again.")
    return value_of


def _read_rows(file):
    """Yield the fields of each line, after the words that tell it in errors."""
    with file.open(encoding="utf-8-sig", errors="replace", newline="") as lines:
        reader = csv.reader(lines)
        try:
            for row in filter(None, reader):
                fields = [field.strip() for field in row]
                text = ",".join(fields)
                if len(text) > _N_SHOWN:
                    text = f"{text[:_N_SHOWN]}..."
                yield f"Line {reader.line_num} of {file}, {text!r},", fields
        except csv.Error as error:
            raise ValueError(
                f"Line {reader.line_num} of {file} is not CSV: {error}."
            ) from error


def list_images(folder, *, ending=".jpg"):
    """Paths of the images of a folder, by their names without the `ending`.

    Raises
    ------
    ValueError
        If two files have the same name but for capitals in the ending.
    """
    path_of = {}
    for path in folder.iterdir():
        is_named = path.name.lower().endswith(ending) and path.name[0] != "."
        if is_named and path.is_file():
            name = path.name[: -len(ending)]
            if name in path_of:
                raise ValueError(f"{folder} has two files of the image {name}.")
            path_of[name] = str(path)
    return path_of


def check_same_names(label_of, path_of, labels, images):
    """Raise ValueError unless every label has its image and the reverse."""
    check_all_known(
        label_of, path_of, f"labels in {labels}", f"image in {images}", _ANEW
    )
    check_all_known(
        sorted(path_of),
        label_of,
        f"images in {images}",
        f"label in {labels}",
        "Add their lines, or delete the table and download it again.",
    )


def check_masks(names, mask_of, images, masks, *, of=""):
    """Raise ValueError unless every image has its mask and the reverse.

    Parameters
    ----------
    names, mask_of : collections of str
        Names of the images and of the masks.

    images, masks : str
        Where they are.

    of : str, default=""
        What the masks show, as in ``" of globules"``.
    """
    check_all_known(
        names, mask_of, f"images in {images}", f"mask{of} in {masks}", _ANEW
    )
    check_all_known(
        sorted(mask_of),
        set(names),
        f"masks{of} in {masks}",
        f"image in {images}",
        "Delete these masks, or add the images.",
    )


def check_all_known(names, known, having, had, cure):
    """Raise ValueError if some of `names` are not among the `known` ones.

    Parameters
    ----------
    names, known : collections of str
        Names of images.

    having, had : str
        What the error says: so many of the `having` have no `had`.

    cure : str
        What to do.
    """
    unknown = [name for name in names if name not in known]
    if unknown:
        some = ", ".join(unknown[:_N_NAMED]) + ", ..." * (len(unknown) > _N_NAMED)
        raise ValueError(
            f"{len(unknown)} of the {len(names)} {having} have no {had}: {some}. {cure}"
        )
