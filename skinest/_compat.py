"""What other packages offer under private names alone, each with what it is for."""

# Authors: The skinest developers
# SPDX-License-Identifier: BSD-3-Clause


def tensorflow_uses_onednn() -> bool:
    """Tell whether TensorFlow computes by oneDNN; False where it does not say so.

    TensorFlow decides by the processor and an environment variable when it is loaded,
    and has no public name for the outcome (`IsMklEnabled` since 2.5).
    """
    try:
        from tensorflow.python.util._pywrap_util_port import IsMklEnabled
    except ImportError:
        return False
    return IsMklEnabled()
