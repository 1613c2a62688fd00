"""Learn a vocabulary of visual words from the descriptors of many images."""

# Authors: The skinest developers
# SPDX-License-Identifier: BSD-3-Clause

import numpy as np
from sklearn.base import clone
from sklearn.cluster import MiniBatchKMeans
from sklearn.decomposition import PCA
from sklearn.mixture import GaussianMixture
from threadpoolctl import threadpool_limits


class DescriptorSample:
    """Uniform sample without replacement of a stream of descriptors.

    Each descriptor gets a random number, and those with the smallest numbers are the
    sample. So it does not depend on the batches of the stream, and at most twice its
    size is in memory.

    Parameters
    ----------
    max_descriptors : int
        Size of the sample.

    seed : int or None
        Seed of the random numbers.

    Attributes
    ----------
    n_images : int
        Number of images that were added.

    n_empty : int
        Number of these images without descriptors.

    n_held : int
        Number of descriptors in memory.
    """

    def __init__(self, max_descriptors, seed) -> None:
        self.max_descriptors = max_descriptors
        self.n_images = 0
        self.n_empty = 0
        self._generator = np.random.default_rng(seed)
        self._values: list[np.ndarray] = []
        self._draws: list[np.ndarray] = []
        self.n_held = 0

    def add(self, values) -> None:
        """Add the descriptors of one image to the stream.

        Parameters
        ----------
        values : ndarray of shape (n_descriptors, d)
            Stored descriptors. The sample has their dtype.

        Raises
        ------
        ValueError
            If `d` differs from that of earlier images.
        """
        self.n_images += 1
        if len(values) == 0:
            self.n_empty += 1
            return
        if self._values and values.shape[1] != self._values[0].shape[1]:
            raise ValueError(
                f"descriptor gives {values.shape[1]} dimensions for "
                f"X[{self.n_images - 1}], but gave {self._values[0].shape[1]} before."
            )
        self._values.append(values)
        self._draws.append(self._generator.random(len(values)))
        self.n_held += len(values)
        if self.n_held > 2 * self.max_descriptors:
            self._prune()

    def get(self) -> np.ndarray:
        """Return the sample, in the order of the stream.

        Returns
        -------
        values : ndarray of shape (n_descriptors, d)
            At most `max_descriptors` rows; no row if there was no descriptor.
        """
        if not self._values:
            return np.empty((0, 0), dtype=np.float32)
        self._prune()
        return np.vstack(self._values)

    def _prune(self):
        if self.n_held <= self.max_descriptors:
            return
        draws = np.concatenate(self._draws)
        limit = np.partition(draws, self.max_descriptors)[self.max_descriptors]
        kept = [draw < limit for draw in self._draws]
        pairs = list(zip(self._values, self._draws, kept, strict=True))
        self._values = [values[keep] for values, _, keep in pairs]
        self._draws = [draw[keep] for _, draw, keep in pairs]
        self.n_held = self.max_descriptors


def make_clusterer(clusterer, encoding, n_words, seed):
    """Return an unfitted clusterer for `n_words` visual words.

    Parameters
    ----------
    clusterer : estimator or None
        Clusterer of the user.

    encoding : str
        "fisher" needs a mixture, other encodings need cluster centres.

    n_words : int
        The number of visual words.

    seed : int or None
        Seed of the clusterer, if its `random_state` is None.

    Returns
    -------
    clusterer : estimator
        A clone; the clusterer of the user is not changed.

    Raises
    ------
    ValueError
        If it has no parameter for the number of words or does not suit the encoding.
    """
    if clusterer is not None:
        clusterer = clone(clusterer)
    elif encoding == "fisher":
        clusterer = GaussianMixture(covariance_type="diag")
    else:
        # scikit-learn's larger init_size takes twice the time for the same inertia.
        clusterer = MiniBatchKMeans(
            batch_size=4096,
            init_size=max(4096, 3 * n_words),
            n_init=1,
            compute_labels=False,
        )
    parameters = clusterer.get_params(deep=False)
    size = "n_components" if encoding == "fisher" else "n_clusters"
    if size not in parameters:
        raise ValueError(
            f"clusterer={clusterer!r} has no parameter {size!r}. encoding={encoding!r} "
            f"needs {_CLUSTERERS[encoding == 'fisher']}."
        )
    if encoding == "fisher" and parameters.get("covariance_type", "diag") != "diag":
        raise ValueError(
            f"clusterer={clusterer!r}: encoding='fisher' needs covariance_type='diag'."
        )
    clusterer.set_params(**{size: n_words})
    if "random_state" in parameters and parameters["random_state"] is None:
        clusterer.set_params(random_state=seed)
    return clusterer


_CLUSTERERS = {
    False: "one with n_clusters and cluster_centers_, such as KMeans",
    True: "a mixture of diagonal Gaussians, such as GaussianMixture",
}


def check_enough(n_descriptors, n_images, n_words) -> None:
    """Raise a ValueError if there are fewer descriptors than visual words.

    Parameters
    ----------
    n_descriptors : int
        Number of descriptors.

    n_images : int
        Number of images.

    n_words : int
        Number of visual words.
    """
    if n_descriptors >= n_words:
        return
    if n_descriptors == 0:
        found = f"None of the {n_images} images in X has a descriptor"
    else:
        found = (
            f"n_words={n_words}, but the {n_images} images in X have {n_descriptors} "
            "descriptors in all"
        )
    raise ValueError(
        f"{found}. Use fewer words, or find more: a lower contrast_threshold of "
        "SIFTDescriptor, detector='grid', or larger images."
    )


def check_partial(clusterer, encoding) -> None:
    """Raise a ValueError if a vocabulary cannot be learned in batches.

    Parameters
    ----------
    clusterer : estimator
        Clusterer for the next batch.

    encoding : str
        Encoding that uses the vocabulary.
    """
    if not hasattr(clusterer, "partial_fit"):
        raise ValueError(
            f"{clusterer!r} cannot learn in batches. Use fit, or a clusterer with "
            "partial_fit, such as MiniBatchKMeans."
        )
    if encoding == "tfidf":
        raise ValueError(
            "encoding='tfidf' needs all training images at once, because each batch "
            "moves the words. Use encoding='histogram' and a TfidfTransformer after it."
        )


def learn_vocabulary(values, clusterer, n_components, seed):
    """Fit PCA and the clusterer to descriptors.

    Parameters
    ----------
    values : ndarray of shape (n_descriptors, d), dtype float32
        Sample of the descriptors, after `finish`.

    clusterer : estimator
        An unfitted clusterer from :func:`make_clusterer`.

    n_components : int or None
        Number of dimensions after PCA. None does no PCA.

    seed : int or None
        The `random_state` of PCA.

    Returns
    -------
    pca : PCA or None
        PCA that projects the descriptors.

    clusterer : estimator
        The fitted clusterer.
    """
    # Seeding computes thousands of small products. With threads of BLAS they were five
    # times slower on two busy cores.
    with threadpool_limits(1, user_api="blas"):
        pca = fit_pca(values, n_components, seed)
        clusterer.fit(values if pca is None else pca.transform(values))
    return pca, clusterer


def extract_words(clusterer, encoding):
    """Return the visual words of a fitted clusterer, or a fitted mixture itself.

    Parameters
    ----------
    clusterer : estimator
        A fitted clusterer from :func:`make_clusterer`.

    encoding : str
        "fisher" needs a mixture, other encodings need cluster centres.

    Returns
    -------
    vocabulary : ndarray of shape (n_words, d) or estimator

    Raises
    ------
    ValueError
        If the clusterer lacks the attribute that the encoding needs.
    """
    needed = "means_" if encoding == "fisher" else "cluster_centers_"
    if not hasattr(clusterer, needed):
        raise ValueError(
            f"clusterer={clusterer!r} has no {needed} after it was fitted. encoding="
            f"{encoding!r} needs {_CLUSTERERS[encoding == 'fisher']}."
        )
    if encoding != "fisher":
        return clusterer.cluster_centers_.copy()
    # Learned in float32, but used in float64: small differences of squares matter.
    for name in ("weights_", "means_", "covariances_", "precisions_cholesky_"):
        setattr(clusterer, name, getattr(clusterer, name).astype(np.float64))
    return clusterer


def fit_pca(values, n_components, seed):
    """Fit PCA to descriptors, or return None if `n_components` is None.

    Parameters
    ----------
    values : ndarray of shape (n_descriptors, d)
        The descriptors.

    n_components : int or None
        Number of dimensions after PCA.

    seed : int or None
        The `random_state` of PCA.

    Returns
    -------
    pca : PCA or None

    Raises
    ------
    ValueError
        If there are fewer dimensions or descriptors than `n_components`.
    """
    if n_components is None:
        return None
    if n_components > min(values.shape):
        raise ValueError(
            f"n_components={n_components}, but there are {len(values)} descriptors of "
            f"{values.shape[1]} dimensions. Lower n_components."
        )
    pca = PCA(n_components, random_state=seed).set_output(transform="default")
    pca.fit(values)
    # As in a copy that is pickled: the order in memory changes how BLAS rounds.
    pca.components_ = np.ascontiguousarray(pca.components_)
    return pca
