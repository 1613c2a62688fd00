"""Section of a report: the estimator, its settings, its weights, and versions."""

# Authors: The skinest developers
# SPDX-License-Identifier: BSD-3-Clause

from __future__ import annotations

import hashlib
import os
import platform
from functools import partial
from numbers import Number

import joblib
import numpy as np
from sklearn.base import BaseEstimator
from sklearn.pipeline import Pipeline

from ..utils._show_versions import find_backend, find_versions
from ._report_blocks import Heading, Table, Text

_MAX_ITEMS = 8  # of a list that are shown
_HIDDEN = "a path, which is not shown"
_ENDINGS = (".h5", ".hdf5", ".json", ".keras", ".npy", ".npz", ".onnx")


def describe_model(study):
    """Return the settings of the estimator, the digest of its weights, and versions."""
    yield Text(f"The estimator is a {_name_steps(study.estimator)}.")
    if hasattr(study.estimator, "best_estimator_"):
        yield Text("Settings are those of the best estimator of the search.")
    settings = list_settings(study.estimator)
    if settings:
        header = ["Setting", "Value"]
        yield Table(header, settings, "Settings of the estimator", n_texts=2)
    else:
        yield Text("It has no settings.")
    digests = list(_find_digests(study.estimator))
    if digests:
        yield Table(
            ["Network", "Weights", "SHA-256"],
            digests,
            "Weights of networks",
            n_texts=3,
        )
        yield Text(
            "The digest is that of all arrays of weights of the Keras model, in its "
            "order: their types, shapes and values.",
            "note",
        )
    yield Heading("Versions")
    yield Table(
        ["Package", "Version"], _list_versions(), "Versions on which results depend", 2
    )


def _name_steps(estimator) -> str:
    if hasattr(estimator, "best_estimator_"):
        best = _name_steps(estimator.best_estimator_)
        return f"{type(estimator).__name__} of a {best}"
    if isinstance(estimator, Pipeline):
        steps = ", ".join(type(step).__name__ for _, step in estimator.steps)
        return f"{type(estimator).__name__} of {steps}"
    return type(estimator).__name__


def list_settings(estimator) -> list[tuple[str, str]]:
    """Return names and values of all parameters, without paths.

    Values that are estimators are shown by their classes; their own parameters follow.
    """
    estimator = getattr(estimator, "best_estimator_", estimator)
    return [
        (name, describe_value(value))
        for name, value in sorted(estimator.get_params().items())
        if not (name == "steps" or name.endswith("__steps"))
    ]


def describe_value(value) -> str:
    """Return a value as text without paths, addresses in memory or long lists."""
    if value is None or isinstance(value, bool | Number | np.bool_):
        return str(value)
    if isinstance(value, str):
        return _HIDDEN if _is_path(value) else repr(value)
    if isinstance(value, os.PathLike | joblib.Memory | bytes):
        return _HIDDEN
    if isinstance(value, np.ndarray):
        return f"an array of shape {value.shape}"
    if isinstance(value, dict):
        items = [
            f"{describe_value(key)}: {describe_value(each)}"
            for key, each in [*value.items()][:_MAX_ITEMS]
        ]
        return f"{{{_join(items, len(value))}}}"
    if isinstance(value, list | tuple | set | frozenset):
        items = [describe_value(each) for each in [*value][:_MAX_ITEMS]]
        return f"({_join(items, len(value))})"
    if isinstance(value, partial):
        return f"partial({describe_value(value.func)}, ...)"
    # The text of other objects may hold anything.
    return getattr(value, "__qualname__", None) or f"{type(value).__name__}(...)"


def _is_path(text) -> bool:
    separators = {"/", "\\", os.sep}
    return (
        any(separator in text for separator in separators)
        or text.startswith("~")
        or text.endswith(_ENDINGS)
        or os.path.exists(text)
    )


def _join(items, n_items) -> str:
    return ", ".join([*items, "..."] if n_items > len(items) else items)


def _find_digests(estimator, name=""):
    """Yield name, number of weights and digest of each fitted network."""
    estimator = getattr(estimator, "best_estimator_", estimator)
    if isinstance(estimator, Pipeline):
        for step, each in estimator.steps:
            yield from _find_digests(each, f"{name}{step}: ")
    elif isinstance(estimator, BaseEstimator) and hasattr(estimator, "model_"):
        weights = estimator.model_.get_weights()
        n_weights = sum(array.size for array in weights)
        label = f"{name}{type(estimator).__name__}"
        yield label, f"{n_weights:,}", compute_digest(weights)


def compute_digest(weights) -> str:
    """Return the SHA-256 of arrays: of their types, shapes and values."""
    digest = hashlib.sha256()
    for array in weights:
        array = np.ascontiguousarray(array)
        array = array.astype(array.dtype.newbyteorder("<"), copy=False)
        digest.update(f"{array.dtype.str}{array.shape}".encode())
        digest.update(array.tobytes())
    return digest.hexdigest()


def _list_versions() -> list[tuple[str, str]]:
    rows = [
        ("Python", platform.python_version()),
        ("System", f"{platform.system()} {platform.machine()}"),
        ("Keras backend", find_backend()),
    ]
    found = find_versions().items()
    return rows + [(name, text) for name, text in found if text and name != "pip"]
