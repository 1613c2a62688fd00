"""Near-duplicates: images that show the same photograph."""

# Authors: The skinest developers
# SPDX-License-Identifier: BSD-3-Clause

from __future__ import annotations

from dataclasses import dataclass
from functools import cache, partial
from numbers import Integral, Real
from typing import TYPE_CHECKING, Any

import numpy as np
from joblib import Parallel, delayed
from sklearn.base import clone
from sklearn.exceptions import NotFittedError
from sklearn.utils.validation import check_is_fitted

from ..images import check_images
from ..utils._checks import check_groups
from ._fingerprints import (
    PARTS,
    SIDE,
    Candidates,
    compare,
    find_candidates,
    flatten_details,
    make_fingerprints,
)

if TYPE_CHECKING:
    import pandas as pd

    from .._typing import ArrayLike, ImagesLike, NDArray

VIEWS = (
    "same",
    "horizontal flip",
    "vertical flip",
    "half turn",
    "flip at the diagonal",
    "quarter turn right",
    "quarter turn left",
    "flip at the other diagonal",
)
# A quarter turn of the one image is the opposite quarter turn of the other.
_INVERSE = np.array([0, 1, 2, 3, 4, 6, 5, 7])
_NEARLY = 0.5  # score from which neighbouring sides of a part are tried too
_CHUNK = 256  # pairs that one task compares
_N_STANDARD = 32  # images, at least, by which features are standardised


@dataclass(frozen=True)
class NearDuplicates:
    """Pairs of images that look the same, with the most similar pair first.

    :func:`find_near_duplicates` returns it.

    Parameters
    ----------
    pairs : ndarray of shape (n_pairs, 2)
        Positions of the two images: both in `X`, the lower one first, or in `X` and
        `Y`.

    scores : ndarray of shape (n_pairs,)
        Similarity of the two images, at most 1.

    views : ndarray of shape (n_pairs,)
        How the first image is turned to look like the second: "same", "half turn",
        "horizontal flip" and so on.

    feature_similarities : ndarray of shape (n_pairs,) or None
        Correlation of the features of the two images, with an extractor.

    n_images : tuple of int or None, default=None
        Number of images of the set that was searched, or of both sets, `X` and `Y`.
        None means that it is not known.

    Examples
    --------
    >>> from skinest.datasets import make_dermoscopy
    >>> from skinest.model_selection import find_near_duplicates
    >>> X = make_dermoscopy(4, image_size=(96, 128), random_state=0).images
    >>> found = find_near_duplicates(X, X[[3, 0]])
    >>> len(found), found.pairs.tolist()
    (2, [[0, 1], [3, 0]])
    >>> found.n_images
    (4, 2)
    """

    pairs: NDArray[np.intp]
    scores: NDArray[np.float64]
    views: NDArray[np.object_]
    feature_similarities: NDArray[np.float64] | None = None
    n_images: tuple[int, ...] | None = None

    def __len__(self) -> int:
        return len(self.pairs)

    def to_frame(self) -> pd.DataFrame:
        """Return the pairs as a table.

        Returns
        -------
        frame : DataFrame
            With the columns "first", "second", "score" and "view", and with an
            extractor "feature_similarity".
        """
        import pandas as pd

        columns = {
            "first": self.pairs[:, 0],
            "second": self.pairs[:, 1],
            "score": self.scores,
            "view": self.views,
        }
        if self.feature_similarities is not None:
            columns["feature_similarity"] = self.feature_similarities
        return pd.DataFrame(columns)


def find_near_duplicates(
    X: ImagesLike,
    Y: ImagesLike | None = None,
    *,
    threshold: float = 0.75,
    n_neighbors: int = 10,
    extractor: Any = None,
    feature_threshold: float = 0.8,
    candidate_threshold: float = 0.4,
    n_jobs: int | None = None,
) -> NearDuplicates:
    """Find pairs of images that show the same photograph.

    The second image may be resized, squeezed to another aspect ratio, compressed again,
    flipped, turned by a quarter, a little brighter, or cropped by up to a fifth of its
    sides. With an `extractor`, copies are found too that were rotated by a few degrees.
    Different photographs of one lesion are usually not found: pass their lesion number
    as `groups` wherever images are split. Images without details, such as those of one
    colour, are in no pair.

    Parameters
    ----------
    X : array, list of arrays or paths
        Images in any form that skinest accepts, see :mod:`skinest.images`. Each is
        read once.

    Y : array, list of arrays or paths, default=None
        Images of another set, such as test images. Then pairs have one image of each
        set, and are not for :func:`duplicate_groups`. None finds pairs within `X`.

    threshold : float, default=0.75
        Lowest score of a pair, in (0, 1]. A lower one finds more copies, but also pairs
        of different lesions, such as images with the same dark corners.

    n_neighbors : int, default=10
        Number of images that each image of `X` is compared with in detail: those with
        the most similar low frequencies. Raise it if `X` has many similar images.

    extractor : transformer, default=None
        Converts images to features, such as
        :class:`~skinest.BottleneckFeatureExtractor` with ImageNet weights. Then pairs
        with a score below `threshold` are found too if their features agree. Features
        are computed for few images only. If it is not fitted, a clone is fitted to
        them.

    feature_threshold : float, default=0.8
        Lowest correlation of the features of a pair with a score below `threshold`.

    candidate_threshold : float, default=0.4
        Lowest score of a pair whose features are compared, in (0, 1].

    n_jobs : int, default=None
        Number of threads. None means 1, -1 all processors.

    Returns
    -------
    duplicates : NearDuplicates
        The pairs, with scores.

    Raises
    ------
    ValueError
        If images or a parameter are invalid.
    FileNotFoundError
        If files are missing.

    See Also
    --------
    duplicate_groups : Numbers of groups for splits, with near-duplicates together.
    check_split : All leaks between training and test images.
    skinest.inspection.NearDuplicatesDisplay : Plot the pairs.

    Notes
    -----
    Images are reduced to grey images of 64 x 64 pixels. The local mean is subtracted
    from them, and they are divided by the local contrast. Low frequencies of the
    discrete cosine transform of each image are compared with those of all other images
    and of their parts, in all flips and quarter turns, by their cosine. The nearest
    neighbours are compared in detail: the score is the largest normalised correlation
    of the one image with a part of the other. For pairs with a score of at least .5, a
    part of each size near the best one is tried. Features are standardised over the
    images that they are computed for. Time grows with the square of the number of
    images, but memory in proportion to it: 8 KiB for each image.

    Examples
    --------
    >>> import numpy as np
    >>> from skinest.datasets import make_dermoscopy
    >>> from skinest.model_selection import find_near_duplicates
    >>> X = make_dermoscopy(8, image_size=(96, 128), random_state=0).images
    >>> turned = np.rot90(X[2], 2)
    >>> found = find_near_duplicates([*X, turned])
    >>> found.pairs, found.views
    (array([[2, 8]]), array(['half turn'], dtype=object))
    """
    _check_numbers(
        n_neighbors,
        threshold=threshold,
        feature_threshold=feature_threshold,
        candidate_threshold=candidate_threshold,
    )
    images = check_images(X)
    others = None if Y is None else check_images(Y, name="Y")
    first = make_fingerprints(images, n_jobs)
    if others is None:
        found = find_candidates(first, first, n_neighbors, is_same=True)
        scores = _compare_all(first, first, found, n_jobs)
        pairs, scores, views = _join(_list_ordered(found, scores))
    else:
        second = make_fingerprints(others, n_jobs)
        there = find_candidates(first, second, n_neighbors)
        back = find_candidates(second, first, n_neighbors)
        pairs, scores, views = _join(
            _list_pairs(there, _compare_all(first, second, there, n_jobs)),
            _list_pairs(back, _compare_all(second, first, back, n_jobs), is_back=True),
        )
    order = np.lexsort((pairs[:, 1], pairs[:, 0], -scores))
    lowest = threshold if extractor is None else min(threshold, candidate_threshold)
    order = order[scores[order] >= lowest]
    similarities = None
    if extractor is not None:
        similarities = np.zeros(0)
        if len(order):
            everything = images if others is None else others
            similarities = _correlate(extractor, images, everything, pairs[order])
            is_pair = (scores[order] >= threshold) | (similarities >= feature_threshold)
            order, similarities = order[is_pair], similarities[is_pair]
    names = np.array(VIEWS, dtype=object)[views[order]]
    n_images = (len(images),) if others is None else (len(images), len(others))
    return NearDuplicates(pairs[order], scores[order], names, similarities, n_images)


def duplicate_groups(
    X: ImagesLike,
    groups: ArrayLike | None = None,
    *,
    duplicates: NearDuplicates | None = None,
    **options: Any,
) -> NDArray[np.intp]:
    """Return groups for splits, in which near-duplicates are together.

    Parameters
    ----------
    X : array, list of arrays or paths
        Images in any form that skinest accepts, see :mod:`skinest.images`.

    groups : array-like of shape (n_images,), default=None
        Known groups, such as lesions or patients. If images of two groups are
        near-duplicates, the two groups become one. None means that each image is a
        group of its own.

    duplicates : NearDuplicates, default=None
        Pairs of `X`, if you have found them before. Then no image is read. Pairs of two
        sets are refused: search ``[*X, *Y]``, and pass it here too.

    **options : object
        Parameters of :func:`find_near_duplicates`.

    Returns
    -------
    merged : ndarray of shape (n_images,)
        The group of each image, from 0, in the order of their first images.

    Raises
    ------
    ValueError
        If images, groups or a parameter are invalid, or if `duplicates` are of two sets
        or of another number of images.
    FileNotFoundError
        If files are missing.

    See Also
    --------
    find_near_duplicates : Find the pairs.
    train_test_split : Split images by these groups.

    Examples
    --------
    >>> from skinest.datasets import make_dermoscopy
    >>> from skinest.model_selection import duplicate_groups
    >>> X = make_dermoscopy(4, image_size=(96, 128), random_state=0).images
    >>> duplicate_groups([*X, X[0][:, ::-1]], groups=["a", "b", "b", "c", "d"])
    array([0, 1, 1, 2, 0])
    """
    if options.get("Y") is not None:
        raise ValueError(
            "duplicate_groups has groups of X only. Leave out Y, or pass the images of "
            "both as X."
        )
    images = check_images(X)
    groups = check_groups(groups, len(images))
    if duplicates is None:
        duplicates = find_near_duplicates(images, **options)
    elif options:
        raise ValueError(f"Pass duplicates or {', '.join(options)}, not both.")
    else:
        _check_same_images(duplicates, len(images))
    numbers = np.arange(len(images))
    if groups is not None:
        numbers = np.unique(groups, return_inverse=True)[1].ravel()
    return _merge(numbers, duplicates.pairs)


def _check_same_images(duplicates, n_images):
    """Raise ValueError if pairs are not those of one set of so many images."""
    searched = duplicates.n_images
    if searched is not None and len(searched) > 1:
        raise ValueError(
            f"These pairs are of two sets, of {searched[0]} and {searched[1]} images. "
            "Find them in [*X, *Y], and pass these images as X."
        )
    if searched is not None and searched[0] != n_images:
        raise ValueError(
            f"duplicates are pairs of {searched[0]} images, but X has {n_images}. Pass "
            "the pairs that were found in X."
        )
    if len(duplicates) and duplicates.pairs.max() >= n_images:
        raise ValueError(
            f"duplicates has position {duplicates.pairs.max()}, but X has {n_images} "
            "images. Pass the pairs that were found in X."
        )


def _merge(numbers, pairs):
    """Return the numbers of groups after all groups of a pair are joined."""
    parents = np.arange(numbers.max() + 1)

    def find_root(number):
        while parents[number] != number:
            parents[number] = parents[parents[number]]
            number = parents[number]
        return number

    for first, second in numbers[pairs]:
        parents[find_root(first)] = find_root(second)
    roots = np.array([find_root(number) for number in range(len(parents))])[numbers]
    _, firsts, inverse = np.unique(roots, return_index=True, return_inverse=True)
    return np.argsort(np.argsort(firsts))[inverse.ravel()]


def _check_numbers(n_neighbors, **thresholds):
    for name, value in thresholds.items():
        if not isinstance(value, Real) or not 0 < value <= 1:
            raise ValueError(f"{name}={value!r} must be above 0 and at most 1.")
    is_integer = isinstance(n_neighbors, Integral) and not isinstance(n_neighbors, bool)
    if not is_integer or n_neighbors < 1:
        raise ValueError(f"n_neighbors={n_neighbors!r} must be an integer above 0.")


def _compare_all(first, second, candidates, n_jobs):
    """Return the score of each pair of candidates."""

    def compare_some(rows):
        flatten_first = cache(lambda i, side: flatten_details(first[i], side))
        flatten_second = cache(lambda j: flatten_details(second[j]))
        return [
            _compare_pair(flatten_second(j), partial(flatten_first, i), side, view)
            for i, j, view, side in rows.tolist()
        ]

    rows = np.column_stack(candidates)
    chunks = np.split(rows, range(_CHUNK, len(rows), _CHUNK))
    parallel = Parallel(n_jobs=n_jobs, prefer="threads")
    found = parallel(delayed(compare_some)(chunk) for chunk in chunks)
    return np.concatenate([np.array(scores, dtype=float) for scores in found])


def _compare_pair(details, flatten_part, side, view):
    """Return the best score of an image and of another one as a part of it."""
    scores = {
        tried: compare(details, [flatten_part(tried)], view) for tried in PARTS[side]
    }
    best = max(scores, key=scores.__getitem__)
    if not _NEARLY <= scores[best] < 1:
        return scores[best]
    # The right side may be between those of PARTS.
    near = [flatten_part(each) for each in range(best - 2, min(best + 2, SIDE) + 1)]
    return compare(details, near, view)


def _list_ordered(candidates, scores):
    """Return pairs of one set, scores and views, with the lower position first."""
    is_back = candidates.first > candidates.second
    parts = [
        _list_pairs(
            Candidates(*(column[chosen] for column in candidates)),
            scores[chosen],
            is_back=swapped,
        )
        for chosen, swapped in ((~is_back, False), (is_back, True))
    ]
    return [np.concatenate(each) for each in zip(*parts, strict=True)]


def _list_pairs(candidates, scores, *, is_back=False):
    """Return pairs, scores and views of candidates, with both images exchanged."""
    first, second, view, _ = candidates
    if is_back:
        first, second, view = second, first, _INVERSE[view]
    return np.column_stack([first, second]), scores, view


def _join(*lists):
    """Return each pair once, with its best score, and the view of that score."""
    pairs, scores, views = (np.concatenate(each) for each in zip(*lists, strict=True))
    order = np.lexsort((-scores, pairs[:, 1], pairs[:, 0]))
    pairs, scores, views = pairs[order], scores[order], views[order]
    _, firsts = np.unique(pairs, axis=0, return_index=True)
    return pairs[firsts], scores[firsts], views[firsts]


def _correlate(extractor, images, others, pairs):
    """Return the correlation of the features of each pair.

    Features are standardised by those of all images in pairs, and of some others if
    these are few; otherwise most features of a network would be similar in all images.
    """
    some = np.linspace(0, len(images) - 1, _N_STANDARD, dtype=int)
    positions = [np.unique(np.append(pairs[:, 0], some)), np.unique(pairs[:, 1])]
    try:
        check_is_fitted(extractor)
    except NotFittedError:
        extractor = clone(extractor).fit(images.select(positions[0]))
    features = [
        np.asarray(extractor.transform(each.select(chosen)), dtype=float)
        for each, chosen in zip((images, others), positions, strict=True)
    ]
    everything = np.concatenate(features)
    mean, deviation = everything.mean(axis=0), everything.std(axis=0)
    rows = [
        ((each - mean) / np.where(deviation, deviation, 1))[
            np.searchsorted(chosen, column)
        ]
        for each, chosen, column in zip(features, positions, pairs.T, strict=True)
    ]
    norms = np.prod([np.linalg.norm(each, axis=1) for each in rows], axis=0)
    products = np.einsum("ij,ij->i", *rows)
    return products / np.where(norms, norms, 1)
