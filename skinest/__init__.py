"""scikit-learn-compatible estimators for images, made for dermoscopy.

Public names are loaded when they are first used: importing skinest loads
neither TensorFlow, Keras, OpenCV nor matplotlib.

On x86-64, importing skinest sets the environment variable ``TF_ENABLE_ONEDNN_OPTS`` to
1, so that TensorFlow uses oneDNN. It also sets ``TF_CPP_MIN_LOG_LEVEL`` to 3, so that
TensorFlow prints no notes about the processor and missing GPUs, except a few while it
is loaded; errors are still raised. Variables are not changed if they are already set or
if TensorFlow is already loaded.
"""

# Authors: The skinest developers
# SPDX-License-Identifier: BSD-3-Clause

import os
import platform
import sys
from importlib.metadata import version

import lazy_loader

__version__ = version("skinest")

if "tensorflow" not in sys.modules:
    os.environ.setdefault("TF_CPP_MIN_LOG_LEVEL", "3")
    # TensorFlow leaves oneDNN off on x86-64 without AVX512, where it is faster too.
    if platform.machine() in ("x86_64", "AMD64"):
        os.environ.setdefault("TF_ENABLE_ONEDNN_OPTS", "1")

__getattr__, __dir__, __all__ = lazy_loader.attach_stub(__name__, __file__)
