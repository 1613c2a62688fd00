"""Feature extraction with a pretrained network."""

# Authors: The skinest developers
# SPDX-License-Identifier: BSD-3-Clause

from __future__ import annotations

import os
from contextlib import closing
from numbers import Integral
from typing import TYPE_CHECKING, Self

import joblib
import numpy as np
from sklearn.base import BaseEstimator, TransformerMixin
from sklearn.utils import check_random_state
from sklearn.utils.validation import check_is_fitted

from .._cache import Cache
from .._compat import (
    DocLinkMixin,
    Interval,
    StrOptions,
    check_param,
    fit_context,
)
from .._training._engines import resolve_compute_dtype
from .._training._features import ResizedImages, iterate_features
from .._training._views import NUMBERS_OF_VIEWS, average_rows, make_views
from ..images import check_images
from ..networks._backbone_stages import check_layers
from ..networks._backbones import get_architecture, get_backbone
from ..networks._transfer_network import (
    BACKBONE,
    BackboneSpec,
    count_features,
    find_used_weights,
)
from ..networks._weights import Weights, load_backbone_weights
from ..utils._checks import MAX_SEED
from ..utils._containers import keep_index
from ..utils._tags import ImageInputMixin

if TYPE_CHECKING:
    from collections.abc import Sequence

    from numpy.typing import ArrayLike, NDArray

    from .._typing import (
        AutoDtype,
        BackboneName,
        ImageSize,
        ImagesLike,
        MemoryLike,
        NumberOfViews,
        PathLike,
        Pooling,
        RandomStateLike,
    )
    from ..networks import KerasBackbone


class BottleneckFeatureExtractor(
    ImageInputMixin, DocLinkMixin, TransformerMixin, BaseEstimator
):
    """Extract features of images with a pretrained network.

    The features are the last feature maps of a network of `keras.applications` without
    its classifier, or the outputs of other layers. Any classifier of scikit-learn can
    use them. `fit` loads the weights and learns nothing from the images.

    Parameters
    ----------
    backbone : str or KerasBackbone, default="vgg16"
        Name of a network of `keras.applications` in lower case, such as "resnet50" or
        "efficientnetb0", without its classifier; :ref:`backbones` lists all of them. Or
        a network of your own, see :class:`skinest.networks.KerasBackbone`.

    weights : "imagenet", str, path or None, default="imagenet"
        Weights of the backbone. "imagenet" downloads those of `keras.applications`
        once; for a network of your own it means those that it came with. A path is a
        file of weights of this network, with or without its top, written by Keras'
        `save_weights` or by :meth:`TransferClassifier.save_backbone`. None means random
        weights (He et al. 2015), or those that the layers of your own network start
        with.

    pooling : {"avg", "max", "flatten"}, default="avg"
        How feature maps, of shape (rows, columns, channels), are converted to a vector:
        the mean or maximum of each channel, or all values. It has no effect if the
        backbone makes a vector.

    layers : list or tuple of str, default=None
        Names of layers. The features are their outputs, each pooled, one after the
        other. Layers above them are not computed. None means the last feature maps. For
        the names see the summary of the network in `keras.applications`.

    image_size : tuple of int, default=(224, 224)
        (height, width) to which images are resized, in pixels, 32 or more each. A few
        backbones need more, see :ref:`backbones`. A network of your own may take one
        size only.

    compute_dtype : {"auto", "float32", "bfloat16"}, default="auto"
        Floating-point precision of the backbone. "auto" is bfloat16 for VGG16 and VGG19
        on processors with AMX, and float32 otherwise, see also :ref:`openvino`.
        The other values are never replaced. Weights and outputs are always float32.

    n_feature_views : {1, 2, 4, 8}, default=1
        Number of views of each image whose features are averaged: flips and quarter
        turns, as for `n_prediction_views` of :class:`TransferClassifier`. Lesions have
        no top, so a few views are useful for them.

    batch_size : int, default=32
        Number of images in a batch.

    memory : str, path or joblib.Memory, default=None
        Folder where features are cached, so that those of an image are computed once. A
        file is identified by its path, inode, size and times of change, an array by its
        content.

    random_state : int, RandomState instance or None, default=None
        Seed of the random weights if `weights` is None.

    Attributes
    ----------
    n_features_out_ : int
        Number of features: 512 for VGG16, or 25,088 with ``pooling="flatten"`` at
        224 x 224 pixels.

    See Also
    --------
    TransferClassifier : The same features with a head that Keras trains.
    BoVWSIFTTransformer : Features from visual words, without a network.

    Notes
    -----
    A pickle contains the weights of the network: 59 MB for VGG16.

    References
    ----------
    A. S. Razavian et al., "CNN features off-the-shelf: an astounding baseline for
    recognition", CVPR Workshops 2014, arXiv:1403.6382.

    Examples
    --------
    >>> from sklearn.linear_model import LogisticRegression
    >>> from sklearn.pipeline import make_pipeline
    >>> from sklearn.preprocessing import StandardScaler
    >>> from skinest import BottleneckFeatureExtractor
    >>> from skinest.datasets import make_dermoscopy
    >>> images, y = make_dermoscopy(20, random_state=0, return_X_y=True)
    >>> features = BottleneckFeatureExtractor(
    ...     weights=None, pooling="avg", image_size=(32, 32), random_state=0
    ... )
    >>> pipeline = make_pipeline(features, StandardScaler(), LogisticRegression())
    >>> pipeline.fit(images, y)[:-1].transform(images).shape
    (20, 512)
    """

    _parameter_constraints: dict = {
        "backbone": BACKBONE,
        "weights": [str, os.PathLike, None],
        "pooling": [StrOptions({"flatten", "avg", "max"})],
        "layers": [tuple, list, None],
        "image_size": [tuple, list],
        "compute_dtype": [StrOptions({"auto", "float32", "bfloat16"})],
        "n_feature_views": NUMBERS_OF_VIEWS,
        "batch_size": [Interval(Integral, 1, None, closed="left")],
        "memory": [str, os.PathLike, joblib.Memory, None],
        "random_state": ["random_state"],
    }

    def __init__(
        self,
        backbone: BackboneName | KerasBackbone = "vgg16",
        *,
        weights: PathLike | None = "imagenet",
        pooling: Pooling = "avg",
        layers: Sequence[str] | None = None,
        image_size: ImageSize = (224, 224),
        compute_dtype: AutoDtype = "auto",
        n_feature_views: NumberOfViews = 1,
        batch_size: int = 32,
        memory: MemoryLike = None,
        random_state: RandomStateLike = None,
    ) -> None:
        self.backbone = backbone
        self.weights = weights
        self.pooling = pooling
        self.layers = layers
        self.image_size = image_size
        self.compute_dtype = compute_dtype
        self.n_feature_views = n_feature_views
        self.batch_size = batch_size
        self.memory = memory
        self.random_state = random_state

    @fit_context(prefer_skip_nested_validation=True)
    def fit(self, X: ImagesLike, y: ArrayLike | None = None) -> Self:
        """Load the weights.

        Parameters
        ----------
        X : array, list of arrays or paths of length n_images
            Images, see :mod:`skinest.images`. Arrays are checked, and whether files
            exist. Nothing is learned from them.

        y : array-like of length n_images, default=None
            Not used; its length is checked.

        Returns
        -------
        self : BottleneckFeatureExtractor
            The fitted transformer.

        Raises
        ------
        ValueError
            If `image_size`, `layers` or another argument is invalid, `memory` cannot be
            created as a folder, `X` does not contain images, `y` has another length, or
            a file of weights does not fit the network.
        OSError
            If ImageNet's weights cannot be downloaded, or a file is missing.
        """
        get_backbone(self.backbone).check_image_size(self.image_size)
        if self.layers is not None:
            check_layers(self.backbone, self.layers)
        if self.memory is not None:
            Cache(self.memory)
        check_images(X, y)
        seed = check_random_state(self.random_state).randint(MAX_SEED)
        preferred = get_backbone(self.backbone).compute_dtype
        spec = BackboneSpec(
            get_architecture(self.backbone),
            tuple(map(int, self.image_size)),
            self.pooling,
            resolve_compute_dtype(self.compute_dtype, preferred),
            layers=tuple(self.layers or ()),
        )
        weights = load_backbone_weights(self.backbone, self.weights, seed)
        if self.layers is not None:
            used = find_used_weights(spec)
            weights = Weights.freeze([weights.arrays[number] for number in used])
        n_features_out = count_features(spec)
        # Together, so that a fit that fails leaves the state of the one before.
        self._spec, self._weights, self.n_features_out_ = spec, weights, n_features_out
        return self

    def transform(self, X: ImagesLike) -> NDArray[np.float32]:
        """Compute the features of images.

        Parameters
        ----------
        X : array, list of arrays or paths of length n_images
            Images, see :mod:`skinest.images`.

        Returns
        -------
        features : ndarray of shape (n_images, n_features_out), dtype float32
            One row for each image.
        """
        check_is_fitted(self)
        for name in ("batch_size", "n_feature_views"):  # can be set after `fit`
            check_param(self, name)
        n_views = int(self.n_feature_views)
        batches = iterate_features(
            ResizedImages(make_views(check_images(X), n_views), self._spec.image_size),
            self._spec,
            self._weights,
            batch_size=self.batch_size,
            memory=self.memory,
            n_views=n_views,
        )
        with closing(batches):
            features = np.concatenate([batch[:, 0] for batch in batches])
        return keep_index(self, X, average_rows(features, n_views))

    def get_feature_names_out(self, input_features: None = None) -> NDArray[np.object_]:
        """Return the names of the features, such as "vgg16_7".

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
        name = str(self._spec.backbone)
        names = [f"{name}_{i}" for i in range(self.n_features_out_)]
        return np.array(names, dtype=object)

    def __sklearn_tags__(self):
        tags = super().__sklearn_tags__()
        tags.transformer_tags.preserves_dtype = []
        return tags
