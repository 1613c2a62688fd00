"""Images of the HAM10000 collection with masks of the lesions."""

# Authors: The skinest developers
# SPDX-License-Identifier: BSD-3-Clause

from __future__ import annotations

from typing import TYPE_CHECKING, Literal, overload

import numpy as np
from sklearn.utils import Bunch

from .._compat import StrOptions, validate_params
from ._archives import extract_archive
from ._base import resolve_data_home
from ._download import require_file_by_hand
from ._ham10000 import (
    HAM10000_REFERENCE,
    TASK3,
    TASK3_NAMES,
    describe_found,
    read_task3,
)
from ._tables import find_masks

if TYPE_CHECKING:
    from .._typing import PathLike, Paths

_ARCHIVE_NAME = "HAM10000_segmentations_lesion_tschandl.zip"
_PAGE = "https://doi.org/10.7910/DVN/DBW86T (Harvard Dataverse)"

_DESCR = """\
HAM10000: masks of the lesions
------------------------------

Dermoscopic images of pigmented skin lesions, each with a mask of its lesion: 255 on
the lesion, 0 on the skin around it. The collection has 10,015 images of 7,470
lesions, as JPEG files of 600 x 450 pixels, and as many masks, as PNG files of the same
size.

Several images may show the same lesion: to split the images, pass the lesions as
`groups`. `target` has the diagnosis of each image, as in `fetch_isic2018_task3`.

{n_images} images{of_lesions} were found, each with its mask:
{counts}.
"""
_DESCR += HAM10000_REFERENCE
_DESCR += """
Tschandl, P., Rinner, C., Apalla, Z., Argenziano, G., Codella, N., Halpern, A.,
Janda, M., Lallas, A., Longo, C., Malvehy, J., Paoli, J., Puig, S., Rosendahl, C.,
Soyer, H. P., Zalaudek, I., and Kittler, H. (2020). Human-computer collaboration for
skin cancer recognition. Nature Medicine 26, 1229-1234.
doi:10.1038/s41591-020-0942-0.
"""


@overload
def fetch_ham10000_masks(
    data_home: PathLike | None = None,
    *,
    subset: Literal["train"] = "train",
    download_if_missing: bool = True,
    return_X_y: Literal[False] = False,
) -> Bunch: ...
@overload
def fetch_ham10000_masks(
    data_home: PathLike | None = None,
    *,
    subset: Literal["train"] = "train",
    download_if_missing: bool = True,
    return_X_y: Literal[True],
) -> tuple[Paths, Paths]: ...
@validate_params(
    TASK3.constraints | {"subset": [StrOptions({"train"})]},
    prefer_skip_nested_validation=True,
)
def fetch_ham10000_masks(
    data_home: PathLike | None = None,
    *,
    subset: Literal["train"] = "train",
    download_if_missing: bool = True,
    return_X_y: bool = False,
) -> Bunch | tuple[Paths, Paths]:
    """Load the HAM10000 images with masks of their lesions (segmentation).

    The images, diagnoses and lesions are those of :func:`fetch_isic2018_task3`. Images
    and masks are matched by their names. Several images may show the same lesion. Split
    them by `groups`: if a lesion is in both the training and the test images, scores
    are too optimistic.

    The archive of the masks has no permanent address: download
    ``HAM10000_segmentations_lesion_tschandl.zip`` by hand from Harvard Dataverse
    [1]_ and put it into `data_home`. Other missing files are downloaded. Archives in
    `data_home` are extracted once. They may contain a part of the images, with labels
    and masks for the same images. Lesions of other images are ignored.

    =================   ====================================
    Images and masks                                  10,015
    Lesions                                            7,470
    Form of images      JPEG, RGB, 600 x 450 pixels
    Form of masks       PNG, 0 (skin) and 255 (lesion)
    =================   ====================================

    Parameters
    ----------
    data_home : str or path-like, default=None
        Folder of the official files, see :func:`get_data_home`. Archives are extracted
        into it. If it is read-only, they are extracted into the folder in the
        environment variable ``SKINEST_CACHE`` or, by default, into the user's cache.

    subset : {"train"}, default="train"
        The training images of the ISIC 2018 challenge. The others have no masks.

    download_if_missing : bool, default=True
        Whether to download missing files, several gigabytes in all. If False, an error
        is raised instead.

    return_X_y : bool, default=False
        Whether to return ``(paths, mask_paths)`` instead of a `Bunch`. These are enough
        to train on all images, but without the lesions they cannot be split.

    Returns
    -------
    data : :class:`~sklearn.utils.Bunch`
        Dictionary-like object with the attributes:

        paths : ndarray of shape (n_images,), dtype object
            Absolute paths (str) of the JPEG files, in the order of the official
            ground truth.
        mask_paths : ndarray of shape (n_images,), dtype object
            Absolute paths (str) of the PNG files with the masks of the images, in
            the order of `paths`.
        target : ndarray of shape (n_images,), dtype int
            The diagnosis of each image, as an index into `target_names`.
        target_names : list of str
            ``["MEL", "NV", "BCC", "AKIEC", "BKL", "DF", "VASC"]``, as in
            :func:`fetch_isic2018_task3`.
        groups : ndarray of shape (n_images,), dtype object
            The lesion (str) of each image, for splitters.
        DESCR : str
            Description, licence and citations, with the numbers of images and
            lesions that were found.

    (paths, mask_paths) : tuple of ndarrays
        Only these two if `return_X_y` is True.

    Raises
    ------
    OSError
        If the masks are missing, another file is missing and `download_if_missing` is
        False, a download fails, or the disk is full.
    ValueError
        If an image has no mask or a mask has no image, or for the same reasons as in
        :func:`fetch_isic2018_task3`.

    See Also
    --------
    fetch_isic2018_task3 : The same images, for classification.
    make_dermoscopy : Synthetic images with masks; no download.

    Notes
    -----
    Images and masks may be used with attribution, but not commercially (CC BY-NC 4.0).
    Please cite [1]_ and [2]_.

    References
    ----------
    .. [1] Tschandl, P., Rosendahl, C., and Kittler, H. (2018). The HAM10000
       dataset, a large collection of multi-source dermatoscopic images of common
       pigmented skin lesions. Scientific Data 5, 180161.
       doi:10.1038/sdata.2018.161. Data: https://doi.org/10.7910/DVN/DBW86T.

    .. [2] Tschandl, P., Rinner, C., Apalla, Z., et al. (2020). Human-computer
       collaboration for skin cancer recognition. Nature Medicine 26, 1229-1234.
       doi:10.1038/s41591-020-0942-0.

    Examples
    --------
    >>> from sklearn.model_selection import GroupKFold
    >>> from skinest.datasets import fetch_ham10000_masks
    >>> data = fetch_ham10000_masks()  # doctest: +SKIP
    >>> data.mask_paths.shape  # doctest: +SKIP
    (10015,)
    >>> folds = GroupKFold(n_splits=5).split(
    ...     data.paths, data.mask_paths, groups=data.groups
    ... )  # doctest: +SKIP
    """
    archive = resolve_data_home(data_home) / _ARCHIVE_NAME
    # Checked before gigabytes of images are downloaded.
    require_file_by_hand(archive, _PAGE)
    extract_archive(archive)
    found, groups = read_task3(data_home, subset, download_if_missing)
    mask_paths = np.array(
        find_masks(archive, found.names, found.place, ending="_segmentation.png"),
        dtype=object,
    )
    if return_X_y:
        return found.paths, mask_paths
    return Bunch(
        paths=found.paths,
        mask_paths=mask_paths,
        target=found.target,
        target_names=list(TASK3_NAMES),
        groups=groups,
        DESCR=_DESCR.format(**describe_found(found, groups)),
    )
