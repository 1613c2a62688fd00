"""Descriptors of images, computed in parallel and cached on disk."""

# Authors: The skinest developers
# SPDX-License-Identifier: BSD-3-Clause

import warnings
from collections.abc import Iterator
from contextlib import contextmanager, nullcontext
from functools import cached_property

import joblib
from joblib.parallel import (
    Parallel,
    delayed,
    effective_n_jobs,
    get_active_backend,
)

from .._cache import Cache, make_key, open_temporary_cache
from .._identity import identify, list_versions
from .._reading._warning_filters import own_filters
from ..utils._threads import Workers, check_not_forked
from ._descriptor_calls import describe
from ._descriptors import ColorPatchDescriptor, SIFTDescriptor

_BATCH = 16  # images in a task


class DescribedImages:
    """Images whose descriptors are computed in parallel and cached.

    Parameters
    ----------
    images : ImageCollection
        The images. Only those of the current batches are in memory.

    descriptor : descriptor object or callable
        Computes the descriptors of an image, see :func:`copy_descriptor`.

    memory : str, path, Memory or None
        Cache for descriptors and results from them. None caches nothing.

    n_jobs : int or None
        Number of images whose descriptors are computed in parallel.

    Attributes
    ----------
    n_batches : int
        The number of batches of :meth:`map`.

    is_cached : bool
        Whether descriptors, and results from them, are cached.

    Raises
    ------
    ValueError
        If `memory` is a folder that cannot be created.

    Warns
    -----
    UserWarning
        If `memory` cannot be used, because the descriptor has no version.
    """

    def __init__(self, images, descriptor, memory, n_jobs):
        self.images = images
        self.descriptor = descriptor
        self.n_batches = -(-len(images) // _BATCH)
        self._n_jobs = n_jobs
        # Two images in two threads are faster than one image with two threads of
        # OpenCV. A user's own descriptor may not work in threads.
        is_own = type(self.descriptor) in (SIFTDescriptor, ColorPatchDescriptor)
        self._is_threaded = is_own and self.n_batches > 1
        self._results = Cache(memory)  # of vocabularies and vectors
        self._identity = None
        if self._results.is_on:
            self._identity = identify(descriptor, "descriptor")
            if self._identity is None:
                self._results = Cache(None)
        self.is_cached = self._results.is_on
        self._descriptors = self._results

    @contextmanager
    def keep_for_two_passes(self):
        """Cache descriptors in a temporary folder if there is no memory."""
        if self.is_cached:
            yield
            return
        with open_temporary_cache() as self._descriptors:
            try:
                yield
            finally:
                self._descriptors = self._results

    def map(self, function=None) -> Iterator:
        """Describe images in batches and apply a function to each batch.

        Parameters
        ----------
        function : callable, default=None
            Called with a list of (values, points), one for each image of a batch,
            in the worker that described them. None returns the list.

        Yields
        ------
        result : object
            Result of the function for each batch, in the order of the images.
        """
        import cv2

        check_not_forked()
        # Inside of a worker of a search, other workers use the cores too.
        is_nested = get_active_backend()[0].nesting_level > 0
        is_alone = effective_n_jobs(self._n_jobs) == 1 and not is_nested
        settings = {"n_jobs": self._n_jobs, "prefer": "threads"}
        if not get_active_backend()[0].supports_return_generator:
            settings["require"] = "sharedmem"  # "multiprocessing" returns lists only
        if is_alone and self._n_jobs is None and self._is_threaded:
            settings = {"n_jobs": cv2.getNumThreads(), "require": "sharedmem"}
            is_alone = settings["n_jobs"] == 1
        keys = self._make_descriptor_keys()
        parallel = Parallel(**settings, return_as="generator")
        with nullcontext() if is_alone else Workers() as workers:
            results = parallel(
                delayed(_describe_batch)(
                    function,
                    self.descriptor,
                    self.images[start : start + _BATCH],
                    keys[start : start + _BATCH],
                    self._descriptors,
                    workers,
                )
                for start in range(0, len(self.images), _BATCH)
            )
            try:
                for result, fault in results:
                    self._descriptors.warn(fault)
                    yield result
            finally:
                with own_filters():  # about cancelled tasks
                    warnings.simplefilter("ignore", UserWarning)
                    results.close()

    def recall(self, kind, identity, settings=()):
        """Return a cached result that was computed from these descriptors.

        Parameters
        ----------
        kind : str
            Kind of the result.

        identity : str or None
            Digest of what computes the result. None means that it is not cached.

        settings : tuple
            Picklable values on which it depends too.

        Returns
        -------
        key : str or None
            Key for :meth:`keep`; None if nothing is cached.

        value : object or None
            The result; None if it is not in the cache.
        """
        if identity is None or not self.is_cached:
            return None, None
        key = make_key(kind, identity, joblib.hash(settings), self._digest)
        (value,) = self._results.get([key])
        self._results.warn()
        return key, value

    def keep(self, key, value) -> None:
        """Cache a result, if :meth:`recall` returned a key.

        Parameters
        ----------
        key : str or None
            The key from :meth:`recall`.

        value : object
            The result.
        """
        self._results.put([key], [value])
        self._results.warn()

    @cached_property
    def _digest(self):
        """Return a key of the descriptors of all images, after `finish`."""
        return make_key(list_versions(), self._identity, *self._image_keys)

    @cached_property
    def _image_keys(self):
        return [self.images.key(index) for index in range(len(self.images))]

    def _make_descriptor_keys(self):
        """Return a key for the descriptors of each image, or None without a cache."""
        if not self._descriptors.is_on:
            return [None] * len(self.images)
        settings = ""  # a temporary folder is used with one descriptor only
        if self.is_cached:
            unused = getattr(self.descriptor, "_finish_params", ())
            identity = identify(self.descriptor, "descriptor", unused=unused)
            settings = make_key(list_versions(), identity)
        return [make_key("descriptors", settings, key) for key in self._image_keys]


def _describe_batch(function, descriptor, images, keys, cache, workers):
    """Read or compute the descriptors of some images and apply a function to them.

    Also return the fault of the cache, because a worker process has a copy of it.
    """
    with nullcontext() if workers is None else workers.work():
        described = cache.get(keys)
        for index, known in enumerate(described):
            if workers is not None:
                workers.check()
            if known is None:
                described[index] = describe(
                    descriptor, images[index], images.where(index)
                )
                # Not after the loop, because the next image may raise an error.
                cache.put([keys[index]], [described[index]])
        return described if function is None else function(described), cache.fault


def warn_of_empty(n_empty, n_images):
    """Warn of images without descriptors, if there are any."""
    if n_empty:
        warnings.warn(
            f"{n_empty} of {n_images} images have no descriptor and get a row of "
            "zeros. A lower contrast_threshold of SIFTDescriptor finds more "
            "keypoints; detector='grid' needs none.",
            stacklevel=3,
        )
