"""Private names of other packages that tests need, each with what it is for.

They are imported when they are used, as most belong to packages that are slow to load.
"""

# Authors: The skinest developers
# SPDX-License-Identifier: BSD-3-Clause


def replace_cpu_features(monkeypatch, features):
    """Replace NumPy's table of the processor; by None, take it away."""
    from numpy._core import _multiarray_umath as module

    if features is None:
        monkeypatch.delattr(module, "__cpu_features__", raising=False)
    else:
        monkeypatch.setattr(module, "__cpu_features__", features, raising=False)


def get_keras_generator_state() -> list:
    """Return the state of the generator that Keras shares, which no fit may change."""
    import keras
    from keras.src.random.seed_generator import global_seed_generator

    state = global_seed_generator().state  # made by a number of `random`
    return keras.ops.convert_to_numpy(state.value).tolist()


def is_determinism_on() -> bool:
    """Tell whether TensorFlow is asked for deterministic operations."""
    from tensorflow.python.framework.config import is_op_determinism_enabled

    return is_op_determinism_enabled()


def save_weights_as_keras2(model, file):
    """Write weights into an HDF5 file in the layout of Keras 2, by Keras' own code."""
    from keras.src.legacy.saving import legacy_h5_format

    legacy_h5_format.save_weights_to_hdf5_group(file, model)


def select_rows(X, indices):
    """Select rows of what scikit-learn's checks pass: tables and lists of any kind."""
    from sklearn.utils import _safe_indexing

    return _safe_indexing(X, indices)
