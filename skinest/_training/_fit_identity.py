"""Identity of a fit: everything that its result depends on, in words.

Each part is a short text, so that an error can show how two fits differ.
"""

# Authors: The skinest developers
# SPDX-License-Identifier: BSD-3-Clause

import hashlib
import inspect
import os
import platform
import sys
from contextlib import suppress
from types import FunctionType

import joblib
import numpy as np
import sklearn

from .. import __version__
from .._compat import cpu_has_amx, cpu_has_avx512, cpu_has_bfloat16, uses_onednn
from .._identity import describe_code, describe_state
from ..images import check_images
from ..networks._backbone_stages import find_first_layer, list_layers
from ..networks._keras_backbone import KerasBackbone
from ._optimizers import describe_exclusions

_IRRELEVANT = "checkpoint", "memory", "verbose", "warm_start", "weights"
_LIBRARIES = "keras", "skinest", "sklearn"  # whose versions are compared
_N_SHOWN = 8  # characters of a digest


def identify_fit(estimator, X, y, sample_weight, groups, X_val, y_val) -> dict:
    """Return what the result of a fit depends on, except for its initial weights.

    Parameters
    ----------
    estimator : NetworkEstimator
        The estimator that is fitted.

    X, y, sample_weight, groups, X_val, y_val : object
        Arguments of its `fit`.

    Returns
    -------
    identity : dict of str to str
        A text for each parameter, argument and library.
    """
    identity = {"estimator": _name(type(estimator))}
    unused = {*_IRRELEVANT, *estimator._unused_in_training}
    for name, value in estimator.get_params(deep=False).items():
        if name not in unused:
            identity[name] = describe_value(value)
    for name, images in (("X", X), ("X_val", X_val)):
        if images is not None:
            identity[name] = _describe_images(check_images(images, name=name))
    for name, targets in (("y", y), ("y_val", y_val)):
        if targets is not None:
            identity[name] = estimator._describe_targets(targets, name)
    for name in ("backbone", "encoder"):
        network = getattr(estimator, name, None)
        if isinstance(network, KerasBackbone):
            identity["first trained layers"] = _number_parts(estimator, network.row)
    identity["sample_weight"] = describe_column(sample_weight)
    identity["groups"] = describe_column(groups)
    return identity


def _number_parts(estimator, row) -> str:
    """Return the positions of the first layers that train in a network of a user.

    Keras counts the layers of a process to name them.
    """
    names, found = list_layers(row), []
    for parameter in ("trainable", "fine_tune"):
        part = getattr(estimator, parameter, None)
        first = part and find_first_layer(row, part)
        found.append(str(names.index(first) if first in names else part))
    return ", ".join(found)


def describe_settings(estimator) -> dict:
    """Return all parameters in which the fits of a search can differ, as texts."""
    return {
        name: describe_value(value)
        for name, value in estimator.get_params(deep=False).items()
        if name not in ("checkpoint", "memory", "verbose")
    }


def describe_environment() -> dict:
    """Return the libraries and the processor, which can change the bits of a fit."""
    import cv2
    import keras

    backend = keras.backend.backend()
    libraries = {
        "skinest": __version__,
        "keras": keras.__version__,
        backend: getattr(sys.modules.get(backend), "__version__", ""),
        "numpy": np.__version__,
        "opencv": cv2.__version__,
        "scikit-learn": sklearn.__version__,
    }
    features = {
        "AVX512": cpu_has_avx512(),
        "bfloat16": cpu_has_bfloat16(),
        "AMX": cpu_has_amx(),
        "oneDNN": backend == "tensorflow" and uses_onednn(),
        "GPU": _has_gpu(backend),
    }
    found = [name for name, is_there in features.items() if is_there]
    return {
        **libraries,
        "processor": " ".join([platform.machine(), *found]),
        "number of threads": str(_count_threads(backend)),  # they change sums
    }


def _has_gpu(backend) -> bool:
    if backend == "tensorflow":
        import tensorflow as tf

        return bool(tf.config.list_physical_devices("GPU"))
    if backend == "torch":
        import keras

        return keras.ops.zeros(1).device.type != "cpu"
    if backend == "jax":
        import jax

        return jax.default_backend() != "cpu"
    return False


def _count_threads(backend) -> int:
    """Return the number of threads of one operation of Keras' backend."""
    number = 0
    if backend == "tensorflow":
        import tensorflow as tf

        number = tf.config.threading.get_intra_op_parallelism_threads()
        number = number or int(os.environ.get("TF_NUM_INTRAOP_THREADS") or 0)
    elif backend == "torch":
        import torch

        number = torch.get_num_threads()
    elif backend == "jax":  # what XLA reads
        number = int(os.environ.get("NPROC") or 0)
    if number == 0 and hasattr(os, "sched_getaffinity"):
        number = len(os.sched_getaffinity(0))
    return number or os.cpu_count() or 1


def describe_value(value) -> str:
    """Return a text that is the same in every process for equal parameters.

    Code of a user is described by its name and its own instructions only.
    """
    if isinstance(value, np.ndarray | np.generic):
        value = value.tolist()
    if value is None or isinstance(value, bool | int | float | complex | str | bytes):
        return repr(value)
    if isinstance(value, os.PathLike):
        return repr(os.fspath(value))
    if isinstance(value, dict):
        items = [f"{describe_value(k)}: {describe_value(v)}" for k, v in value.items()]
        return f"{{{', '.join(sorted(items))}}}"
    if isinstance(value, list | tuple | set | frozenset):
        items = list(map(describe_value, value))
        if isinstance(value, set | frozenset):
            items.sort()
        return f"({', '.join(items)})"
    if isinstance(value, np.random.RandomState):
        return "RandomState"
    return _describe_object(value)


def describe_column(values) -> str:
    """Return a text for one value per image."""
    if values is None:
        return "None"
    values = np.asarray(values, dtype=object)
    return _summarize(values.size, values.tolist())


def describe_masks(masks) -> str:
    """Return a text for a MaskCollection."""
    parts: list = []
    for position in range(len(masks)):
        if masks.from_files:
            parts.append(masks.key(position))
        else:
            mask = masks[position]
            content = hashlib.blake2b(np.ascontiguousarray(mask), digest_size=16)
            parts.append((mask.shape, mask.dtype.str, content.hexdigest()))
    return _summarize(len(masks), parts)


def _describe_images(images) -> str:
    return _summarize(len(images), list(map(images.key, range(len(images)))))


def _describe_object(value) -> str:
    """Return the class of an object and its parameters or code."""
    is_definition = inspect.isclass(value) or inspect.isroutine(value)
    name = _name(value if is_definition else type(value))
    if _is_keras_callback(value):
        # A user's own class may hold anything, such as the time.
        return f"{name}{_describe_plain(value)}" if name.startswith("keras") else name
    if isinstance(value, KerasBackbone):
        row, content = value.row, value.weights.digest
        parts = row.preprocessing, row.stages, row.definitions, row.digest, content
        return f"{name}{describe_value(parts)}"
    is_known = name.partition(".")[0] in _LIBRARIES
    code = "" if is_known else f" {joblib.hash(describe_code(value))[:_N_SHOWN]}"
    if hasattr(value, "get_params") and not is_definition:
        return f"{name}{describe_value(value.get_params(deep=False))}{code}"
    if hasattr(value, "get_config") and not is_definition:
        arrays = value.get_weights() if hasattr(value, "get_weights") else ()
        content = f" {joblib.hash(list(arrays))[:_N_SHOWN]}" if len(arrays) else ""
        config = describe_value(_leave_out_names(value.get_config()))
        return f"{name}{config}{describe_exclusions(value)}{content}{code}"
    state = ""
    with suppress(Exception):  # pickle raises errors of many classes
        state = f" {joblib.hash(describe_state(value))[:_N_SHOWN]}"
    return f"{name}{code}{state}"


def _leave_out_names(config):
    """Return a configuration of Keras without the names and seeds that it makes up."""
    if isinstance(config, list | tuple):
        return list(map(_leave_out_names, config))
    if not isinstance(config, dict):
        return config
    left = [key for key in config if key not in ("name", "seed")]
    return {key: _leave_out_names(config[key]) for key in left}


def _describe_plain(callback) -> str:
    """Return the settings of a callback, without what a training has left in it."""
    plain: tuple = (bool, int, float, str, type(None), FunctionType)
    own = {}
    for name, value in vars(callback).items():
        if isinstance(value, plain) and not name.startswith("_") and name != "params":
            own[name] = value
    return describe_value(own)


def _is_keras_callback(value) -> bool:
    keras = sys.modules.get("keras")
    return keras is not None and isinstance(value, keras.callbacks.Callback)


def _name(definition) -> str:
    if inspect.ismethod(definition):
        definition = definition.__func__
    return f"{definition.__module__}.{definition.__qualname__}"


def _summarize(number, parts) -> str:
    """Return a number of images and a digest of what is known of them."""
    digest = hashlib.blake2b(repr(parts).encode(), digest_size=16).hexdigest()
    return f"{number} with digest {digest}"
