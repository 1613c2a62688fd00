"""Codings of the foreground of masks: 1, 255 and 65535."""

# Authors: The skinest developers
# SPDX-License-Identifier: BSD-3-Clause

from typing import Any

from numpy.typing import NDArray

FOREGROUNDS = {1, 255, 65535}  # values that programs use for a single foreground


class CodingCheck:
    """Find masks that code the same foreground in two ways, such as 1 and 255.

    Labels count as two codings if no mask has both of them, nor any other label except
    0.

    Examples
    --------
    >>> import numpy as np
    >>> from skinest._reading._mask_coding import CodingCheck
    >>> check = CodingCheck()
    >>> check.add(np.array([0, 1]), "y[0]")
    >>> check.add(np.array([0, 255]), "y[1]")
    >>> check.finish()
    Traceback (most recent call last):
    ValueError: y[0] has the foreground 1, but y[1] has 255. Code all masks ...
    """

    def __init__(self) -> None:
        self._locations: dict[int, str] = {}
        self._has_others = False

    def add(self, labels: NDArray[Any], location: str) -> None:
        """Add the labels of a mask, and its name in error messages."""
        foreground = [label for label in labels.tolist() if label != 0]
        if len(foreground) == 1 and foreground[0] in FOREGROUNDS:
            self._locations.setdefault(int(foreground[0]), location)
        elif foreground:
            self._has_others = True

    def finish(self) -> None:
        """Raise ValueError if masks have several codings."""
        if self._has_others or len(self._locations) < 2:
            return
        (first, one), (second, other) = list(self._locations.items())[:2]
        raise ValueError(
            f"{one} has the foreground {first}, but {other} has {second}. Code all "
            "masks alike, e.g. by (mask > 0), or as 1 and 2 if they mean different "
            "things."
        )
