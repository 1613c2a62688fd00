"""The user's own images, in a folder for each class."""

# Authors: The skinest developers
# SPDX-License-Identifier: BSD-3-Clause

from __future__ import annotations

import os
import re
import stat
import warnings
from collections import Counter
from pathlib import Path
from typing import TYPE_CHECKING, Literal, overload

import numpy as np
from sklearn.utils import Bunch

from .._compat import StrOptions, validate_params
from .._reading._formats import EXTENSIONS
from ._class_names import join_counts, join_some, order_classes, warn_of_similar

if TYPE_CHECKING:
    from collections.abc import Sequence

    from .._typing import Labels, PathLike, Paths

_SUBSETS = ("train", "valid", "test")
_SUBSET_OF = {
    **dict.fromkeys(("train", "training"), "train"),
    **dict.fromkeys(("valid", "validation", "val"), "valid"),
    **dict.fromkeys(("test", "testing"), "test"),
}
_PART = re.compile(r"(?i)(^|[-_ ])part[-_ ]?\d+$")  # names of parts of a data set
_STACKLEVEL = 4  # the caller of load_image_folder, which is decorated

_DESCR = """\
Images of {folder}
{line}

{n_images} images of {n_classes} classes: {counts}.

Ignored files: {n_ignored} ({ignored}).
"""


@overload
def load_image_folder(
    container_path: PathLike,
    *,
    subset: Literal["train", "valid", "test"] | None = None,
    allowed_extensions: Sequence[str] | None = None,
    target_names: Sequence[str] | None = None,
    return_X_y: Literal[False] = False,
) -> Bunch: ...
@overload
def load_image_folder(
    container_path: PathLike,
    *,
    subset: Literal["train", "valid", "test"] | None = None,
    allowed_extensions: Sequence[str] | None = None,
    target_names: Sequence[str] | None = None,
    return_X_y: Literal[True],
) -> tuple[Paths, Labels]: ...
@validate_params(
    {
        "container_path": [str, os.PathLike],
        "subset": [StrOptions(set(_SUBSETS)), None],
        "allowed_extensions": ["array-like", None],
        "target_names": ["array-like", None],
        "return_X_y": ["boolean"],
    },
    prefer_skip_nested_validation=True,
)
def load_image_folder(
    container_path: PathLike,
    *,
    subset: Literal["train", "valid", "test"] | None = None,
    allowed_extensions: Sequence[str] | None = None,
    target_names: Sequence[str] | None = None,
    return_X_y: bool = False,
) -> Bunch | tuple[Paths, Labels]:
    """Find the images in a folder with a subfolder for each class.

    Images are not read; estimators of skinest accept their paths as `X`. The folder has
    one of two forms::

        container_path/benign/a.jpg            container_path/train/benign/a.jpg
        container_path/malignant/b.jpg         container_path/test/malignant/b.jpg

    Subfolders of a class belong to the class. Links are followed, and each real file is
    listed once. Files that are not images, and hidden files and folders
    (``.DS_Store``, ``__MACOSX``), are ignored and counted.

    Parameters
    ----------
    container_path : str or path-like
        Path of the folder. ``~`` is the user's home.

    subset : {"train", "valid", "test"}, default=None
        Subset to load. Required for a folder of the second form, and not allowed for
        the first. The folders of subsets may also have the names ``training``,
        ``validation``, ``val`` and ``testing``, in upper or lower case.

    allowed_extensions : list of str, default=None
        Extensions of the files to load, such as ``[".jpg"]``, in upper or lower case.
        None means those of all formats that :func:`skinest.images.read_image` reads.
        Use it if masks are in the same folders as images.

    target_names : list of str, default=None
        All classes, in the order of their numbers. None sorts them by name. With two
        classes, metrics of scikit-learn take class 1, the second name, as the positive
        one: pass ``["nevus", "melanoma"]`` to get scores of melanoma.

    return_X_y : bool, default=False
        Whether to return ``(paths, target)`` instead of a `Bunch`.

    Returns
    -------
    data : :class:`~sklearn.utils.Bunch`
        Dictionary-like object with the attributes:

        paths : ndarray of shape (n_images,), dtype object
            Absolute paths (str) of the images, sorted by class and name.
        target : ndarray of shape (n_images,), dtype int
            The class of each image, as an index into `target_names`.
        target_names : list of str
            Names of the class folders, in the order of their numbers. They are the same
            for all subsets, so that an index means the same class in each.
        n_ignored : int
            Number of ignored files. A hidden folder counts as one.
        DESCR : str
            The folder, and the numbers of images of each class and of ignored files.

    (paths, target) : tuple of ndarrays
        Only these two if `return_X_y` is True.

    Raises
    ------
    OSError
        If the folder does not exist, a folder cannot be read, or a link is broken.
    ValueError
        If there are no class folders, a class has no image, images are beside the class
        folders, folders for subsets and for classes are mixed, a file is in two
        classes, or `subset` is missing or wrong.

    Warns
    -----
    UserWarning
        If there is one class only, a class of another subset is missing in this one,
        the folders are named like parts of a data set (``images_part_1``), or the names
        of two folders differ only in upper or lower case, in spaces around them or in
        how a number is written, and `target_names` does not have both.

    See Also
    --------
    sklearn.datasets.load_files : Load text files in the same way.
    load_image_table : Load images whose labels are in a table.
    fetch_isic2016_part3 : Images of the ISIC challenge, benign or malignant.
    load_mask_folder : Find images and their masks.

    Examples
    --------
    >>> import tempfile
    >>> from pathlib import Path
    >>> import cv2
    >>> from sklearn.linear_model import LogisticRegression
    >>> from sklearn.model_selection import train_test_split
    >>> from sklearn.pipeline import make_pipeline
    >>> from skinest import BoVWSIFTTransformer
    >>> from skinest.datasets import load_image_folder, make_dermoscopy
    >>> images, labels = make_dermoscopy(8, random_state=0, return_X_y=True)
    >>> with tempfile.TemporaryDirectory() as folder:
    ...     for i, (image, label) in enumerate(zip(images, labels)):
    ...         place = Path(folder, ["benign", "malignant"][label])
    ...         place.mkdir(exist_ok=True)
    ...         _ = cv2.imwrite(str(place / f"{i}.png"), image)
    ...     data = load_image_folder(folder)
    ...     X_train, X_test, y_train, y_test = train_test_split(
    ...         data.paths, data.target, stratify=data.target, random_state=0
    ...     )
    ...     pipeline = make_pipeline(BoVWSIFTTransformer(4), LogisticRegression())
    ...     n_predicted = len(pipeline.fit(X_train, y_train).predict(X_test))
    >>> data.target_names, len(X_train), n_predicted
    (['benign', 'malignant'], 6, 2)
    """
    container = _find_folder(container_path)
    finder = _Finder(_check_extensions(allowed_extensions))
    folder, found_names = _find_classes(finder, container, subset)
    is_named = target_names is not None
    target_names = order_classes(
        dict.fromkeys(found_names, ""), target_names, str(folder)
    )
    paths_of = {
        name: finder.find_images(folder / name, (container, folder))
        for name in target_names
        if (folder / name).is_dir()
    }
    _check_classes(folder, target_names, paths_of)
    if not is_named:
        images_of = {name: [*paths_of.get(name, {}).values()] for name in target_names}
        warn_of_similar(images_of, str(folder))
    listed = [path for found in paths_of.values() for path in found.values()]
    paths = np.array(listed, object)
    counts = [len(paths_of.get(name, ())) for name in target_names]
    target = np.repeat(np.arange(len(target_names)), counts)
    if return_X_y:
        return paths, target
    ignored = finder.ignored
    return Bunch(
        paths=paths,
        target=target,
        target_names=target_names,
        n_ignored=ignored.total(),
        DESCR=_DESCR.format(
            folder=folder,
            line="-" * len(f"Images of {folder}"),
            n_images=len(paths),
            n_classes=len(target_names),
            counts=join_counts(zip(target_names, counts, strict=True)),
            n_ignored=ignored.total(),
            ignored=join_counts(ignored.most_common()) or "none",
        ),
    )


def list_images(folder, allowed_extensions=None) -> list[str]:
    """List the images of a folder and of the folders in it, each folder once.

    Links to a file are listed too, because their names matter.
    """
    finder = _Finder(_check_extensions(allowed_extensions))
    return list(finder.find_images(_find_folder(folder), (), str).values())


def _find_folder(path):
    """Return the absolute path of a folder; raise OSError if there is none."""
    if not isinstance(path, str | os.PathLike):
        raise TypeError(
            f"A folder is of type {type(path).__name__}. Pass its path, as text."
        )
    folder = Path(os.path.abspath(os.path.expanduser(path)))
    if not folder.is_dir():
        error = NotADirectoryError if folder.exists() else FileNotFoundError
        raise error(f"There is no folder {folder}.")
    return folder


def identify(path) -> tuple[int, int]:
    """Return what links to a file or folder have in common with it."""
    info = os.stat(path)
    return info.st_dev, info.st_ino


class _Finder:
    """List folders, and count files that are not images by their extension.

    Parameters
    ----------
    extensions : set of str
        Extensions of images.
    """

    def __init__(self, extensions):
        self.extensions = extensions
        self.ignored = Counter()

    def list_folder(self, folder):
        """Return sorted paths of the folders and of the images in a folder."""
        folders, images = [], []
        endings = tuple(self.extensions)
        for path in sorted(folder.iterdir()):
            if path.name.startswith(".") or path.name == "__MACOSX":
                self.ignored["hidden"] += 1
            elif _is_folder(path):
                folders.append(path)
            elif path.name.lower().endswith(endings):
                images.append(path)
            else:
                self.ignored[path.suffix.lower() or "without extension"] += 1
        return folders, images

    def find_images(self, folder, above, key=identify):
        """Return the images of a folder and its subfolders: {key: path}.

        Links may form cycles, so each real folder is listed once, and one file of each
        key. Links back to the parents of the folder, `above`, are ignored.
        """
        found: dict = {}
        seen = {identify(other) for other in above}
        waiting = [folder]
        while waiting:
            current = waiting.pop()
            identity = identify(current)
            if identity in seen:
                self.ignored["link to another folder of the class, or above it"] += 1
                continue
            seen.add(identity)
            folders, images = self.list_folder(current)
            waiting += reversed(folders)
            for path in images:
                if found.setdefault(key(path), str(path)) != str(path):
                    self.ignored["link to another image of the class"] += 1
        return found


def _is_folder(path):
    """Return whether a path is a folder; raise an error if it is a broken link."""
    try:
        return stat.S_ISDIR(path.stat().st_mode)
    except PermissionError:
        raise
    except OSError:  # also for a link to itself
        raise FileNotFoundError(
            f"{path} is a broken link. Delete it, or restore its target."
        ) from None


def _check_extensions(extensions):
    if extensions is None:
        return set(EXTENSIONS)
    if not all(
        isinstance(extension, str) and extension.startswith(".")
        for extension in extensions
    ):
        raise ValueError(
            "allowed_extensions must be a list of extensions with their dots, such as "
            f"['.jpg', '.png'], got {extensions!r}."
        )
    return {extension.lower() for extension in extensions}


def _find_classes(finder, container, subset):
    """Return the folder of the class folders, and the names of all classes."""
    folders, images = finder.list_folder(container)
    _check_none_beside(container, images)
    folder_of = _group_by_subset(container, folders)
    if not folder_of:
        if subset is not None:
            raise ValueError(
                f"{container} has no folders for subsets, such as train and test: "
                f"leave out subset={subset!r}."
            )
        return container, [folder.name for folder in folders]
    if subset not in folder_of:
        has = " or ".join(f"subset={name!r}" for name in _SUBSETS if name in folder_of)
        raise ValueError(f"{container} has subsets: use {has}, not {subset!r}.")
    _, images = finder.list_folder(folder_of[subset])
    _check_none_beside(folder_of[subset], images)
    # Classes of all subsets, so that an index means the same class in each.
    others = _Finder(finder.extensions)
    names = {
        folder.name
        for parent in folder_of.values()
        for folder in others.list_folder(parent)[0]
    }
    return folder_of[subset], sorted(names)


def _group_by_subset(container, folders):
    """Return a dict of folders by subset, which is empty if they are classes."""
    folder_of = {}
    others = [folder.name for folder in folders if _get_subset(folder) is None]
    for folder in folders:
        subset = _get_subset(folder)
        if subset is None:
            continue
        if others:
            raise ValueError(
                f"{container} has {folder.name!r}, the name of a subset, and other "
                f"folders: {join_some(others)}. Move these, or rename "
                f"{folder.name!r} if it is a class."
            )
        if subset in folder_of:
            raise ValueError(
                f"{folder_of[subset]} and {folder} are folders for the same subset, "
                f"{subset!r}. Rename or move one of them."
            )
        folder_of[subset] = folder
    return folder_of


def _get_subset(folder):
    return _SUBSET_OF.get(folder.name.lower())


def _check_none_beside(folder, images):
    if images:
        raise ValueError(
            f"{len(images)} images are in {folder} itself, not in the folder of a "
            f"class: {join_some([path.name for path in images])}. Move each into the "
            "folder of its class, or use load_image_table if a table has the labels."
        )


def _check_classes(folder, target_names, paths_of):
    if not paths_of:
        raise ValueError(
            f"{folder} has no class folders. Pass a folder with one folder for each "
            "class."
        )
    empty = [name for name, paths in paths_of.items() if not paths]
    if empty:
        raise ValueError(
            f"{folder} has classes without an image: {join_some(empty)}. Remove these "
            "folders, or pass the extensions of their images in allowed_extensions."
        )
    _check_no_file_twice(paths_of)
    parts = [name for name in target_names if _PART.search(name)]
    if len(parts) == len(target_names) > 1:
        warnings.warn(
            f"{folder} has the classes {join_some(parts)}, which look like parts of "
            "one data set. If a table has the labels, use load_image_table.",
            stacklevel=_STACKLEVEL,
        )
    missing = [name for name in target_names if name not in paths_of]
    if missing:
        warnings.warn(
            f"{folder} has no folder of some classes that other subsets have: "
            f"{join_some(missing)}.",
            stacklevel=_STACKLEVEL,
        )
    if len(target_names) == 1:
        warnings.warn(
            f"{folder} has one class only, {target_names[0]!r}. If it is not a class, "
            "pass the folder that contains the class folders.",
            stacklevel=_STACKLEVEL,
        )


def _check_no_file_twice(paths_of):
    """Raise ValueError if an image, or a link to it, is in two classes."""
    first: dict[tuple[int, int], str] = {}
    for found in paths_of.values():
        for identity, path in found.items():
            other = first.setdefault(identity, path)
            if other != path:
                raise ValueError(
                    f"{path} and {other} are one file in two classes. Remove one of "
                    "them, or the link to its folder."
                )
