"""Batches for Keras: shuffled and augmented by seed, epoch and position alone."""

# Authors: The skinest developers
# SPDX-License-Identifier: BSD-3-Clause

import keras
import numpy as np

from ..augmentation import apply_augmentation
from ..images import resize


class Batches(keras.utils.PyDataset):
    """What both kinds of batches share: order, targets and weights.

    Parameters
    ----------
    y : ndarray of shape (n_images, n_outputs)
        Targets.

    sample_weight : ndarray of shape (n_images,)
        Weights in the loss.

    batch_size : int
        Images in a batch.

    seed : int or None
        Draws the order of each epoch; None keeps the order.

    first_epoch : int
        The number of the first epoch.

    workers : int
        Threads that prepare batches.
    """

    def __init__(self, y, sample_weight, batch_size, seed, first_epoch=0, workers=1):
        super().__init__(workers=workers, max_queue_size=4)
        self._y = y
        self._sample_weight = sample_weight
        self._batch_size = batch_size
        self._seed = seed
        self._epoch = first_epoch
        self._start_epoch()

    def __len__(self):
        return -(-len(self._y) // self._batch_size)

    def __getitem__(self, index):
        start = index * self._batch_size
        chosen = self._order[start : start + self._batch_size]
        return self._inputs(chosen), self._y[chosen], self._sample_weight[chosen]

    def on_epoch_end(self):
        self._epoch += 1
        self._start_epoch()

    def _start_epoch(self):
        n_images = len(self._y)
        if self._seed is None:
            self._order = np.arange(n_images)
        else:
            generator = np.random.default_rng([self._seed, self._epoch])
            self._order = generator.permutation(n_images)


class FeatureBatches(Batches):
    """Batches of features, of one view of each image in each epoch.

    Parameters
    ----------
    features : ndarray of shape (n_images, n_views, n_features)
        Features of the views of each image.
    """

    def __init__(self, features, *arguments, **options):
        self._features = features
        super().__init__(*arguments, **options)

    def _inputs(self, chosen):
        return self._features[chosen, self._view[chosen]]

    def _start_epoch(self):
        super()._start_epoch()
        n_images, n_views = self._features.shape[:2]
        if self._seed is None:
            self._view = np.zeros(n_images, dtype=int)
        else:
            generator = np.random.default_rng([self._seed, self._epoch, 1])
            self._view = generator.integers(n_views, size=n_images)


class ImageBatches(Batches):
    """Batches of images, each resized, and augmented anew in each epoch.

    Parameters
    ----------
    images : ImageCollection
        The images.

    image_size : tuple of int
        (height, width) of the batches.

    augmentation : Augmentation, callable, Keras layer or None
        What changes them.
    """

    def __init__(self, images, positions, image_size, augmentation, *args, **options):
        self._images = images
        self._positions = positions
        self._image_size = image_size
        self._augmentation = augmentation
        super().__init__(*args, workers=2, **options)

    def _inputs(self, chosen):
        epoch = self._epoch
        return np.stack([self._pixels(self._positions[i], epoch) for i in chosen])

    def _pixels(self, position, epoch):
        image = resize(self._images[position], self._image_size)
        if self._augmentation is None:
            return image
        generator = np.random.default_rng([self._seed, epoch, position, 2])
        return apply_augmentation(self._augmentation, image, generator)
