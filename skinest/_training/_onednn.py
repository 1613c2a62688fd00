"""A warning if TensorFlow was loaded too early to use oneDNN."""

# Authors: The skinest developers
# SPDX-License-Identifier: BSD-3-Clause

import os
import platform
import warnings
from functools import lru_cache

from .._compat import uses_onednn

VARIABLE = "TF_ENABLE_ONEDNN_OPTS"


@lru_cache
def warn_without_onednn() -> None:
    """Warn once if TensorFlow was loaded before skinest could turn oneDNN on."""
    import keras

    is_x86 = platform.machine() in ("x86_64", "AMD64")
    if not is_x86 or VARIABLE in os.environ or keras.backend.backend() != "tensorflow":
        return
    import tensorflow as tf

    if uses_onednn() or tf.config.list_physical_devices("GPU"):
        return
    warnings.warn(
        "TensorFlow was imported before skinest. So it does not use oneDNN, and "
        "networks are slower on this processor. Import skinest before TensorFlow and "
        f"Keras, or set the environment variable {VARIABLE}: to 1 to use oneDNN, or to "
        "0 to hide this warning.",
        UserWarning,
        stacklevel=2,
    )
