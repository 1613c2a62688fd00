"""Losses and metrics of pixels, for targets of codes and weights."""

# Authors: The skinest developers
# SPDX-License-Identifier: BSD-3-Clause

import numpy as np
from keras import Loss, Metric, ops

from ._batches import OUTSIDE

METRICS = ("loss", "accuracy", "precision", "recall", "iou", "dice")


def objective(loss, n_outputs, threshold) -> dict:
    """What Keras compiles a segmenter with.

    Parameters
    ----------
    loss : object
        From :func:`skinest.losses._resolve.resolve_loss`.

    n_outputs : int
        Outputs of a pixel: 1 of a sigmoid, more of a softmax.

    threshold : float
        Above which a sigmoid means foreground.
    """
    metrics = [PixelMetric(name, n_outputs, threshold) for name in METRICS[1:]]
    return {"loss": PixelLoss(loss, n_outputs), "metrics": metrics}


class PixelLoss(Loss):
    """A loss of each image, of which Keras takes the mean.

    Targets have the shape (n_images, height, width, 2): codes of labels, and weights.
    """

    def __init__(self, loss, n_outputs):
        super().__init__(name="loss", dtype="float32")
        self._loss = loss
        self._n_outputs = n_outputs

    def call(self, y_true, y_pred):
        codes, weights = y_true[..., 0], y_true[..., 1]
        truth = ops.stack(_truths(codes, self._n_outputs), axis=-1)
        if self._loss.weighs_pixels:
            return self._loss.per_image(truth, y_pred, pixel_weight=weights)
        # Pixels of no image agree, and so cost as little as they can.
        inside = ops.cast(codes != OUTSIDE, "float32")[..., None]
        return self._loss.per_image(truth * inside, y_pred * inside)


def ignores_padding(loss, n_outputs) -> bool:
    """Whether padded pixels change nothing in a loss, by an example."""
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
    """A ratio of pixels of all images: the mean over the labels of the foreground.

    Where a label is neither there nor found, it is 1; where there is none below the
    line alone, as for the precision of what finds nothing, it is 0.

    Parameters
    ----------
    name : {"accuracy", "precision", "recall", "iou", "dice"}
        Which ratio.

    n_outputs, threshold
        As for :func:`objective`.
    """

    def __init__(self, name, n_outputs, threshold):
        super().__init__(name=name, dtype="float32")
        self._n_outputs = n_outputs
        self._threshold = threshold
        shape = (max(1, n_outputs - 1),)
        self._both, self._true, self._predicted = (
            self.add_variable(shape, "zeros", name=part)
            for part in ("both", "true", "predicted")
        )
        self._right = self.add_variable((), "zeros", name="right")
        self._total = self.add_variable((), "zeros", name="total")

    def update_state(self, y_true, y_pred, sample_weight=None):
        codes = y_true[..., 0]
        if self._n_outputs == 1:
            predicted = ops.cast(y_pred[..., 0] > self._threshold, "float32")
        else:
            predicted = ops.cast(ops.argmax(y_pred, axis=-1), "float32")
        inside = ops.cast(codes != OUTSIDE, "float32")
        right = inside * ops.cast(predicted == codes, "float32")
        self._right.assign_add(ops.sum(right))
        self._total.assign_add(ops.sum(inside))
        labels = range(1, max(2, self._n_outputs))
        truths = [ops.cast(codes == label, "float32") for label in labels]
        found = [inside * ops.cast(predicted == label, "float32") for label in labels]
        pairs = list(zip(truths, found, strict=True))
        self._both.assign_add(ops.stack([ops.sum(t * p) for t, p in pairs]))
        self._true.assign_add(ops.stack([ops.sum(t) for t in truths]))
        self._predicted.assign_add(ops.stack([ops.sum(p) for p in found]))

    def result(self):
        if self.name == "accuracy":
            return _ratio(*map(ops.convert_to_tensor, (self._right, self._total)))
        both, true, predicted = map(
            ops.convert_to_tensor, (self._both, self._true, self._predicted)
        )
        whole = {
            "precision": predicted,
            "recall": true,
            "iou": true + predicted - both,
            "dice": (true + predicted) / 2,
        }[self.name]
        return ops.mean(ops.where(true + predicted == 0, 1.0, _ratio(both, whole, 0.0)))


def _truths(codes, n_outputs):
    """1 where a pixel has the label of an output, else 0."""
    labels = [1] if n_outputs == 1 else range(n_outputs)
    return [ops.cast(codes == label, "float32") for label in labels]


def _ratio(part, whole, of_nothing=1.0):
    nothing = whole == 0
    return ops.where(nothing, of_nothing, part / ops.where(nothing, 1.0, whole))
