"""The subject of a report: the estimator, its data, and settings, all checked."""

# Authors: The skinest developers
# SPDX-License-Identifier: BSD-3-Clause

from __future__ import annotations

from dataclasses import dataclass
from functools import cached_property
from pathlib import Path
from typing import Any

import numpy as np
from sklearn.base import is_classifier, is_regressor

from .._mask_scorer import get_mask_options
from ..images import ImageCollection, check_images
from ..masks import check_mask_size, check_masks
from ..utils._checks import as_column, check_fitted, check_groups, name_classes
from ..utils._columns import check_takes_images
from ._leaks import Leaks, find_leaks
from ._predicted_outputs import (
    ClassOutputs,
    MaskOutputs,
    predict_classes,
    predict_masks,
)
from ._report_scores import (
    ScoreTable,
    score_masks,
    score_several_classes,
    score_two_classes,
)

BINARY: str = "binary"
MULTICLASS: str = "multiclass"
MASKS: str = "masks"
KINDS: tuple[str, ...] = (BINARY, MULTICLASS, MASKS)


@dataclass(frozen=True)
class ImageSet:
    """Training or test images.

    Parameters
    ----------
    images : ImageCollection
        The images.

    y : ndarray of shape (n_images,), MaskCollection or None
        Their labels or masks.

    groups : ndarray of shape (n_images,) or None
        Their lesions or patients.
    """

    images: ImageCollection
    y: Any
    groups: np.ndarray | None

    @property
    def n_groups(self) -> int | None:
        """Return the number of groups, if they are known."""
        return None if self.groups is None else len(np.unique(self.groups))


@dataclass(frozen=True)
class ReportOptions:
    """Settings of a report, see :func:`skinest.report`."""

    title: str
    thresholds: tuple[float, ...]
    answers: dict[str, str]
    n_errors: int
    show_names: bool
    near_duplicates: bool
    n_resamples: int
    confidence_level: float
    seed: int

    @property
    def interval_name(self) -> str:
        """Return the name of an interval, for the header of a column."""
        return f"{100 * self.confidence_level:g} % interval"


@dataclass(frozen=True)
class Study:
    """The estimator and its data, checked.

    Parameters
    ----------
    estimator : estimator
        The fitted classifier or segmenter.

    X : array, list of arrays or paths
        The test images in the form of the user.

    kind : {"binary", "multiclass", "masks"}
        What it predicts.

    test : ImageSet
        The test images.

    train : ImageSet or None
        The training images.

    metadata : DataFrame, dict or None
        Attributes of the test images.

    positive : int or None
        Position of the positive class of two.

    names : list of str
        The classes as text. Masks have none.

    options : ReportOptions
        The settings.
    """

    estimator: Any
    X: Any
    kind: str
    test: ImageSet
    train: ImageSet | None
    metadata: Any
    positive: int | None
    names: list[str]
    options: ReportOptions

    @cached_property
    def outputs(self) -> ClassOutputs | MaskOutputs:
        """Return what the estimator predicts for the test images."""
        if self.kind == MASKS:
            return predict_masks(self.estimator, self.X, self.test.y)
        classes = np.asarray(self.estimator.classes_)
        codes = np.searchsorted(classes, self.test.y)
        return predict_classes(self.estimator, self.X, codes, self.positive, self.names)

    @cached_property
    def scores(self) -> ScoreTable:
        """Return the scores of the test images."""
        compute = {BINARY: score_two_classes, MASKS: score_masks}
        score = compute.get(self.kind, score_several_classes)
        return score(self.outputs, self.resampling)

    @cached_property
    def leaks(self) -> Leaks | None:
        """Return what training and test images share, if both are known."""
        if self.train is None:
            return None
        return find_leaks(self.train, self.test, self.options.near_duplicates)

    @property
    def resampling(self) -> dict[str, Any]:
        """Return the options of intervals."""
        return {
            "groups": self.test.groups,
            "n_resamples": self.options.n_resamples,
            "confidence_level": self.options.confidence_level,
            "random_state": self.options.seed,
        }

    def name_image(self, position) -> str:
        """Return what a test image is called: its position, and its file if allowed."""
        name = f"Image {position}"
        images = self.test.images
        if self.options.show_names and images.from_files:
            name += f", {Path(images.key(position)[0]).name}"
        return name


def read_study(
    estimator,
    X_test,
    y_test,
    *,
    groups,
    metadata,
    train,
    pos_label,
    target_names,
    options,
) -> Study:
    """Check the arguments of a report before anything is computed.

    Parameters
    ----------
    estimator, X_test, y_test, groups, metadata, train, pos_label, target_names : object
        As in :func:`skinest.report`.

    options : ReportOptions
        The settings.

    Returns
    -------
    study : Study
    """
    check_fitted(estimator)
    has_classes = is_classifier(estimator)
    if is_regressor(estimator) or not hasattr(estimator, "predict"):
        raise TypeError(
            f"{type(estimator).__name__} is neither a classifier nor a segmenter. Pass "
            "one of them, or a pipeline or search whose last step is one. A search "
            "needs refit=True."
        )
    check_takes_images(estimator, "reported", max_columns=1)
    read_y = _read_labels if has_classes else _read_masks
    images = check_images(X_test, name="X_test")
    test = ImageSet(
        images,
        read_y(estimator, y_test, "y_test", len(images)),
        check_groups(groups, len(images)),
    )
    if test.n_groups == 1:
        raise ValueError(
            "groups has one group only, so nothing is known of other groups. Pass "
            "test images of at least 2 groups."
        )
    kind, positive, names = MASKS, None, []
    if has_classes:
        kind, positive = _read_classes(estimator, test.y, pos_label)
        names = name_classes(estimator.classes_, target_names)
    elif target_names is not None:
        raise ValueError(
            "target_names are names of classes, but segmenters predict masks. Leave "
            "them out here. For labels of masks, skinest.metrics.segmentation_report "
            "has target_names."
        )
    else:
        _check_masks(images, test.y)
    if kind != BINARY:
        _check_not_given(pos_label=pos_label, thresholds=options.thresholds or None)
    return Study(
        estimator,
        X_test,
        kind,
        test,
        _read_train(estimator, train, test, read_y),
        _check_metadata(metadata, len(images)),
        positive,
        names,
        options,
    )


def _read_labels(estimator, y, name, n_images):
    labels = as_column(y, name)
    _check_length(labels, name, n_images)
    unknown = np.setdiff1d(labels, estimator.classes_).tolist()
    if unknown:
        raise ValueError(
            f"{name} has {unknown[:9]}, but the classes of the estimator are "
            f"{np.asarray(estimator.classes_).tolist()[:9]}. Remove these images, or "
            "rename their labels."
        )
    return labels


def _read_masks(estimator, y, name, n_images):
    masks = check_masks(y, name=name, **get_mask_options(estimator))
    _check_length(masks, name, n_images)
    return masks


def _check_length(y, name, n_images):
    if len(y) != n_images:
        images = name.replace("y_", "X_")
        raise ValueError(
            f"{images} has {n_images} images, but {name} has {len(y)} entries. Pass "
            "one per image."
        )


def _check_masks(images, masks):
    """Raise an error if a mask differs in size from its image, or none has a label."""
    is_labelled = False
    for position, image in enumerate(images):
        mask = masks[position]
        is_labelled = is_labelled or np.any(mask != masks.ignore_label)
        check_mask_size(mask, image, masks.where(position), images.where(position))
    if not is_labelled:
        raise ValueError(
            f"All pixels of y_test have ignore_label={masks.ignore_label}. A report "
            "needs test masks with other labels, such as 0 and 1."
        )


def _check_not_given(**options):
    """Raise an error if an option is given that is for two classes."""
    for name, value in options.items():
        if value is not None:
            raise ValueError(
                f"{name}={value!r} is for two classes, which the estimator does not "
                "have. Leave it out."
            )


def _read_classes(estimator, labels, pos_label):
    """Return the kind of classifier, and the position of the positive class."""
    classes = np.asarray(estimator.classes_).tolist()
    if len(np.unique(labels)) < 2:
        raise ValueError(
            f"y_test has the class {labels.tolist()[0]!r} only. A report needs test "
            "images of at least 2 classes."
        )
    if len(classes) > 2:
        return MULTICLASS, None
    if pos_label is None:
        return BINARY, 1
    if pos_label not in classes:
        raise ValueError(
            f"pos_label={pos_label!r} must be one of the classes of the estimator: "
            f"{classes}."
        )
    return BINARY, classes.index(pos_label)


def _read_train(estimator, train, test, read_y) -> ImageSet | None:
    if train is None:
        return None
    if not isinstance(train, tuple | list) or len(train) not in (2, 3):
        raise ValueError(
            "train must be a tuple (X_train, y_train), or (X_train, y_train, groups) "
            "with the lesion or patient of each image."
        )
    X, y, groups = (*train, None)[:3]
    images = check_images(X, name="X_train")
    if y is not None:
        y = read_y(estimator, y, "y_train", len(images))
    groups = check_groups(groups, len(images), name="groups of train")
    both = [each for each in (groups, test.groups) if each is not None]
    kinds = {"text" if each.dtype.kind in "OSU" else "numbers" for each in both}
    if len(kinds) > 1:
        raise ValueError(
            "The groups of the training images and those of the test images must both "
            "be numbers or both be text. Otherwise none of them would be equal."
        )
    return ImageSet(images, y, groups)


def _check_metadata(metadata, n_images):
    """Raise an error for attributes that `subgroup_report` would refuse."""
    if metadata is not None:
        from ..model_selection._subgroups import split_attributes

        split_attributes(metadata, n_images)
    return metadata
