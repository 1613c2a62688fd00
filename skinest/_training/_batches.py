"""Images with targets and weights, in batches for Keras.

Batches are shuffled and augmented by seed, epoch and position alone.
"""

# Authors: The skinest developers
# SPDX-License-Identifier: BSD-3-Clause

import errno
import math
import shutil
from collections.abc import Callable, Sequence
from concurrent.futures import ThreadPoolExecutor
from contextlib import closing
from dataclasses import dataclass, field
from functools import partial
from tempfile import TemporaryFile, gettempdir

import numpy as np

_N_THREADS = 2  # that read images
_N_AHEAD = 3  # what is read while something else is used
_MAX_IN_MEMORY = 2**30  # bytes; larger arrays go into a temporary file


@dataclass(frozen=True)
class Split:
    """Images with targets and weights, and which of them take part.

    Parameters
    ----------
    images : sequence of length n_images
        The images.

    targets : ndarray of shape (n_images, ...)
        What the network shall make of each.

    sample_weight : ndarray of shape (n_images,), dtype float32
        Weights in the loss.

    positions : ndarray of shape (n_chosen,)
        Those that take part.
    """

    images: Sequence
    targets: np.ndarray
    sample_weight: np.ndarray
    positions: np.ndarray


@dataclass(kw_only=True)
class Batches:
    """Batches of images or of what stands for them: order, targets and weights.

    Parameters
    ----------
    split : Split
        The images.

    batch_size : int
        Images in a batch.

    seed : int or None
        Seeds the order of each epoch; None keeps the order.

    epoch : int
        The number of the first epoch.

    error : Exception or None
        Why a batch could not be made. TensorFlow passes on no more than its text.
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
        """Order the images anew, before Keras reads an epoch."""
        self.epoch = epoch
        n_images = len(self.split.positions)
        self._order = np.arange(n_images)
        if self.seed is not None:
            generator = np.random.default_rng([self.seed, epoch])
            self._order = generator.permutation(n_images)

    def release(self):
        """Let go of all data. TensorFlow keeps each object that it has read from."""
        vars(self).clear()

    @property
    def signature(self):
        """Shapes and dtypes of inputs, targets and weights, without the first axis."""
        raise NotImplementedError

    def _make_batch(self, index, chosen):
        """Return inputs and targets of the chosen places in the split."""
        raise NotImplementedError


@dataclass(kw_only=True)
class PrefetchedBatches(Batches):
    """Batches that threads make, a few ahead of their use.

    Keras' own threads, which `workers` stands for, wait for ever where training ends
    within an epoch.
    """

    _prefetched = None

    def begin_epoch(self, epoch):
        super().begin_epoch(epoch)
        if self._prefetched is not None:
            self._prefetched.close()
        ends = range(self.batch_size, len(self._order), self.batch_size)
        self._prefetched = Prefetch(self._read, np.split(self._order, ends))

    def release(self):
        self._prefetched.close()
        super().release()

    def _make_batch(self, index, chosen):
        return self._prefetched[index]

    def _read(self, chosen):
        """Return inputs and targets of the chosen places in the split."""
        raise NotImplementedError

    def _make_generator(self, position):
        """Return what the random changes of an image in this epoch come from."""
        return np.random.default_rng([self.seed, self.epoch, position, 2])


@dataclass
class Prefetch:
    """Results of a function, computed by threads a little ahead of their use.

    Parameters
    ----------
    function : callable
        Called with each argument.

    arguments : sequence
        What it is called with.
    """

    function: Callable
    arguments: Sequence
    _pending: dict = field(default_factory=dict)
    _executor: ThreadPoolExecutor = field(
        default_factory=partial(ThreadPoolExecutor, _N_THREADS, "skinest-prefetch")
    )

    def __iter__(self):
        """Yield all results in their order, and close at the end."""
        with closing(self):
            for index in range(len(self.arguments)):
                yield self[index]

    def __getitem__(self, index):
        """Return the result of an argument; it is not kept."""
        for ahead in range(index, min(index + _N_AHEAD + 1, len(self.arguments))):
            if ahead not in self._pending:
                self._pending[ahead] = self._executor.submit(
                    self.function, self.arguments[ahead]
                )
        return self._pending.pop(index).result()

    def close(self):
        """Wait for what is at work, and leave the rest."""
        self._executor.shutdown(cancel_futures=True)
        self._pending.clear()


def as_dataset(batches):
    """Return what Keras is given to read batches from.

    Under TensorFlow what Keras would make of its own `PyDataset` tunes its speed, for
    which epochs are a third longer where they are short, and wait for a second at their
    end where the processor is busy.
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
    """Return an array that need not fit in memory: a large one is in a temporary file.

    The file has no name, or loses it with the last use of the array, so that nothing
    is left behind even if the process is killed.

    Parameters
    ----------
    shape : tuple of int
        Its shape.

    dtype : dtype
        Its type.

    Raises
    ------
    OSError
        If the folder of temporary files has too little space left.
    """
    n_bytes = np.dtype(dtype).itemsize * math.prod(shape)
    if n_bytes <= _MAX_IN_MEMORY:
        return np.empty(shape, dtype)
    folder = gettempdir()
    free = shutil.disk_usage(folder).free
    if n_bytes > free:  # the map of a file that does not fit would end the process
        raise OSError(
            errno.ENOSPC,
            f"{n_bytes / 1e9:.1f} GB are needed in the folder of temporary files, "
            f"{folder!r}, which has {free / 1e9:.1f} GB left. Name another by the "
            "environment variable TMPDIR, or choose a smaller image_size; for features "
            "pooling='avg' or fewer n_augmented_copies",
        )
    with TemporaryFile(prefix="skinest-") as file:  # its map outlives it
        return np.memmap(file, dtype, "w+", shape=shape)
