"""Images with targets and weights, in batches for Keras.

Shuffling and augmentation depend only on seed, epoch and position.
"""

# Authors: The skinest developers
# SPDX-License-Identifier: BSD-3-Clause

import errno
import math
import os
import shutil
from collections.abc import Callable, Sequence
from concurrent.futures import ThreadPoolExecutor
from contextlib import closing
from dataclasses import dataclass, field, replace
from functools import partial
from tempfile import TemporaryFile, gettempdir

import numpy as np

_N_THREADS = 2  # threads that read images
_N_AHEAD = 3  # batches to read before they are needed
_MAX_IN_MEMORY = 2**30  # bytes; larger arrays go into a temporary file


@dataclass(frozen=True)
class Split:
    """Images with targets and weights, and the positions of those in use.

    Parameters
    ----------
    images : sequence of length n_images
        The images.

    targets : ndarray of shape (n_images, ...)
        Target of the network for each image.

    sample_weight : ndarray of shape (n_images,)
        Weights of the images in the loss.

    metric_weight : ndarray of shape (n_images,)
        Weights of the images in metrics.

    positions : ndarray of shape (n_chosen,)
        Positions of the images in use.
    """

    images: Sequence
    targets: np.ndarray
    sample_weight: np.ndarray
    metric_weight: np.ndarray
    positions: np.ndarray

    def scale_weights(self) -> "Split":
        """Return the split with weights in the loss whose mean is 1.

        Keras divides the loss by the number of images. With such weights this is a
        weighted mean, for which an image of weight 2 is the same as two images.
        """
        mean = self.sample_weight[self.positions].mean()
        scaled = (self.sample_weight / mean).astype(np.float32)
        return replace(self, sample_weight=scaled)


@dataclass(kw_only=True)
class Batches:
    """Base class of batches: order, targets and weights of the images.

    Parameters
    ----------
    split : Split
        The images.

    batch_size : int
        Number of images in a batch.

    seed : int or None
        Seed of the order in each epoch. None keeps the order.

    epoch : int
        The number of the first epoch.

    error : Exception or None
        The error that prevented a batch. TensorFlow passes on only its text.
    """

    split: Split
    batch_size: int
    seed: int | None
    epoch: int
    error: Exception | None = None

    def __post_init__(self):
        self.begin_epoch(self.epoch)

    def __len__(self):
        return -(-len(self._order) // self.batch_size)

    def __getitem__(self, index):
        start = index * self.batch_size
        chosen = self._order[start : start + self.batch_size]
        try:
            inputs, targets = self._make_batch(index, chosen)
        except Exception as error:
            self.error = error
            raise
        return inputs, targets, self.split.sample_weight[self.split.positions[chosen]]

    def begin_epoch(self, epoch):
        """Set the order of the images, before Keras reads an epoch."""
        self.epoch = epoch
        self._order = np.arange(len(self.split.positions))
        if self.seed is not None:
            generator = np.random.default_rng([self.seed, epoch])
            self._order = self._draw_order(generator)

    def _draw_order(self, generator) -> np.ndarray:
        """Return the order of the images, which can be left out or repeated."""
        return generator.permutation(len(self.split.positions))

    def release(self):
        """Release all data; TensorFlow keeps every object that it has read."""
        vars(self).clear()

    def list_read(self) -> np.ndarray:
        """Return the positions of the images, in the order of the epoch."""
        return self.split.positions[self._order]

    @property
    def signature(self):
        """Shapes and dtypes of inputs, targets and weights, without the first axis."""
        raise NotImplementedError

    def choose_variants(self, n_variants) -> np.ndarray:
        """Choose the image or one of its copies for each image in this epoch.

        Without a seed, no copies are used.
        """
        n_images = len(self.split.positions)
        if self.seed is None:
            return np.zeros(n_images, dtype=int)
        generator = np.random.default_rng([self.seed, self.epoch, 1])
        return generator.integers(n_variants, size=n_images)

    def _make_batch(self, index, chosen):
        """Return inputs and targets of the given indices in the split."""
        raise NotImplementedError


@dataclass(kw_only=True)
class PrefetchedBatches(Batches):
    """Batches that threads prepare a little before they are used.

    The threads of Keras (`workers`) would wait for ever if training ends within an
    epoch.
    """

    _prefetched = None

    def begin_epoch(self, epoch):
        super().begin_epoch(epoch)
        if self._prefetched is not None:
            self._prefetched.close()
        ends = range(self.batch_size, len(self._order), self.batch_size)
        places = np.split(np.arange(len(self._order)), ends)
        self._prefetched = Prefetch(self._read, places)

    def release(self):
        self._prefetched.close()
        super().release()

    def _make_batch(self, index, chosen):
        return self._prefetched[index]

    def _read(self, places):
        """Return inputs and targets at the given places of the epoch."""
        raise NotImplementedError

    def _make_generator(self, position, *repeat):
        """Return the random generator of an image in this epoch."""
        return np.random.default_rng([self.seed, self.epoch, position, 2, *repeat])


@dataclass
class Prefetch:
    """Results of a function, computed by threads a little before they are used.

    Parameters
    ----------
    function : callable
        Function to call with each argument.

    arguments : sequence
        Arguments of the function.
    """

    function: Callable
    arguments: Sequence
    _pending: dict = field(default_factory=dict)
    _executor: ThreadPoolExecutor = field(
        default_factory=partial(ThreadPoolExecutor, _N_THREADS, "skinest-prefetch")
    )

    def __iter__(self):
        """Yield all results in order, and close at the end."""
        with closing(self):
            for index in range(len(self.arguments)):
                yield self[index]

    def __getitem__(self, index):
        """Return the result for an argument, and forget it."""
        for ahead in range(index, min(index + _N_AHEAD + 1, len(self.arguments))):
            if ahead not in self._pending:
                self._pending[ahead] = self._executor.submit(
                    self.function, self.arguments[ahead]
                )
        return self._pending.pop(index).result()

    def close(self):
        """Wait for running calls, and cancel the others."""
        self._executor.shutdown(cancel_futures=True)
        self._pending.clear()


def as_dataset(batches):
    """Return the object from which Keras reads batches.

    With TensorFlow, Keras would convert its own `PyDataset` to an object that tunes its
    speed in a thread. Between two epochs, TensorFlow can wait for some seconds until
    this thread wakes up and ends.
    """
    if batches is None:
        return None
    import keras

    if keras.backend.backend() != "tensorflow":

        class Dataset(keras.utils.PyDataset):
            def __len__(self):
                return len(batches)

            def __getitem__(self, index):
                return batches[index]

        return Dataset()
    import tensorflow as tf

    shapes, dtypes = zip(*batches.signature, strict=True)

    def read(index):
        arrays = tf.numpy_function(batches.__getitem__, [index], dtypes)
        return tuple(
            tf.ensure_shape(array, (None, *shape))
            for array, shape in zip(arrays, shapes, strict=True)
        )

    options = tf.data.Options()
    options.autotune.enabled = False
    return tf.data.Dataset.range(len(batches)).map(read).with_options(options)


def allocate(shape, dtype) -> np.ndarray:
    """Return an array, which is in a temporary file if it is large.

    The file has no name, or is deleted with the array, so that no file remains even if
    the process is killed.

    Parameters
    ----------
    shape : tuple of int
        Its shape.

    dtype : dtype
        Its type.

    Raises
    ------
    OSError
        If the folder for temporary files has too little space.
    """
    n_bytes = np.dtype(dtype).itemsize * math.prod(shape)
    if n_bytes <= _MAX_IN_MEMORY:
        return np.empty(shape, dtype)
    folder = gettempdir()
    free = shutil.disk_usage(folder).free
    with TemporaryFile(prefix="skinest-") as file:  # its map outlives it
        if n_bytes > free or not _reserve(file, n_bytes):
            raise OSError(
                errno.ENOSPC,
                f"{n_bytes / 1e9:.1f} GB are needed in the folder of temporary files, "
                f"{folder!r}, which has {free / 1e9:.1f} GB left. Name another by the "
                "environment variable TMPDIR, or choose a smaller image_size; for "
                "features fewer n_augmented_copies or, of a head, pooling='avg'",
            )
        return np.memmap(file, dtype, "w+", shape=shape)


def _reserve(file, n_bytes) -> bool:
    """Reserve space for a file, and return False if there is too little.

    The process would end if the space was used up while the map of the file is filled.
    Without the function of Linux, nothing is reserved.
    """
    if hasattr(os, "posix_fallocate"):
        try:
            os.posix_fallocate(file.fileno(), 0, n_bytes)
        except OSError as error:
            return error.errno not in (errno.ENOSPC, errno.EDQUOT)
    return True
