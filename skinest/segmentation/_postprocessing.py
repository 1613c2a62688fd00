"""Changes of predicted masks by what is known of the structures in them."""

# Authors: The skinest developers
# SPDX-License-Identifier: BSD-3-Clause

import numpy as np

_EIGHT = np.ones((3, 3))  # pixels that touch at a corner are one component


def keep_largest(mask, background):
    """Return a mask with the largest connected component of each label.

    Other components become background. Of two components of the same size, the one that
    comes first, from the top, is kept.
    """
    from scipy import ndimage

    kept = np.full_like(mask, background)
    for label in _list_labels(mask, background):
        components, _ = ndimage.label(mask == label, structure=_EIGHT)
        sizes = np.bincount(components.ravel())
        sizes[0] = 0
        kept[components == sizes.argmax()] = label
    return kept


def fill_holes(mask, background):
    """Return a mask in which background that a label encloses has this label.

    Of several labels around a pixel, it gets the one that has it in the smallest hole,
    which is the innermost. Holes of two labels are of the same size only if their rims
    cross at corners; then it stays background.
    """
    from scipy import ndimage

    filled, is_background = mask.copy(), mask == background
    smallest = np.full(mask.shape, mask.size)
    for label in _list_labels(mask, background):
        is_label = mask == label
        inside = ndimage.binary_fill_holes(is_label) & ~is_label
        holes, _ = ndimage.label(inside)
        sizes = np.bincount(holes.ravel())[holes]
        filled[inside & (sizes == smallest) & is_background] = background
        is_inner = inside & (sizes < smallest)
        smallest[is_inner] = sizes[is_inner]
        filled[is_inner & is_background] = label
    return filled


STEPS = {"fill_holes": fill_holes, "largest": keep_largest}


def list_steps(postprocess) -> list:
    """Return the steps of the parameter `postprocess`.

    Raises
    ------
    ValueError
        If a step is neither a name nor a function.
    """
    if postprocess is None:
        return []
    steps = (
        list(postprocess) if isinstance(postprocess, list | tuple) else [postprocess]
    )
    for step in steps:
        is_name = isinstance(step, str) and step in STEPS
        if not is_name and not callable(step):
            raise ValueError(
                f"postprocess={postprocess!r} has the step {step!r}. Choose of "
                f"{', '.join(map(repr, STEPS))} and functions of a mask, or pass None."
            )
    return steps


def name_step(step) -> str:
    """Return the name of a step, for programs that read it."""
    return step if isinstance(step, str) else getattr(step, "__name__", repr(step))


def postprocess_mask(mask, steps, classes):
    """Apply steps to a predicted mask, one after another.

    Parameters
    ----------
    mask : ndarray of shape (height, width)
        The mask, which is not changed.

    steps : list of str or callable
        What :func:`list_steps` returns.

    classes : ndarray of shape (n_classes,)
        Sorted labels; the first is the background.

    Raises
    ------
    ValueError
        If a function of the user returns something else than a mask of these labels.
    """
    for step in steps:
        if isinstance(step, str):
            mask = STEPS[step](mask, classes[0])
        else:
            mask = _check_mask(np.asarray(step(mask.copy())), mask.shape, classes, step)
    return mask


def _check_mask(mask, shape, classes, step):
    """Return the mask of a user's function with the dtype of the labels."""
    if mask.shape != shape:
        raise ValueError(
            f"postprocess: {step!r} has returned an array of shape {mask.shape} for a "
            f"mask of shape {shape}. Return a mask of the same shape."
        )
    unknown = np.setdiff1d(mask, classes).tolist()
    if unknown:
        raise ValueError(
            f"postprocess: {step!r} has returned the values {unknown}, but the labels "
            f"are {classes.tolist()}. Return a mask of these labels."
        )
    return mask.astype(classes.dtype)


def _list_labels(mask, background):
    """List the labels of the foreground in a mask."""
    labels = np.unique(mask)
    return labels[labels != background]
