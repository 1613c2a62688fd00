"""Predictions of a fitted transfer classifier."""

# Authors: The skinest developers
# SPDX-License-Identifier: BSD-3-Clause

from __future__ import annotations

from contextlib import closing
from numbers import Real
from typing import TYPE_CHECKING, Any

import numpy as np
from sklearn.utils.validation import check_is_fitted

from .._training._features import ResizedImages, iterate_features
from .._training._models import share_model
from .._training._views import average_rows, make_views, read_n_views
from ..export import export_network
from ..images import check_images
from ..networks._weights import save_backbone_weights
from ..utils._checks import name_classes
from ..utils._verbose import announce

if TYPE_CHECKING:
    import keras
    from numpy.typing import ArrayLike, NDArray

    from .._typing import ImagesLike, MemoryLike, PathLike
    from ..networks._transfer_network import TransferNetwork


class ClassPredictionMixin:
    """Predict classes and probabilities, return the network, and write its files."""

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
        network, n_views = self._network, read_n_views(self)
        images = check_images(X)
        batches = iterate_features(
            ResizedImages(
                make_views(images, n_views), network.backbone_spec.image_size
            ),
            network.backbone_spec,
            network.backbone,
            batch_size=self.batch_size,
            memory=self.memory if network.is_given_below() else None,
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
            `keras.applications` without its top can load it, or the model that you made
            a `KerasBackbone` of.

        Raises
        ------
        OSError
            If the folder does not exist, or the file cannot be written.
        ValueError
            If the path does not end in ".weights.h5".
        """
        check_is_fitted(self)
        network = self._network
        save_backbone_weights(network.backbone_spec.backbone, network.backbone, path)

    def export(
        self,
        path: PathLike,
        *,
        threshold: float | None = None,
        pos_label: Any = None,
        target_names: ArrayLike | None = None,
        overwrite: bool = False,
    ) -> None:
        """Save the network with its preprocessing, for use without skinest.

        The input is an array of RGB images of `image_size`, of shape (n_images, height,
        width, 3) and dtype float32, with values from 0 to 255. The output has the shape
        (n_images, n_classes). It differs from :meth:`predict_proba` for one view of
        each image by less than 1e-5. The network in the file computes in float32: if
        this one computes in bfloat16, they differ by up to about .01.
        :doc:`/guide/export` lists the metadata in the file, and shows how to resize
        images and average views.

        Parameters
        ----------
        path : str or path
            The file to write. Its ending is the format: ".keras", ".onnx" (which needs
            the extra `onnx` of skinest) or ".tflite". A path without an ending is a
            folder in TensorFlow's SavedModel format.

        threshold : float, default=None
            Probability of `pos_label`, in [0, 1], from which an image is of this class.
            It is only written to the metadata, for example `best_threshold_` of a
            :class:`~sklearn.model_selection.TunedThresholdClassifierCV`. None means
            that the most probable class is predicted, as by :meth:`predict`.

        pos_label : int, float, bool or str, default=None
            The class that `threshold` is for, as it was written in `y`. It must be that
            of the scorer or wrapper that chose the threshold. None means
            ``classes_[1]``.

        target_names : array-like of str of length n_classes, default=None
            Names of the classes for the metadata, in the order of `classes_`. Those of
            a data set of skinest are in this order if its `target` has all classes.

        overwrite : bool, default=False
            Whether to replace `path` if it exists. Folders are only replaced if they
            are empty or a SavedModel.

        Raises
        ------
        FileExistsError
            If `path` exists and is not replaced.
        FileNotFoundError
            If the folder for the file does not exist.
        ImportError
            If an extra of skinest is missing.
        RuntimeError
            If the network has a layer that cannot be converted, or if Keras runs on
            another backend than TensorFlow and `path` does not end in ".keras".
        ValueError
            If `path` has another ending, if `threshold` is invalid, or if `pos_label`
            is not one of the classes or is given without `threshold`, or if
            `target_names` are not one different text for each class.

        See Also
        --------
        skinest.export.read_metadata : The metadata of a file.
        """
        check_is_fitted(self)
        decision = self._describe_decision(threshold, pos_label)
        names = {}
        if target_names is not None:
            names["target_names"] = name_classes(self.classes_, target_names)
        spec = self._network.backbone_spec
        export_network(
            self,
            self._network.build_for_export,
            path,
            overwrite=overwrite,
            task="classification",
            network=str(spec.backbone),
            image_size=spec.image_size,
            resize="stretch",
            n_prediction_views=read_n_views(self),
            **decision,
            **names,
        )

    def _describe_decision(self, threshold, pos_label) -> dict[str, Any]:
        """Return the metadata that say how to choose a class."""
        if threshold is None:
            if pos_label is not None:
                raise ValueError(
                    f"pos_label={pos_label!r} is the class of a threshold. Pass "
                    "threshold too, or leave pos_label out."
                )
            return {"threshold": None, "pos_label": None, "decision": "argmax"}
        self._check_threshold(threshold)
        classes = self.classes_.tolist()
        if pos_label is not None and pos_label not in classes:
            raise ValueError(
                f"pos_label={pos_label!r} must be one of the classes: {classes}."
            )
        position = 1 if pos_label is None else classes.index(pos_label)
        return {
            "threshold": float(threshold),
            "pos_label": classes[position],
            "decision": f"probabilities[:, {position}] >= threshold",
        }

    def _check_threshold(self, threshold):
        """Raise ValueError unless `threshold` can be one of the two classes."""
        is_number = isinstance(threshold, Real) and not isinstance(threshold, bool)
        if not is_number or not 0 <= threshold <= 1:
            raise ValueError(f"threshold={threshold!r} must be a number from 0 to 1.")
        if len(self.classes_) != 2:
            raise ValueError(
                f"threshold={threshold!r} needs two classes, but there are "
                f"{len(self.classes_)}. Leave it out: the most probable class is "
                "predicted."
            )
