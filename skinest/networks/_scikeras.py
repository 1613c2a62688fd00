"""Arguments that SciKeras passes to builders of networks, and the result it expects.

SciKeras passes two more arguments to the function `model=`, if the function has them:
`meta` has information about `X` and `y`, and `compile_kwargs` has its parameters for
training.
"""

# Authors: The skinest developers
# SPDX-License-Identifier: BSD-3-Clause

import functools
import re

import numpy as np

_AS_ROWS = "(masks > 0).astype(int).reshape(len(masks), -1)"


def resolve_image_size(image_size, meta, default) -> tuple:
    """Return the size of the images from the argument, from `meta` or the default.

    Raises
    ------
    ValueError
        If the network cannot use the images, or their size differs.
    """
    if meta is None:
        return default if image_size is None else tuple(image_size)
    shape, dtype = meta["X_shape_"], meta["X_dtype_"]
    if len(shape) != 4 or shape[3] != 3 or dtype != np.uint8:
        raise ValueError(
            f"X has shape {shape} and dtype {dtype}. SciKeras passes images to the "
            "network without change, so they must be RGB images of shape (n_images, "
            "height, width, 3) and dtype uint8. The estimators of skinest accept other "
            "forms."
        )
    size = tuple(shape[1:3])
    if image_size is not None and tuple(image_size) != size:
        raise ValueError(
            f"image_size={image_size!r}, but the images in X have the size {size}. "
            "Remove image_size, or resize the images."
        )
    return size


def resolve_n_outputs(n_outputs, meta, compile_kwargs=None) -> int:
    """Return the number of outputs from the argument, or for the labels and the loss.

    Raises
    ------
    ValueError
        If `y` does not have one label per image or has another number of classes, or if
        the loss needs one column per class.
    """
    if meta is None:
        return 1 if n_outputs is None else n_outputs
    kind, n_classes = meta["target_type_"], meta.get("n_classes_")
    if kind not in ("binary", "multiclass") or n_classes is None:
        raise ValueError(
            f"y is {kind}. A transfer network needs KerasClassifier, and one label for "
            "each image."
        )
    loss = _get_name((compile_kwargs or {}).get("loss"))
    if kind == "binary" and loss == "categorical_crossentropy":
        raise ValueError(
            "loss='categorical_crossentropy' needs one column per class, but SciKeras "
            "has only one column for two classes. Remove loss, or use "
            "'sparse_categorical_crossentropy'."
        )
    one_is_enough = kind == "binary" and loss != "sparse_categorical_crossentropy"
    fitting = {1 if one_is_enough else n_classes, n_classes}
    if n_outputs is not None and n_outputs not in fitting:
        raise ValueError(
            f"n_outputs={n_outputs}, but y has {n_classes} classes. Remove n_outputs."
        )
    return min(fitting) if n_outputs is None else n_outputs


def _get_name(loss):
    """Return the name of a Keras loss, from its name, instance or function."""
    name = getattr(loss, "name", None) or getattr(loss, "__name__", None) or loss
    return re.sub(r"(?<=[a-z])(?=[A-Z])", "_", str(name)).lower()


def check_rows_of_masks(image_size, n_outputs, meta):
    """Raise ValueError unless `y` has masks of 0 and 1, one row per mask."""
    kind, n_columns = meta["target_type_"], meta.get("n_classes_")
    height, width = image_size
    if kind != "multilabel-indicator" or n_columns != height * width or n_outputs != 1:
        raise ValueError(
            f"y is {kind}. With SciKeras, use KerasClassifier and masks of 0 and 1 as "
            f"rows of {height} * {width} pixels: pass {_AS_ROWS}, and remove "
            "n_outputs. UNetSegmenter accepts masks with any labels."
        )


def check_values_in_fit(network):
    """Make `network.fit` raise ValueError unless all values of `y` are 0 or 1.

    SciKeras accepts 0 and 255, and a builder cannot see the values. The cross entropy
    would then decrease without limit.
    """
    fit = network.fit

    @functools.wraps(fit)
    def checked_fit(x=None, y=None, **options):
        if not np.all((y == 0) | (y == 1)):
            raise ValueError(
                f"y has masks with values from {np.min(y)} to {np.max(y)}, but with "
                f"SciKeras they must be 0 and 1. Pass {_AS_ROWS}. UNetSegmenter "
                "accepts masks with any labels."
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
