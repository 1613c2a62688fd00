"""Advice on masks that have channels instead of labels."""

# Authors: The skinest developers
# SPDX-License-Identifier: BSD-3-Clause

import numpy as np


def advise_on_channels(masks, name, are_all=True) -> str:
    """Say how masks with channels become masks with labels.

    Parameters
    ----------
    masks : iterable of ndarray of shape (height, width, n_channels)
        The masks.

    name : str
        Name of the array in the advice.

    are_all : bool, default=True
        Whether these are all masks. If not, the channels of other masks may overlap.

    Returns
    -------
    advice : str
        A sentence that starts with a space.

    Examples
    --------
    >>> import numpy as np
    >>> from skinest._reading._mask_channels import advise_on_channels
    >>> advise_on_channels(np.eye(3)[np.newaxis, np.newaxis], "y")
    ' Its channels are one-hot: pass y.argmax(axis=-1).'
    """
    least, most, are_equal, are_fractions = np.inf, 0, True, False
    for mask in masks:
        if mask.dtype.kind not in "biuf" or mask.size == 0:
            return ""
        n_channels = mask.shape[-1]
        n_present = np.count_nonzero(mask != 0, axis=-1)  # without casts of NaN
        least, most = min(least, n_present.min()), max(most, n_present.max())
        are_equal &= bool((mask == mask[..., :1]).all())
        if mask.dtype.kind == "f":
            are_fractions |= bool(((mask > 0) & (mask < 1)).any())
    if n_channels == 1:
        return f" Its labels are in the first channel: pass {name}[..., 0]."
    if are_equal:
        return f" Its channels are equal: pass {name}[..., 0]."
    if are_fractions:
        return f" If its values are probabilities, pass {name}.argmax(axis=-1)."
    if most > 1:
        return (
            f" Its channels overlap. If they are structures, {name}.argmax(axis=-1) "
            "would lose the overlaps, so use a segmenter for each structure, with the "
            f"masks {name}[..., k]; if they are colours, replace each colour by a "
            "label."
        )
    unless = "" if are_all else ", unless those of other masks overlap"
    if least == 1:
        return f" Its channels are one-hot: pass {name}.argmax(axis=-1){unless}."
    return (
        " Its channels do not overlap: pass "
        f"np.where({name}.any(axis=-1), {name}.argmax(axis=-1) + 1, 0){unless}."
    )
