"""Predictions of a fitted segmenter."""

# Authors: The skinest developers
# SPDX-License-Identifier: BSD-3-Clause

from __future__ import annotations

from contextlib import closing
from dataclasses import replace
from typing import TYPE_CHECKING, Any

import numpy as np
from sklearn.utils.validation import check_is_fitted

from .._training._fit_identity import describe_masks
from .._training._views import average_masks, make_views, read_n_views
from ..export import export_network
from ..images import check_images
from ..masks import check_masks
from ..metrics._mask_metrics import score_masks
from ..networks._unet_network import build
from ..utils._checks import check_sample_weight
from ..utils._containers import ImagesOutputMixin, keep_index_of_images
from ..utils._verbose import announce
from ._pairs import PairCollection
from ._postprocessing import list_steps, name_step, postprocess_mask
from ._tiles import iterate_outputs

if TYPE_CHECKING:
    import keras
    from numpy.typing import ArrayLike, NDArray

    from .._typing import (
        ImagesLike,
        MasksLike,
        PathLike,
        Postprocess,
    )
    from ..networks._unet_network import UNetSpec
    from ._pairs import Letterbox


class MaskPredictionMixin(ImagesOutputMixin):
    """Predict masks and probabilities, crop images, score, and export the network."""

    classes_: NDArray[Any]
    tile_shape_: tuple[int, int]
    n_prediction_views: int
    crop_margin: float
    threshold: float
    postprocess: Postprocess
    tile_overlap: float | None
    ignore_label: int | None
    mask_threshold: float | None
    _letterbox: Letterbox
    _spec: UNetSpec
    _part: tuple[str, bool]
    _weights: tuple[NDArray[Any], ...]
    _model: keras.Model | None

    def predict_proba(self, X: ImagesLike) -> NDArray[Any]:
        """Predict the probability of each label for each pixel.

        Parameters
        ----------
        X : array, list of arrays or paths of length n_images
            Images, see :mod:`skinest.images`.

        Returns
        -------
        probabilities : ndarray of shape (n_images, height, width, n_classes) or \
object array of ndarray of shape (height, width, n_classes), dtype float32
            Probabilities of the labels, in the order of `classes_`. If `X` is a numeric
            array, this is one too; otherwise an object array with one entry per image.
        """
        return self._collect(X, self._probabilities)

    def predict(self, X: ImagesLike) -> NDArray[Any]:
        """Predict the mask of each image.

        Parameters
        ----------
        X : array, list of arrays or paths of length n_images
            Images, see :mod:`skinest.images`.

        Returns
        -------
        masks : ndarray of shape (n_images, height, width) or object array of ndarray \
of shape (height, width)
            Labels of the pixels, as in the training masks. If `X` is a numeric array,
            this is one too; otherwise an object array with one entry per image.
        """
        return self._collect(X, self._mask)

    def transform(self, X: ImagesLike) -> NDArray[np.object_]:
        """Crop each image to its foreground.

        Parameters
        ----------
        X : array, list of arrays or paths of length n_images
            Images, see :mod:`skinest.images`.

        Returns
        -------
        images : object array of ndarray of shape (height, width, 3), dtype uint8
            RGB images of the predicted foreground with a margin around it. If no
            foreground is predicted, the whole image. Or a Series, see
            :meth:`set_output`.
        """
        check_is_fitted(self)
        images = check_images(X)
        cropped = np.empty(len(images), dtype=object)
        with closing(self._iterate_outputs(images)) as predicted:
            for position, (image, outputs) in enumerate(predicted):
                is_foreground = self._mask(outputs) != self.classes_[0]
                cropped[position] = _crop(image, is_foreground, self.crop_margin)
        return keep_index_of_images(self, X, cropped)

    def score(
        self, X: ImagesLike, y: MasksLike, sample_weight: ArrayLike | None = None
    ) -> float:
        """Return the mean Dice coefficient of the foreground of each image.

        Parameters
        ----------
        X : array, list of arrays or paths of length n_images
            Images, see :mod:`skinest.images`.

        y : array, list of arrays or paths of length n_images
            Masks of the images, with labels of `classes_` and `ignore_label` only.

        sample_weight : array-like of shape (n_images,), default=None
            Weights of images.

        Returns
        -------
        score : float
            Mean Dice coefficient in [0, 1], see :func:`skinest.metrics.dice_score`. An
            empty mask that is predicted empty counts 1. A mask of `ignore_label` only
            does not count.

        Raises
        ------
        ValueError
            If images and masks differ in number or size, or a mask has a label that is
            not in `classes_`.
        """
        check_is_fitted(self)
        pairs = self._pair(X, y, self._letterbox)
        weights = check_sample_weight(sample_weight, len(pairs.masks))
        masks = pairs.read_masks(self.classes_)

        def predict():
            with closing(self._iterate_outputs(pairs.images)) as predicted:
                for position, (image, outputs) in enumerate(predicted):
                    pairs.check_size(position, masks[position], image)
                    yield self._mask(outputs)

        with closing(predict()) as predicted:
            return score_masks(
                "Dice",
                check_masks(masks, ignore_label=pairs.masks.ignore_label),
                _PredictedMasks(predicted, self.classes_),
                labels=self.classes_[1:] if len(self.classes_) > 1 else None,
                zero_division=1.0,
                sample_weight=weights,
            )

    @property
    def model_(self) -> keras.Model:
        """The fitted network as a Keras model."""
        check_is_fitted(self)
        if self._model is None:
            self._model = build(self._spec, *self._part)
            self._model.set_weights(self._weights)
        return self._model

    def export(self, path: PathLike, *, overwrite: bool = False) -> None:
        """Save the network with its preprocessing, for use without skinest.

        The input is an array of RGB images of `image_size`, of shape (n_images, height,
        width, 3) and dtype float32, with values from 0 to 255. The output has the shape
        (n_images, height, width, n_classes), also in `image_size`. For one view of
        images of this size, it differs from :meth:`predict_proba` by less than 1e-5.
        The network in the file computes in float32: if this one computes in bfloat16,
        they differ by up to about .01. :doc:`/guide/export` lists the metadata in the
        file, and shows how to resize images and outputs. Tiles, views and
        `postprocess` are not part of the network; the metadata have their settings.

        Parameters
        ----------
        path : str or path
            The file to write. Its ending is the format: ".keras", ".onnx" (which needs
            the extra `onnx` of skinest) or ".tflite". A path without an ending is a
            folder in TensorFlow's SavedModel format.

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
            If `path` has another ending.

        See Also
        --------
        skinest.export.read_metadata : The metadata of a file.
        """
        check_is_fitted(self)
        has_threshold, encoder = len(self.classes_) == 2, self._spec.encoder
        export_network(
            self,
            self._build_for_export,
            path,
            overwrite=overwrite,
            task="segmentation",
            network="unet",
            encoder=None if encoder is None else str(encoder.backbone),
            image_size=self._spec.image_size,
            resize="letterbox" if self._letterbox.pad else "stretch",
            n_prediction_views=read_n_views(self),
            threshold=float(self.threshold) if has_threshold else None,
            decision="probabilities[..., 1] > threshold" if has_threshold else "argmax",
            tile_shape=self.tile_shape_,
            tile_overlap=self.tile_overlap,
            postprocess=list(map(name_step, list_steps(self.postprocess))),
        )

    def _build_for_export(self):
        """Build the network in float32, without dropout."""
        exact: dict[str, Any] = {"compute_dtype": "float32"}
        encoder = self._spec.encoder
        if encoder is not None:
            encoder = replace(encoder, **exact)
        network = build(replace(self._spec, dropout=0.0, encoder=encoder, **exact))
        network.set_weights(self._weights)
        return network

    def _pair(self, X, y, letterbox, min_side=1, names=("X", "y")):
        """Return images and their masks, checked but not yet read."""
        return PairCollection(
            X,
            y,
            letterbox,
            min_side,
            names,
            ignore_label=self.ignore_label,
            mask_threshold=self.mask_threshold,
        )

    def _describe_targets(self, y, name) -> str:
        """Return a text that identifies masks."""
        masks = check_masks(
            y,
            name=name,
            ignore_label=self.ignore_label,
            mask_threshold=self.mask_threshold,
        )
        return describe_masks(masks)

    def _probabilities(self, outputs):
        """Return probabilities of all labels from outputs of the network."""
        if len(self.classes_) == 1:
            return np.ones_like(outputs)
        if len(self.classes_) == 2:
            return np.concatenate([1 - outputs, outputs], axis=-1)
        return outputs

    def _mask(self, outputs):
        """Return labels from outputs of the network."""
        if len(self.classes_) == 1:
            mask = np.full(outputs.shape[:2], self.classes_[0])
        elif len(self.classes_) == 2:
            mask = self.classes_[(outputs[..., 0] > self.threshold).astype(np.intp)]
        else:
            mask = self.classes_[outputs.argmax(axis=-1)]
        return postprocess_mask(mask, list_steps(self.postprocess), self.classes_)

    def __sklearn_tags__(self):
        tags = super().__sklearn_tags__()
        tags.target_tags.required = True
        return tags

    def _iterate_outputs(self, images):
        """Yield each image and the outputs of the network, resized to the image."""
        n_views = read_n_views(self)
        outputs = iterate_outputs(
            make_views(images, n_views),
            self._spec,
            self._weights,
            self._letterbox,
            batch_size=self.batch_size,
            tile_shape=self.tile_shape_,
            tile_overlap=self.tile_overlap,
            n_views=n_views,
        )
        with announce(self, f"Predicting {len(images)} images"), closing(outputs):
            yield from average_masks(outputs, n_views)

    def _collect(self, X, make):
        """Apply a function to the outputs of each image.

        Return an array if X is a numeric array, else an object array.
        """
        check_is_fitted(self)
        images = check_images(X)
        made = np.empty(len(images), dtype=object)
        with closing(self._iterate_outputs(images)) as predicted:
            for position, (_, outputs) in enumerate(predicted):
                made[position] = make(outputs)
        is_stack = isinstance(X, np.ndarray) and X.dtype.kind in "uif"
        return np.stack(list(made)) if is_stack else made


class _PredictedMasks:
    """Masks that are predicted one after the other, when they are read.

    Parameters
    ----------
    masks : iterator of ndarray of shape (height, width)
        The masks.

    classes : ndarray of shape (n_classes,)
        Labels that they can have.
    """

    def __init__(self, masks, classes):
        self._masks = masks
        self._classes = classes

    def read(self, index):
        """Return the next mask, which is the one at `index`, and its labels."""
        mask = next(self._masks)
        return mask, np.array([x for x in self._classes if (mask == x).any()])

    def where(self, index):
        """Name the mask at `index` in error messages."""
        return f"the predicted mask of X[{index}]"


def _crop(image, is_foreground, margin):
    """Crop an image to its foreground; return all of it if there is no foreground."""
    if not is_foreground.any():
        return image
    place = []
    for axis, length in enumerate(is_foreground.shape):
        found = np.flatnonzero(is_foreground.any(axis=1 - axis))
        extra = round(margin * (found[-1] + 1 - found[0]))
        start, stop = found[0] - extra, found[-1] + 1 + extra
        place.append(slice(max(0, start), min(length, stop)))
    return image[tuple(place)].copy()
