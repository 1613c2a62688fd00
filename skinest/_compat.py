"""The processor and other packages, as far as results depend on them.

What other packages offer under private names alone, or in some versions alone, is
taken from them here and nowhere else. Each has a line that says what it is for and
since which version it is there.
"""

# Authors: The skinest developers
# SPDX-License-Identifier: BSD-3-Clause

import ctypes
import random
import threading
from collections.abc import Callable
from contextlib import contextmanager
from functools import lru_cache
from itertools import takewhile
from pathlib import Path
from typing import Any, Protocol, Self, TypeVar

import sklearn

# Checks what is passed to `fit` and the like; scikit-learn 1.3.
from sklearn.base import _fit_context

# What a parameter may be, and the check of a function's; scikit-learn 1.2. Estimators
# list theirs in `_parameter_constraints`, which `fit_context` reads.
from sklearn.utils._param_validation import (
    HasMethods,
    Hidden,
    Interval,
    InvalidParameterError,
    Options,
    StrOptions,
)
from sklearn.utils._param_validation import (
    validate_params as _validate_params,
)

try:
    # Callbacks of a fit; scikit-learn 1.9.
    from sklearn.callback import CallbackSupportMixin
    from sklearn.callback import with_callbacks as _with_callbacks

    HAS_CALLBACKS = True
except ImportError:
    HAS_CALLBACKS = False

    class CallbackSupportMixin:  # type: ignore[no-redef]
        """Stand in for the callbacks of scikit-learn, and refuse them."""

        def set_callbacks(self, *callbacks: object) -> Self:
            """Raise an error: callbacks need a newer scikit-learn.

            Parameters
            ----------
            *callbacks : callback instances
                The callbacks to set.

            Returns
            -------
            self : estimator
                The estimator, if there are no callbacks to set.

            Raises
            ------
            ImportError
                If there are.
            """
            if callbacks:
                raise ImportError(
                    "Callbacks need scikit-learn 1.9 or newer, and this is "
                    f"{sklearn.__version__}. Upgrade it, or leave set_callbacks out."
                )
            return self

    def _with_callbacks(method):
        """Return a method as it is."""
        return method


# scikit-learn has no types, and would take those of what these decorate.
_Function = TypeVar("_Function", bound=Callable[..., Any])


class _Decorator(Protocol):
    def __call__(self, function: _Function, /) -> _Function: ...


fit_context: Callable[..., _Decorator] = _fit_context
validate_params: Callable[..., _Decorator] = _validate_params
with_callbacks: _Decorator = _with_callbacks

# Whether a transformer's DataFrame has the index of a Series; scikit-learn 1.8.
KEEPS_INDEX_OF_SERIES = not sklearn.__version__.startswith("1.7.")

__all__ = [
    "HAS_CALLBACKS",
    "KEEPS_INDEX_OF_SERIES",
    "SITE",
    "CallbackSupportMixin",
    "DocLinkMixin",
    "HasMethods",
    "Hidden",
    "Interval",
    "InvalidParameterError",
    "Options",
    "StrOptions",
    "check_params",
    "cpu_has_bfloat16",
    "find_producer",
    "fit_context",
    "list_seed_states",
    "open_callback_context",
    "preserved_random_state",
    "resolve_compute_dtype",
    "rounds_by_place",
    "uses_onednn",
    "validate_params",
    "with_callbacks",
]

SITE = "https://skinest.readthedocs.io/en/latest"


def check_params(estimator) -> None:
    """Raise InvalidParameterError if a parameter of an estimator is a wrong one.

    For what has parameters and no `fit`: `_validate_params`, scikit-learn 1.2.
    """
    estimator._validate_params()


class DocLinkMixin:
    """Link the HTML of an estimator to its page of the site.

    It stands left of `BaseEstimator`, whose links it replaces: `_doc_link_...`,
    scikit-learn 1.4.
    """

    _doc_link_module = "skinest"
    _doc_link_template = SITE + "/api/generated/{module}.{name}.html"

    def _doc_link_url_param_generator(self):
        import skinest

        name = type(self).__name__
        parts = type(self).__module__.split(".")
        home = ".".join(takewhile(lambda part: not part.startswith("_"), parts))
        return {"module": "skinest" if name in skinest.__all__ else home, "name": name}


def open_callback_context(estimator, max_subtasks):
    """Return the context of the callbacks of a fit, and call their `setup`.

    To be called under `with_callbacks`, which ends it: `_init_callback_context`,
    scikit-learn 1.9.

    Parameters
    ----------
    estimator : estimator
        The estimator that is being fitted.

    max_subtasks : int
        The most tasks that its fit has.

    Returns
    -------
    context : CallbackContext
        In an older scikit-learn, what does nothing in its place.
    """
    if not HAS_CALLBACKS:
        return _NoCallbacks()
    return estimator._init_callback_context(max_subtasks=max_subtasks)


class _NoCallbacks:
    """The context of no callbacks, where scikit-learn has none."""

    def subcontext(self, **options):
        """Return the context of a task."""
        return self

    def call_on_fit_task_begin(self, **arguments):
        """Do nothing."""

    def call_on_fit_task_end(self, **arguments) -> bool:
        """Tell that no callback asks to stop."""
        return False


def find_producer(tensor):
    """Return the operation of a Keras model that a tensor comes from, and its inputs.

    `layer.input` will not do, which tells of the layer's first call alone:
    `_keras_history` and `_inbound_nodes`, Keras 3.0.

    Parameters
    ----------
    tensor : keras.KerasTensor
        An output of an operation.

    Returns
    -------
    operation : keras.Operation
    inputs : list of keras.KerasTensor
        What it was called with for this output.
    """
    operation, node_index, _ = tensor._keras_history
    return operation, operation._inbound_nodes[node_index].input_tensors


def list_seed_states(layer) -> list:
    """List the variables that hold what is random in a Keras layer or model.

    Each belongs to a `keras.random.SeedGenerator`, of which a layer has no list. It is
    known by its name, "seed_generator_state": Keras 3.0.
    """
    return [v for v in layer.variables if v.name == "seed_generator_state"]


_lock = threading.Lock()
_preserved: dict = {"depth": 0, "state": None}


@contextmanager
def preserved_random_state():
    """Put the state of Python's `random` back, from which Keras draws seeds.

    The state belongs to the whole process, so nested and concurrent uses are
    counted: the first to enter keeps it, the last to leave puts it back.
    """
    with _lock:
        if _preserved["depth"] == 0:
            _preserved["state"] = random.getstate()
        _preserved["depth"] += 1
    try:
        yield
    finally:
        with _lock:
            _preserved["depth"] -= 1
            if _preserved["depth"] == 0:
                random.setstate(_preserved["state"])


def resolve_compute_dtype(compute_dtype, preferred):
    """Return what "auto" stands for: `preferred` where the processor has it."""
    if compute_dtype != "auto":
        return compute_dtype
    return preferred if cpu_has_bfloat16() else "float32"


@lru_cache
def cpu_has_bfloat16() -> bool:
    """Tell whether the processor multiplies bfloat16; False where that is not known."""
    return _cpu_has({"AVX512BF16", "AMX_BF16"}, {"avx512_bf16", "amx_bf16", "bf16"})


def cpu_has_avx512() -> bool:
    """Tell whether the processor has AVX512; False where that is not known."""
    return _cpu_has({"AVX512F"}, {"avx512f"})


def _cpu_has(numpy_names, linux_names) -> bool:
    """Tell whether the processor has one of some features, as NumPy or Linux name them.

    NumPy's table of features knows x86 on every system, but has no public name.
    """
    try:
        from numpy._core._multiarray_umath import __cpu_features__ as features
    except ImportError:
        features = {}
    if any(map(features.get, numpy_names)):
        return True
    try:
        listed = Path("/proc/cpuinfo").read_text().split()
    except OSError:
        return False
    return not linux_names.isdisjoint(listed)


@lru_cache
def rounds_by_place(in_bfloat16) -> bool:
    """Tell whether the place of a row in its batch changes the last bits of outputs.

    TensorFlow's own operations do so on a processor. They compute what oneDNN does
    not: all without it, and bfloat16 where the processor does not have that.
    """
    import keras

    if keras.backend.backend() != "tensorflow":
        return False
    import tensorflow as tf

    if tf.config.list_physical_devices("GPU"):
        return False
    return not uses_onednn() or (in_bfloat16 and not cpu_has_bfloat16())


def uses_onednn() -> bool:
    """Tell whether TensorFlow computes by oneDNN; False where that is not known.

    TensorFlow decides by the processor and an environment variable when it is loaded,
    and has no public name for the outcome: `IsMklEnabled`, TensorFlow 2.5.
    """
    try:
        from tensorflow.python.util._pywrap_util_port import IsMklEnabled
    except ImportError:
        return False
    return IsMklEnabled()


def trim_heap():
    """Give memory that is free back to the system, where the C library is glibc.

    glibc keeps hundreds of MB of small pieces that a network leaves.
    """
    try:
        ctypes.CDLL("libc.so.6").malloc_trim(0)
    except (AttributeError, OSError):
        pass
