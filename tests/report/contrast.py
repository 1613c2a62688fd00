"""Contrast of colours, as in the Web Content Accessibility Guidelines 2.2."""

# Authors: The skinest developers
# SPDX-License-Identifier: BSD-3-Clause

import re

import numpy as np

TEXT, GRAPHICS = 4.5, 3  # the lowest ratios, success criteria 1.4.3 and 1.4.11


def read_color(text):
    """Return a colour such as #fff or #1c2430 as numbers in [0, 1]."""
    digits = text.strip().removeprefix("#")
    if len(digits) == 3:
        digits = "".join(2 * digit for digit in digits)
    return np.array([int(digits[k : k + 2], 16) for k in (0, 2, 4)]) / 255


def compute_contrast(first, second):
    """Return the contrast ratio of two colours."""
    levels = []
    for color in (first, second):
        low = color <= 0.04045
        linear = np.where(low, color / 12.92, ((color + 0.055) / 1.055) ** 2.4)
        levels.append(linear @ [0.2126, 0.7152, 0.0722])
    return (max(levels) + 0.05) / (min(levels) + 0.05)


def read_strokes(svg):
    """Return the colours of all lines of a plot."""
    return sorted(set(re.findall(r"stroke: (#[0-9a-f]{3,6})", svg)))
