"""Tags of estimators that take images."""

# Authors: The skinest developers
# SPDX-License-Identifier: BSD-3-Clause


def mark_image_input(tags):
    """Say in an estimator's tags that it takes images and paths, and no tables."""
    tags.input_tags.two_d_array = False
    tags.input_tags.three_d_array = True
    tags.input_tags.string = True


class ImageInputMixin:
    """Say by tags that an estimator takes images and paths, and no tables.

    It stands left of `BaseEstimator`, whose tags it changes.
    """

    def __sklearn_tags__(self):
        tags = super().__sklearn_tags__()
        mark_image_input(tags)
        return tags
