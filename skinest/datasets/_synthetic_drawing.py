"""From labels to images, masks and patients: which generator draws what."""

# Authors: The skinest developers
# SPDX-License-Identifier: BSD-3-Clause

import numpy as np
from sklearn.utils import check_random_state

from ._synthetic_diagnoses import draw_diagnosis
from ._synthetic_labels import draw_lesions, draw_target
from ._synthetic_masks import draw_mask
from ._synthetic_metadata import draw_patient
from ._synthetic_rendering import render
from ._synthetic_scene import draw_scene, seen_again

# What further generators of an image are for; without a purpose it is its label and
# the lesion that it is the first to show.
_LESION, _VIEW, _PATIENT = 1, 2, 3


def draw_seed(random_state):
    """Draw the seed of a whole data set."""
    if random_state is None:
        # check_random_state(None) would draw from NumPy's global generator.
        return np.random.SeedSequence().entropy
    return int(check_random_state(random_state).randint(2**31 - 1))


def generators(seed, indices, *purpose):
    """One generator per image, which depends on seed, index and purpose alone."""
    return [np.random.default_rng([seed, int(i), *purpose]) for i in indices]


def draw_classes(seed, labels, counts, images_per_lesion):
    """Draw class and lesion of each image.

    Parameters
    ----------
    seed : int
        Seed of the data set.

    labels, counts : sequence of int
        The classes, and how many images show each.

    images_per_lesion : float
        Mean number of images of a lesion.

    Returns
    -------
    target : ndarray of shape (n_images,), dtype int
        The class of each image.

    first : ndarray of shape (n_images,), dtype int
        Index of the first image of the lesion that each image shows.
    """
    n_images = sum(counts)
    target = draw_target(generators(seed, range(n_images)), labels, counts)
    rngs = generators(seed, range(n_images), _LESION)
    return target, draw_lesions(rngs, target, images_per_lesion)


def draw_scenes(seed, task, target, first):
    """Draw the scene of each image, from classes and lesions by `draw_classes`."""
    draw = draw_diagnosis if task == "diagnosis" else draw_scene
    scenes = []
    for rng, again, label, i in zip(
        generators(seed, range(len(first))),
        generators(seed, range(len(first)), _VIEW),
        target,
        first,
        strict=True,
    ):
        if i < len(scenes):
            scenes.append(seen_again(scenes[i], again))
            continue
        rng.random()  # what draw_target drew
        scenes.append(draw(rng, label))
    return scenes


def empty_images(task, n_images, canvas):
    """Arrays for images, and for masks if the task has them, else None."""
    shape = (n_images, canvas.height, canvas.width)
    has_masks = task not in ("malignancy", "diagnosis")
    return (
        np.empty((*shape, 3), dtype=np.uint8),
        np.empty(shape, dtype=np.uint8) if has_masks else None,
    )


def draw_images(task, scenes, canvas, images, masks):
    """Draw into arrays of images and of masks, if there are any."""
    for i, scene in enumerate(scenes):
        images[i], lesion = render(scene, canvas)
        if masks is not None:
            masks[i] = draw_mask(task, scene, lesion)


def draw_patients(seed, diagnoses, first):
    """Draw age, sex and site of each image, the same for all of a lesion."""
    rngs = generators(seed, first, _PATIENT)
    return [draw_patient(rng, i) for rng, i in zip(rngs, diagnoses, strict=True)]
