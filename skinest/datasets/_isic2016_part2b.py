"""Images of the ISIC 2016 challenge with masks of globules and streaks."""

# Authors: The skinest developers
# SPDX-License-Identifier: BSD-3-Clause

from __future__ import annotations

from typing import TYPE_CHECKING, Literal, overload

import numpy as np
from sklearn.utils import Bunch

from .._compat import StrOptions, validate_params
from ._sources import ISIC2016_REFERENCE, Challenge
from ._tables import EXTRACT, find_images, find_masks

if TYPE_CHECKING:
    from .._typing import PathLike, Paths

_PART2B = Challenge(
    2016,
    {"train": "ISBI2016_ISIC_Part2B_Training", "test": "ISBI2016_ISIC_Part2B_Test"},
    truth="GroundTruth.zip",
    images="Data.zip",
)

_DESCR = """\
ISIC 2016 challenge, part 2B: masks of dermoscopic features
-----------------------------------------------------------

Dermoscopic images of skin lesions, each with a mask of its globules and a mask of
its streaks: 255 on the feature, 0 elsewhere, in the size of the image. The
challenge has 807 training images and 335 test images, as JPEG files of many sizes, and
masks as PNG files.

Subset {subset!r}: {n_images} images were found, each with its mask of {feature}.
"""
_DESCR += ISIC2016_REFERENCE


@overload
def fetch_isic2016_part2b(
    feature: Literal["globules", "streaks"] = "globules",
    data_home: PathLike | None = None,
    *,
    subset: Literal["train", "test", "all"] = "train",
    download_if_missing: bool = True,
    return_X_y: Literal[False] = False,
) -> Bunch: ...
@overload
def fetch_isic2016_part2b(
    feature: Literal["globules", "streaks"] = "globules",
    data_home: PathLike | None = None,
    *,
    subset: Literal["train", "test", "all"] = "train",
    download_if_missing: bool = True,
    return_X_y: Literal[True],
) -> tuple[Paths, Paths]: ...
@validate_params(
    {"feature": [StrOptions({"globules", "streaks"})], **_PART2B.constraints},
    prefer_skip_nested_validation=True,
)
def fetch_isic2016_part2b(
    feature: Literal["globules", "streaks"] = "globules",
    data_home: PathLike | None = None,
    *,
    subset: Literal["train", "test", "all"] = "train",
    download_if_missing: bool = True,
    return_X_y: bool = False,
) -> Bunch | tuple[Paths, Paths]:
    """Load the ISIC 2016 part 2B images with masks of a feature (segmentation).

    Images and masks are matched by their names. Masks of the other feature may be
    missing.

    Missing files are downloaded. An interrupted download continues at the next call.
    Archives in `data_home` are extracted once; you can also extract them yourself.

    =================   ====================================
    Training images     807, each with two masks
    Test images         335, each with two masks
    Form of images      JPEG, RGB, of different sizes
    Form of masks       PNG, 0 and 255 (the feature)
    =================   ====================================

    Parameters
    ----------
    feature : {"globules", "streaks"}, default="globules"
        Feature that the masks show.

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
        Whether to return ``(paths, mask_paths)`` instead of a `Bunch`.

    Returns
    -------
    data : :class:`~sklearn.utils.Bunch`
        Dictionary-like object with the attributes:

        paths : ndarray of shape (n_images,), dtype object
            Absolute paths (str) of the JPEG files, sorted by name in each subset.
        mask_paths : ndarray of shape (n_images,), dtype object
            Absolute paths (str) of the PNG files with the masks of the images, in
            the order of `paths`.
        feature : str
            Feature that the masks show.
        target_names : list of str
            Names of 0 and 255 in the masks: ``["background", feature]``.
        DESCR : str
            Description, licence and citation, with the number of images.

    (paths, mask_paths) : tuple of ndarrays
        Only these two if `return_X_y` is True.

    Raises
    ------
    OSError
        If a file is missing and `download_if_missing` is False, its download fails,
        or the disk is full.
    ValueError
        If an archive is damaged, an image has no mask of the feature, or a mask has no
        image.

    See Also
    --------
    fetch_ham10000_masks : Images with masks of the whole lesions.
    make_dermoscopy : Synthetic images with masks of globules or streaks; no download.

    Notes
    -----
    Images and masks are in the public domain (CC0 1.0). Please cite [1]_.

    References
    ----------
    .. [1] Gutman, D., Codella, N. C. F., Celebi, E., et al. (2016). Skin Lesion
       Analysis toward Melanoma Detection: A Challenge at the International
       Symposium on Biomedical Imaging (ISBI) 2016, hosted by the International
       Skin Imaging Collaboration (ISIC). arXiv:1605.01397.

    Examples
    --------
    >>> from skinest.datasets import fetch_isic2016_part2b
    >>> data = fetch_isic2016_part2b("streaks")  # doctest: +SKIP
    >>> data.mask_paths.shape  # doctest: +SKIP
    (807,)
    """
    paths, mask_paths = [], []
    for truth, archive in _PART2B.require(data_home, subset, download_if_missing):
        path_of, place = find_images(archive)
        if not path_of:
            raise ValueError(f"There are no images in {place}. {EXTRACT}")
        names = sorted(path_of)
        paths += [path_of[name] for name in names]
        mask_paths += find_masks(
            truth, names, place, ending=f"_{feature}.png", of=f" of {feature}"
        )
    paths, mask_paths = np.array([paths, mask_paths], dtype=object)
    if return_X_y:
        return paths, mask_paths
    return Bunch(
        paths=paths,
        mask_paths=mask_paths,
        feature=feature,
        target_names=["background", feature],
        DESCR=_DESCR.format(subset=subset, n_images=len(paths), feature=feature),
    )
