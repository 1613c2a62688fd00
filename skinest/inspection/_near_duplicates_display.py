"""Display of near-duplicates."""

# Authors: The skinest developers
# SPDX-License-Identifier: BSD-3-Clause

from __future__ import annotations

from collections.abc import Sequence
from numbers import Integral
from typing import TYPE_CHECKING, Self

import numpy as np

from .._training._views import turn
from ..images import check_images
from ..model_selection._near_duplicates import VIEWS, NearDuplicates
from ._grid import check_plotting, choose_cell_size, make_axes

if TYPE_CHECKING:
    from .._typing import AxesLike, Image, ImagesLike

_PANEL_WIDTH = 1.9  # inches


class NearDuplicatesDisplay:
    """Pairs of images that look the same, side by side.

    Create it by :meth:`from_duplicates`.

    Parameters
    ----------
    pairs : list of (first, second)
        The two images of each pair, of shape (height, width, 3). The first one is
        turned as the second.

    titles : list of (str, str)
        Titles of the two images.

    Attributes
    ----------
    figure_ : matplotlib Figure
        The figure that holds the plots.

    axes_ : ndarray of shape (n_pairs, 2), dtype object
        The matplotlib Axes of each pair.

    See Also
    --------
    skinest.model_selection.find_near_duplicates : Finds the pairs.

    Examples
    --------
    >>> from skinest.datasets import make_dermoscopy
    >>> from skinest.inspection import NearDuplicatesDisplay
    >>> from skinest.model_selection import find_near_duplicates
    >>> X = make_dermoscopy(4, image_size=(96, 128), random_state=0).images
    >>> X[3] = X[1][::-1]
    >>> found = find_near_duplicates(X)
    >>> display = NearDuplicatesDisplay.from_duplicates(found, X)
    >>> [axes.get_title() for axes in display.axes_[0]]
    ['1, vertical flip', '3, score 1.00']
    """

    def __init__(
        self, pairs: Sequence[tuple[Image, Image]], titles: Sequence[tuple[str, str]]
    ) -> None:
        self.pairs = pairs
        self.titles = titles

    @classmethod
    def from_duplicates(
        cls,
        duplicates: NearDuplicates,
        X: ImagesLike,
        Y: ImagesLike | None = None,
        *,
        n_pairs: int | None = 8,
        ax: AxesLike = None,
        max_cols: int = 4,
    ) -> Self:
        """Read the images of the first pairs, and plot them.

        Parameters
        ----------
        duplicates : NearDuplicates
            Result of :func:`~skinest.model_selection.find_near_duplicates`.

        X, Y : array, list of arrays or paths
            The images that it searched. `Y` is None if there was one set.

        n_pairs : int, default=8
            Number of pairs to plot, from the most similar one. None means all.

        ax, max_cols : object
            Passed to :meth:`plot`.

        Returns
        -------
        display : NearDuplicatesDisplay

        Raises
        ------
        ValueError
            If there are no pairs, if `n_pairs` is not an integer above 0, or if the
            images are not those of `duplicates`.
        """
        check_plotting(f"{cls.__name__}.from_duplicates", max_cols)
        is_number = isinstance(n_pairs, Integral) and n_pairs > 0
        if n_pairs is not None and not is_number:
            raise ValueError(
                f"n_pairs={n_pairs!r} must be an integer above 0, or None."
            )
        if not len(duplicates):
            raise ValueError("duplicates has no pairs to plot.")
        first = check_images(X)
        second = first if Y is None else check_images(Y, name="Y")
        _check_same_sets(duplicates, first, None if Y is None else second)
        pairs, titles = [], []
        for row in range(len(duplicates))[:n_pairs]:
            (one, other), view = duplicates.pairs[row], duplicates.views[row]
            pairs.append((turn(first[one], VIEWS.index(view)), second[other]))
            score = f"{other}, score {duplicates.scores[row]:.2f}"
            titles.append((f"{one}, {view}" if view != VIEWS[0] else str(one), score))
        return cls(pairs, titles).plot(ax=ax, max_cols=max_cols)

    def plot(self, *, ax: AxesLike = None, max_cols: int = 4) -> Self:
        """Plot the pairs.

        Parameters
        ----------
        ax : matplotlib Axes or array-like of Axes, default=None
            One Axes, which is divided, or one Axes per image, in the order of `axes_`.
            None creates a new figure.

        max_cols : int, default=4
            Maximum number of images per row. Both images of a pair are in one row.

        Returns
        -------
        display : NearDuplicatesDisplay
            This object.
        """
        check_plotting(f"{type(self).__name__}.plot", max_cols)
        images = [image for pair in self.pairs for image in pair]
        cell_size = choose_cell_size(images, _PANEL_WIDTH, n_lines=1)
        n_cols = max(1, max_cols // 2) * 2
        self.figure_, axes = make_axes(len(images), ax, n_cols, cell_size)
        titles = [title for pair in self.titles for title in pair]
        for axis, image, title in zip(axes, images, titles, strict=True):
            axis.imshow(np.ascontiguousarray(image))
            axis.set_axis_off()
            axis.set_title(title, fontsize="small")
        self.axes_ = axes.reshape(len(self.pairs), 2)
        return self


def _check_same_sets(duplicates, X, Y):
    """Raise ValueError unless pairs can be of these one or two sets of images."""
    searched = duplicates.n_images
    given = (len(X),) if Y is None else (len(X), len(Y))
    if searched is not None and searched != given:
        raise ValueError(
            f"duplicates are pairs of {' and '.join(map(str, searched))} images, but "
            f"{' and '.join(map(str, given))} are given. Pass the images that were "
            "searched, as X, or as X and Y."
        )
    sets = ("X", len(X)), ("X", len(X)) if Y is None else ("Y", len(Y))
    for column, (name, n_images) in zip(duplicates.pairs.T, sets, strict=True):
        if column.max() >= n_images:
            raise ValueError(
                f"duplicates has position {column.max()}, but {name} has {n_images} "
                "images. Pass the images that were searched."
            )
