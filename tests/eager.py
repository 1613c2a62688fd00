"""Training without graphs, which is quicker where each fit has a network of its own."""

# Authors: The skinest developers
# SPDX-License-Identifier: BSD-3-Clause

from contextlib import contextmanager


@contextmanager
def without_graphs():
    """Let TensorFlow compile nothing but the reading of data.

    A network takes seconds to compile, and a small one hundredths of a second for a
    step without. So this is for tests in which the training itself is not in question.
    """
    import keras

    if keras.backend.backend() != "tensorflow":
        yield
        return
    import tensorflow as tf

    tf.config.run_functions_eagerly(True)
    try:
        yield
    finally:
        tf.config.run_functions_eagerly(False)
