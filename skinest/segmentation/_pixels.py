"""Batches of pairs, losses and metrics of pixels, for training.

The target of a pixel is its class index and its weight in the loss.
"""

# Authors: The skinest developers
# SPDX-License-Identifier: BSD-3-Clause

from dataclasses import dataclass, replace
from functools import cached_property, partial

import numpy as np
from keras import Loss, Metric, ops

from .._apply_augmentation import apply_to_pair
from .._reading._mask_values import MAX_LABELS
from .._training._batches import PrefetchedBatches
from .._training._orders import count_earlier, draw_by_kind
from .._training._train_network import Objective
from ..losses._resolve import resolve_loss
from ..networks._trained_part import TrainedPart
from ..networks._unet_network import build
from ..utils._checks import balance_weights, read_class_weight
from ._pairs import OUTSIDE


@dataclass(kw_only=True)
class PairBatches(PrefetchedBatches):
    """Batches of images and masks; those of a pair are augmented together.

    Parameters
    ----------
    class_weights : ndarray of shape (256,), dtype float32
        Weight of the pixels of each class index in the loss; 0 for `OUTSIDE`.

    augmentation : Augmentation, callable, Keras layer or None
        Random changes of training pairs. It needs a seed.

    foreground_fraction : float, default=None
        Fraction of the images in an epoch whose masks have foreground. It needs a seed.
        None uses each image once.
    """

    class_weights: np.ndarray
    augmentation: object = None
    foreground_fraction: float | None = None

    @property
    def signature(self):
        shape = self.split.images.shape[1:]
        targets = (*shape[:2], 2)
        return (shape, np.uint8), (targets, np.float32), ((), np.float32)

    def begin_epoch(self, epoch):
        super().begin_epoch(epoch)
        self._repeats = count_earlier(self._order)

    def _draw_order(self, generator):
        if self.foreground_fraction is None:
            return super()._draw_order(generator)
        return draw_by_kind(self._has_foreground, self.foreground_fraction, generator)

    @cached_property
    def _has_foreground(self):
        masks = map(self.split.targets.__getitem__, self.split.positions)
        found = [((mask > 0) & (mask < OUTSIDE)).any() for mask in masks]
        return np.array(found)

    def _read(self, places):
        images, masks = [], []
        positions = self.split.positions[self._order[places]]
        for position, repeat in zip(positions, self._repeats[places], strict=True):
            image, mask = self.split.images[position], self.split.targets[position]
            if self.augmentation is not None:
                another = [repeat] if repeat else []
                generator = self._make_generator(position, *another)
                image, mask = apply_to_pair(self.augmentation, image, mask, generator)
            images.append(image)
            masks.append(mask)
        masks = np.stack(masks)
        return np.stack(images), np.stack([masks, self.class_weights[masks]], axis=-1)


def describe_training(spec, part, arrays) -> TrainedPart:
    """Return what :func:`train_network` trains.

    Parameters
    ----------
    spec : UNetSpec
        The network.

    part : tuple of (str, bool)
        The lowest part of an encoder that trains, and whether its batch normalisation
        does.

    arrays : tuple of ndarray
        Weights of the network.
    """
    from ..networks._adjustable import share_layers
    from ..networks._norms import fuse_norms

    settings = {}
    if spec.dropout:
        settings["dropout"] = spec.dropout
        spec = replace(spec, dropout=0.5)  # one model for all rates
    trainable, trains_norms = part

    def build_fused(variables=None):
        return fuse_norms(build(spec, trainable, trains_norms, variables))

    return TrainedPart(
        key=("unet", spec, part),
        build=build_fused,
        settings=settings,
        weights=arrays,
        build_whole=share_layers,
    )


def describe_objective(loss, n_outputs, threshold) -> Objective:
    """Return the loss and metrics of :func:`train_network`.

    Parameters
    ----------
    loss : ResolvedLoss
        The loss.

    n_outputs : int
        Number of outputs per pixel: 1 for a sigmoid, more for a softmax.

    threshold : float
        Output of a sigmoid above which a pixel is foreground, for metrics.
    """
    return Objective(
        key=(loss.key,),
        settings={"threshold": threshold, **loss.parameters},
        make=partial(_make_objective, loss, n_outputs),
        make_whole=dict,  # ours takes other targets than masks
    )


def _make_objective(loss, n_outputs, variables) -> dict:
    """Return loss and metrics, as arguments for Keras' `compile`.

    `variables` are the parameters of the loss and "threshold", as Keras' variables.
    """
    metrics = []
    for name in ("accuracy", "precision", "recall", "iou", "dice"):
        metrics.append(PixelMetric(name, n_outputs, variables["threshold"]))
    parameters = {name: variables[name] for name in loss.parameters}
    pixel_loss = PixelLoss(loss, n_outputs, parameters)
    return {"loss": pixel_loss, "weighted_metrics": metrics}


class PixelLoss(Loss):
    """Loss with one value per image, which Keras averages.

    Targets have the shape (n_images, height, width, 2): class indices and weights.
    """

    def __init__(self, loss, n_outputs, parameters=None):
        super().__init__(name="loss", dtype="float32")
        self._loss = loss
        self._parameters = parameters or {}  # tensors or variables
        self._labels = np.array([1] if n_outputs == 1 else range(n_outputs))

    def call(self, y_true, y_pred):
        indices, weights = y_true[..., :1], y_true[..., 1]
        truth = ops.cast(indices == self._labels, "float32")
        if self._loss.weighs_pixels:
            parameters = {}
            for name, value in self._parameters.items():
                parameters[name] = ops.convert_to_tensor(value)
            return self._loss.per_image(
                truth, y_pred, pixel_weight=weights, **parameters
            )
        # In the padding, truth and prediction are equal, so that the loss is minimal.
        inside = ops.cast(indices != OUTSIDE, "float32")
        return self._loss.per_image(truth * inside, y_pred * inside)


def check_pixel_loss(segmenter):
    """Raise ValueError if the loss cannot be used for any number of labels.

    The number is not known before the masks are read.
    """
    ignore_label = segmenter.ignore_label
    if getattr(segmenter.loss, "ignore_label", None) not in (None, ignore_label):
        raise ValueError(
            f"loss={segmenter.loss!r} has an ignore_label, but that of the segmenter "
            f"is {ignore_label}. Pass it to the segmenter: its loss leaves these "
            "pixels out."
        )
    leaves_out = segmenter.pad_to_aspect_ratio or ignore_label is not None
    has_class_weight, errors = segmenter.class_weight is not None, {}
    # Keras warns about some losses if there is one output, so that is not tried first.
    for n_outputs in (3, 1, *range(4, MAX_LABELS + 1)):
        try:
            loss = resolve_loss(segmenter.loss, has_class_weight, n_outputs)
        except ValueError as error:
            errors[n_outputs] = error
            continue
        if leaves_out and not ignores_padding(loss, n_outputs):
            raise ValueError(
                f"loss={segmenter.loss!r} averages over all pixels, including padding "
                "and those of ignore_label. Pass a loss with a value for each pixel or "
                "one of skinest.losses, or set pad_to_aspect_ratio=False and "
                "ignore_label=None."
            )
        return
    raise errors[1]


def weigh_pixels(segmenter, classes, counts) -> np.ndarray:
    """Return the weight of the pixels of each class.

    "balanced" is n_pixels / (n_classes * n_pixels_of_class), where n_classes counts the
    classes that have pixels; the others have the weight 1.
    """
    class_weight = segmenter.class_weight
    if class_weight is None and segmenter.loss != "weighted_crossentropy":
        return np.ones(len(classes))
    if isinstance(class_weight, dict):
        if segmenter.ignore_label in class_weight:
            raise ValueError(
                f"class_weight={class_weight} has ignore_label="
                f"{segmenter.ignore_label}, whose pixels do not count. Remove it from "
                "class_weight."
            )
        return read_class_weight(class_weight, classes)
    return balance_weights(counts)  # a shrunk class may lack pixels


def ignores_padding(loss, n_outputs) -> bool:
    """Return whether padding does not change a loss, tested on random outputs."""
    generator = np.random.default_rng(0)
    outputs = generator.uniform(0.1, 0.9, (2, 6, 8, n_outputs))
    if n_outputs > 1:
        outputs /= outputs.sum(axis=-1, keepdims=True)
    codes = generator.integers(0, max(2, n_outputs), outputs.shape[:-1])

    def values(codes, outputs):
        targets = np.stack([codes, codes != OUTSIDE], axis=-1).astype(np.float32)
        pixel_loss = PixelLoss(loss, n_outputs)
        return ops.convert_to_numpy(
            pixel_loss.call(
                ops.convert_to_tensor(targets),
                ops.convert_to_tensor(outputs.astype(np.float32)),
            )
        )

    padded = codes.copy()
    padded[:, :, 5:] = OUTSIDE
    expected = values(codes[:, :, :5], outputs[:, :, :5])
    return np.allclose(values(padded, outputs), expected, rtol=1e-3)


class PixelMetric(Metric):
    """Ratio of pixel counts over all images, averaged over the foreground labels.

    Pixels count by the weight of their image. A label that is absent from both masks
    and predictions counts 1. A label that is in one of them only counts 0, even if the
    denominator is 0, as in the precision of empty predictions.

    Parameters
    ----------
    name : {"accuracy", "precision", "recall", "iou", "dice"}
        Name of the ratio.

    n_outputs : int
        Number of outputs per pixel: 1 for a sigmoid, more for a softmax.

    threshold : float or keras.Variable
        Output of a sigmoid above which a pixel is foreground.
    """

    def __init__(self, name, n_outputs, threshold):
        super().__init__(name=name, dtype="float32")
        self._is_sigmoid = n_outputs == 1
        self._read_threshold = lambda: threshold  # an attribute would be reset
        self._labels = np.arange(1, max(2, n_outputs), dtype=np.float32)
        shape = self._labels.shape
        self._both = self.add_variable(shape, "zeros", name="both")
        self._true = self.add_variable(shape, "zeros", name="true")
        self._predicted = self.add_variable(shape, "zeros", name="predicted")
        self._right = self.add_variable((), "zeros", name="right")
        self._total = self.add_variable((), "zeros", name="total")

    def update_state(self, y_true, y_pred, sample_weight=None):
        indices = y_true[..., :1]
        if self._is_sigmoid:
            found = y_pred > ops.cast(self._read_threshold(), "float32")
        else:
            found = ops.argmax(y_pred, axis=-1, keepdims=True)
        found = ops.cast(found, "float32")
        inside = ops.cast(indices != OUTSIDE, "float32")
        true = ops.cast(indices == self._labels, "float32")
        predicted = inside * ops.cast(found == self._labels, "float32")
        right = inside * ops.cast(found == indices, "float32")
        weights = 1.0
        if sample_weight is not None:
            weights = ops.reshape(sample_weight, (-1, 1))

        def count(pixels):
            return ops.sum(weights * ops.sum(pixels, axis=(1, 2)), axis=0)

        self._right.assign_add(ops.sum(count(right)))
        self._total.assign_add(ops.sum(count(inside)))
        self._both.assign_add(count(true * predicted))
        self._true.assign_add(count(true))
        self._predicted.assign_add(count(predicted))

    def result(self):
        if self.name == "accuracy":
            return _divide(self._right.value, self._total.value, of_nothing=1.0)
        both, true = self._both.value, self._true.value
        predicted = self._predicted.value
        whole = {
            "precision": predicted,
            "recall": true,
            "iou": true + predicted - both,
            "dice": (true + predicted) / 2,
        }[self.name]
        is_absent = true + predicted == 0
        return ops.mean(ops.where(is_absent, 1.0, _divide(both, whole, of_nothing=0.0)))


def _divide(part, whole, of_nothing):
    nothing = whole == 0
    return ops.where(nothing, of_nothing, part / ops.where(nothing, 1.0, whole))
