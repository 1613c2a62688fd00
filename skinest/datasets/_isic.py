"""Images of the ISIC challenges."""

# Authors: The skinest developers
# SPDX-License-Identifier: BSD-3-Clause

import os

import numpy as np
from sklearn.utils import Bunch
from sklearn.utils._param_validation import StrOptions, validate_params

from ._archives import extract_archive
from ._base import resolve_data_home
from ._sources import require_official
from ._tables import check_same_names, list_images, read_table

_PART3_STEMS = {
    "train": ("ISBI2016_ISIC_Part3_Training",),
    "test": ("ISBI2016_ISIC_Part3_Test",),
    "all": ("ISBI2016_ISIC_Part3_Training", "ISBI2016_ISIC_Part3_Test"),
}

# The training file has words, the test file numbers.
_PART3_LABELS = {"benign": 0, "malignant": 1, "0.0": 0, "1.0": 1}

_PART3_DESCR = """\
ISIC 2016 challenge, part 3: lesion classification
--------------------------------------------------

Dermoscopic images of skin lesions, each benign or malignant (melanoma). The
challenge has 900 training images (727 benign, 173 malignant) and 379 test images
(304 benign, 75 malignant), in JPEG, of many sizes.

Here, subset {subset!r}: {n_images} images were found ({n_benign} benign and
{n_malignant} malignant).

Licence: CC0 1.0.

Gutman, D., Codella, N. C. F., Celebi, E., Helba, B., Marchetti, M., Mishra, N.,
and Halpern, A. (2016). Skin Lesion Analysis toward Melanoma Detection: A Challenge
at the International Symposium on Biomedical Imaging (ISBI) 2016, hosted by the
International Skin Imaging Collaboration (ISIC). arXiv:1605.01397.
"""


@validate_params(
    {
        "data_home": [str, os.PathLike, None],
        "subset": [StrOptions({"train", "test", "all"})],
        "download_if_missing": ["boolean"],
        "return_X_y": ["boolean"],
    },
    prefer_skip_nested_validation=True,
)
def fetch_isic2016_part3(
    data_home=None, *, subset="train", download_if_missing=True, return_X_y=False
):
    """Load the ISIC 2016 part 3 images, benign or malignant (classification).

    Missing files are downloaded; an interrupted download goes on at the next call.
    Archives that are in `data_home` already are used as they are, and extracted once;
    so are folders into which you have extracted them by hand.

    =================   ====================================
    Classes                                                2
    Training images     900 (727 benign, 173 malignant)
    Test images         379 (304 benign, 75 malignant)
    Form                JPEG, RGB, of different sizes
    =================   ====================================

    Parameters
    ----------
    data_home : str or path-like, default=None
        The folder of the official files, see :func:`get_data_home`. Images are
        extracted into it, or, if it is read-only, into the folder named by the
        environment variable ``SKINEST_CACHE``, else into the user's cache.

    subset : {"train", "test", "all"}, default="train"
        The training images, the test images, or the training images followed by
        the test images.

    download_if_missing : bool, default=True
        If False, raise an error instead of downloading what is missing.

    return_X_y : bool, default=False
        Return ``(paths, target)`` instead of a `Bunch`.

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
            Description, licence and citation, with the number of images found.

    (paths, target) : tuple of ndarrays
        Only these two, if `return_X_y` is True.

    Raises
    ------
    OSError
        If a file is missing and `download_if_missing` is False, its download fails,
        or the disk is full. Nothing half-made is left in `data_home`.
    ValueError
        If an archive is damaged or unsafe to extract, a label is unknown, an
        image has no label, or a label has no image.

    See Also
    --------
    fetch_isic2018_task3 : Images of seven diagnoses, with the lesions they show.
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
    folder = resolve_data_home(data_home)
    stems = _PART3_STEMS[subset]
    files = [
        folder / f"{stem}_{ending}"
        for stem in stems
        for ending in ("GroundTruth.csv", "Data.zip")
    ]
    require_official(files, 2016, download_if_missing=download_if_missing)
    paths, target = [], []
    for stem in stems:
        archive = folder / f"{stem}_Data.zip"
        labels = folder / f"{stem}_GroundTruth.csv"
        label_of = read_table(labels, _parse_part3_label)
        images = extract_archive(archive)
        path_of = list_images(images)
        check_same_names(label_of, path_of, labels, f"{archive} (in {images})")
        paths += [path_of[name] for name in label_of]
        target += label_of.values()
    paths = np.array(paths, dtype=object)
    target = np.array(target, dtype=int)
    if return_X_y:
        return paths, target
    n_malignant = int(target.sum())
    return Bunch(
        paths=paths,
        target=target,
        target_names=["benign", "malignant"],
        DESCR=_PART3_DESCR.format(
            subset=subset,
            n_images=len(target),
            n_benign=len(target) - n_malignant,
            n_malignant=n_malignant,
        ),
    )


def _parse_part3_label(fields):
    """0 or 1 from the one field of a line after its name."""
    if len(fields) != 1 or fields[0] not in _PART3_LABELS:
        raise ValueError(
            f"is not a name and one of the labels {', '.join(_PART3_LABELS)}."
        )
    return _PART3_LABELS[fields[0]]
