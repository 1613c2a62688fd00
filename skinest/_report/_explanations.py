"""Pictures that explain wrong predictions, by the kind of the classifier."""

# Authors: The skinest developers
# SPDX-License-Identifier: BSD-3-Clause

from __future__ import annotations

from collections.abc import Callable
from typing import Any, NamedTuple

from .._mask_scorer import find_last_step
from ..inspection import GradCAMDisplay, OcclusionDisplay, VisualWordsDisplay
from ._predicted_outputs import transform_to_last_step
from ._report_pictures import render_panel
from ._report_scores import collect_notes


class Explainer(NamedTuple):
    """A display of the evidence for the predicted class.

    Parameters
    ----------
    name : str
        Name of its pictures.

    compute : callable
        Function of an estimator, images and keywords of a plot. It returns a display.
        It raises TypeError or ValueError if the display is not for this estimator.

    split : callable
        Function of a display and a position. It returns a display of this image alone.

    remark : str
        What the pictures show.

    options : dict
        Keywords of its plot.
    """

    name: str
    compute: Callable[..., Any]
    split: Callable[[Any, int], Any]
    remark: str
    options: dict[str, Any] = {}


def explain_errors(study, images):
    """Return pictures for images, and a sentence about them.

    Parameters
    ----------
    study : Study
        The study of a classifier.

    images : dict of int to ndarray of shape (height, width, 3)
        Test images by their positions.

    Returns
    -------
    pictures : dict of int to list of Picture
        The pictures of each image.

    remark : str
        What they show, or why there are none.
    """
    from matplotlib.figure import Figure

    axes = Figure().subplots(1, len(images), squeeze=False).ravel()
    pixels = list(images.values())
    for explainer in _EXPLAINERS:
        notes: list[str] = []
        try:
            with collect_notes(notes):
                display = explainer.compute(
                    study.estimator, pixels, ax=axes, **explainer.options
                )
        except (TypeError, ValueError):  # the next one may be for this estimator
            continue
        pictures = {
            position: [_render(study, explainer, display, k, position)]
            for k, position in enumerate(images)
        }
        return pictures, " ".join([explainer.remark, *notes])
    kind = type(find_last_step(study.estimator)).__name__
    return {}, f"{kind} has no display that explains its predictions."


def _render(study, explainer, display, k, position):
    one = explainer.split(display, k)
    alt = (
        f"{explainer.name} of {study.name_image(position)}: evidence for the predicted "
        "class"
    )
    return render_panel(
        lambda ax: one.plot(ax=ax, **explainer.options), display.images[k], alt
    )


def _compute_gradcam(estimator, images, **options):
    inputs, last = transform_to_last_step(estimator, images)
    return GradCAMDisplay.from_estimator(last, inputs, **options)


def _compute_words(estimator, images, **options):
    estimator = getattr(estimator, "best_estimator_", estimator)
    return VisualWordsDisplay.from_estimator(estimator, images, **options)


# The first one that is for the estimator is used.
_EXPLAINERS = (
    Explainer(
        "Grad-CAM",
        _compute_gradcam,
        lambda display, k: GradCAMDisplay([display.images[k]], [display.maps[k]]),
        "The second picture of each image is Grad-CAM. Warm colours are areas with "
        "evidence for the predicted class. Images have different scales.",
    ),
    Explainer(
        "Visual words",
        _compute_words,
        lambda display, k: VisualWordsDisplay(
            [display.images[k]],
            [display.points[k]],
            [display.evidence[k]],
            [display.contributions[k]],
        ),
        "The second picture of each image has its visual words. Red points were "
        "evidence for the predicted class, blue points evidence against it, and larger "
        "points are stronger evidence. Images have different scales.",
        {"colorbar": False},
    ),
    Explainer(
        "Occlusion",
        OcclusionDisplay.from_estimator,
        lambda display, k: OcclusionDisplay([display.images[k]], [display.maps[k]]),
        "The second picture of each image has areas that change the score of the "
        "predicted class if they are hidden. Red areas were evidence for the class, "
        "blue areas evidence against it. Images have different scales.",
        {"colorbar": False},
    ),
)
