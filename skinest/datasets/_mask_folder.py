"""The user's own images and their masks, in two folders."""

# Authors: The skinest developers
# SPDX-License-Identifier: BSD-3-Clause

from __future__ import annotations

import os
import warnings
from pathlib import Path
from typing import TYPE_CHECKING, Literal, overload

import numpy as np
from sklearn.utils import Bunch

from .._compat import validate_params
from ._image_folder import list_images
from ._image_names import compose

if TYPE_CHECKING:
    from .._typing import PathLike, Paths

_STACKLEVEL = 4  # the caller of load_mask_folder, which is decorated
_SEPARATORS = "_", "-", "."
_SAME_SEPARATOR = str.maketrans("-.", "__")

_DESCR = """\
Images and masks of {images} and {masks}

{n_pairs} images with a mask, {n_without_mask} images without one.
"""


@overload
def load_mask_folder(
    images_path: PathLike,
    masks_path: PathLike,
    *,
    mask_suffix: str | None = None,
    return_X_y: Literal[False] = False,
) -> Bunch: ...
@overload
def load_mask_folder(
    images_path: PathLike,
    masks_path: PathLike,
    *,
    mask_suffix: str | None = None,
    return_X_y: Literal[True],
) -> tuple[Paths, Paths]: ...
@validate_params(
    {
        "images_path": [str, os.PathLike],
        "masks_path": [str, os.PathLike],
        "mask_suffix": [str, None],
        "return_X_y": ["boolean"],
    },
    prefer_skip_nested_validation=True,
)
def load_mask_folder(
    images_path: PathLike,
    masks_path: PathLike,
    *,
    mask_suffix: str | None = None,
    return_X_y: bool = False,
) -> Bunch | tuple[Paths, Paths]:
    """Find images in a folder and their masks in another, by the names of the files.

    Neither is read; estimators of skinest accept their paths as `X` and `y`. A mask has
    the name of its image, with or without more after an underscore, a hyphen or a dot::

        images_path/ISIC_0024306.jpg      masks_path/ISIC_0024306.png
        images_path/ISIC_0024307.jpg      masks_path/ISIC_0024307_segmentation.png

    Extensions do not matter, nor does upper or lower case, unless two images differ in
    it. Folders inside of both are searched too; if images have the same name, their
    masks are in folders of the same names as theirs. Images without a mask are left out
    and counted, or warned of if `return_X_y` is True.

    Parameters
    ----------
    images_path : str or path-like
        Folder of the images. ``~`` is the user's home.

    masks_path : str or path-like
        Folder of the masks, such as true masks or predicted ones. One of both folders
        can be inside of the other. They can be the same if masks have a `mask_suffix`.

    mask_suffix : str, default=None
        What masks have after the name of their image, without the extension, such as
        "_globules". Other files are then no masks. None means any, but only one for
        each image. If numbers follow, they must be the same for all masks.

    return_X_y : bool, default=False
        Whether to return ``(paths, mask_paths)`` instead of a `Bunch`.

    Returns
    -------
    data : :class:`~sklearn.utils.Bunch`
        Dictionary-like object with the attributes:

        paths : ndarray of shape (n_pairs,), dtype object
            Absolute paths (str) of the images, sorted.
        mask_paths : ndarray of shape (n_pairs,), dtype object
            The path of the mask of each image.
        n_without_mask : int
            Number of images without a mask.
        DESCR : str
            The folders and both numbers.

    (paths, mask_paths) : tuple of ndarrays
        Only these two if `return_X_y` is True. They lack images without a mask.

    Raises
    ------
    OSError
        If a folder does not exist or cannot be read, or a link is broken.
    ValueError
        If no image has a mask, a mask belongs to no image or to two, an image has two
        masks, or a mask could be that of an image that is missing.

    Warns
    -----
    UserWarning
        If images without a mask are left out, and `return_X_y` is True.

    See Also
    --------
    load_image_folder : Load images with a folder for each class.
    skinest.inspection.SegmentationDisplay.from_folders : Show a folder of predictions.

    Examples
    --------
    >>> import tempfile
    >>> from pathlib import Path
    >>> import cv2
    >>> from skinest.datasets import load_mask_folder, make_dermoscopy
    >>> images, masks = make_dermoscopy(
    ...     2, task="lesion", random_state=0, return_X_y=True
    ... )
    >>> with tempfile.TemporaryDirectory() as folder:
    ...     for name in ("images", "masks"):
    ...         Path(folder, name).mkdir()
    ...     for k in range(2):
    ...         _ = cv2.imwrite(f"{folder}/images/{k}.png", images[k])
    ...         _ = cv2.imwrite(f"{folder}/masks/{k}_mask.png", masks[k])
    ...     data = load_mask_folder(f"{folder}/images", f"{folder}/masks")
    >>> [Path(path).name for path in data.mask_paths]
    ['0_mask.png', '1_mask.png']
    """
    images, masks = _list_files(images_path, masks_path, mask_suffix)
    mask_of = _match(images, masks, (images_path, masks_path), mask_suffix)
    if not mask_of:
        raise ValueError(
            f"No image in {images_path} has a mask in {masks_path}. The name of a mask "
            "must be that of its image, or begin with it."
        )
    paths = np.array([path for path in images if path in mask_of], object)
    mask_paths = np.array([mask_of[path] for path in paths], object)
    without_mask = [path for path in images if path not in mask_of]
    if return_X_y:
        _warn_of_images_without_mask(without_mask, len(images), images_path, masks_path)
        return paths, mask_paths
    n_without_mask = len(without_mask)
    return Bunch(
        paths=paths,
        mask_paths=mask_paths,
        n_without_mask=n_without_mask,
        DESCR=_DESCR.format(
            images=images_path,
            masks=masks_path,
            n_pairs=len(paths),
            n_without_mask=n_without_mask,
        ),
    )


def _warn_of_images_without_mask(without_mask, n_images, images_path, masks_path):
    if without_mask:
        warnings.warn(
            f"{len(without_mask)} of the {n_images} images in {images_path} have no "
            f"mask in {masks_path} and are left out, such as "
            f"{os.path.basename(without_mask[0])!r}. Add their masks, or use "
            "return_X_y=False, whose n_without_mask counts them.",
            stacklevel=_STACKLEVEL,
        )


def _list_files(images_path, masks_path, mask_suffix) -> tuple[list, list]:
    """List the images and the masks."""
    images, masks = map(list_images, (images_path, masks_path))
    shared = set(images) & set(masks)  # files of the inner one of two folders
    if shared and len(shared) == len(masks) < len(images):
        images = [path for path in images if path not in shared]
    elif shared and len(shared) == len(images) < len(masks):
        masks = [path for path in masks if path not in shared]
    elif shared and mask_suffix is None:
        raise ValueError(
            f"{images_path} and {masks_path} have the same files. Pass two folders or, "
            "if images and masks are in one, what masks have after the name of their "
            "image, such as mask_suffix='_segmentation'."
        )
    if mask_suffix is not None:
        found = {path for path in masks if Path(path).stem.endswith(mask_suffix)}
        if masks and not found:
            _raise_wrong_suffix(images, masks, (images_path, masks_path), mask_suffix)
        masks = [path for path in masks if path in found]
        images = [path for path in images if path not in found]
    return images, masks


def _raise_wrong_suffix(images, masks, folders, mask_suffix):
    """Raise ValueError because no mask has the suffix, with the name of a file."""
    names = [Path(path).name for path in masks]
    # In the folder of the images, masks have longer names than these.
    example = max(names, key=len) if set(masks) & set(images) else names[0]
    raise ValueError(
        f"No image in {folders[0]} has a mask in {folders[1]} with {mask_suffix=}, but "
        f"{folders[1]} has files such as {example!r}. Pass what masks have after the "
        "name of their image, without the extension."
    )


def _match(images, masks, folders, mask_suffix) -> dict[str, str]:
    """Return the mask of each image that has one, as {path: path}."""
    named: dict[str, list[str]] = {}
    for path in images:
        named.setdefault(_unify(Path(path).stem), []).append(path)
    mask_of: dict[str, str] = {}
    by_rest: dict[str, dict[str, str]] = {}
    for mask in masks:
        name = Path(mask).stem.removesuffix(mask_suffix or "")
        found = _find_images(named, _unify(name), mask_suffix)
        if not found:
            raise ValueError(
                f"No image has the name of the mask {mask}"
                f"{f' without {mask_suffix=}' if mask_suffix else ''}. Remove it, or "
                "add its image."
            )
        image = _choose_image(_prefer_same_case(found, name), mask, folders)
        other = mask_of.setdefault(image, mask)
        if not os.path.samefile(other, mask):
            raise ValueError(
                f"{image} has two masks, {other} and {mask}. Choose by mask_suffix, "
                "such as '_segmentation'."
            )
        by_rest.setdefault(_find_rest(image, mask), {})[image] = mask
    _check_rests(by_rest, mask_of)
    return mask_of


def _find_rest(image, mask) -> str:
    """Return what the name of a mask has after that of its image, in a common form."""
    image_name, mask_name = (_unify(Path(path).stem) for path in (image, mask))
    return mask_name[len(image_name) :].translate(_SAME_SEPARATOR)


def _check_rests(by_rest, mask_of):
    """Raise ValueError if a mask may belong to an image that is missing.

    Then what follows the name of its image differs from that of most masks, and has a
    number or ends in the same way, such as "_2_mask" beside "_mask".

    Parameters
    ----------
    by_rest : dict of str to dict of str to str
        For each text, the masks that have it, as {image: mask}.

    mask_of : dict of str to str
        All masks. A file that has two names needs only one with the text of the others.
    """
    usual = max(by_rest, key=lambda rest: len(by_rest[rest]), default="")
    sure = set(by_rest.get(usual, ())) | set(by_rest.get("", ()))
    for rest, masks in by_rest.items():
        longer, shorter = sorted([rest, usual], key=len, reverse=True)
        has_number = any(map(str.isdigit, rest + usual))
        if not has_number and not (shorter and longer.endswith(shorter)):
            sure |= set(masks)
    for image, mask in mask_of.items():
        if image not in sure:
            other_image, other = next(iter(by_rest[usual].items()))
            raise ValueError(
                f"{mask} begins with the name of {Path(image).name}, and {other} with "
                f"that of {Path(other_image).name}, but different texts follow. One "
                "could be the mask of an image that is missing. Pass what masks have "
                "after the name of their image, such as mask_suffix='_segmentation', "
                "or '' if it is nothing."
            )


def _unify(name) -> str:
    """Return what names have in common that differ in case or in Unicode's forms."""
    return compose(name).casefold()


def _find_images(images_of, name, mask_suffix) -> list[str]:
    """Return the images with the longest name with which the name of a mask begins."""
    if mask_suffix is not None:
        return images_of.get(name, [])
    for end in range(len(name), 0, -1):
        is_end = end == len(name) or name[end] in _SEPARATORS
        if is_end and name[:end] in images_of:
            return images_of[name[:end]]
    return []


def _prefer_same_case(images, name) -> list[str]:
    """Return those images whose name the name of a mask has exactly; all if none is.

    The names of all images are equal, except for case and Unicode's forms.
    """
    for make_equal in (str, compose):
        same = [
            path
            for path in images
            if make_equal(name).startswith(make_equal(Path(path).stem))
        ]
        if same:
            return same
    return images


def _choose_image(images, mask, folders) -> str:
    """Return the image of a mask, of those that have its name."""
    of_images, of_masks = map(os.path.expanduser, folders)
    if len(images) == 1 or all(os.path.samefile(images[0], each) for each in images):
        return images[0]
    place = os.path.relpath(os.path.dirname(mask), of_masks)
    beside = [
        path
        for path in images
        if os.path.relpath(os.path.dirname(path), of_images) == place
    ]
    if len(beside) == 1:
        return beside[0]
    raise ValueError(
        f"{images[0]} and {images[1]} have the same name, so that {mask} could be the "
        "mask of both. Rename one of them, or put masks into folders of the same names "
        "as those of the images."
    )
