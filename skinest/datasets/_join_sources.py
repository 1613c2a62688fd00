"""Data sets of several sources, joined into one."""

# Authors: The skinest developers
# SPDX-License-Identifier: BSD-3-Clause

from __future__ import annotations

import os
import warnings
from collections import Counter
from collections.abc import Mapping
from itertools import chain, permutations
from typing import TYPE_CHECKING, Any, Literal, NamedTuple

import numpy as np
from sklearn.utils import Bunch

from .._compat import StrOptions, validate_params
from ..images import check_images
from ..utils._checks import as_column, check_groups
from ._class_names import name_label, order_classes

if TYPE_CHECKING:
    from collections.abc import Sequence

_STACKLEVEL = 4  # the caller of join_sources, which is decorated
# Labels of the loaders and of ISIC archives, in lower case.
_MELANOMA_NAMES = ["other", "melanoma"]
_MELANOMA = {
    **dict.fromkeys(("malignant", "mel", "melanoma"), "melanoma"),
    **dict.fromkeys(("benign", "nv", "nevus", "bcc", "akiec", "ak", "scc"), "other"),
    **dict.fromkeys(("bkl", "df", "vasc"), "other"),
}


class _Source(NamedTuple):
    """A source: images or paths, labels, groups, classes and description.

    `labels` are the joint labels; `classes` are those that the source may have, and
    `has_names` is False if they are numbers without names.
    """

    name: str
    items: Any
    are_paths: bool
    labels: np.ndarray
    own_labels: np.ndarray
    groups: np.ndarray
    classes: list[str]
    has_names: bool
    description: str


@validate_params(
    {
        "sources": [Mapping],
        "labels": [Mapping, StrOptions({"melanoma"}), None],
        "target_names": ["array-like", None],
    },
    prefer_skip_nested_validation=True,
)
def join_sources(
    sources: Mapping[str, Any],
    *,
    labels: Mapping[Any, Any] | Literal["melanoma"] | None = None,
    target_names: Sequence[str] | None = None,
) -> Bunch:
    """Join data sets of several sources, such as clinics, into one.

    Labels are translated to joint ones. The result has the source of each image, which
    :func:`skinest.model_selection.cross_source_table` and
    :class:`~sklearn.model_selection.LeaveOneGroupOut` use to test on images of another
    source than those trained on.

    Parameters
    ----------
    sources : dict of str to Bunch or tuple
        The data set of each source, by its name: the result of a function of
        :mod:`skinest.datasets`, or ``(X, y)`` or ``(X, y, groups)``, with images in any
        form, see :mod:`skinest.images`. All sources have paths, or all have arrays.

    labels : "melanoma", dict or None, default=None
        The joint label for each label of the sources, as
        ``{"MEL": "melanoma", "NV": "nevus", "BCC": None}``. Images whose joint label is
        None are left out. If a label does not mean the same in all sources, pass such a
        dict for each source: ``{"ISIC 2016": {...}, "HAM10000": {...}}``.

        "melanoma" knows the labels of all functions of :mod:`skinest.datasets`, and
        those of the ISIC challenges. It joins them to "other" and "melanoma", in this
        order. In ISIC 2016 all malignant lesions are melanomas; if this is not so in
        your data, pass a dict.

        None needs the same labels in all sources. Numbers may mean other classes in
        each source, such as 0 for melanoma in one and 1 in another. Pass the Bunch, or
        the names as `y`: ``np.array(data.target_names)[data.target]``.

    target_names : list of str, default=None
        All joint labels, in the order of their numbers. None sorts them. With two
        classes, metrics of scikit-learn take class 1, the second name, as the positive
        one.

    Returns
    -------
    data : :class:`~sklearn.utils.Bunch`
        Dictionary-like object with the attributes:

        paths or images : ndarray of shape (n_images, ...)
            The images of all sources, one source after the other: `paths` if the
            sources have paths, otherwise `images`. Images of several sizes are in a 1-d
            array of dtype object.
        target : ndarray of shape (n_images,), dtype int
            The joint class of each image, as an index into `target_names`.
        target_names : list of str
            The joint labels, in the order of their numbers.
        groups : ndarray of shape (n_images,), dtype object
            The group of each image after the name of its source, such as
            ``"HAM10000/HAM_0000118"``, so that sources share no group. In a source
            without groups, each image is a group.
        source : ndarray of shape (n_images,), dtype object
            The name of the source (str) of each image.
        source_names : list of str
            The names of the sources, in the order in which they were passed.
        source_labels : ndarray of shape (n_images,), dtype object
            The label (str) of each image in its source.
        DESCR : str
            The number of images of each source and class, and the descriptions and
            licences of the sources.

    Raises
    ------
    ValueError
        If a source has a label that `labels` does not name, has paths where another has
        arrays, or has a file that is in another source too, or if an argument is
        invalid.
    FileNotFoundError
        If files are missing.

    Warns
    -----
    UserWarning
        If sources without names of classes have integer labels, and `labels` is None.

    See Also
    --------
    skinest.model_selection.cross_source_table : Scores on images of other sources.
    skinest.sampling.weigh_sources : Weights that balance classes within each source.

    Examples
    --------
    >>> from skinest.datasets import join_sources, make_dermoscopy
    >>> data = join_sources(
    ...     {
    ...         "north": make_dermoscopy(20, random_state=0),
    ...         "south": make_dermoscopy(10, task="diagnosis", random_state=1),
    ...     },
    ...     labels="melanoma",
    ... )
    >>> data.images.shape, data.target_names
    ((30, 128, 128, 3), ['other', 'melanoma'])
    >>> print(data.DESCR.splitlines()[3])
    north: 20 images, 16 other and 4 melanoma
    >>> data.groups[-1]
    'south/L0000009'

    The real ones: ``{"ISIC 2016": fetch_isic2016_part3(), "HAM10000":
    fetch_isic2018_task3()}``.
    """
    _check_names(sources)
    joined = [_read(name, data, labels) for name, data in sources.items()]
    _check_files(joined)
    if target_names is not None:
        target_names = list(map(str, target_names))
    elif labels is None:
        _check_same_labels(joined)
    elif labels == "melanoma":
        target_names = _MELANOMA_NAMES
    joint = np.concatenate([source.labels for source in joined])
    if not len(joint):
        raise ValueError("labels is None for all images, so none is left.")
    found = dict.fromkeys(target_names or (), "")  # a class may have no image
    for source in joined:
        for label in source.labels:
            found.setdefault(label, f"in {source.name!r}")
    names = order_classes(found, target_names, "the sources")
    if labels is None:
        _warn_of_numbers(joined)
    number_of = {name: number for number, name in enumerate(names)}
    target = np.array([number_of[label] for label in joint], dtype=int)
    return Bunch(
        **{"paths" if joined[0].are_paths else "images": _concatenate(joined)},
        target=target,
        target_names=names,
        groups=np.concatenate([source.groups for source in joined]),
        source=np.repeat(
            np.array([source.name for source in joined], dtype=object),
            [len(source.labels) for source in joined],
        ),
        source_names=[source.name for source in joined],
        source_labels=np.concatenate([source.own_labels for source in joined]),
        DESCR=_describe(joined, names),
    )


def _check_names(sources):
    if len(sources) < 2:
        raise ValueError(
            f"sources has {list(sources)}. Pass two sources or more, as a dict of "
            "their names and data sets."
        )
    for name in sources:
        if not isinstance(name, str) or not name or "/" in name:
            raise ValueError(
                f"{name!r} is not a name of a source. Pass a text without '/', which "
                "is between source and group in the names of groups."
            )


def _read(name, data, labels) -> _Source:
    """Check the data of a source, and translate its labels."""
    place = f"sources[{name!r}]"
    X, y, groups, classes, description = _unpack(data, place)
    images = check_images(X, y, name=place)
    own = list(map(name_label, as_column(y, f"y of {place}").tolist()))
    if classes is not None:
        own = _name_classes(own, classes, place)
    translated = _translate(own, _find_mapping(labels, name), place)
    kept = np.flatnonzero([label is not None for label in translated])
    groups = check_groups(groups, len(images), f"groups of {place}")
    if groups is None:
        groups = np.arange(len(images))
    return _Source(
        name,
        _take(images._items, kept),
        images.from_files,
        np.array(translated, dtype=object)[kept],
        np.array(own, dtype=object)[kept],
        np.array([f"{name}/{name_label(groups[i])}" for i in kept], dtype=object),
        sorted(set(own)) if classes is None else classes,
        classes is not None or not all(label.isdecimal() for label in own),
        description,
    )


def _name_classes(numbers, classes, place):
    for number in set(numbers):
        if not number.isdigit() or int(number) >= len(classes):
            raise ValueError(
                f"{place} has the target {number}, which is not an index into its "
                f"target_names, {classes}."
            )
    return [classes[int(number)] for number in numbers]


def _take(items, positions):
    """Select images, as an array if they are one."""
    if isinstance(items, np.ndarray):
        return items[positions]
    return [items[position] for position in positions]


def _unpack(data, place):
    """Return images, labels, groups, names of classes and description of a data set.

    Groups and names of classes may be None.
    """
    if isinstance(data, tuple) and len(data) in (2, 3):
        X, y, groups = (*data, None)[:3]
        return X, y, groups, None, ""
    if not isinstance(data, Mapping):
        raise ValueError(
            f"{place} is of type {type(data).__name__}. Pass a Bunch of "
            "skinest.datasets, (X, y) or (X, y, groups)."
        )
    X = data["paths"] if "paths" in data else data.get("images")
    for what, value in (("paths or images", X), ("target", data.get("target"))):
        if value is None:
            raise ValueError(
                f"{place} has no {what}. Pass a Bunch of skinest.datasets with "
                "classes, (X, y) or (X, y, groups)."
            )
    classes = data.get("target_names")
    classes = None if classes is None else [str(name) for name in classes]
    return X, data["target"], data.get("groups"), classes, data.get("DESCR", "")


def _find_mapping(labels, name):
    """Return the part of `labels` that is for a source."""
    if not isinstance(labels, Mapping):
        return labels
    if not any(isinstance(value, Mapping) for value in labels.values()):
        return labels
    if not isinstance(labels.get(name), Mapping):
        raise ValueError(
            f"labels has dicts for {list(labels)}, but not for {name!r}. Pass one dict "
            "for all sources, or one for each."
        )
    return labels[name]


def _translate(own, labels, place):
    """Return the joint label for each label of a source."""
    if labels is None:
        return own
    if labels == "melanoma":
        joint_of = {
            label: _MELANOMA[label.lower()]
            for label in set(own)
            if label.lower() in _MELANOMA
        }
    else:
        joint_of = {name_label(label): joint for label, joint in labels.items()}
    unknown = sorted(set(own) - set(joint_of))
    if unknown:
        raise ValueError(
            f"{place} has the labels {unknown}, and labels={labels!r} does not name "
            "them. Add the joint label of each, or None to leave its images out."
        )
    joint = [joint_of[label] for label in own]
    return [None if label is None else str(label) for label in joint]


def _check_files(joined):
    """Raise ValueError if some sources have paths only, or share a file."""
    first = joined[0]
    for source in joined:
        if source.are_paths != first.are_paths:
            paths, arrays = sorted((first, source), key=lambda s: not s.are_paths)
            raise ValueError(
                f"{paths.name!r} has paths and {arrays.name!r} has arrays. Save the "
                "arrays as files, or read the files by skinest.images.read_image."
            )
    if not first.are_paths:
        return
    source_of: dict[str, str] = {}
    for source in joined:
        for path in set(map(os.path.realpath, source.items)):
            other = source_of.setdefault(path, source.name)
            if other != source.name:
                raise ValueError(
                    f"{other!r} and {source.name!r} both have {path}. Remove it from "
                    "one of them."
                )


def _check_same_labels(joined):
    """Raise ValueError if a source has a label that another one does not have."""
    for source, other in permutations(joined, 2):
        foreign = sorted(set(source.classes) - set(other.classes))
        if foreign:
            raise ValueError(
                f"The labels {foreign} of {source.name!r} are not in {other.name!r}, "
                f"which has {sorted(other.classes)}. Pass the joint label of each in "
                "labels, or all classes in target_names."
            )


def _warn_of_numbers(joined):
    """Warn if the integer labels of several sources have no names."""
    unnamed = [source for source in joined if not source.has_names]
    if len(unnamed) > 1:
        warnings.warn(
            f"The integer labels of {', '.join(repr(each.name) for each in unnamed)} "
            "have no names, and a number may mean other classes in each. Pass names, "
            "such as np.array(data.target_names)[data.target], or the joint label of "
            "each number in labels.",
            stacklevel=_STACKLEVEL,
        )


def _concatenate(joined):
    """Return the images of all sources, as one array if they have one size."""
    parts = [source.items for source in joined]
    forms = {
        (part.shape[1:], part.dtype) if isinstance(part, np.ndarray) else None
        for part in parts
    }
    if len(forms) == 1 and None not in forms:
        return np.concatenate(parts)
    images = np.empty(sum(map(len, parts)), dtype=object)
    for position, image in enumerate(chain.from_iterable(parts)):
        images[position] = image
    return images


def _describe(joined, names):
    """Describe the images of each source and class, and repeat what is known of each.

    The descriptions of the sources have their licences.
    """
    lines = ["Images of several sources", "-------------------------", ""]
    for source in joined:
        count_of = Counter(source.labels)
        counts = [f"{count_of[name]} {name}" for name in names]
        head = ", ".join(counts[:-1])
        counted = f"{head} and {counts[-1]}" if head else counts[-1]
        lines.append(f"{source.name}: {len(source.labels)} images, {counted}")
    parts = [f"{s.name}\n{'=' * len(s.name)}\n\n{s.description}" for s in joined]
    return "\n\n".join(["\n".join(lines), *parts])
