"""Pictures that explain wrong predictions, by the kind of the estimator."""

# Authors: The skinest developers
# SPDX-License-Identifier: BSD-3-Clause

from __future__ import annotations

from ._predicted_outputs import find_last_step, transform_to_last_step
from ._report_pictures import render_panel
from ._report_scores import collect_notes


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
    last = find_last_step(study.estimator)
    for applies, explain in _EXPLAINERS:
        if applies(last):
            return explain(study, images)
    return {}, f"{type(last).__name__} has no display that explains its predictions."


def _has_network(last) -> bool:
    return all(hasattr(last, name) for name in ("classes_", "predict_proba", "model_"))


def _show_gradcam(study, images):
    from matplotlib.figure import Figure

    from ..inspection import GradCAMDisplay

    inputs, last = transform_to_last_step(study.estimator, list(images.values()))
    axes = Figure().subplots(1, len(images), squeeze=False).ravel()
    notes: list[str] = []
    with collect_notes(notes):
        display = GradCAMDisplay.from_estimator(last, inputs, ax=axes)
    pictures = {}
    for position, image, heat in zip(images, display.images, display.maps, strict=True):
        one = GradCAMDisplay([image], [heat])
        alt = f"Grad-CAM of {study.name_image(position)} for the predicted class"
        pictures[position] = [
            render_panel(lambda ax, one=one: one.plot(ax=ax), image, alt)
        ]
    remark = (
        "The second picture of each image is Grad-CAM: warm colours are the areas that "
        "were evidence for the predicted class. Maps of different images cannot be "
        "compared."
    )
    return pictures, " ".join([remark, *notes])


# The first one that applies to the last step of the estimator is used.
_EXPLAINERS = ((_has_network, _show_gradcam),)
