"""Builders of networks for SciKeras: what it tells them and expects back.

SciKeras calls the function that is its `model=` with two more arguments, if that has
them: `meta`, what is known of `X` and `y`, and `compile_kwargs`, what its own
parameters say of training.
"""

# Authors: The skinest developers
# SPDX-License-Identifier: BSD-3-Clause

import functools
import re

import numpy as np

_AS_ROWS = "(masks > 0).astype(int).reshape(len(masks), -1)"


def resolve_image_size(image_size, meta, default) -> tuple:
    """Return the size of the images: the given one, that of `meta` or the default.

    Raises
    ------
    ValueError
        If the network cannot take the images, or they are of another size.
    """
    if meta is None:
        return default if image_size is None else tuple(image_size)
    shape, dtype = meta["X_shape_"], meta["X_dtype_"]
    if len(shape) != 4 or shape[3] != 3 or dtype != np.uint8:
        raise ValueError(
            f"X has shape {shape} and dtype {dtype}. SciKeras hands images to the "
            "network as they are, so pass RGB images of shape (n_images, height, "
            "width, 3) and dtype uint8. The estimators of skinest take other forms."
        )
    size = tuple(shape[1:3])
    if image_size is not None and tuple(image_size) != size:
        raise ValueError(
            f"image_size={image_size!r}, but X holds images of {size}. Leave "
            "image_size out, or resize the images."
        )
    return size


def resolve_n_outputs(n_outputs, meta, compile_kwargs=None) -> int:
    """Return the number of outputs: the given one, or what labels and loss need.

    Raises
    ------
    ValueError
        If `y` has not one label for each image, or another number of classes, or the
        loss wants one column for each class.
    """
    if meta is None:
        return 1 if n_outputs is None else n_outputs
    kind, n_classes = meta["target_type_"], meta.get("n_classes_")
    if kind not in ("binary", "multiclass") or n_classes is None:
        raise ValueError(
            f"y is {kind}. A transfer network needs one label for each image, and "
            "KerasClassifier."
        )
    loss = _get_name((compile_kwargs or {}).get("loss"))
    if kind == "binary" and loss == "categorical_crossentropy":
        raise ValueError(
            "loss='categorical_crossentropy' takes one column for each class, which "
            "SciKeras makes of three classes or more. Leave loss out, or take "
            "'sparse_categorical_crossentropy'."
        )
    one_is_enough = kind == "binary" and loss != "sparse_categorical_crossentropy"
    fitting = {1 if one_is_enough else n_classes, n_classes}
    if n_outputs is not None and n_outputs not in fitting:
        raise ValueError(
            f"n_outputs={n_outputs}, but y holds {n_classes} classes. Leave n_outputs "
            "out."
        )
    return min(fitting) if n_outputs is None else n_outputs


def _get_name(loss):
    """Return the name of a loss of Keras, given by name, as instance or function."""
    name = getattr(loss, "name", None) or getattr(loss, "__name__", None) or loss
    return re.sub(r"(?<=[a-z])(?=[A-Z])", "_", str(name)).lower()


def check_rows_of_masks(image_size, n_outputs, meta):
    """Raise ValueError unless `y` holds masks of 0 and 1, each as one row."""
    kind, n_columns = meta["target_type_"], meta.get("n_classes_")
    height, width = image_size
    if kind != "multilabel-indicator" or n_columns != height * width or n_outputs != 1:
        raise ValueError(
            f"y is {kind}. SciKeras takes masks of 0 and 1 alone, as rows of {height} "
            f"* {width} pixels, and KerasClassifier: pass {_AS_ROWS}, and leave "
            "n_outputs out. UNetSegmenter takes masks as they are, of any labels."
        )


def check_values_in_fit(network):
    """Make `network.fit` raise ValueError unless `y` holds nothing but 0 and 1.

    To SciKeras 0 and 255 are two values like any, and it shows a builder none of them;
    cross entropy would fall without end.
    """
    fit = network.fit

    @functools.wraps(fit)
    def checked_fit(x=None, y=None, **options):
        if not np.all((y == 0) | (y == 1)):
            raise ValueError(
                f"y holds masks of {np.min(y)} to {np.max(y)}, but SciKeras takes "
                f"masks of 0 and 1 alone. Pass {_AS_ROWS}; UNetSegmenter takes masks "
                "as they are, of any labels."
            )
        return fit(x=x, y=y, **options)

    network.fit = checked_fit


def compile_network(network, compile_kwargs):
    """Compile a network, with the cross entropy of its outputs if no loss is given."""
    if compile_kwargs is None:
        return network
    loss = compile_kwargs.get("loss")
    if loss is None:
        is_sigmoid = network.get_layer("logits").output.shape[-1] == 1
        kind = "binary" if is_sigmoid else "sparse_categorical"
        loss = f"{kind}_crossentropy"
    network.compile(**{**compile_kwargs, "loss": loss})
    return network
