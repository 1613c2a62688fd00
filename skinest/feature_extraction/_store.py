"""Descriptors of images, computed in parallel and kept on disk."""

# Authors: The skinest developers
# SPDX-License-Identifier: BSD-3-Clause

import inspect
import os
from collections.abc import Callable, Iterator
from contextlib import contextmanager, nullcontext
from tempfile import TemporaryDirectory

import joblib
import sklearn
from joblib.parallel import Parallel, delayed, effective_n_jobs
from sklearn.utils.validation import check_memory

from ..utils._threads import one_thread_each
from ._descriptors import describe

_BATCH = 16  # images that one task reads


class DescriptorStore:
    """What is computed from images once, and read from disk after that.

    Parameters
    ----------
    descriptor : descriptor object or callable
        What describes an image.

    memory : str, path, Memory or None
        Where results are kept; None keeps nothing.

    n_jobs : int or None
        Images described at the same time.
    """

    def __init__(self, descriptor, memory, n_jobs):
        self.descriptor = descriptor
        self.n_jobs = n_jobs
        is_path = isinstance(memory, os.PathLike)
        self._memory = check_memory(os.fspath(memory) if is_path else memory)
        self._descriptors = self._memory

    @contextmanager
    def kept_for_two_passes(self):
        """Keep descriptors in a temporary folder where there is no memory."""
        if self._memory.location is not None:
            yield
            return
        with TemporaryDirectory(prefix="skinest-") as folder:
            self._descriptors = joblib.Memory(folder, verbose=0)
            try:
                yield
            finally:
                self._descriptors = self._memory

    def map(self, function, images) -> Iterator:
        """Describe images in batches and apply a function to each batch.

        Parameters
        ----------
        function : callable
            Called with a list of (values, points), one for each image of a batch,
            in the worker that described them.

        images : ImageCollection
            The images. Only the batches at work are ever decoded.

        Yields
        ------
        result : object
            What the function returned, in the order of the images.
        """
        describe_image = self._descriptors.cache(
            describe_stored, ignore=["images", "index", "descriptor"]
        )
        settings = self._settings() if self._descriptors.location is not None else None
        alone = effective_n_jobs(self.n_jobs) == 1
        with nullcontext() if alone else one_thread_each():
            yield from Parallel(
                n_jobs=self.n_jobs, prefer="threads", return_as="generator"
            )(
                delayed(_describe_batch)(
                    function, describe_image, settings, batch, self.descriptor, alone
                )
                for batch in images.batches(_BATCH)
            )

    def n_batches(self, images) -> int:
        """Number of results that :meth:`map` yields."""
        return -(-len(images) // _BATCH)

    def vocabulary(self, images, settings, compute: Callable):
        """What `compute()` learns from images with these settings, kept."""
        return self._kept(stored_vocabulary, images, settings, compute)

    def encodings(self, images, settings, compute: Callable):
        """What `compute()` makes of each image with these settings, kept."""
        return self._kept(stored_encodings, images, settings, compute)

    def _kept(self, function, images, settings, compute):
        if self._memory.location is None:
            return compute()
        keys = joblib.hash([images.key(index) for index in range(len(images))])
        kept = self._memory.cache(function, ignore=["compute"])
        return kept(keys, (*self._settings(finished=True), settings), compute)

    def _settings(self, finished=False) -> tuple:
        """What descriptors depend on beside the image, stored or finished."""
        import cv2

        descriptor = self.descriptor
        name = getattr(descriptor, "__qualname__", type(descriptor).__qualname__)
        versions = cv2.__version__, sklearn.__version__
        if hasattr(descriptor, "get_params"):
            parameters = descriptor.get_params()
            if not finished:
                for key in getattr(descriptor, "_finish_params", ()):
                    del parameters[key]
            return name, versions, parameters
        return name, versions, _fingerprint(descriptor)


def _fingerprint(descriptor):
    """What a callable without parameters is known by: a function by its source."""
    if not inspect.isfunction(descriptor):
        return joblib.hash(descriptor)
    try:
        source = inspect.getsource(descriptor)
    except OSError:  # typed at a prompt
        source = descriptor.__code__.co_code
    closure = [cell.cell_contents for cell in descriptor.__closure__ or ()]
    return source, joblib.hash((descriptor.__defaults__, closure))


def describe_stored(key, settings, images, index, descriptor):
    """Stored form of one image's descriptors; joblib keeps it by key and settings."""
    return describe(descriptor, images[index])


def stored_vocabulary(keys, settings, compute):
    """What was learned from images; joblib keeps it by keys and settings."""
    return compute()


def stored_encodings(keys, settings, compute):
    """What images were encoded to; joblib keeps it by keys and settings."""
    return compute()


def _describe_batch(function, describe_image, settings, images, descriptor, alone):
    with nullcontext() if alone else one_thread_each():
        described = [
            describe_image(
                None if settings is None else images.key(index),
                settings,
                images,
                index,
                descriptor,
            )
            for index in range(len(images))
        ]
    return function(described)
