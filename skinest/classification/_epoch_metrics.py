"""Loss and metrics of each epoch, equal to scikit-learn's for the same predictions.

Keras' own metrics are weighted like the loss or not at all, its AUC is an approximation
by 200 thresholds, and its loss contains the L2 penalty. So the outputs of all batches
are kept until the end of the epoch.
"""

# Authors: The skinest developers
# SPDX-License-Identifier: BSD-3-Clause

import keras
import numpy as np
from keras import ops

_MIN_ROWS = 64  # one model for all usual batch sizes


def choose_n_rows(batch_size) -> int:
    """Return the number of outputs that a model keeps: a power of two."""
    return max(_MIN_ROWS, 1 << (int(batch_size) - 1).bit_length())


class LastOutputs(keras.metrics.AUC):
    """Metric that keeps the outputs for the last batch.

    Its own result is never used.

    Parameters
    ----------
    n_rows : int
        Largest number of images in a batch.

    n_outputs : int
        Number of outputs for an image.
    """

    def __init__(self, n_rows, n_outputs):
        super().__init__(num_thresholds=2, name="auc", dtype="float32")
        self._n_rows = n_rows
        self.outputs = self.add_variable((n_rows, n_outputs), "zeros", name="outputs")

    def update_state(self, y_true, y_pred, sample_weight=None):
        missing = self._n_rows - ops.shape(y_pred)[0]
        self.outputs.assign(ops.pad(y_pred, [[0, missing], [0, 0]]))

    def result(self):
        return ops.zeros(())


def make_keras_objective(n_outputs) -> dict:
    """Return loss and metrics of Keras, as arguments for its `compile`."""
    losses, metrics = keras.losses, keras.metrics
    if n_outputs == 1:
        loss, accuracy = losses.BinaryCrossentropy, metrics.BinaryAccuracy
    else:
        loss, accuracy = losses.CategoricalCrossentropy, metrics.CategoricalAccuracy
    exact = {"dtype": "float32"}  # whatever `keras.config.floatx` is
    return {
        "loss": loss(**exact),
        "metrics": [
            accuracy(name="accuracy", **exact),
            metrics.Precision(name="precision", **exact),
            metrics.Recall(name="recall", **exact),
            metrics.AUC(name="auc", **exact),
        ],
    }


def make_objective(n_outputs, batch_size) -> dict:
    """Return loss and metrics of a training, as arguments for Keras' `compile`.

    :class:`EpochMetrics` replaces the values of the metrics.
    """
    objective = make_keras_objective(n_outputs)
    objective["metrics"][-1] = LastOutputs(choose_n_rows(batch_size), n_outputs)
    return objective


class EpochMetrics(keras.callbacks.Callback):
    """Callback that puts loss and metrics of an epoch into Keras' logs.

    It must be the first callback, so that all others find these values.

    Parameters
    ----------
    train, validation : Batches
        What Keras reads. `validation` can be None.
    """

    def __init__(self, train, validation):
        super().__init__()
        self._batches = {"": train, "val_": validation}
        self._last = {}

    def on_epoch_begin(self, epoch, logs=None):
        self._outputs = {"": [], "val_": []}
        self._of_validation = {}

    def on_train_batch_end(self, batch, logs=None):
        self._keep("")

    def on_test_batch_end(self, batch, logs=None):
        self._keep("val_")

    def on_test_end(self, logs=None):
        self._of_validation = self._compute("val_")
        logs.update(self._of_validation)

    def on_epoch_end(self, epoch, logs=None):
        self._last = self._compute("")
        for name, value in self._of_validation.items():
            self._last[f"val_{name}"] = value
        logs.update(self._last)

    def on_train_end(self, logs=None):
        logs.update(self._last)

    def _compute(self, prefix):
        """Return the metrics of the batches so far, or an empty dict."""
        if not self._outputs[prefix]:
            return {}
        batches = self._batches[prefix]
        split, positions = batches.split, batches.list_read()
        outputs = np.concatenate(self._outputs[prefix])[: len(positions)]
        positions = positions[: len(outputs)]  # an epoch can be stopped early
        return compute_metrics(
            split.targets[positions],
            outputs,
            split.sample_weight[positions],
            split.metric_weight[positions],
        )

    def _keep(self, prefix):
        """Copy the outputs for the last batch. All batches but the last are full."""
        if hasattr(self.model, "jax_state_sync"):  # JAX updates variables later
            self.model.jax_state_sync()
        outputs = ops.convert_to_numpy(self._find_outputs().value)
        n_rows = self._batches[prefix].batch_size
        self._outputs[prefix].append(np.array(outputs[:n_rows]))

    def _find_outputs(self):
        for metric in self.model.metrics:
            for inner in getattr(metric, "metrics", ()):
                if isinstance(inner, LastOutputs):
                    return inner.outputs
        raise AttributeError("The model has no LastOutputs among its metrics.")


def compute_metrics(targets, outputs, loss_weight, metric_weight) -> dict[str, float]:
    """Compute loss and metrics from targets and outputs of a sigmoid or softmax.

    Parameters
    ----------
    targets, outputs : ndarray of shape (n_images, n_outputs), dtype float32
        0 or 1, and probabilities.

    loss_weight, metric_weight : ndarray of shape (n_images,)
        Weights of the images in the loss and in metrics.

    Returns
    -------
    metrics : dict of str to float
        "loss", "accuracy", "precision", "recall" and "auc". If they are not defined,
        precision and recall are 0 and the AUC is NaN.
    """
    is_true, is_found = targets > 0.5, outputs > 0.5
    if outputs.shape[1] == 1:
        of_label = np.where(is_true, outputs, 1 - outputs)[:, 0]
        is_right = (is_true == is_found)[:, 0]
    else:
        of_label = outputs[is_true]
        is_right = outputs.argmax(axis=1) == targets.argmax(axis=1)
    eps = np.finfo(np.float32).eps  # as in sklearn.metrics.log_loss
    losses = -np.log(np.clip(of_label, eps, 1 - eps).astype(float))
    weights = np.repeat(metric_weight, outputs.shape[1])
    is_true, is_found = is_true.ravel(), is_found.ravel()
    n_both = weights @ (is_true & is_found)
    return {
        "loss": float(np.average(losses, weights=loss_weight)),
        "accuracy": float(np.average(is_right, weights=metric_weight)),
        "precision": float(n_both / (weights @ is_found or 1)),
        "recall": float(n_both / (weights @ is_true or 1)),
        "auc": compute_auc(is_true, outputs.ravel(), weights),
    }


def compute_auc(is_true, scores, weights) -> float:
    """Compute the area under the ROC curve, or NaN if there is one class only.

    It is the probability that a random positive has a higher score than a random
    negative, where equal scores count half.

    Parameters
    ----------
    is_true : ndarray of shape (n_samples,), dtype bool
    scores, weights : ndarray of shape (n_samples,)
    """
    order = np.argsort(scores, kind="stable")
    is_true, scores, weights = is_true[order], scores[order], weights[order]
    starts = np.flatnonzero(np.r_[True, scores[1:] != scores[:-1]])
    positive = np.add.reduceat(weights * is_true, starts)
    negative = np.add.reduceat(weights * ~is_true, starts)
    n_pairs = positive.sum() * negative.sum()
    if n_pairs == 0 or not np.isfinite(scores).all():
        return np.nan
    n_below = np.cumsum(negative) - negative / 2
    return float(positive @ n_below / n_pairs)
