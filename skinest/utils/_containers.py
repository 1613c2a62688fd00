"""Containers of what a transformer returns: arrays, or tables of pandas."""

# Authors: The skinest developers
# SPDX-License-Identifier: BSD-3-Clause

import sys
from typing import Self

from .._compat import KEEPS_INDEX_OF_SERIES, read_output_setting, write_output_setting


class ImagesOutputMixin:
    """Mixin for transformers that return images, which no table can hold.

    It must be left of `TransformerMixin`, whose `set_output` it replaces.
    """

    def set_output(self, *, transform: str | None = None) -> Self:
        """Choose whether images keep the index of `X`.

        A table cannot hold images. But later steps of a Pipeline can make tables of
        them, whose rows need this index.

        Parameters
        ----------
        transform : {"default", "pandas", "polars"}, default=None
            With "pandas", if `X` is a Series or DataFrame, :meth:`transform` returns a
            Series of images with its index. None changes nothing. Otherwise images are
            in an array.

        Returns
        -------
        self : estimator
            This estimator.
        """
        write_output_setting(self, transform)
        return self


def keep_index(transformer, X, vectors):
    """Return vectors as a frame with the index of `X`, if `set_output` asks for pandas.

    scikit-learn 1.7 keeps the index of a frame only. So a ColumnTransformer would put
    the vectors of an image beside the columns of another one.
    """
    pandas = _find_pandas(transformer)
    if KEEPS_INDEX_OF_SERIES or pandas is None or not isinstance(X, pandas.Series):
        return vectors
    return pandas.DataFrame(vectors, index=X.index)


def keep_index_of_images(transformer, X, images):
    """Return images as a Series with the index of `X`, if pandas is asked for."""
    pandas = _find_pandas(transformer)
    if pandas is None or not isinstance(X, pandas.Series | pandas.DataFrame):
        return images
    return pandas.Series(images, index=X.index)


def _find_pandas(transformer):
    """Return pandas if it is imported, and if `set_output` asks for it."""
    is_wanted = read_output_setting(transformer) == "pandas"
    return sys.modules.get("pandas") if is_wanted else None
