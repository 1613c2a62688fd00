"""Images and their descriptors, computed in parallel and kept on disk."""

# Authors: The skinest developers
# SPDX-License-Identifier: BSD-3-Clause

import warnings
from collections.abc import Iterator
from contextlib import contextmanager, nullcontext
from functools import cached_property
from tempfile import TemporaryDirectory

import joblib
import sklearn
from joblib.parallel import (
    Parallel,
    delayed,
    effective_n_jobs,
    get_active_backend,
)

from .. import __version__
from .._cache import Cache, make_key
from .._fingerprints import fingerprint
from ..utils._threads import Workers
from ._descriptor_calls import describe
from ._descriptors import ColorPatchDescriptor, SIFTDescriptor

_BATCH = 16  # images that one task reads


class DescribedImages:
    """Images, described when they are asked for, and what is kept of them.

    Parameters
    ----------
    images : ImageCollection
        The images. Only the batches at work are ever decoded.

    descriptor : descriptor object or callable
        What describes an image, see :func:`copy_descriptor`.

    memory : str, path, Memory or None
        Where descriptors are kept, and what is computed from them; None keeps nothing.

    n_jobs : int or None
        Images described at the same time.

    Attributes
    ----------
    n_batches : int
        The number of batches that :meth:`map` goes through.

    Raises
    ------
    ValueError
        If `memory` is a folder that cannot be made.
    """

    def __init__(self, images, descriptor, memory, n_jobs):
        self.images = images
        self.descriptor = descriptor
        self.n_batches = -(-len(images) // _BATCH)
        self._n_jobs = n_jobs
        # Two images at a time are described faster than one by two threads of OpenCV.
        # A user's own descriptor need not expect threads.
        is_own = type(self.descriptor) in (SIFTDescriptor, ColorPatchDescriptor)
        self._is_threaded = is_own and self.n_batches > 1
        self._results = None  # where vocabularies and vectors are kept
        if memory is not None:
            cache = Cache(memory)
            self._results = cache if cache.is_on else None
        self._descriptors = self._results

    @contextmanager
    def keep_for_two_passes(self):
        """Keep descriptors in a temporary folder where there is no memory."""
        if self._descriptors is not None:
            yield
            return
        with TemporaryDirectory(prefix="skinest-", ignore_cleanup_errors=True) as name:
            self._descriptors = Cache(name)
            try:
                yield
            finally:
                self._descriptors = None

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
            What the function returned, in the order of the images.
        """
        import cv2

        # A worker of a search has the cores to itself no more than our own threads.
        is_nested = get_active_backend()[0].nesting_level > 0
        is_alone = effective_n_jobs(self._n_jobs) == 1 and not is_nested
        settings = {"n_jobs": self._n_jobs, "prefer": "threads"}
        if not get_active_backend()[0].supports_return_generator:
            settings["require"] = "sharedmem"  # "multiprocessing" has lists alone
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
                    keys and keys[start : start + _BATCH],
                    self._descriptors,
                    workers,
                )
                for start in range(0, len(self.images), _BATCH)
            )
            try:
                for result in results:  # noqa: UP028 -- that would close them
                    yield result
            finally:
                with warnings.catch_warnings():  # of what a stop has cancelled
                    warnings.simplefilter("ignore", UserWarning)
                    results.close()

    def recall(self, kind, settings):
        """Look up what was computed from these descriptors before.

        Parameters
        ----------
        kind : str
            What it is.

        settings : tuple
            Picklable values that it depends on beside images and descriptor.

        Returns
        -------
        key : str or None
            What :meth:`keep` keeps it under; None where nothing is kept.

        value : object or None
            None where there is none.
        """
        if self._results is None:
            return None, None
        key = make_key(kind, joblib.hash(settings), self._digest)
        return key, self._results.get([key])[0]

    def keep(self, key, value) -> None:
        """Keep what was computed, where :meth:`recall` gave a key.

        Parameters
        ----------
        key : str or None
            The key.

        value : object
            What was computed.
        """
        if key is not None:
            self._results.put([key], [value])

    @cached_property
    def _digest(self):
        """Return what all descriptors, as they are used, are known by."""
        return make_key(_hash_descriptor(self.descriptor), *self._image_keys)

    @cached_property
    def _image_keys(self):
        return [self.images.key(index) for index in range(len(self.images))]

    def _make_descriptor_keys(self):
        """Return a key for the descriptors of each image; None if none is kept."""
        if self._descriptors is None:
            return None
        settings = None  # a temporary folder has one descriptor, of any kind
        if self._results is not None:
            unused = getattr(self.descriptor, "_finish_params", ())
            settings = _hash_descriptor(self.descriptor, unused)
        return [make_key("descriptors", settings, key) for key in self._image_keys]


def _hash_descriptor(descriptor, unused=()):
    """Return a digest of what descriptors depend on beside the image.

    Parameters named in `unused` are left out.
    """
    import cv2

    try:
        settings = fingerprint(descriptor)
        if hasattr(descriptor, "get_params"):
            parameters = descriptor.get_params()
            for name in unused:
                parameters.pop(name, None)
            settings += (parameters,)
        versions = __version__, cv2.__version__, sklearn.__version__
        return joblib.hash((versions, settings))
    except Exception as error:  # pickle raises errors of many classes
        raise ValueError(
            f"descriptor={descriptor!r} cannot be pickled ({error}), as memory needs "
            "it. Make what cannot be, such as an OpenCV object, where the image is "
            "described."
        ) from error


def _describe_batch(function, descriptor, images, keys, cache, workers):
    """Read or compute the descriptors of some images and apply a function to them."""
    with nullcontext() if workers is None else workers.work():
        described = [None] * len(images) if cache is None else cache.get(keys)
        for index, known in enumerate(described):
            if workers is not None:
                workers.check()
            if known is None:
                described[index] = describe(
                    descriptor, images[index], images.where(index)
                )
                if cache is not None:  # at once: the next image may be refused
                    cache.put([keys[index]], [described[index]])
        return described if function is None else function(described)
