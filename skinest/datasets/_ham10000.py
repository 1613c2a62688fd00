"""Images of the HAM10000 collection, as the ISIC 2018 challenge gave them out."""

# Authors: The skinest developers
# SPDX-License-Identifier: BSD-3-Clause

import os
from typing import NamedTuple

import numpy as np
from sklearn.utils import Bunch
from sklearn.utils._param_validation import validate_params

from ._archives import extract_archive
from ._base import resolve_data_home
from ._download import require_file
from ._tables import check_all_known, check_same_names, list_images, read_table

_BASE_URL_2018 = "https://isic-challenge-data.s3.amazonaws.com/2018/"

_TASK3_STEM = "ISIC2018_Task3_Training"
TASK3_NAMES = ["MEL", "NV", "BCC", "AKIEC", "BKL", "DF", "VASC"]
_LABEL_HEADER = ["image", *TASK3_NAMES]
_LESION_HEADER = ["image", "lesion_id", "diagnosis_confirm_type"]

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

The challenge has 10,015 training images of 7,470 lesions, JPEG of 600 x 450 pixels.
Several images may show one lesion: use `lesion_ids` as groups whenever the images
are split.

Here, {n_images} images of {n_lesions} lesions were found:
{counts}.

Licence: CC BY-NC 4.0 (attribution, no commercial use). HAM10000 Dataset: (c) by
ViDIR Group, Department of Dermatology, Medical University of Vienna.

Tschandl, P., Rosendahl, C., and Kittler, H. (2018). The HAM10000 dataset, a large
collection of multi-source dermatoscopic images of common pigmented skin lesions.
Scientific Data 5, 180161. doi:10.1038/sdata.2018.161. Data: Harvard Dataverse,
doi:10.7910/DVN/DBW86T.

Codella, N., Rotemberg, V., Tschandl, P., Celebi, M. E., Dusza, S., Gutman, D.,
Helba, B., Kalloo, A., Liopyris, K., Marchetti, M., Kittler, H., and Halpern, A.
(2018). Skin Lesion Analysis Toward Melanoma Detection 2018: A Challenge Hosted by
the International Skin Imaging Collaboration (ISIC). arXiv:1902.03368.
"""


@validate_params(
    {
        "data_home": [str, os.PathLike, None],
        "download_if_missing": ["boolean"],
        "return_X_y": ["boolean"],
    },
    prefer_skip_nested_validation=True,
)
def fetch_isic2018_task3(data_home=None, *, download_if_missing=True, return_X_y=False):
    """Load the ISIC 2018 task 3 images, of seven diagnoses (classification).

    These are the training images of the challenge, known as HAM10000. Several of
    them may show one lesion, so a split has to be grouped by `lesion_ids`: a lesion
    on both sides of it makes a classifier look better than it is.

    Missing files are downloaded; archives that are in `data_home` already are
    used as they are, and extracted once. They may hold a part of the images and
    the labels of just these; lesions of further images do not matter.

    =================   ====================================
    Classes                                                7
    Images                                            10,015
    Lesions                                            7,470
    Form                JPEG, RGB, 600 x 450 pixels
    =================   ====================================

    Parameters
    ----------
    data_home : str or path-like, default=None
        The folder of the official files, see :func:`get_data_home`. Archives are
        extracted into it, or, if it is read-only, into the folder named by the
        environment variable ``SKINEST_CACHE``, else into the user's cache.

    download_if_missing : bool, default=True
        If False, raise an error instead of downloading what is missing (some
        gigabytes in all).

    return_X_y : bool, default=False
        Return ``(paths, target)`` instead of a `Bunch`. The lesions are not among
        them: enough to train on all images, not to split them.

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
            the official ground truth; `DESCR` says what they stand for.
        lesion_ids : ndarray of shape (n_images,), dtype object
            The lesion (str) that each image shows. Pass it as `groups` to what
            splits the images.
        DESCR : str
            Description, licence and citations, with the numbers of images and
            lesions found.

    (paths, target) : tuple of ndarrays
        Only these two, if `return_X_y` is True.

    Raises
    ------
    OSError
        If a file is missing and `download_if_missing` is False, or its download
        fails; nothing is left of a failed download.
    ValueError
        If an archive is damaged or unsafe to extract, a table has another header
        than the official one, a label is not one-hot, an image has no label or
        two, or no lesion, or a label has no image.

    See Also
    --------
    fetch_ham10000_masks : The same images with masks of the lesions.
    fetch_isic2016_part3 : Benign and malignant lesions.
    make_dermoscopy : Synthetic images; no download.

    Notes
    -----
    The images may be used with attribution, not commercially (CC BY-NC 4.0).
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
    ...     data.paths, data.target, groups=data.lesion_ids
    ... )  # doctest: +SKIP
    """
    data = read_task3(resolve_data_home(data_home), download_if_missing)
    if return_X_y:
        return data.paths, data.target
    return Bunch(
        paths=data.paths,
        target=data.target,
        target_names=list(TASK3_NAMES),
        lesion_ids=data.lesion_ids,
        DESCR=_TASK3_DESCR.format(**describe_found(data)),
    )


class Task3(NamedTuple):
    """What the files of the challenge say, in the order of the ground truth.

    `paths`, `target` and `lesion_ids` are those of :func:`fetch_isic2018_task3`.
    `names` are the ids of the images, and `place` says in errors where the images
    are.
    """

    names: list
    paths: np.ndarray
    target: np.ndarray
    lesion_ids: np.ndarray
    place: str


def read_task3(folder, download_if_missing):
    """Get images, diagnoses and lesions of a folder, as :class:`Task3`."""
    labels_archive = folder / f"{_TASK3_STEM}_GroundTruth.zip"
    lesions = folder / f"{_TASK3_STEM}_LesionGroupings.csv"
    archive = folder / f"{_TASK3_STEM}_Input.zip"
    for file in (labels_archive, lesions, archive):
        require_file(
            file, _BASE_URL_2018 + file.name, download_if_missing=download_if_missing
        )
    labels = _find_labels(labels_archive)
    label_of = read_table(labels, _parse_one_hot, header=_LABEL_HEADER)
    lesion_of = read_table(lesions, _parse_lesion, header=_LESION_HEADER)
    images = extract_archive(archive)
    path_of = list_images(images)
    place = f"{archive} (in {images})"
    check_same_names(label_of, path_of, labels, place)
    check_all_known(label_of, lesion_of, f"images in {place}", f"lesion in {lesions}")
    return Task3(
        names=list(label_of),
        paths=np.array([path_of[name] for name in label_of], dtype=object),
        target=np.array(list(label_of.values()), dtype=int),
        lesion_ids=np.array([lesion_of[name] for name in label_of], dtype=object),
        place=place,
    )


def describe_found(data):
    """Numbers of images, of lesions and of each diagnosis, for a description."""
    counts = np.bincount(data.target, minlength=len(TASK3_NAMES))
    return {
        "n_images": len(data.target),
        "n_lesions": len(set(data.lesion_ids)),
        "counts": ", ".join(
            f"{count} {name}" for count, name in zip(counts, TASK3_NAMES, strict=True)
        ),
    }


def _find_labels(archive):
    """Path of the table in the archive of the ground truth."""
    labels = extract_archive(archive) / f"{archive.stem}.csv"
    if not labels.is_file():
        raise ValueError(
            f"The archive {archive} (in {labels.parent}) holds no {labels.name}."
        )
    return labels


def _parse_one_hot(fields):
    """Index of the one field that is 1 while the others are 0."""
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
    """The id of the lesion, from the fields of a line after its name."""
    lesion_id, _ = fields
    if not lesion_id:
        raise ValueError("names no lesion.")
    return lesion_id
