"""Feature extraction with a bag of visual words."""

# Authors: The skinest developers
# SPDX-License-Identifier: BSD-3-Clause

from __future__ import annotations

import os
from contextlib import closing, nullcontext
from functools import partial
from numbers import Integral
from typing import TYPE_CHECKING, Literal, Self

import joblib
import numpy as np
from sklearn.base import BaseEstimator, TransformerMixin
from sklearn.feature_extraction.text import TfidfTransformer
from sklearn.utils import check_random_state
from sklearn.utils.validation import check_is_fitted

from .._compat import (
    CallbackSupportMixin,
    DocLinkMixin,
    HasMethods,
    Interval,
    StrOptions,
    fit_context,
    open_callback_context,
    with_callbacks,
)
from .._identity import identify
from ..images import check_images
from ..utils._callbacks import iterate_with_callbacks
from ..utils._checks import MAX_SEED
from ..utils._containers import keep_index
from ..utils._tags import ImageInputMixin
from ..utils._verbose import announce
from ._describing import DescribedImages, warn_of_empty
from ._descriptor_calls import copy_descriptor, postprocess
from ._encoding import Encoder, check_pyramid, encode_batch
from ._vocabulary import (
    DescriptorSample,
    check_enough,
    check_partial,
    extract_words,
    fit_pca,
    learn_vocabulary,
    make_clusterer,
)

if TYPE_CHECKING:
    from .. import _typing as t

_COMPACT_ENCODINGS = ("vlad", "fisher")  # few words, many numbers for each
_N_COMPONENTS = 64


class BoVWSIFTTransformer(
    ImageInputMixin, DocLinkMixin, CallbackSupportMixin, TransformerMixin, BaseEstimator
):
    """Encode images as vectors by SIFT and a bag of visual words.

    `fit` computes local descriptors of the images and clusters a sample of them. The
    cluster centres are the visual words; all words are the vocabulary. `transform`
    encodes the descriptors of each image as one vector, by their nearest words. SIFT
    can be replaced by other descriptors.

    Parameters
    ----------
    n_words : int or "auto", default="auto"
        Number of visual words, or of Gaussians for `encoding="fisher"`.
        "auto" is 300, or 32 for "vlad" and "fisher".

    descriptor : descriptor object or callable, default=None
        Computes the descriptors of an image: :class:`SIFTDescriptor`,
        :class:`ColorPatchDescriptor`, or any picklable callable that takes an RGB
        ``uint8`` array of shape (height, width, 3) and returns an array of shape
        (n_descriptors, n_dimensions). None is ``SIFTDescriptor()``. Pass an
        object to search over its parameters, e.g. `bovw__descriptor__root`.

    encoding : {"histogram", "soft", "tfidf", "vlad", "fisher"}, \
default="histogram"
        How descriptors are encoded:

        - "histogram": fraction of descriptors nearest to each word;
        - "soft": each descriptor counts for all words, weighted by a Gaussian of the
          distance, which is as wide as the mean distance between neighbouring words;
        - "tfidf": histogram, weighted by the rarity of words in the training
          images, of unit Euclidean length;
        - "vlad": sums of differences between descriptors and their nearest word;
        - "fisher": Fisher vector, the gradients of the log likelihood of a Gaussian
          mixture with respect to its means and standard deviations.

        The last two are power-normalised and have unit Euclidean length.

    n_components : int, "auto" or None, default="auto"
        Number of dimensions of descriptors after PCA. None does no PCA. "auto" is
        None, except for "fisher", which treats dimensions as uncorrelated: there it
        is 64, or all dimensions if there are fewer.

    pyramid : tuple of int, default=(1,)
        Cells per side at each level of a spatial pyramid; ``(1, 2)`` is the whole
        image and its four quarters. The vectors of all cells are concatenated.

    max_descriptors : int, default=200_000
        Maximum number of descriptors to learn the vocabulary from. They are a random
        sample from all training images.

    clusterer : estimator, default=None
        A clusterer with parameter `n_clusters` and attribute `cluster_centers_` or,
        for "fisher", a mixture with `n_components`. A clone of it receives `n_words`,
        and a random state if its own is None. None means
        :class:`~sklearn.cluster.MiniBatchKMeans`, or
        :class:`~sklearn.mixture.GaussianMixture` with diagonal covariances.

    memory : str, path or joblib.Memory, default=None
        Folder where descriptors, vocabularies and vectors are cached, so that a search
        computes each of them once. A file is identified by its path, inode, size and
        times of change, an array by its content. Your own `descriptor` or `clusterer`
        needs an attribute `version`, see :ref:`own-code`. With `random_state=None`, a
        cached vocabulary is used again. None stores descriptors in a temporary folder
        while `fit_transform` runs.

    n_jobs : int, default=None
        Number of images whose descriptors are computed in parallel, in threads unless
        :func:`joblib.parallel_config` sets another backend. None means 1 or, for the
        descriptors of skinest, the number of threads that OpenCV would use. If it is
        more than 1, OpenCV itself uses one thread.

    random_state : int, RandomState instance or None, default=None
        Seed of the sample of descriptors and of the clusterer.

    verbose : int, default=0
        If above 0, print a line for each pass over the images.

    Attributes
    ----------
    vocabulary_ : ndarray of shape (n_words, n_dimensions) or GaussianMixture
        The visual words or, for "fisher", the mixture.

    clusterer_ : estimator
        The fitted clusterer.

    pca_ : PCA or None
        PCA that projects the descriptors; None without PCA.

    descriptor_ : descriptor object or callable
        Copy of `descriptor` that `fit` used.

    n_features_out_ : int
        Length of a vector.

    See Also
    --------
    SIFTDescriptor : SIFT at keypoints or on a grid.
    ColorPatchDescriptor : Colours instead of gradients.
    skinest.kernels.histogram_intersection_kernel : A kernel for histograms.
    skinest.inspection.VisualWordsDisplay : Which words are evidence for a class.

    Notes
    -----
    The vector of an image without keypoints is zero, and a warning is issued. The
    descriptors of an image depend on this image only, so caching them leaks nothing
    between folds. Vocabularies are learned from the training images only.

    ``BoVWSIFTTransformer(300, descriptor=SIFTDescriptor(contrast_threshold=0.04,
    root=False))`` has the settings of OpenCV and of most published pipelines.

    References
    ----------
    G. Csurka et al., "Visual categorization with bags of keypoints", ECCV
    Workshop on Statistical Learning in Computer Vision, 2004.

    J. Sánchez et al., "Image classification with the Fisher vector: theory and
    practice", International Journal of Computer Vision 105(3), 2013.

    Examples
    --------
    >>> from sklearn.pipeline import make_pipeline
    >>> from sklearn.svm import SVC
    >>> from skinest import BoVWSIFTTransformer
    >>> from skinest.datasets import make_dermoscopy
    >>> images, y = make_dermoscopy(60, random_state=0, return_X_y=True)
    >>> bovw = BoVWSIFTTransformer(50, random_state=0)
    >>> pipeline = make_pipeline(bovw, SVC(class_weight="balanced")).fit(images, y)
    >>> pipeline[0].transform(images).shape
    (60, 50)
    """

    _parameter_constraints: dict = {
        "n_words": [Interval(Integral, 1, None, closed="left"), StrOptions({"auto"})],
        "descriptor": [HasMethods("describe"), callable, None],
        "encoding": [StrOptions({"histogram", "soft", "tfidf", "vlad", "fisher"})],
        "n_components": [
            Interval(Integral, 1, None, closed="left"),
            StrOptions({"auto"}),
            None,
        ],
        "pyramid": [tuple, list],
        "max_descriptors": [Interval(Integral, 1, None, closed="left")],
        "clusterer": [HasMethods("fit"), None],
        "memory": [str, os.PathLike, joblib.Memory, None],
        "n_jobs": [Integral, None],
        "random_state": ["random_state"],
        "verbose": ["verbose"],
    }

    def __init__(
        self,
        n_words: int | Literal["auto"] = "auto",
        *,
        descriptor: t.DescriptorLike = None,
        encoding: t.Encoding = "histogram",
        n_components: int | Literal["auto"] | None = "auto",
        pyramid: tuple[int, ...] = (1,),
        max_descriptors: int = 200_000,
        clusterer: BaseEstimator | None = None,
        memory: t.MemoryLike = None,
        n_jobs: int | None = None,
        random_state: t.RandomStateLike = None,
        verbose: int = 0,
    ) -> None:
        self.n_words = n_words
        self.descriptor = descriptor
        self.encoding = encoding
        self.n_components = n_components
        self.pyramid = pyramid
        self.max_descriptors = max_descriptors
        self.clusterer = clusterer
        self.memory = memory
        self.n_jobs = n_jobs
        self.random_state = random_state
        self.verbose = verbose

    @with_callbacks
    @fit_context(prefer_skip_nested_validation=True)
    def fit(self, X: t.ImagesLike, y: t.IgnoredTarget = None) -> Self:
        """Learn the vocabulary.

        Parameters
        ----------
        X : array, list of arrays or paths of length n_images
            Training images, see :mod:`skinest.images`.

        y : array-like of length n_images, default=None
            Not used; its length is checked.

        Returns
        -------
        self : BoVWSIFTTransformer
            The fitted transformer.

        Raises
        ------
        ValueError
            If the images have fewer descriptors than `n_words` in all, an image cannot
            be read or described, `y` has another length, or an argument is invalid.
        """
        self._fit(X, y, with_vectors=self.encoding == "tfidf")
        return self

    @with_callbacks
    @fit_context(prefer_skip_nested_validation=True)
    def fit_transform(self, X: t.ImagesLike, y: t.IgnoredTarget = None) -> t.Features:
        """Learn the vocabulary and encode the same images, from the same descriptors.

        Parameters
        ----------
        X : array, list of arrays or paths of length n_images
            Training images, see :mod:`skinest.images`.

        y : array-like of length n_images, default=None
            Not used; its length is checked.

        Returns
        -------
        vectors : ndarray of shape (n_images, n_features_out), dtype float32
            One row for each image.

        Raises
        ------
        ValueError
            As in :meth:`fit`.
        """
        return keep_index(self, X, self._weigh(self._fit(X, y, with_vectors=True)))

    @fit_context(prefer_skip_nested_validation=True)
    def partial_fit(self, X: t.ImagesLike, y: t.IgnoredTarget = None) -> Self:
        """Continue to learn the vocabulary from another batch of images.

        Use it for more images than `fit` can process at once. PCA is learned from the
        first batch.

        Parameters
        ----------
        X : array, list of arrays or paths of length n_images
            A batch of images, see :mod:`skinest.images`. The first batch must have
            at least `n_words` descriptors. Do not change parameters after it.

        y : array-like of length n_images, default=None
            Not used; its length is checked.

        Returns
        -------
        self : BoVWSIFTTransformer
            This transformer.

        Raises
        ------
        ValueError
            If the clusterer cannot learn in batches, the encoding is "tfidf" or was
            changed after the first batch, or :meth:`fit` would raise an error.
        """
        images = check_images(X, y)
        descriptor = copy_descriptor(self.descriptor)
        seed = self._make_seed()
        fitted = hasattr(self, "clusterer_")
        clusterer = self.clusterer_ if fitted else self._make_clusterer(seed)
        check_pyramid(self.pyramid, self.descriptor)
        check_partial(clusterer, self.encoding)
        if fitted:
            self._encoder.check_same(
                self.encoding, tuple(self.pyramid), self._resolve_n_words()
            )
        described = DescribedImages(images, descriptor, self.memory, self.n_jobs)
        with announce(self, f"Describing {len(images)} images"):
            sample = self._sample(described, seed)
        warn_of_empty(sample.n_empty, sample.n_images)
        values = postprocess(described.descriptor, sample.get())
        if fitted:
            pca = self.pca_
        else:
            check_enough(len(values), sample.n_images, self._resolve_n_words())
            pca = fit_pca(values, self._resolve_n_components(values.shape), seed)
        if len(values):
            projected = values if pca is None else pca.transform(values)
            clusterer = clusterer.partial_fit(projected)
            self._set_words(self._make_encoder(pca, clusterer), clusterer, descriptor)
        return self

    def transform(self, X: t.ImagesLike) -> t.Features:
        """Encode images.

        Parameters
        ----------
        X : array, list of arrays or paths of length n_images
            Images, see :mod:`skinest.images`.

        Returns
        -------
        vectors : ndarray of shape (n_images, n_features_out), dtype float32
            One row for each image; zeros if it has no keypoint.
        """
        check_is_fitted(self)
        images = check_images(X)
        described = DescribedImages(images, self.descriptor_, self.memory, self.n_jobs)
        vectors, n_empty = self._encode(described, self._encoder)
        warn_of_empty(n_empty, len(images))
        return keep_index(self, X, self._weigh(vectors))

    def get_feature_names_out(self, input_features: None = None) -> t.Names:
        """Return names of features, such as "word7" or "cell0of2x2_word7_dim3".

        Parameters
        ----------
        input_features : None
            Not used; images have no feature names.

        Returns
        -------
        names : ndarray of shape (n_features_out,), dtype object
            One name for each column of :meth:`transform`.
        """
        check_is_fitted(self)
        return self._encoder.list_feature_names()

    def _fit(self, X, y, with_vectors):
        """Fit, and encode the training images if `with_vectors`."""
        check_pyramid(self.pyramid, self.descriptor)
        images = check_images(X, y)
        descriptor = copy_descriptor(self.descriptor)
        seed = self._make_seed()
        clusterer = self._make_clusterer(seed)
        described = DescribedImages(images, descriptor, self.memory, self.n_jobs)
        n_passes = 1 + with_vectors
        context = open_callback_context(self, n_passes * described.n_batches)
        context.call_on_fit_task_begin(estimator=self, X=X, y=y)
        vectors = None
        with described.keep_for_two_passes() if with_vectors else nullcontext():
            encoder, clusterer = self._learn(described, clusterer, seed, context)
            if with_vectors:
                vectors, _ = self._encode(described, encoder, context)
        if self.encoding == "tfidf":
            self._tfidf = TfidfTransformer().fit(vectors)
        self._set_words(encoder, clusterer, described.descriptor)
        context.call_on_fit_task_end(estimator=self, X=X, y=y)
        return vectors

    def _learn(self, described, clusterer, seed, context):
        """Learn the vocabulary, or read it from the cache."""
        n_images = len(described.images)
        identity = identify(clusterer, "clusterer") if described.is_cached else None
        is_mixture = self.encoding == "fisher"
        settings = is_mixture, self.n_components, self.max_descriptors, seed
        with announce(self, f"Learning the vocabulary of {n_images} images"):
            key, learned = described.recall("vocabulary", identity, settings)
            if learned is None:
                sample = self._sample(described, seed, context)
                values = postprocess(described.descriptor, sample.get())
                check_enough(len(values), sample.n_images, self._resolve_n_words())
                n_components = self._resolve_n_components(values.shape)
                words = learn_vocabulary(values, clusterer, n_components, seed)
                learned = *words, sample.n_empty, sample.n_images
                if sample.n_images == n_images:  # no callback stopped the pass
                    described.keep(key, learned)
        pca, clusterer, n_empty, n_read = learned
        warn_of_empty(n_empty, n_read)
        return self._make_encoder(pca, clusterer), clusterer

    def _sample(self, described, seed, context=None):
        """Sample the descriptors of all images; a callback can stop it earlier."""
        sample = DescriptorSample(self.max_descriptors, seed)
        batches = iterate_with_callbacks(
            described.map(),
            described.n_batches,
            estimator=self,
            context=context,
            name="describe-images",
        )
        with closing(batches):  # also if an image raises an error
            for batch in batches:
                for values, _ in batch:
                    sample.add(values)
        return sample

    def _encode(self, described, encoder, context=None):
        """Return vectors before "tfidf", and the number of images without any."""
        with announce(self, f"Encoding {len(described.images)} images"):
            key, encoded = described.recall("vectors", encoder.compute_digest())
            if encoded is None:
                batches = iterate_with_callbacks(
                    described.map(partial(encode_batch, encoder, described.descriptor)),
                    described.n_batches,
                    estimator=self,
                    context=context,
                    name="encode-images",
                    can_stop=False,
                )
                with closing(batches):
                    vectors, n_empty = zip(*batches, strict=True)
                encoded = np.vstack(vectors), sum(n_empty)
                described.keep(key, encoded)
        return encoded

    def _weigh(self, vectors) -> np.ndarray:
        if self._encoder.encoding != "tfidf":
            return vectors
        return self._tfidf.transform(vectors).toarray()

    def _make_encoder(self, pca, clusterer):
        words = extract_words(clusterer, self.encoding)
        return Encoder(self.encoding, words, pca, tuple(self.pyramid))

    def _set_words(self, encoder, clusterer, descriptor):
        # Parameters that are set after this have no effect until the next fit.
        self._encoder = encoder
        self.vocabulary_ = encoder.vocabulary
        self.pca_ = encoder.pca
        self.clusterer_ = clusterer
        self.descriptor_ = descriptor
        self.n_features_out_ = encoder.n_features

    def _make_seed(self):
        if self.random_state is None:
            return None
        return check_random_state(self.random_state).randint(MAX_SEED)

    def _make_clusterer(self, seed):
        n_words = self._resolve_n_words()
        if n_words > self.max_descriptors:
            raise ValueError(
                f"n_words={n_words} is more than max_descriptors="
                f"{self.max_descriptors}. Raise max_descriptors."
            )
        return make_clusterer(self.clusterer, self.encoding, n_words, seed)

    def _resolve_n_words(self):
        if self.n_words != "auto":
            return int(self.n_words)
        return 32 if self.encoding in _COMPACT_ENCODINGS else 300

    def _resolve_n_components(self, shape):
        if self.n_components != "auto":
            return self.n_components
        return min(_N_COMPONENTS, *shape) if self.encoding == "fisher" else None

    def __sklearn_tags__(self):
        tags = super().__sklearn_tags__()
        tags.transformer_tags.preserves_dtype = []
        return tags
