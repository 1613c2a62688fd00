"""Resampling of images by samplers of imbalanced-learn, and weights of sources.

Samplers of imbalanced-learn take tables. But a sampler that only selects rows needs the
labels only, so it can also select images. :func:`weigh_sources` balances images by
weights instead.
"""

# Authors: The skinest developers
# SPDX-License-Identifier: BSD-3-Clause

from __future__ import annotations

from numbers import Real
from typing import TYPE_CHECKING, Any, Self

import numpy as np
from imblearn.base import SamplerMixin
from sklearn.base import BaseEstimator, clone
from sklearn.utils import get_tags
from sklearn.utils.multiclass import type_of_target

from ._compat import (
    DocLinkMixin,
    HasMethods,
    Interval,
    fit_context,
    validate_params,
)
from ._reading._files import are_files
from .images import check_images
from .masks import check_masks
from .utils._checks import as_column, select_items
from .utils._deprecation import DEPRECATED, NOT_PASSED, renamed_parameter
from .utils._tags import mark_image_input

if TYPE_CHECKING:
    from collections.abc import Callable

    from numpy.typing import ArrayLike, NDArray

    from ._typing import AnyImages, AnyTarget, ImagesLike, MasksLike, TargetLike

__all__ = ["ImageResampler", "has_foreground", "weigh_sources"]


def has_foreground(
    X: Any,
    y: MasksLike,
    *,
    ignore_label: int | None = None,
    mask_threshold: float | None = None,
) -> NDArray[np.bool_]:
    """Return which masks have any foreground, to balance images by it.

    Parameters
    ----------
    X : array, list of arrays or paths
        The images. They are not used.

    y : array of shape (n_images, height, width), list of arrays or paths
        The masks, see :mod:`skinest.masks`.

    ignore_label : int, default=None
        Label of pixels that are not labelled, which are not foreground. To set it for
        :class:`ImageResampler`, pass
        ``balance_by=functools.partial(has_foreground, ignore_label=255)``.

    mask_threshold : float, default=None
        Fraction of white, in (0, 1), above which a pixel is foreground, for masks with
        smooth edges or saved as JPEG.

    Returns
    -------
    labels : ndarray of shape (n_images,), dtype bool
        True if the mask has any label that is neither 0 nor `ignore_label`.

    Raises
    ------
    ValueError
        If `y` does not contain masks, or a file cannot be decoded.
    FileNotFoundError
        If files are missing.

    See Also
    --------
    ImageResampler : Resample images, with this function as `balance_by`.

    Examples
    --------
    >>> import numpy as np
    >>> from skinest.sampling import has_foreground
    >>> masks = np.zeros((3, 8, 8), dtype=np.uint8)
    >>> masks[1, 2, 2] = 255
    >>> has_foreground(None, masks)
    array([False,  True, False])
    """
    masks = check_masks(y, ignore_label=ignore_label, mask_threshold=mask_threshold)
    return np.array([masks.read(index)[1].any() for index in range(len(masks))])


@validate_params(
    {
        "y": ["array-like"],
        "source": ["array-like"],
        "strength": [Interval(Real, 0, 1, closed="both")],
    },
    prefer_skip_nested_validation=True,
)
def weigh_sources(
    y: ArrayLike, source: ArrayLike, *, strength: float = 1.0
) -> NDArray[np.float64]:
    """Compute weights that balance the classes within each source.

    If melanoma is more frequent in one clinic than in another, a network that is
    trained on both learns to recognise the clinic, and fails on images of a third one.
    With these weights all classes have the same total weight within each source, and
    all sources have the same total weight, so the source says nothing about the class.
    Pass them as `sample_weight`.

    Parameters
    ----------
    y : array-like of shape (n_images,)
        Labels. Every source needs all of them.

    source : array-like of shape (n_images,)
        Source of each image, such as its clinic or data set.

    strength : float in [0, 1], default=1.0
        Power of the weights: 0 gives all images the same weight. Values between 0 and 1
        limit the weights of a source with few images of a class.

    Returns
    -------
    sample_weight : ndarray of shape (n_images,)
        Weights, whose mean is 1. Images of one class and source have the same.

    Raises
    ------
    ValueError
        If a source has no image of a class, or the lengths differ.

    See Also
    --------
    skinest.datasets.join_sources : Joins the data sets of several sources.
    skinest.model_selection.adjust_priors : Corrects probabilities for the prevalence.
    sklearn.utils.class_weight.compute_sample_weight : Balances the classes of all
        images together.

    Notes
    -----
    With S sources and C classes, n images in all and m of a class in a source, the
    weight is n / (S C m). As with ``class_weight="balanced"``, the probabilities of the
    classifier are right for data in which all classes are equally frequent.

    Examples
    --------
    >>> from skinest.sampling import weigh_sources
    >>> y = ["nevus", "nevus", "nevus", "melanoma", "nevus", "melanoma"]
    >>> source = ["north", "north", "north", "north", "south", "south"]
    >>> weigh_sources(y, source)
    array([0.5, 0.5, 0.5, 1.5, 1.5, 1.5])
    """
    y, source = as_column(y, "y"), as_column(source, "source")
    if not len(y):
        raise ValueError("y is empty. Pass the label of each image.")
    if len(y) != len(source):
        raise ValueError(
            f"y has {len(y)} entries, but source has {len(source)}. Pass one of each "
            "per image."
        )
    classes, class_indices = np.unique(y, return_inverse=True)
    names, source_indices = np.unique(source, return_inverse=True)
    counts = np.zeros((len(names), len(classes)), dtype=int)
    np.add.at(counts, (source_indices, class_indices), 1)
    if not counts.all():
        row, column = np.argwhere(counts == 0)[0]
        raise ValueError(
            f"The source {names.tolist()[row]!r} has no image of "
            f"{classes.tolist()[column]!r}, so weights cannot balance it. Leave the "
            "source or this label out, or join labels."
        )
    weights = (len(y) / (counts.size * counts)) ** strength
    sample_weight = weights[source_indices, class_indices]
    return sample_weight / sample_weight.mean()


class ImageResampler(DocLinkMixin, SamplerMixin, BaseEstimator):
    """Resample images by an imbalanced-learn sampler that selects rows.

    Put it into an imbalanced-learn Pipeline, before a step that takes images. It
    resamples in ``fit`` only. You can use `RandomOverSampler`, `RandomUnderSampler` and
    any other sampler whose tags say that it has `sample_indices_` and needs no numbers
    in `X`. `X` and `y` keep their types, and no file is decoded.

    Samplers that create new rows (`SMOTE`, `ADASYN`) or select rows by distances
    (`NearMiss`, `TomekLinks`) need feature vectors. Put them after the feature
    extraction, without this class:
    ``make_pipeline(BoVWSIFTTransformer(), SMOTE(), SVC())`` from
    :mod:`imblearn.pipeline`.

    Parameters
    ----------
    sampler : imbalanced-learn sampler
        Sampler that selects the images. It is cloned and uses its own `random_state`.

    balance_by : callable, default=None
        Function of `X` and `y` that returns one label per image, to balance by. None
        balances by `y`. If `y` has masks, pass
        :func:`~skinest.sampling.has_foreground` or your own
        function, for example one that returns the diagnosis of each path in `X`. It is
        an argument of the constructor and a function, because an imbalanced-learn
        Pipeline passes an array of labels to ``fit`` only with metadata routing.

    labels : callable or None, default="deprecated"
        The old name of `balance_by`.

        .. deprecated:: 0.1
            Use `balance_by`; `labels` will be removed in 0.2.

    Attributes
    ----------
    sampler_ : imbalanced-learn sampler
        The fitted clone of `sampler`.

    sample_indices_ : ndarray of shape (n_images_new,)
        Positions in `X` of the selected images, sorted, after ``fit_resample``.

    sampling_strategy_ : dict
        Number of images that `sampler_` samples, by label; see imbalanced-learn.

    See Also
    --------
    skinest.TransferClassifier : Has `class_weight`, which needs no resampling.

    Notes
    -----
    Selected images keep their order. Images of an array are copied. Lists of arrays and
    paths are repeated without a copy. Rows of a `Series` or `DataFrame` keep their
    index, so index labels can repeat.

    Sample weights and groups cannot be resampled in a Pipeline: imbalanced-learn takes
    only `X` and `y` from a sampler, and passes the weights of all images to the
    classifier. This raises an error if the number of images has changed. If a sampler
    with ``replacement=True`` leaves it as it was, nothing tells that the weights are
    those of other images. So resample before the Pipeline, and fit it with
    ``sample_weight=weights[resampler.sample_indices_]``.

    Examples
    --------
    >>> from imblearn.pipeline import make_pipeline
    >>> from imblearn.under_sampling import RandomUnderSampler
    >>> from sklearn.svm import SVC
    >>> from skinest import BoVWSIFTTransformer, ImageResampler
    >>> from skinest.datasets import make_dermoscopy
    >>> X, y = make_dermoscopy(40, random_state=0, return_X_y=True)
    >>> resampler = ImageResampler(RandomUnderSampler(random_state=0))
    >>> pipeline = make_pipeline(
    ...     resampler, BoVWSIFTTransformer(20, random_state=0), SVC()
    ... )
    >>> pipeline.fit(X, y).predict(X).shape
    (40,)
    >>> int(sum(y)), resampler.sample_indices_.size
    (8, 16)
    """

    _parameter_constraints = {
        "sampler": [HasMethods(["fit", "fit_resample", "get_params"])],
        "balance_by": [callable, None],
        "labels": [callable, None, NOT_PASSED],
    }

    def __init__(
        self,
        sampler: SamplerMixin,
        *,
        balance_by: Callable[..., ArrayLike] | None = None,
        labels: Callable[..., ArrayLike] | str | None = DEPRECATED,
    ) -> None:
        self.sampler = sampler
        self.balance_by = balance_by
        self.labels = labels

    @fit_context(prefer_skip_nested_validation=False)
    def fit(self, X: ImagesLike, y: TargetLike) -> Self:
        """Check images and labels only; use ``fit_resample`` to resample.

        Parameters
        ----------
        X : array, list of arrays or paths
            Images in any form that skinest accepts, see :mod:`skinest.images`.

        y : array-like of length n_images
            Labels or masks.

        Returns
        -------
        self : object
            The fitted sampler.
        """
        rows, labels = self._check(X, y)
        self.sampler_ = clone(self.sampler).fit(rows, labels)
        self.sampling_strategy_ = self.sampler_.sampling_strategy_
        return self

    @fit_context(prefer_skip_nested_validation=False)
    def fit_resample(self, X: AnyImages, y: AnyTarget) -> tuple[AnyImages, AnyTarget]:
        """Resample images.

        Parameters
        ----------
        X : array, list of arrays or paths
            Images in any form that skinest accepts, see :mod:`skinest.images`.

        y : array-like of length n_images
            Labels, or with `balance_by` also masks, see :mod:`skinest.masks`.

        Returns
        -------
        X_resampled : same type as X
            The selected images. Types that cannot be indexed by an array, such as
            Arrow arrays, are returned as an array.

        y_resampled : same type as y
            Their labels or masks.

        Raises
        ------
        ValueError
            If `X`, `y` or `balance_by` is invalid or lengths differ, or if the
            sampler cannot select images.
        FileNotFoundError
            If paths in `X` are missing.
        """
        return self._fit_resample(X, y)

    def _fit_resample(self, X, y):
        rows, labels = self._check(X, y)
        self.sampler_ = clone(self.sampler)
        selected, _ = self.sampler_.fit_resample(rows, labels)
        indices = self.sampler_.sample_indices_
        if not np.array_equal(np.ravel(selected), indices):
            raise ValueError(
                f"sampler={self.sampler!r} changes the rows that it selects, which is "
                f"not possible for images. {_after_features(self.sampler)}"
            )
        # Sorted: if all images are kept, the weights in a Pipeline are still theirs.
        self.sample_indices_ = indices = np.sort(indices)
        self.sampling_strategy_ = self.sampler_.sampling_strategy_
        return select_items(X, indices), select_items(y, indices)

    def _check(self, X, y):
        """Return a table of row numbers, and the labels to balance by."""
        _check_sampler(self.sampler)
        if y is None:
            raise ValueError("y is None. Pass y, the label or mask of each image.")
        n_images = len(check_images(X, y))
        balance_by = renamed_parameter(
            "labels", self.labels, "balance_by", self.balance_by
        )
        if balance_by is None:
            labels, name = _check_labels(y), "y"
        else:
            name = "balance_by(X, y)"
            labels = as_column(balance_by(X, y), name)
            if len(labels) != n_images:
                raise ValueError(
                    f"{name} has {len(labels)} entries, but there are {n_images} "
                    "images. Return one label per image."
                )
        if type_of_target(labels, input_name=name).startswith("continuous"):
            raise ValueError(
                f"{name} has numbers that are not classes. Pass classes, or intervals "
                "of these numbers, e.g. np.digitize."
            )
        return np.arange(n_images)[:, np.newaxis], labels

    def __sklearn_tags__(self):
        tags = super().__sklearn_tags__()
        if hasattr(self.sampler, "__sklearn_tags__"):
            tags = get_tags(self.sampler)
        mark_image_input(tags)
        tags.input_tags.sparse = False
        tags.input_tags.allow_nan = False
        return tags


def _check_sampler(sampler):
    """Raise ValueError unless a sampler selects rows by their labels only."""
    tags = get_tags(sampler)
    sampler_tags = getattr(tags, "sampler_tags", None)
    if sampler_tags is None or not sampler_tags.sample_indices:
        does = "has no sample_indices_, because it creates rows that are not images"
    elif not tags.input_tags.string:
        does = "selects rows by numeric features, which images do not have"
    else:
        return
    raise ValueError(
        f"sampler={sampler!r} {does}. {_after_features(sampler)} Images can be "
        "selected by RandomOverSampler and RandomUnderSampler."
    )


def _after_features(sampler) -> str:
    name = type(sampler).__name__
    return (
        "Put it after the features, without ImageResampler: imblearn.pipeline."
        f"make_pipeline(BoVWSIFTTransformer(), {name}(...), SVC())."
    )


def _check_labels(y):
    """Return the labels of the images, or raise ValueError if `y` has masks."""
    items = y if isinstance(y, list | tuple) else np.asarray(y)
    if isinstance(items, np.ndarray):
        if items.ndim == 0:
            raise ValueError(
                f"y is of type {type(y).__name__}. Pass one label per image, as a list "
                "or an array."
            )
        if items.ndim == 2 and items.shape[1] == 1:
            items = items.ravel()
    first = items[0]
    are_masks = np.ndim(first) >= 2 or are_files(items)
    if are_masks or (isinstance(first, str) and len(set(items)) == len(items) > 1):
        what = "masks" if are_masks else "a different string for each image"
        raise ValueError(
            f"y has {what}, so there are no labels to balance by. Pass "
            "balance_by=has_foreground, or another callable that takes X and y and "
            "returns the label of each image."
        )
    is_table = np.ndim(first) == 1 and len(first) > 1  # one-hot
    return y if is_table else as_column(items, "y")
