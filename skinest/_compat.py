"""Private parts of other packages, and features of the processor.

Objects that other packages offer only under private names, or only in some versions,
are imported here and nowhere else. A comment says what each is for and in which version
it was added.
"""

# Authors: The skinest developers
# SPDX-License-Identifier: BSD-3-Clause

import random
import threading
from collections import defaultdict
from collections.abc import Callable
from contextlib import contextmanager
from copy import copy
from functools import lru_cache
from itertools import takewhile
from pathlib import Path
from typing import Any, Protocol, Self, TypeVar

import sklearn

# Checks parameters in `fit` and similar methods; scikit-learn 1.3.
from sklearn.base import _fit_context

# The class of scorers, which `make_scorer` instantiates; scikit-learn 1.4.
from sklearn.metrics._scorer import _Scorer

# Constraints of parameters, and the check of a function's parameters; scikit-learn 1.2.
# Estimators list constraints in `_parameter_constraints`, which `fit_context` reads.
from sklearn.utils._param_validation import (
    HasMethods,
    Hidden,
    Interval,
    InvalidParameterError,
    Options,
    StrOptions,
)
from sklearn.utils._param_validation import (
    validate_parameter_constraints as _validate_parameter_constraints,
)
from sklearn.utils._param_validation import (
    validate_params as _validate_params,
)

# What `set_output` of an estimator asks for; scikit-learn 1.2.
from sklearn.utils._set_output import _get_output_config

try:
    # Callbacks of a fit; scikit-learn 1.9.
    from sklearn.callback import CallbackSupportMixin
    from sklearn.callback import with_callbacks as _with_callbacks

    HAS_CALLBACKS = True
except ImportError:
    HAS_CALLBACKS = False

    class CallbackSupportMixin:  # type: ignore[no-redef]
        """Replace the class of newer versions, and reject callbacks."""

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
                If there are callbacks.
            """
            if callbacks:
                raise ImportError(
                    "Callbacks need scikit-learn 1.9 or newer, and this is "
                    f"{sklearn.__version__}. Upgrade it, or leave set_callbacks out."
                )
            return self

    def _with_callbacks(method):
        """Return the method unchanged."""
        return method


# scikit-learn has no types. Without these, decorated functions would lose theirs.
_Function = TypeVar("_Function", bound=Callable[..., Any])


class _Decorator(Protocol):
    def __call__(self, function: _Function, /) -> _Function: ...


fit_context: Callable[..., _Decorator] = _fit_context
validate_params: Callable[..., _Decorator] = _validate_params
with_callbacks: _Decorator = _with_callbacks

# Whether a DataFrame from a transformer has the index of a Series; scikit-learn 1.8.
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
    "Scorer",
    "StrOptions",
    "check_param",
    "check_params",
    "compute_tensor",
    "cpu_has_amx",
    "cpu_has_bfloat16",
    "find_producer",
    "fit_context",
    "fresh_layer_names",
    "list_seed_states",
    "open_callback_context",
    "preserved_random_state",
    "read_decay_exclusions",
    "read_output_setting",
    "rounds_by_place",
    "set_initial_epoch",
    "take_initial_epoch",
    "uses_onednn",
    "validate_params",
    "with_callbacks",
    "write_decay_exclusions",
    "write_output_setting",
]

SITE = "https://skinest.readthedocs.io/en/latest"


def check_params(estimator) -> None:
    """Raise InvalidParameterError if a parameter of an estimator is invalid.

    For classes with parameters but without `fit`: `_validate_params`, scikit-learn 1.2.
    """
    estimator._validate_params()


def check_param(estimator, name) -> None:
    """Raise InvalidParameterError if one parameter of an estimator is invalid."""
    _validate_parameter_constraints(
        {name: estimator._parameter_constraints[name]},
        {name: getattr(estimator, name)},
        type(estimator).__name__,
    )


class Scorer(_Scorer):
    """Scorer of predictions whose options can come from the estimator.

    It differs from those of `make_scorer` only in :meth:`get_options`. `sign` is -1 if
    a lower score is better.
    """

    def __init__(self, score_func, sign=1, **options):
        super().__init__(score_func, sign, options, "predict")

    def get_options(self, estimator) -> dict:
        """Return options of the metric that depend on the estimator."""
        return {}

    def _score(self, method_caller, estimator, X, y_true, **kwargs):
        options = {**self.get_options(estimator), **self._kwargs}
        scorer = _Scorer(self._score_func, self._sign, options, self._response_method)
        return scorer._score(method_caller, estimator, X, y_true, **kwargs)


def read_scorer(scorer):
    """Return metric, sign, options and response method of a scorer: scikit-learn 1.4.

    None is returned for objects that are not scorers.
    """
    names = "_score_func", "_sign", "_kwargs", "_response_method"
    is_scorer = isinstance(scorer, _Scorer)
    return tuple(getattr(scorer, name) for name in names) if is_scorer else None


def replace_metric(scorer, function):
    """Return a copy of a scorer that calls another metric, with the sign 1."""
    changed = copy(scorer)
    changed._score_func, changed._sign = function, 1
    return changed


def read_output_setting(transformer) -> str:
    """Return what `set_output` asks for: "default", "pandas" or "polars"."""
    return _get_output_config("transform", transformer)["dense"]


def write_output_setting(transformer, setting):
    """Keep what `set_output` asks for, unless it is None: scikit-learn 1.2."""
    if setting is not None:
        transformer._sklearn_output_config = {"transform": setting}


class DocLinkMixin:
    """Link the HTML of an estimator to its page on the site.

    Inherit from it before `BaseEstimator`, whose links it replaces: `_doc_link_...`,
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

    Call it in a method with the decorator `with_callbacks`, which closes the context:
    `_init_callback_context`, scikit-learn 1.9.

    Parameters
    ----------
    estimator : estimator
        The estimator that is being fitted.

    max_subtasks : int
        Maximum number of tasks of the fit.

    Returns
    -------
    context : CallbackContext
        In older versions of scikit-learn, an object that does nothing.
    """
    if not HAS_CALLBACKS:
        return _NoCallbacks()
    return estimator._init_callback_context(max_subtasks=max_subtasks)


class _NoCallbacks:
    """A context without callbacks, for versions of scikit-learn without them."""

    def subcontext(self, **options):
        """Return the context of a task."""
        return self

    def call_on_fit_task_begin(self, **arguments):
        """Do nothing."""

    def call_on_fit_task_end(self, **arguments) -> bool:
        """Return False: no callback stops the fit."""
        return False


def find_producer(tensor):
    """Return the operation of a Keras model that computes a tensor, and its inputs.

    `layer.input` has only the inputs of the first call of a layer. This uses
    `_keras_history` and `_inbound_nodes`, Keras 3.0.

    Parameters
    ----------
    tensor : keras.KerasTensor

    Returns
    -------
    operation : keras.Operation
    inputs : list of keras.KerasTensor
        Inputs of the call that computes this tensor.
    """
    operation, node_index, _ = tensor._keras_history
    return operation, operation._inbound_nodes[node_index].input_tensors


def compute_tensor(tensor, values, **more):
    """Compute a tensor of a Keras model from those before it.

    Each layer has a list of its calls. A new model of the operations would make these
    lists longer, so this uses `arguments.fill_in` of a call instead: Keras 3.0.

    Parameters
    ----------
    tensor : keras.KerasTensor

    values : dict of int to tensor
        The value of each input of the operation, by the `id` of its KerasTensor.

    **more : object
        Keyword arguments of the operation that get another value.

    Returns
    -------
    value : tensor
    """
    import keras

    operation, node_index, position = tensor._keras_history
    args, kwargs = operation._inbound_nodes[node_index].arguments.fill_in(values)
    outputs = operation(*args, **{**kwargs, **more})
    return keras.tree.flatten(outputs)[position]


def run_graph(model, inputs, call):
    """Apply the operations of a functional Keras model to other symbolic tensors.

    Keras' own call of a model in a model makes it one layer. This uses
    `_run_through_graph`: Keras 3.0.

    Parameters
    ----------
    model : keras.Model
    inputs : keras.KerasTensor or list of keras.KerasTensor
    call : callable
        Function that gets each operation with its arguments, and returns its outputs.

    Returns
    -------
    outputs : keras.KerasTensor or list of keras.KerasTensor
        In the form of the outputs of the model.
    """
    return model._run_through_graph(
        inputs, operation_fn=lambda operation: operation, call_fn=call
    )


def list_inner_layers(layer) -> list:
    """List a Keras layer, and the layers inside of it: `_flatten_layers`, Keras 3.0."""
    return layer._flatten_layers()


@contextmanager
def fresh_layer_names():
    """Let Keras count the layers without names as in a new process.

    Some networks of `keras.applications` have layers without names. Keras numbers them,
    such as "conv2d_7", by counters of the thread: "object_name_uids" of
    `keras.src.backend.common.global_state`, Keras 3.0.
    """
    from keras.src.backend.common.global_state import (
        get_global_attribute,
        set_global_attribute,
    )

    before = get_global_attribute("object_name_uids")
    set_global_attribute("object_name_uids", defaultdict(int))
    try:
        yield
    finally:
        set_global_attribute("object_name_uids", before)


def list_seed_states(layer) -> list:
    """List the variables of a Keras layer or model with states of random generators.

    Each belongs to a `keras.random.SeedGenerator`. Layers have no list of these, so the
    variables are found by their name, "seed_generator_state": Keras 3.0.
    """
    return [v for v in layer.variables if v.name == "seed_generator_state"]


def take_initial_epoch(model):
    """Return the epoch at which a callback lets a Keras model start, and reset it.

    `BackupAndRestore` sets `_initial_epoch` when a training begins, and `fit` starts
    there: Keras 3.0. None means that no callback has set it.
    """
    epoch, model._initial_epoch = model._initial_epoch, None
    return epoch


def set_initial_epoch(model, epoch):
    """Set the epoch at which a Keras model starts; see `take_initial_epoch`."""
    model._initial_epoch = epoch


def read_decay_exclusions(optimizer) -> tuple:
    """Return the ids and the pattern of names of what weight decay leaves out.

    Copies of a Keras optimizer lack `_exclude_from_weight_decay...`: Keras 3.0.
    """
    ids, pattern = (getattr(optimizer, name, None) for name in _EXCLUDED)
    return set(ids or ()), pattern


def write_decay_exclusions(optimizer, exclusions):
    """Set what `read_decay_exclusions` returned."""
    for name, value in zip(_EXCLUDED, exclusions, strict=True):
        setattr(optimizer, name, value)


_EXCLUDED = "_exclude_from_weight_decay", "_exclude_from_weight_decay_pattern"
_lock = threading.Lock()
_preserved: dict = {"depth": 0, "state": None}


@contextmanager
def preserved_random_state():
    """Restore the state of Python's `random`, which Keras changes to create seeds.

    The state belongs to the whole process, so nested and concurrent uses are counted:
    the first one saves the state, and the last one restores it.
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


@lru_cache
def cpu_has_bfloat16() -> bool:
    """Return whether the processor supports bfloat16; False if that is not known."""
    return _cpu_has({"AVX512BF16", "AMX_BF16"}, {"avx512_bf16", "amx_bf16", "bf16"})


@lru_cache
def cpu_has_amx() -> bool:
    """Return whether the processor has AMX for bfloat16; False if that is not known."""
    return _cpu_has({"AMX_BF16"}, {"amx_bf16"})


def cpu_has_avx512() -> bool:
    """Return whether the processor has AVX512; False if that is not known."""
    return _cpu_has({"AVX512F"}, {"avx512f"})


def _cpu_has(numpy_names, linux_names) -> bool:
    """Return whether the processor has one of some features, named by NumPy or Linux.

    NumPy's table of features works for x86 on all systems, but has no public name.
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
    """Return whether the position of a row in its batch changes the bits of outputs.

    TensorFlow's own operations on a CPU have this effect. They are used for everything
    without oneDNN, and for bfloat16 if the processor does not support it.
    """
    import keras

    if keras.backend.backend() != "tensorflow":
        return False
    import tensorflow as tf

    if tf.config.list_physical_devices("GPU"):
        return False
    return not uses_onednn() or (in_bfloat16 and not cpu_has_bfloat16())


def uses_onednn() -> bool:
    """Return whether TensorFlow uses oneDNN; False if that is not known.

    TensorFlow decides this when it is loaded, by the processor and an environment
    variable. It has no public function that returns it: `IsMklEnabled`, TensorFlow 2.5.
    """
    try:
        from tensorflow.python.util._pywrap_util_port import IsMklEnabled
    except ImportError:
        return False
    return IsMklEnabled()
