"""Names of classes: their order, and typing errors in them."""

# Authors: The skinest developers
# SPDX-License-Identifier: BSD-3-Clause

import warnings

import numpy as np

_N_NAMED = 3
_STACKLEVEL = 4  # the caller of a loader, which is decorated


def name_label(label) -> str:
    """Return a label as text; tables with missing values have 1.0 for 1."""
    is_whole = isinstance(label, float | np.floating) and float(label).is_integer()
    return str(int(label) if is_whole else label)


def order_classes(found, target_names, place):
    """Return the classes in the order of their numbers.

    Parameters
    ----------
    found : dict of str to str
        Where the first image of each class is, which may be an empty text.

    target_names : list of str or None
        The classes in this order. None sorts them.

    place : str
        Where the classes were found, in error messages.

    Raises
    ------
    ValueError
        If `target_names` are not the classes found, each once.
    """
    if target_names is None:
        return sorted(found)
    names = list(map(name_label, target_names))
    if sorted(names) == sorted(found):
        return names
    lacking = [
        f"{name!r} ({first})" if first else repr(name)
        for name, first in sorted(found.items())
        if name not in names
    ]
    raise ValueError(
        f"target_names={names} must be the classes of {place}, each once: "
        f"{sorted(found)}.{f' It lacks {join_some(lacking)}.' if lacking else ''}"
    )


def warn_of_similar(images_of, place):
    """Warn of classes whose names differ only in case, spaces around them, or digits.

    Parameters
    ----------
    images_of : dict of str to list of str
        The images of each class, which may be none.

    place : str
        Where the classes are, in the warning.
    """
    similar: dict[str, list[str]] = {}
    for name in sorted(images_of):
        similar.setdefault(_simplify(name), []).append(name)
    for names in similar.values():
        if len(names) < 2:
            continue
        # The rarer one is most often the wrong one.
        rarer = min(names, key=lambda name: len(images_of[name]) or float("inf"))
        images = images_of[rarer]
        example = f" An image of {rarer!r} is {images[0]}." if images else ""
        warnings.warn(
            f"{place} has the classes {' and '.join(map(repr, names))}, which differ "
            "only in upper or lower case, in spaces around them, or in how a number is "
            f"written.{example} Correct them if they are one class, or pass all "
            "classes in target_names.",
            stacklevel=_STACKLEVEL,
        )


def _simplify(name) -> str:
    """Return a name without what a typing error may change; "1.0" and "01" are 1."""
    try:
        return str(float(name))
    except ValueError:
        return name.strip().casefold()


def join_some(names):
    """Join the first names, with the number of the others."""
    n_more = len(names) - _N_NAMED
    return ", ".join(names[:_N_NAMED]) + (f" and {n_more} more" if n_more > 0 else "")


def join_counts(pairs):
    """Join names and their counts, as in ``"3 melanoma, 4 nevus"``."""
    return ", ".join(f"{count} {name}" for name, count in pairs)
