"""Generation of images, masks and patients, each with its own random generator."""

# Authors: The skinest developers
# SPDX-License-Identifier: BSD-3-Clause

import numpy as np
from sklearn.utils import check_random_state

from .diagnoses import sample_diagnosis
from .labels import sample_lesions, sample_target
from .layers import Canvas
from .outlines import make_mask
from .patients import sample_patient
from .rendering import render
from .scene import sample_scene, view_again

# Purposes of the further generators of an image. The one without a purpose is for its
# label and the lesion that it is the first to show.
_LESION, _VIEW, _PATIENT = 1, 2, 3


def sample_seed(random_state):
    """Sample the seed of a whole data set."""
    if random_state is None:
        # check_random_state(None) would use NumPy's global generator.
        return np.random.SeedSequence().entropy
    return int(check_random_state(random_state).randint(2**31 - 1))


def make_generators(seed, indices, *purpose):
    """Return one generator per image, from seed, index and purpose only."""
    return [np.random.default_rng([seed, int(i), *purpose]) for i in indices]


def sample_classes(seed, labels, counts, images_per_lesion):
    """Sample the class and the lesion of each image.

    Parameters
    ----------
    seed : int
        Seed of the data set.

    labels, counts : sequence of int
        The classes, and the number of images of each.

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
    target = sample_target(make_generators(seed, range(n_images)), labels, counts)
    rngs = make_generators(seed, range(n_images), _LESION)
    return target, sample_lesions(rngs, target, images_per_lesion)


def sample_scenes(seed, task, target, first):
    """Sample the scene of each image, for the result of `sample_classes`."""
    sample = sample_diagnosis if task == "diagnosis" else sample_scene
    scenes = []
    for rng, again, label, i in zip(
        make_generators(seed, range(len(first))),
        make_generators(seed, range(len(first)), _VIEW),
        target,
        first,
        strict=True,
    ):
        if i < len(scenes):
            scenes.append(view_again(scenes[i], again))
            continue
        rng.random()  # already used by sample_target
        scenes.append(sample(rng, label))
    return scenes


def allocate_images(task, n_images, image_size):
    """Return empty arrays for images and masks; masks are None without a mask task."""
    shape = (n_images, *image_size)
    has_masks = task not in ("malignancy", "diagnosis")
    return (
        np.empty((*shape, 3), dtype=np.uint8),
        np.empty(shape, dtype=np.uint8) if has_masks else None,
    )


def render_images(task, scenes, images, masks):
    """Render scenes into the arrays of images and, if there are any, masks."""
    canvas = Canvas(*images.shape[1:3])
    for i, scene in enumerate(scenes):
        images[i], lesion = render(scene, canvas)
        if masks is not None:
            masks[i] = make_mask(task, scene, lesion)


def sample_patients(seed, diagnoses, first):
    """Sample age, sex and site of each image, the same for all images of a lesion."""
    rngs = make_generators(seed, first, _PATIENT)
    return [sample_patient(rng, i) for rng, i in zip(rngs, diagnoses, strict=True)]
