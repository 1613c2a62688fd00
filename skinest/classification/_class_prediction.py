"""Predictions of a fitted transfer classifier."""

# Authors: The skinest developers
# SPDX-License-Identifier: BSD-3-Clause

from __future__ import annotations

from contextlib import closing
from typing import TYPE_CHECKING, Any

import numpy as np
from sklearn.utils.validation import check_is_fitted

from .._training._features import ResizedImages, iterate_features
from .._training._models import share_model
from .._training._views import average_rows, check_n_views, make_views
from ..images import check_images
from ..networks._weights import save_backbone_weights
from ..utils._verbose import announce

if TYPE_CHECKING:
    import keras
    from numpy.typing import NDArray

    from .._typing import ImagesLike, MemoryLike, PathLike
    from ..networks._transfer_network import TransferNetwork


class ClassPredictionMixin:
    """Predict classes and probabilities, and return the network or save its weights."""

    classes_: NDArray[Any]
    batch_size: int
    n_prediction_views: int
    memory: MemoryLike
    _network: TransferNetwork
    _trainable: str
    _model: keras.Model | None

    def predict_proba(self, X: ImagesLike) -> NDArray[np.float32]:
        """Predict the probability of each class.

        Parameters
        ----------
        X : array, list of arrays or paths of length n_images
            Images, see :mod:`skinest.images`.

        Returns
        -------
        probabilities : ndarray of shape (n_images, n_classes), dtype float32
            Probabilities, with columns in the order of `classes_`.
        """
        check_is_fitted(self)
        network, n_views = self._network, check_n_views(self)
        images = check_images(X)
        batches = iterate_features(
            ResizedImages(
                make_views(images, n_views), network.backbone_spec.image_size
            ),
            network.backbone_spec,
            network.backbone,
            batch_size=self.batch_size,
            memory=self.memory if network.is_backbone_given else None,
            n_views=n_views,
        )
        outputs = []
        with (
            announce(self, f"Predicting {len(images)} images"),
            share_model(**network.describe_prediction()) as head,
            closing(batches),
        ):
            for features in batches:
                for start in range(0, len(features), self.batch_size):
                    rows = features[start : start + self.batch_size, 0]
                    outputs.append(head.predict(rows, self.batch_size))
        outputs = average_rows(np.concatenate(outputs), n_views)
        return np.hstack([1 - outputs, outputs]) if len(self.classes_) == 2 else outputs

    def predict_log_proba(self, X: ImagesLike) -> NDArray[np.float32]:
        """Predict the logarithm of the probability of each class.

        Parameters
        ----------
        X : array, list of arrays or paths of length n_images
            Images, see :mod:`skinest.images`.

        Returns
        -------
        log_probabilities : ndarray of shape (n_images, n_classes), dtype float32
            Columns are in the order of `classes_`; ``-inf`` if a probability is 0.
        """
        with np.errstate(divide="ignore"):
            return np.log(self.predict_proba(X))

    def predict(self, X: ImagesLike) -> NDArray[Any]:
        """Predict the most probable class of each image.

        Parameters
        ----------
        X : array, list of arrays or paths of length n_images
            Images, see :mod:`skinest.images`.

        Returns
        -------
        labels : ndarray of shape (n_images,)
            Predicted labels, as they were written in `y`.
        """
        check_is_fitted(self)
        return self.classes_[self.predict_proba(X).argmax(axis=1)]

    @property
    def model_(self) -> keras.Model:
        """The fitted network as one flat Keras model."""
        check_is_fitted(self)
        if self._model is None:
            self._model = self._network.build(self._trainable)
        return self._model

    def save_backbone(self, path: PathLike) -> None:
        """Save the weights of the backbone, to load them by `weights` or by Keras.

        Parameters
        ----------
        path : str or path
            Path of the file, which must end in ".weights.h5". The network of
            `keras.applications` without its top can load it.

        Raises
        ------
        ValueError
            If the path does not end in ".weights.h5".
        """
        check_is_fitted(self)
        network = self._network
        save_backbone_weights(network.backbone_spec.backbone, network.backbone, path)
