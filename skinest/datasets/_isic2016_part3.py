"""Images of the ISIC 2016 challenge, benign or malignant."""

# Authors: The skinest developers
# SPDX-License-Identifier: BSD-3-Clause

from __future__ import annotations

from typing import TYPE_CHECKING, Literal, overload

import numpy as np
from sklearn.utils import Bunch

from .._compat import validate_params
from ._sources import ISIC2016_REFERENCE, Challenge
from ._tables import read_labelled

if TYPE_CHECKING:
    from .._typing import Labels, PathLike, Paths

_PART3 = Challenge(
    2016,
    {"train": "ISBI2016_ISIC_Part3_Training", "test": "ISBI2016_ISIC_Part3_Test"},
    truth="GroundTruth.csv",
    images="Data.zip",
)

# The training file has words, and the test file has numbers.
_LABELS = {"benign": 0, "malignant": 1, "0.0": 0, "1.0": 1}

_DESCR = """\
ISIC 2016 challenge, part 3: lesion classification
--------------------------------------------------

Dermoscopic images of skin lesions, each benign or malignant (melanoma). The
challenge has 900 training images (727 benign, 173 malignant) and 379 test images
(304 benign, 75 malignant), as JPEG files of many sizes.

Subset {subset!r}: {n_images} images were found ({n_benign} benign and
{n_malignant} malignant).
"""
_DESCR += ISIC2016_REFERENCE


@overload
def fetch_isic2016_part3(
    data_home: PathLike | None = None,
    *,
    subset: Literal["train", "test", "all"] = "train",
    download_if_missing: bool = True,
    return_X_y: Literal[False] = False,
) -> Bunch: ...
@overload
def fetch_isic2016_part3(
    data_home: PathLike | None = None,
    *,
    subset: Literal["train", "test", "all"] = "train",
    download_if_missing: bool = True,
    return_X_y: Literal[True],
) -> tuple[Paths, Labels]: ...
@validate_params(_PART3.constraints, prefer_skip_nested_validation=True)
def fetch_isic2016_part3(
    data_home: PathLike | None = None,
    *,
    subset: Literal["train", "test", "all"] = "train",
    download_if_missing: bool = True,
    return_X_y: bool = False,
) -> Bunch | tuple[Paths, Labels]:
    """Load the ISIC 2016 part 3 images, benign or malignant (classification).

    Missing files are downloaded. An interrupted download continues at the next call.
    Archives in `data_home` are extracted once; you can also extract them yourself.

    =================   ====================================
    Classes                                                2
    Training images     900 (727 benign, 173 malignant)
    Test images         379 (304 benign, 75 malignant)
    Form                JPEG, RGB, of different sizes
    =================   ====================================

    Parameters
    ----------
    data_home : str or path-like, default=None
        Folder of the official files, see :func:`get_data_home`. Archives are extracted
        into it. If it is read-only, they are extracted into the folder in the
        environment variable ``SKINEST_CACHE`` or, by default, into the user's cache.

    subset : {"train", "test", "all"}, default="train"
        The training images, the test images, or the training images followed by
        the test images.

    download_if_missing : bool, default=True
        Whether to download missing files. If False, an error is raised instead.

    return_X_y : bool, default=False
        Whether to return ``(paths, target)`` instead of a `Bunch`.

    Returns
    -------
    data : :class:`~sklearn.utils.Bunch`
        Dictionary-like object with the attributes:

        paths : ndarray of shape (n_images,), dtype object
            Absolute paths (str) of the JPEG files, in the order of the official
            ground truth.
        target : ndarray of shape (n_images,), dtype int
            0 for benign, 1 for malignant.
        target_names : list of str
            ``["benign", "malignant"]``.
        DESCR : str
            Description, licence and citation, with the number of images.

    (paths, target) : tuple of ndarrays
        Only these two if `return_X_y` is True.

    Raises
    ------
    OSError
        If a file is missing and `download_if_missing` is False, its download fails,
        or the disk is full.
    ValueError
        If an archive is damaged, a label is unknown, an image has no label, or a
        label has no image.

    See Also
    --------
    fetch_isic2018_task3 : Images with seven diagnoses, grouped by lesion.
    join_sources : Joins these images with those of other data sets.
    make_dermoscopy : Synthetic images with the same two classes; no download.

    Notes
    -----
    The images are in the public domain (CC0 1.0). Please cite [1]_.

    References
    ----------
    .. [1] Gutman, D., Codella, N. C. F., Celebi, E., et al. (2016). Skin Lesion
       Analysis toward Melanoma Detection: A Challenge at the International
       Symposium on Biomedical Imaging (ISBI) 2016, hosted by the International
       Skin Imaging Collaboration (ISIC). arXiv:1605.01397.

    Examples
    --------
    >>> from skinest.datasets import fetch_isic2016_part3
    >>> data = fetch_isic2016_part3(subset="test")  # doctest: +SKIP
    >>> data.paths.shape  # doctest: +SKIP
    (379,)
    """
    files = _PART3.require(data_home, subset, download_if_missing)
    found = read_labelled(files, _parse_label)
    if return_X_y:
        return found.paths, found.target
    n_benign, n_malignant = np.bincount(found.target, minlength=2)
    return Bunch(
        paths=found.paths,
        target=found.target,
        target_names=["benign", "malignant"],
        DESCR=_DESCR.format(
            subset=subset,
            n_images=len(found.target),
            n_benign=n_benign,
            n_malignant=n_malignant,
        ),
    )


def _parse_label(fields):
    """Return 0 or 1 from the field after the name of the image."""
    if len(fields) != 1 or fields[0] not in _LABELS:
        raise ValueError(f"is not a name and one of the labels {', '.join(_LABELS)}.")
    return _LABELS[fields[0]]
