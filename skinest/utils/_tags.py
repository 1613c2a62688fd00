"""Tags of estimators that take images."""

# Authors: The skinest developers
# SPDX-License-Identifier: BSD-3-Clause


def mark_image_input(tags):
    """Set tags of an estimator that takes images and paths, but no tables."""
    tags.input_tags.two_d_array = False
    tags.input_tags.three_d_array = True
    tags.input_tags.string = True


class ImageInputMixin:
    """Mixin that sets tags for images and paths, but no tables.

    It must be left of `BaseEstimator`, because it changes its tags.
    """

    def __sklearn_tags__(self):
        tags = super().__sklearn_tags__()
        mark_image_input(tags)
        return tags
