"""The old place of :mod:`skinest._apply_augmentation`, for what still imports it."""

# Authors: The skinest developers
# SPDX-License-Identifier: BSD-3-Clause

from ._apply_augmentation import (  # noqa: F401
    apply_augmentation,
    apply_to_pair,
    check_augmentation,
    check_pair_augmentation,
)
