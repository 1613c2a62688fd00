"""Axes in rows and columns, created here or passed by the user."""

# Authors: The skinest developers
# SPDX-License-Identifier: BSD-3-Clause

import textwrap
from numbers import Integral

import numpy as np
from sklearn.utils.validation import check_scalar

from ..utils._checks import check_installed

_MARGIN, _LINE_HEIGHT = 0.1, 0.19  # inches, around images and of titles
_CELL_WIDTH = 2.8  # inches
_TITLE_WIDTH = 26  # characters in a line above an image of that width


def check_plotting(caller, max_cols=1):
    """Raise an error unless matplotlib is installed and `max_cols` is 1 or more."""
    check_installed("matplotlib", caller)
    check_scalar(max_cols, "max_cols", Integral, min_val=1)


def make_axes(n_axes, ax, n_cols, cell_size):
    """Return a figure and axes to plot on.

    Parameters
    ----------
    n_axes : int
        Number of axes to plot on.

    ax : matplotlib Axes, array-like of Axes or None
        None creates a figure. One Axes is divided into a grid, unless `n_axes` is 1. An
        array of `n_axes` Axes is used as it is.

    n_cols : int
        Maximum number of axes per row, if they are created here.

    cell_size : tuple of (float, float)
        Width and height of one axes of a new figure, in inches.

    Returns
    -------
    figure : matplotlib Figure

    axes : ndarray of shape (n_axes,), dtype object

    Raises
    ------
    ValueError
        If `ax` has another number of axes, or cannot be divided.
    """
    import matplotlib.pyplot as plt
    from matplotlib.gridspec import GridSpec, GridSpecFromSubplotSpec

    n_cols = min(n_cols, n_axes)
    n_rows = -(-n_axes // n_cols)
    if ax is None:
        figsize = (cell_size[0] * n_cols, cell_size[1] * n_rows)
        # "constrained" would cut titles above images, whose proportions are fixed.
        figure = plt.figure(figsize=figsize, layout="compressed")
        return figure, _fill(figure, GridSpec(n_rows, n_cols, figure), n_axes)
    if not isinstance(ax, plt.Axes):
        return _check_axes(n_axes, ax)
    if n_axes == 1:
        return ax.figure, _as_array([ax])
    spec = ax.get_subplotspec()
    if spec is None or not ax.axison:
        raise ValueError(
            f"ax cannot be divided into {n_axes} axes: it is not part of a grid or "
            f"was divided before. Pass None, or {n_axes} axes, e.g. display.axes_."
        )
    ax.set_axis_off()
    grid = GridSpecFromSubplotSpec(n_rows, n_cols, subplot_spec=spec)
    return ax.figure, _fill(ax.figure, grid, n_axes)


def _fill(figure, grid, n_axes):
    return _as_array([figure.add_subplot(grid[i]) for i in range(n_axes)])


def _check_axes(n_axes, ax):
    axes = np.asarray(ax, dtype=object).ravel()
    if len(axes) != n_axes:
        raise ValueError(f"ax has {len(axes)} axes, but {n_axes} are needed.")
    return axes[0].figure, axes


def _as_array(axes):
    array = np.empty(len(axes), dtype=object)
    array[:] = axes
    return array


def choose_cell_size(images, width, n_lines):
    """Return width and height in inches for an image and its title.

    Parameters
    ----------
    images : list of ndarray of shape (height, width, ...)
        The images of the grid.

    width : float
        The width of a cell in inches.

    n_lines : int
        The lines of the longest title.

    Returns
    -------
    cell_size : tuple of (float, float)
    """
    proportions = [image.shape[0] / image.shape[1] for image in images]
    return width, width * np.median(proportions) + _MARGIN + _LINE_HEIGHT * n_lines


def plot_images(images, titles, ax, max_cols):
    """Plot images with their titles, one on each axes.

    Parameters
    ----------
    images : list of ndarray of shape (height, width, 3)
        The images.

    titles : list of str or None
        Titles of the images. Long ones are wrapped.

    ax : matplotlib Axes, array-like of Axes or None
        See :func:`make_axes`.

    max_cols : int
        Maximum number of images per row.

    Returns
    -------
    figure : matplotlib Figure

    axes : ndarray of shape (n_images,), dtype object
    """
    titles = [] if titles is None else titles
    lines = [textwrap.fill(str(title), _TITLE_WIDTH) for title in titles]
    n_lines = max((title.count("\n") + 1 for title in lines), default=0)
    cell_size = choose_cell_size(images, _CELL_WIDTH, n_lines)
    figure, axes = make_axes(len(images), ax, max_cols, cell_size)
    for axis, image in zip(axes, images, strict=True):
        axis.imshow(image)
        axis.set_axis_off()
    for axis, title in zip(axes, lines, strict=False):
        axis.set_title(title, fontsize="medium", parse_math=False)
    return figure, axes


def merge_style(style, given) -> dict:
    """Return a style in which arguments of the user replace those of the display.

    A norm replaces the limits of colours, and one colour all of them.
    """
    replaced: tuple[str, ...] = ("vmin", "vmax") if "norm" in given else ()
    if "color" in given:
        replaced = "c", "cmap", "vmin", "vmax"
    kept = {name: value for name, value in style.items() if name not in replaced}
    return kept | given


def to_grey(image):
    """Return an image in grey, so that colours above it are not mixed with its own."""
    return np.repeat(image.mean(axis=2, keepdims=True).astype(np.uint8), 3, axis=2)


def find_limit(values):
    """Return the largest absolute value of some arrays, or 1 if all values are 0."""
    return max(float(np.abs(each).max(initial=0)) for each in values) or 1.0
