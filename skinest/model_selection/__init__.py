"""Splits, intervals and comparisons, for results that hold outside of the data.

Nothing here trains a network or reads an image, except for functions that say so.
"""

# Authors: The skinest developers
# SPDX-License-Identifier: BSD-3-Clause

import lazy_loader

__getattr__, __dir__, __all__ = lazy_loader.attach_stub(__name__, __file__)
