"""Gradients with respect to inputs, for each backend of Keras."""

# Authors: The skinest developers
# SPDX-License-Identifier: BSD-3-Clause


def compute_score_gradients(function, inputs, coefficients):
    """Compute the gradient of a weighted sum of scores with respect to the inputs.

    Keras has no gradient function for all its backends. The variables of layers that
    `function` calls do not change.

    Parameters
    ----------
    function : callable
        Takes a tensor like `inputs` and returns scores, a tensor of shape (n_images,
        n_scores). The scores of an image must depend on that image only. Then the
        gradient of the sum has the gradient of each image.

    inputs : ndarray or tensor of shape (n_images, ...)
        Inputs at which to compute the gradient.

    coefficients : ndarray of shape (n_images, n_scores)
        Coefficient of each score in the sum, e.g. 1 for one score and 0 for the others.

    Returns
    -------
    gradients : ndarray of shape (n_images, ...), dtype float32
        The gradient of each image's weighted score.

    Raises
    ------
    NotImplementedError
        If the backend of Keras has no gradients.
    """
    import keras
    from keras import ops

    backend = keras.config.backend()
    if backend not in _GRADIENTS:
        raise NotImplementedError(
            f"The Keras backend {backend!r} has no gradients. Choose one of "
            f"{sorted(_GRADIENTS)} by the environment variable KERAS_BACKEND."
        )
    coefficients = ops.convert_to_tensor(coefficients, dtype="float32")

    def score(inputs):
        return ops.sum(ops.cast(function(inputs), "float32") * coefficients)

    inputs = ops.stop_gradient(ops.convert_to_tensor(inputs, dtype="float32"))
    return ops.convert_to_numpy(_GRADIENTS[backend](score, inputs))


def _by_tensorflow(score, inputs):
    import tensorflow as tf

    with tf.GradientTape(watch_accessed_variables=False) as tape:
        tape.watch(inputs)
        value = score(inputs)
    return tape.gradient(value, inputs)


def _by_jax(score, inputs):
    import jax

    return jax.grad(score)(inputs)


def _by_torch(score, inputs):
    import torch

    with torch.enable_grad():
        inputs = inputs.detach().requires_grad_(True)
        return torch.autograd.grad(score(inputs), inputs)[0]


_GRADIENTS = {"jax": _by_jax, "tensorflow": _by_tensorflow, "torch": _by_torch}
