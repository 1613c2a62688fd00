"""Batches for Keras: shuffled and augmented by seed, epoch and position alone."""

# Authors: The skinest developers
# SPDX-License-Identifier: BSD-3-Clause

from concurrent.futures import ThreadPoolExecutor

import keras
import numpy as np

from .._augmenting import apply_augmentation, apply_to_pair
from ..images import resize

_N_THREADS = 2  # that read images
_N_AHEAD = 3  # batches that are read while others are trained on
OUTSIDE = 255  # code of pixels that no image has, as where it is padded


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

    first_epoch : int, default=0
        The number of the first epoch.

    Attributes
    ----------
    error : Exception or None
        Why a batch could not be made. TensorFlow passes on no more than its text.
    """

    def __init__(self, y, sample_weight, batch_size, seed, first_epoch=0):
        super().__init__()
        self._y = y
        self._sample_weight = sample_weight
        self._batch_size = batch_size
        self._seed = seed
        self._epoch = first_epoch
        self.error = None
        self._start_epoch()

    def __len__(self):
        return -(-len(self._y) // self._batch_size)

    def __getitem__(self, index):
        try:
            return self._batch(index)
        except Exception as error:
            self.error = error
            raise

    def begin_epoch(self, epoch):
        """Set the number of the epoch, before Keras reads it."""
        if epoch != self._epoch:
            self._epoch = epoch
            self._start_epoch()

    def release(self):
        """Let go of all data. TensorFlow keeps each object that it has read from."""
        self._y = self._sample_weight = self._order = ()
        self.error = None  # whose traceback holds more

    @property
    def signature(self):
        """Shape and dtype of inputs, targets and weights, without the first axis."""
        return (
            self._input_signature,
            (self._y.shape[1:], self._y.dtype),
            ((), self._sample_weight.dtype),
        )

    def _batch(self, index):
        chosen = self._chosen(index)
        return self._inputs(index), self._y[chosen], self._sample_weight[chosen]

    def _chosen(self, index):
        """Positions of the images of a batch."""
        start = index * self._batch_size
        return self._order[start : start + self._batch_size]

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

    @property
    def _input_signature(self):
        return self._features.shape[2:], self._features.dtype

    def release(self):
        super().release()
        self._features = None

    def _inputs(self, index):
        chosen = self._chosen(index)
        return self._features[chosen, self._view[chosen]]

    def _start_epoch(self):
        super()._start_epoch()
        n_images, n_views = self._features.shape[:2]
        if self._seed is None:
            self._view = np.zeros(n_images, dtype=int)
        else:
            generator = np.random.default_rng([self._seed, self._epoch, 1])
            self._view = generator.integers(n_views, size=n_images)


class ReadAheadBatches(Batches):
    """Batches that threads make, a few ahead of their use.

    Keras' own threads, which `workers` stands for, wait for ever where training ends
    within an epoch.

    Parameters
    ----------
    n_threads : int, default=2
        How many threads.
    """

    def __init__(self, *arguments, n_threads=_N_THREADS, **options):
        self._readers = ThreadPoolExecutor(n_threads, "skinest-images")
        self._pending = {}
        super().__init__(*arguments, **options)

    def release(self):
        self._readers.shutdown(cancel_futures=True)
        super().release()
        self._pending.clear()

    def _read_ahead(self, index):
        """What `_read` makes of a batch."""
        for ahead in range(index, min(index + _N_AHEAD + 1, len(self))):
            if ahead not in self._pending:
                self._pending[ahead] = self._readers.submit(
                    self._read, self._chosen(ahead), self._epoch
                )
        return self._pending.pop(index).result()

    def _start_epoch(self):
        for reading in self._pending.values():
            reading.cancel()
        self._pending.clear()
        super()._start_epoch()

    def _generator(self, epoch, position):
        """What draws the variant of an image in an epoch."""
        return np.random.default_rng([self._seed, epoch, position, 2])


class ImageBatches(ReadAheadBatches):
    """Batches of images, each resized, and augmented anew in each epoch.

    Parameters
    ----------
    images : ImageCollection
        The images.

    positions : sequence of int
        Which of them.

    image_size : tuple of int
        (height, width) of the batches.

    augmentation : Augmentation, callable, Keras layer or None
        What changes them; it needs a `seed`.
    """

    def __init__(
        self, images, positions, image_size, augmentation, *arguments, **options
    ):
        self._images = images
        self._positions = positions
        self._image_size = image_size
        self._augmentation = augmentation
        super().__init__(*arguments, **options)

    @property
    def _input_signature(self):
        return (*self._image_size, 3), np.uint8

    def release(self):
        super().release()
        self._images = None

    def _inputs(self, index):
        return self._read_ahead(index)

    def _read(self, chosen, epoch):
        return np.stack([self._pixels(self._positions[i], epoch) for i in chosen])

    def _pixels(self, position, epoch):
        image = resize(self._images[position], self._image_size)
        if self._augmentation is None:
            return image
        generator = self._generator(epoch, position)
        return apply_augmentation(self._augmentation, image, generator)


class PairBatches(ReadAheadBatches):
    """Batches of images and their masks, each pair augmented as one.

    The target of a pixel is the code of its label and its weight in the loss.

    Parameters
    ----------
    images : ndarray of shape (n_images, height, width, 3), dtype uint8
        The images.

    masks : ndarray of shape (n_images, height, width), dtype uint8
        Codes of labels; `OUTSIDE` where a pixel is of no image.

    code_weights : ndarray of shape (256,), dtype float32
        The weight of each code in the loss.

    positions : ndarray of shape (n_pairs,)
        Which of the pairs.

    augmentation : Augmentation, callable, Keras layer or None
        What changes them; it needs a `seed`.

    sample_weight : ndarray of shape (n_pairs,)
        Weights of images in the loss.
    """

    def __init__(
        self,
        images,
        masks,
        code_weights,
        positions,
        augmentation,
        sample_weight,
        *arguments,
        **options,
    ):
        self._images = images
        self._masks = masks
        self._code_weights = code_weights
        self._augmentation = augmentation
        super().__init__(positions, sample_weight, *arguments, **options)

    @property
    def signature(self):
        return (
            (self._images.shape[1:], np.uint8),
            ((*self._masks.shape[1:], 2), np.float32),
            ((), self._sample_weight.dtype),
        )

    def release(self):
        super().release()
        self._images = self._masks = None

    def _batch(self, index):
        images, targets = self._read_ahead(index)
        return images, targets, self._sample_weight[self._chosen(index)]

    def _read(self, chosen, epoch):
        pairs = [self._pair(position, epoch) for position in self._y[chosen]]
        images, codes = (np.stack(arrays) for arrays in zip(*pairs, strict=True))
        return images, np.stack([codes, self._code_weights[codes]], axis=-1)

    def _pair(self, position, epoch):
        image, mask = self._images[position], self._masks[position]
        if self._augmentation is None:
            return image, mask
        generator = self._generator(epoch, position)
        return apply_to_pair(self._augmentation, image, mask, generator)


def as_dataset(batches):
    """What Keras is given to read batches from.

    Under TensorFlow what it would make of them itself tunes its speed, for which
    epochs are a third longer where they are short, and wait for a second at their end
    where the processor is busy.
    """
    if batches is None or keras.backend.backend() != "tensorflow":
        return batches
    import tensorflow as tf

    n_batches = len(batches)

    def epoch():
        for index in range(n_batches):
            yield batches[index]

    dataset = tf.data.Dataset.from_generator(
        epoch,
        output_signature=tuple(
            tf.TensorSpec((None, *shape), dtype) for shape, dtype in batches.signature
        ),
    )
    options = tf.data.Options()
    options.autotune.enabled = False
    known = tf.data.experimental.assert_cardinality(n_batches)
    return dataset.apply(known).with_options(options)
