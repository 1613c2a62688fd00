"""scikit-learn-compatible estimators for images, made for dermoscopy.

Public names are loaded when they are first used: importing skinest loads
neither TensorFlow, Keras, OpenCV nor matplotlib.
"""

# Authors: The skinest developers
# SPDX-License-Identifier: BSD-3-Clause

from importlib.metadata import version

import lazy_loader

__version__ = version("skinest")

__getattr__, __dir__, __all__ = lazy_loader.attach_stub(__name__, __file__)
