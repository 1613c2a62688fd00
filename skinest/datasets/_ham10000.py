"""Images of the HAM10000 collection, as published by the ISIC 2018 challenge."""

# Authors: The skinest developers
# SPDX-License-Identifier: BSD-3-Clause

from __future__ import annotations

from typing import TYPE_CHECKING, Literal, overload

import numpy as np
from sklearn.utils import Bunch

from .._compat import validate_params
from ._sources import Challenge
from ._tables import ADD_LINES, check_all_known, read_labelled, read_table

if TYPE_CHECKING:
    from .._typing import Labels, PathLike, Paths

TASK3 = Challenge(
    2018,
    {
        "train": "ISIC2018_Task3_Training",
        "valid": "ISIC2018_Task3_Validation",
        "test": "ISIC2018_Task3_Test",
    },
    truth="GroundTruth.zip",
    images="Input.zip",
)
TASK3_NAMES = ["MEL", "NV", "BCC", "AKIEC", "BKL", "DF", "VASC"]
_LABEL_HEADER = ["image", *TASK3_NAMES]
_LESION_HEADER = ["image", "lesion_id", "diagnosis_confirm_type"]

# End of the descriptions of all data of HAM10000.
HAM10000_REFERENCE = """
Licence: CC BY-NC 4.0 (attribution, no commercial use). HAM10000 Dataset: (c) by
ViDIR Group, Department of Dermatology, Medical University of Vienna.

Tschandl, P., Rosendahl, C., and Kittler, H. (2018). The HAM10000 dataset, a large
collection of multi-source dermatoscopic images of common pigmented skin lesions.
Scientific Data 5, 180161. doi:10.1038/sdata.2018.161. Data: Harvard Dataverse,
doi:10.7910/DVN/DBW86T.
"""

_TASK3_DESCR = """\
ISIC 2018 challenge, task 3: lesion diagnosis (HAM10000)
--------------------------------------------------------

Dermoscopic images of pigmented skin lesions, each with one of seven diagnoses:

- MEL: melanoma
- NV: melanocytic nevus
- BCC: basal cell carcinoma
- AKIEC: actinic keratosis or Bowen's disease (intraepithelial carcinoma)
- BKL: benign keratosis (solar lentigo, seborrheic keratosis, lichen planus-like
  keratosis)
- DF: dermatofibroma
- VASC: vascular lesion

The challenge has 10,015 training images of 7,470 lesions (HAM10000), 193 validation
images and 1,512 test images, as JPEG files of 600 x 450 pixels. Several images may
show the same lesion: to split the images, pass the lesions as `groups`. They are known
for the training images only.

Subset {subset!r}: {n_images} images{of_lesions} were found:
{counts}.
"""
_TASK3_DESCR += HAM10000_REFERENCE
_TASK3_DESCR += """
Codella, N., Rotemberg, V., Tschandl, P., Celebi, M. E., Dusza, S., Gutman, D.,
Helba, B., Kalloo, A., Liopyris, K., Marchetti, M., Kittler, H., and Halpern, A.
(2018). Skin Lesion Analysis Toward Melanoma Detection 2018: A Challenge Hosted by
the International Skin Imaging Collaboration (ISIC). arXiv:1902.03368.
"""


@overload
def fetch_isic2018_task3(
    data_home: PathLike | None = None,
    *,
    subset: Literal["train", "valid", "test", "all"] = "train",
    download_if_missing: bool = True,
    return_X_y: Literal[False] = False,
) -> Bunch: ...
@overload
def fetch_isic2018_task3(
    data_home: PathLike | None = None,
    *,
    subset: Literal["train", "valid", "test", "all"] = "train",
    download_if_missing: bool = True,
    return_X_y: Literal[True],
) -> tuple[Paths, Labels]: ...
@validate_params(TASK3.constraints, prefer_skip_nested_validation=True)
def fetch_isic2018_task3(
    data_home: PathLike | None = None,
    *,
    subset: Literal["train", "valid", "test", "all"] = "train",
    download_if_missing: bool = True,
    return_X_y: bool = False,
) -> Bunch | tuple[Paths, Labels]:
    """Load the ISIC 2018 task 3 images with seven diagnoses (classification).

    The training images of the challenge are known as HAM10000. Several of them may
    show the same lesion. Split them by `groups`: if a lesion is in both the training
    and the test images, scores are too optimistic.

    Missing files are downloaded. An interrupted download continues at the next call.
    Archives in `data_home` are extracted once; you can also extract them yourself. They
    may contain a part of the images, with labels for the same images. Lesions of other
    images are ignored.

    =================   ====================================
    Classes                                                7
    Training images     10,015 of 7,470 lesions
    Validation images   193, lesions unknown
    Test images         1,512, lesions unknown
    Form                JPEG, RGB, 600 x 450 pixels
    =================   ====================================

    Parameters
    ----------
    data_home : str or path-like, default=None
        Folder of the official files, see :func:`get_data_home`. Archives are extracted
        into it. If it is read-only, they are extracted into the folder in the
        environment variable ``SKINEST_CACHE`` or, by default, into the user's cache.

    subset : {"train", "valid", "test", "all"}, default="train"
        The training, validation or test images, or all of them in this order.

    download_if_missing : bool, default=True
        Whether to download missing files, several gigabytes in all. If False, an error
        is raised instead.

    return_X_y : bool, default=False
        Whether to return ``(paths, target)`` instead of a `Bunch`. These are enough to
        train on all images, but without the lesions they cannot be split.

    Returns
    -------
    data : :class:`~sklearn.utils.Bunch`
        Dictionary-like object with the attributes:

        paths : ndarray of shape (n_images,), dtype object
            Absolute paths (str) of the JPEG files, in the order of the official
            ground truth.
        target : ndarray of shape (n_images,), dtype int
            The diagnosis of each image, as an index into `target_names`.
        target_names : list of str
            ``["MEL", "NV", "BCC", "AKIEC", "BKL", "DF", "VASC"]``, the columns of
            the official ground truth. `DESCR` explains them.
        groups : ndarray of shape (n_images,), dtype object
            The lesion (str) of each image, for splitters. Only with
            ``subset="train"``: for other subsets the lesions are not known, and
            an AttributeError is raised.
        DESCR : str
            Description, licence and citations, with the numbers of images and
            lesions that were found.

    (paths, target) : tuple of ndarrays
        Only these two if `return_X_y` is True.

    Raises
    ------
    OSError
        If a file is missing and `download_if_missing` is False, its download fails,
        or the disk is full.
    ValueError
        If an archive is damaged, the header of a table is not the official one, a
        label is not one-hot or has no image, or an image has two labels, no label or
        no lesion.

    See Also
    --------
    fetch_ham10000_masks : The same images, with masks of the lesions.
    fetch_isic2016_part3 : Benign and malignant lesions.
    join_sources : Joins these images with those of other data sets.
    make_dermoscopy : Synthetic images; no download.

    Notes
    -----
    The images may be used with attribution, but not commercially (CC BY-NC 4.0).
    Please cite [1]_ and [2]_.

    References
    ----------
    .. [1] Tschandl, P., Rosendahl, C., and Kittler, H. (2018). The HAM10000
       dataset, a large collection of multi-source dermatoscopic images of common
       pigmented skin lesions. Scientific Data 5, 180161.
       doi:10.1038/sdata.2018.161. Data: doi:10.7910/DVN/DBW86T.

    .. [2] Codella, N., Rotemberg, V., Tschandl, P., et al. (2018). Skin Lesion
       Analysis Toward Melanoma Detection 2018: A Challenge Hosted by the
       International Skin Imaging Collaboration (ISIC). arXiv:1902.03368.

    Examples
    --------
    >>> from sklearn.model_selection import StratifiedGroupKFold
    >>> from skinest.datasets import fetch_isic2018_task3
    >>> data = fetch_isic2018_task3()  # doctest: +SKIP
    >>> data.paths.shape  # doctest: +SKIP
    (10015,)
    >>> folds = StratifiedGroupKFold(n_splits=5).split(
    ...     data.paths, data.target, groups=data.groups
    ... )  # doctest: +SKIP
    """
    found, groups = read_task3(data_home, subset, download_if_missing)
    if return_X_y:
        return found.paths, found.target
    has_groups = groups is not None
    return (Bunch if has_groups else _BunchWithoutGroups)(
        paths=found.paths,
        target=found.target,
        target_names=list(TASK3_NAMES),
        **({"groups": groups} if has_groups else {}),
        DESCR=_TASK3_DESCR.format(subset=subset, **describe_found(found, groups)),
    )


class _BunchWithoutGroups(Bunch):
    def __getattr__(self, name):
        if name == "groups" and name not in self:
            raise AttributeError(
                "The lesions (groups) are known for the training images only: use "
                "subset='train'. Without them, images cannot be split by lesion."
            )
        return super().__getattr__(name)


def read_task3(data_home, subset, download_if_missing):
    """Return images Labelled with diagnoses, and their lesions or None."""
    if subset != "train":
        files = TASK3.require(data_home, subset, download_if_missing)
        return read_labelled(files, _parse_one_hot, header=_LABEL_HEADER), None
    name = f"{TASK3.stems[subset]}_LesionGroupings.csv"
    files = TASK3.require(data_home, subset, download_if_missing, others=[name])
    lesions = files[0][0].with_name(name)
    # Read before the images are extracted.
    lesion_of = read_table(lesions, _parse_lesion, header=_LESION_HEADER)
    found = read_labelled(files, _parse_one_hot, header=_LABEL_HEADER)
    check_all_known(
        found.names,
        lesion_of,
        ("image", f" in {found.place}"),
        ("lesion", f" in {lesions}"),
        ADD_LINES,
    )
    return found, np.array([lesion_of[name] for name in found.names], dtype=object)


def describe_found(found, groups):
    """Count images, lesions and diagnoses, for a description."""
    counts = np.bincount(found.target, minlength=len(TASK3_NAMES))
    return {
        "n_images": len(found.target),
        "of_lesions": "" if groups is None else f" of {len(set(groups))} lesions",
        "counts": ", ".join(
            f"{count} {name}" for count, name in zip(counts, TASK3_NAMES, strict=True)
        ),
    }


def _parse_one_hot(fields):
    """Return the index of the field that is 1, if the others are 0."""
    try:
        values = [float(field) for field in fields]
    except ValueError:
        values = []
    if sorted(values) != [0.0] * (len(fields) - 1) + [1.0]:
        raise ValueError(
            f"is not one-hot: one of {', '.join(TASK3_NAMES)} must be 1, the others 0."
        )
    return values.index(1.0)


def _parse_lesion(fields):
    """Return the id of the lesion, from the fields after the name of the image."""
    lesion_id, _ = fields
    if not lesion_id:
        raise ValueError("has no lesion.")
    return lesion_id
