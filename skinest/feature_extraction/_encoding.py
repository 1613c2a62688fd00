"""Encode local descriptors as one vector, with a vocabulary.

The functions implement equations. Their arguments are the descriptors of one image, or
of one of its cells. `n` is the number of descriptors, `d` their dimension and `K` the
number of visual words.
"""

# Authors: The skinest developers
# SPDX-License-Identifier: BSD-3-Clause

from dataclasses import dataclass
from numbers import Integral
from typing import Any

import joblib
import numpy as np
from sklearn.metrics import pairwise_distances_argmin
from sklearn.metrics.pairwise import euclidean_distances
from sklearn.preprocessing import normalize

from ._descriptor_calls import postprocess

_N_AT_A_TIME = 1024  # descriptors; their distances to words fit into a cache


def compute_histogram(words, n_words) -> np.ndarray:
    """Compute the fraction of descriptors that are nearest to each visual word.

    Parameters
    ----------
    words : ndarray of shape (n,), dtype int
        The nearest visual word of each descriptor.

    n_words : int
        The number of visual words.

    Returns
    -------
    vector : ndarray of shape (K,)
        Sums to 1, or is zero without descriptors.

    References
    ----------
    G. Csurka et al., "Visual categorization with bags of keypoints", ECCV
    Workshop on Statistical Learning in Computer Vision, 2004.
    """
    return np.bincount(words, minlength=n_words) / max(len(words), 1)


def assign_softly(descriptors, centers, bandwidth) -> np.ndarray:
    """Compute the weight of each descriptor for each visual word, by distance.

    This is the codeword uncertainty of van Gemert et al., equation 9, with a Gaussian
    kernel: ``exp(-|x - c_k|² / (2 b²))``, divided by its sum over all words.

    Parameters
    ----------
    descriptors : ndarray of shape (n, d)
        The descriptors.

    centers : ndarray of shape (K, d)
        The visual words.

    bandwidth : float
        Standard deviation b of the Gaussian, in the units of the descriptors.

    Returns
    -------
    weights : ndarray of shape (n, K)
        Each row sums to 1. The mean of all rows is the vector of the image.

    References
    ----------
    J. C. van Gemert et al., "Visual word ambiguity", IEEE PAMI 32(7), 2010.
    """
    exponents = euclidean_distances(descriptors, centers, squared=True)
    exponents /= -2 * bandwidth**2
    exponents -= exponents.max(axis=1, keepdims=True)
    weights = np.exp(exponents)
    return weights / weights.sum(axis=1, keepdims=True)


def compute_vlad(descriptors, words, centers) -> np.ndarray:
    """Sum the differences between descriptors and their visual word.

    Parameters
    ----------
    descriptors : ndarray of shape (n, d)
        The descriptors.

    words : ndarray of shape (n,), dtype int
        The nearest visual word of each descriptor.

    centers : ndarray of shape (K, d)
        The visual words.

    Returns
    -------
    vector : ndarray of shape (K * d,)
        Word by word, not normalised.

    References
    ----------
    H. Jégou et al., "Aggregating local descriptors into a compact image
    representation", CVPR 2010, equation 1.
    """
    sums = np.zeros(centers.shape)
    np.add.at(sums, words, descriptors - centers[words])
    return sums.ravel()


def compute_fisher_vector(descriptors, posteriors, mixture) -> np.ndarray:
    """Compute gradients of the log likelihood in means and standard deviations.

    Equations 17 and 18 of Sánchez et al., divided by the number of descriptors;
    the gradients in the weights (equation 16) are left out.

    Parameters
    ----------
    descriptors : ndarray of shape (n, d)
        The descriptors.

    posteriors : ndarray of shape (n, K)
        Probability of each Gaussian given each descriptor.

    mixture : GaussianMixture
        A fitted mixture of K Gaussians with diagonal covariances.

    Returns
    -------
    vector : ndarray of shape (2 * K * d,)
        K * d gradients in the means, then as many in the standard deviations,
        not normalised.

    References
    ----------
    J. Sánchez et al., "Image classification with the Fisher vector: theory and
    practice", International Journal of Computer Vision 105(3), 2013.
    """
    descriptors = descriptors.astype(np.float64)  # float32 loses small differences
    weights = mixture.weights_[:, np.newaxis]
    means, variances = mixture.means_, mixture.covariances_
    n_assigned = posteriors.sum(axis=0)[:, np.newaxis]
    first = posteriors.T @ descriptors
    second = posteriors.T @ descriptors**2
    by_mean = (first - n_assigned * means) / np.sqrt(weights * variances)
    squares = (second - 2 * means * first + n_assigned * means**2) / variances
    by_deviation = (squares - n_assigned) / np.sqrt(2 * weights)
    gradients = np.concatenate([by_mean.ravel(), by_deviation.ravel()])
    return gradients / max(len(descriptors), 1)


def normalize_power(vectors) -> np.ndarray:
    """Take signed square roots, then scale each row to unit Euclidean length.

    Parameters
    ----------
    vectors : ndarray of shape (n_images, n_features)
        Sums of differences or gradients.

    Returns
    -------
    vectors : ndarray of shape (n_images, n_features)
        Rows of zeros stay zero.

    References
    ----------
    F. Perronnin, J. Sánchez and T. Mensink, "Improving the Fisher kernel for
    large-scale image classification", ECCV 2010.
    """
    return normalize(np.sign(vectors) * np.sqrt(np.abs(vectors)))


def find_cell_members(points, pyramid) -> list[np.ndarray]:
    """Find the descriptors that lie in each cell of a spatial pyramid.

    Parameters
    ----------
    points : ndarray of shape (n, 2)
        Places (x, y) in fractions of the image's width and height.

    pyramid : sequence of int
        Cells per side at each level.

    Returns
    -------
    members : list of ndarray of shape (n,), dtype bool
        Level by level, row by row, from the upper left cell.

    References
    ----------
    S. Lazebnik, C. Schmid and J. Ponce, "Beyond bags of features: spatial pyramid
    matching for recognizing natural scene categories", CVPR 2006.
    """
    members = []
    for n_cells in pyramid:
        columns, rows = np.minimum((points * n_cells).astype(int), n_cells - 1).T
        cells = rows * n_cells + columns
        members += [cells == cell for cell in range(n_cells**2)]
    return members


def check_pyramid(pyramid, descriptor) -> None:
    """Raise a ValueError if a pyramid is invalid or the descriptor has no places.

    Parameters
    ----------
    pyramid : sequence of int
        Cells per side at each level.

    descriptor : descriptor object, callable or None
        Descriptor of the images.
    """
    if not len(pyramid) or any(not isinstance(n, Integral) or n < 1 for n in pyramid):
        raise ValueError(
            f"pyramid={pyramid!r}: pass the cells per side of each level, e.g. (1, 2) "
            "for the whole image and its quarters."
        )
    if len(set(pyramid)) < len(pyramid):
        raise ValueError(f"pyramid={pyramid!r} has a level twice.")
    has_places = descriptor is None or hasattr(descriptor, "describe")
    if tuple(pyramid) != (1,) and not has_places:
        raise ValueError(
            f"pyramid={pyramid!r} needs a descriptor that returns places, by a method "
            f"describe(image) -> (values, points); {descriptor!r} has none."
        )


@dataclass
class Encoder:
    """Encode descriptors of images as vectors, with one vocabulary.

    Parameters
    ----------
    encoding : {"histogram", "soft", "tfidf", "vlad", "fisher"}
        The encoding. "tfidf" is a histogram here; it is weighted later.

    vocabulary : ndarray of shape (n_words, d) or GaussianMixture
        The visual words or, for "fisher", the mixture.

    pca : PCA or None
        PCA that projects the descriptors, or None.

    pyramid : sequence of int
        Cells per side at each level of the spatial pyramid.
    """

    encoding: str
    vocabulary: Any
    pca: Any
    pyramid: tuple[int, ...]

    def __call__(self, described) -> np.ndarray:
        """Encode images.

        Parameters
        ----------
        described : list of (values, points)
            Descriptors of each image, after `finish`, and their places.

        Returns
        -------
        vectors : ndarray of shape (n_images, n_features), dtype float32
            Zero if an image has no descriptor.
        """
        vectors = np.zeros((len(described), self.n_features), dtype=np.float32)
        filled = [row for row, (values, _) in enumerate(described) if len(values)]
        if filled:
            projected = [self.project(described[row][0]) for row in filled]
            assigned = self.assign(projected)
            for row, values, assignment in zip(
                filled, projected, assigned, strict=True
            ):
                members = self.find_members(described[row][1], len(values))
                vectors[row] = self._encode(values, assignment, members)
        return vectors

    def check_same(self, encoding, pyramid, n_words) -> None:
        """Raise a ValueError if parameters differ from those of this encoder."""
        before = {
            "encoding": self.encoding,
            "pyramid": self.pyramid,
            "n_words": self.n_words,
        }
        now = {"encoding": encoding, "pyramid": pyramid, "n_words": n_words}
        for name, old in before.items():
            if old != now[name]:
                raise ValueError(
                    f"{name} was {old!r} and is {now[name]!r} now. Set it back, or "
                    "call fit."
                )

    @property
    def n_words(self) -> int:
        """Return the number of visual words."""
        return len(self._centers)

    @property
    def n_features(self) -> int:
        """Return the length of a vector."""
        n_words, width = self._centers.shape
        per_word = {"vlad": width, "fisher": 2 * width}.get(self.encoding, 1)
        return n_words * per_word * int(np.square(self.pyramid).sum())

    def compute_digest(self) -> str:
        """Return a hash of everything that vectors depend on, except descriptors."""
        learned = self.vocabulary
        if self.encoding == "fisher":
            learned = learned.weights_, learned.means_, learned.covariances_
        pca = None if self.pca is None else (self.pca.mean_, self.pca.components_)
        return joblib.hash((self.encoding, self.pyramid, learned, pca))

    def list_word_features(self) -> list[str]:
        """Return the names of the features of one cell."""
        words = [f"word{word}" for word in range(self.n_words)]
        dimensions = range(self._centers.shape[1])
        if self.encoding == "vlad":
            return [f"{word}_dim{j}" for word in words for j in dimensions]
        if self.encoding == "fisher":
            parts = ("mean", "deviation")
            return [
                f"{w}_{part}{j}" for part in parts for w in words for j in dimensions
            ]
        return words

    def list_feature_names(self) -> np.ndarray:
        """Return the names of all features, with the cell if there are several."""
        names = self.list_word_features()
        if sum(self.pyramid) > 1:
            cells = [
                f"cell{cell}of{n_cells}x{n_cells}"
                for n_cells in self.pyramid
                for cell in range(n_cells**2)
            ]
            names = [f"{cell}_{name}" for cell in cells for name in names]
        return np.asarray(names, dtype=object)

    @property
    def _centers(self) -> np.ndarray:
        if self.encoding == "fisher":
            return self.vocabulary.means_
        return self.vocabulary

    def project(self, values) -> np.ndarray:
        """Return descriptors after PCA, if there is one."""
        fitted = self._centers if self.pca is None else self.pca.components_
        if values.shape[1] != fitted.shape[1]:
            raise ValueError(
                f"descriptor gives {values.shape[1]} dimensions, but the vocabulary "
                f"was learned from {fitted.shape[1]}. Fit again."
            )
        return values if self.pca is None else self.pca.transform(values)

    def assign(self, projected) -> list[np.ndarray]:
        """Return nearest words, or weights for words, of each image's descriptors."""
        if self.encoding == "fisher":
            return [
                self.vocabulary.predict_proba(values.astype(np.float64))
                for values in projected
            ]
        if self.encoding == "soft":
            bandwidth = measure_word_spacing(self.vocabulary)
            return [
                assign_softly(values, self.vocabulary, bandwidth)
                for values in projected
            ]
        # One search for all images is faster than one for each.
        words = find_nearest_words(np.vstack(projected), self.vocabulary)
        return np.split(words, np.cumsum([len(values) for values in projected])[:-1])

    def find_members(self, points, n_descriptors) -> list[np.ndarray]:
        """Return whether each descriptor lies in each cell of the pyramid."""
        if self.pyramid == (1,):
            return [np.ones(n_descriptors, dtype=bool)]
        return find_cell_members(points, self.pyramid)

    def _encode(self, values, assignment, members) -> np.ndarray:
        if self.encoding in ("vlad", "fisher"):
            cells = [self._aggregate(values[in_], assignment[in_]) for in_ in members]
            return normalize(normalize_power(np.vstack(cells)).reshape(1, -1))[0]
        # Each level of the pyramid has the same sum, and the whole vector sums to 1.
        cells = [
            self._count(assignment[in_]) * (in_.mean() / len(self.pyramid))
            for in_ in members
        ]
        return np.concatenate(cells)

    def _aggregate(self, values, assignment):
        if self.encoding == "vlad":
            return compute_vlad(values, assignment, self.vocabulary)
        return compute_fisher_vector(values, assignment, self.vocabulary)

    def _count(self, assignment):
        if self.encoding != "soft":
            return compute_histogram(assignment, self.n_words)
        return assignment.sum(axis=0) / max(len(assignment), 1)


def measure_word_spacing(centers) -> float:
    """Return the mean distance from a visual word to the nearest other one."""
    if len(centers) == 1:
        return 1.0
    distances = euclidean_distances(centers)
    np.fill_diagonal(distances, np.inf)
    spacing = float(distances.min(axis=1).mean())
    return spacing or 1.0  # any width works if all words are equal


def encode_batch(encoder, descriptor, described):
    """Encode a batch of images.

    Parameters
    ----------
    encoder : Encoder
        The encoder.

    descriptor : descriptor object or callable
        Descriptor that computed the values.

    described : list of (values, points)
        Stored descriptors of each image and their places.

    Returns
    -------
    vectors : ndarray of shape (n_images, n_features), dtype float32
        Zero if an image has no descriptor.

    n_empty : int
        The number of such images.
    """
    used = [(postprocess(descriptor, values), points) for values, points in described]
    return encoder(used), sum(len(values) == 0 for values, _ in described)


def find_nearest_words(values, vocabulary) -> np.ndarray:
    """Return the index of the visual word nearest to each descriptor.

    scikit-learn computes all distances in float64. Here most are computed in float32,
    in less than half the time. float64 is used if two words are nearly equally near.

    Parameters
    ----------
    values : ndarray of shape (n_descriptors, n_dimensions)
        The descriptors.

    vocabulary : ndarray of shape (n_words, n_dimensions)
        The visual words.

    Returns
    -------
    words : ndarray of shape (n_descriptors,)
        The result of :func:`sklearn.metrics.pairwise_distances_argmin`.
    """
    if len(vocabulary) == 1:
        return np.zeros(len(values), dtype=np.intp)
    centers = vocabulary.astype(np.float32)
    squares = np.einsum("ij,ij->i", centers, centers)
    largest = np.sqrt(squares.max())
    # Maximum rounding error in float32 of the product of two vectors of such lengths.
    error = 2 * centers.shape[1] * np.finfo(np.float32).eps * largest
    words = np.empty(len(values), dtype=np.intp)
    for start in range(0, len(values), _N_AT_A_TIME):
        block = values[start : start + _N_AT_A_TIME].astype(np.float32, copy=False)
        with np.errstate(over="ignore", invalid="ignore"):  # float64 handles those
            nearness = block @ centers.T
            nearness -= squares / 2
        rows, nearest = np.arange(len(block)), nearness.argmax(axis=1)
        best = nearness[rows, nearest].copy()
        nearness[rows, nearest] = -np.inf
        norms = np.sqrt(np.einsum("ij,ij->i", block, block))
        unsure = ~(best - nearness.max(axis=1) > error * (norms + largest))
        if unsure.any():
            nearest[unsure] = pairwise_distances_argmin(
                values[start : start + _N_AT_A_TIME][unsure], vocabulary
            )
        words[start : start + len(block)] = nearest
    return words
