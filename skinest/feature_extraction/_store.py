"""Descriptors of images, computed in parallel and kept on disk."""

# Authors: The skinest developers
# SPDX-License-Identifier: BSD-3-Clause

import inspect
import os
import shutil
import time
from collections.abc import Callable, Iterator
from contextlib import contextmanager, nullcontext
from dataclasses import dataclass, field
from functools import partial
from tempfile import mkdtemp
from typing import Any

import joblib
import sklearn
from joblib.parallel import (
    Parallel,
    delayed,
    effective_n_jobs,
    get_active_backend,
)
from sklearn.utils.validation import check_memory

from .. import __version__
from ..utils._threads import one_thread_each
from ._descriptors import describe

_BATCH = 16  # images that one task reads
_PLAIN = (bool, int, float, complex, str, bytes, tuple)  # constants of a module


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
        self._memory = open_memory(memory)
        self._descriptors = self._memory

    @contextmanager
    def kept_for_two_passes(self):
        """Keep descriptors in a temporary folder where there is no memory."""
        if self._memory.location is not None:
            yield
            return
        folder = mkdtemp(prefix="skinest-")
        self._descriptors = joblib.Memory(folder, verbose=0)
        try:
            yield
        finally:
            self._descriptors = self._memory
            shutil.rmtree(folder, ignore_errors=True)

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
        settings = None
        if self._memory.location is not None:
            settings = self._settings()
        kept = self._descriptors.location is not None
        # A worker of a search has the cores to itself no more than our own threads.
        is_nested = get_active_backend()[0].nesting_level > 0
        alone = effective_n_jobs(self.n_jobs) == 1 and not is_nested
        run = _Run(describe_image, settings, kept, self.descriptor, alone)
        with nullcontext() if run.alone else one_thread_each():
            try:
                yield from Parallel(
                    n_jobs=self.n_jobs, prefer="threads", return_as="generator"
                )(
                    delayed(_describe_batch)(function, run, batch)
                    for batch in images.batches(_BATCH)
                )
            finally:  # after an interruption, threads may still be at work
                run.stopped = True
                while run.at_work:
                    time.sleep(0.01)

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

        try:
            settings = fingerprint(self.descriptor)
            if hasattr(self.descriptor, "get_params"):
                parameters = self.descriptor.get_params()
                if not finished:
                    for key in getattr(self.descriptor, "_finish_params", ()):
                        parameters.pop(key, None)
                settings += (parameters,)
            joblib.hash(settings)
        except Exception as error:  # pickle raises errors of many classes
            raise ValueError(
                f"descriptor={self.descriptor!r} cannot be pickled ({error}), as "
                "memory needs it. Make what cannot be, such as an OpenCV object, where "
                "the image is described."
            ) from error
        return __version__, cv2.__version__, sklearn.__version__, settings


def open_memory(memory):
    if isinstance(memory, os.PathLike):
        memory = os.fspath(memory)
    if isinstance(memory, str):
        try:
            os.makedirs(memory, exist_ok=True)
        except OSError as error:
            raise ValueError(
                f"memory={memory!r} is not a folder that can be made: {error}"
            ) from error
        memory = os.path.abspath(memory)
    if getattr(memory, "mmap_mode", None):  # what is learned must not hang on files
        memory = joblib.Memory(memory.location, verbose=0)
    return check_memory(memory)


def fingerprint(value, seen=()) -> tuple:
    """What a descriptor is known by beside its parameters: its code and state."""
    if any(value is other for other in seen):
        return ()
    seen = (*seen, value)
    if isinstance(value, partial):
        parts = value.func, *value.args, *value.keywords.values()
        return (*value.keywords, *(fingerprint(part, seen) for part in parts))
    if inspect.ismethod(value):
        return fingerprint(value.__func__, seen), fingerprint(value.__self__, seen)
    if inspect.isfunction(value):
        return _function_fingerprint(value, seen)
    if hasattr(value, "get_params"):
        return _class_fingerprint(type(value), seen)
    if callable(value):
        return _class_fingerprint(type(value), seen), joblib.hash(value)
    return (joblib.hash(value),)


def _function_fingerprint(function, seen) -> tuple:
    """Code, and what it reads: defaults, closure, and its module's own names."""
    used = [cell.cell_contents for cell in function.__closure__ or ()]
    used += function.__defaults__ or ()
    used += (function.__kwdefaults__ or {}).values()
    for name in function.__code__.co_names:
        value = function.__globals__.get(name)
        same_module = getattr(value, "__module__", None) == function.__module__
        if isinstance(value, _PLAIN) or (inspect.isfunction(value) and same_module):
            used.append(value)
    name = function.__module__, function.__qualname__
    parts = tuple(fingerprint(value, seen) for value in used)
    return name, _code_of(function.__code__), parts


def _class_fingerprint(cls, seen) -> tuple:
    """Code of the methods that a class does not have from skinest or scikit-learn."""
    parts = [cls.__module__, cls.__qualname__]
    for parent in cls.__mro__:
        if parent.__module__.split(".")[0] in ("builtins", "skinest", "sklearn"):
            continue
        for name, member in sorted(vars(parent).items()):
            if isinstance(member, property):
                member = member.fget
            function = getattr(member, "__func__", member)  # static and class methods
            if inspect.isfunction(function):
                parts.append((name, _function_fingerprint(function, seen)))
    return tuple(parts)


def _code_of(code) -> tuple:
    """What a code object does, without its place in a file."""
    return code.co_code, code.co_names, [_constant(c) for c in code.co_consts]


def _constant(constant):
    """A constant in a form that is the same in every process."""
    if inspect.iscode(constant):
        return _code_of(constant)
    if isinstance(constant, tuple):
        return [_constant(item) for item in constant]
    if isinstance(constant, frozenset):  # its order depends on the process
        return sorted(repr(_constant(item)) for item in constant)
    return repr(constant)


def describe_stored(key, settings, images, index, descriptor):
    """Stored form of one image's descriptors; joblib keeps it by key and settings."""
    return describe(descriptor, images[index])


def stored_vocabulary(keys, settings, compute):
    """What was learned from images; joblib keeps it by keys and settings."""
    return compute()


def stored_encodings(keys, settings, compute):
    """What images were encoded to; joblib keeps it by keys and settings."""
    return compute()


@dataclass
class _Run:
    """What workers need for one pass; threads share it, processes have a copy."""

    describe_image: Any
    settings: Any
    kept: bool
    descriptor: Any
    alone: bool
    stopped: bool = False
    at_work: list = field(default_factory=list)


def _describe_batch(function, run, images):
    run.at_work.append(True)
    try:
        with nullcontext() if run.alone else one_thread_each():
            described = [_describe(run, images, i) for i in range(len(images))]
        return function(described)
    finally:
        run.at_work.pop()


def _describe(run, images, index):
    if run.stopped:
        raise RuntimeError("This pass over the images has been stopped.")
    key = images.key(index) if run.kept else None
    return run.describe_image(key, run.settings, images, index, run.descriptor)
