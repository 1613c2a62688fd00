"""Checkpoints: a file from which a fit that was killed continues.

The file has arrays and JSON only, besides the pickled state of a user's own callbacks
of Keras. It is replaced after each epoch and deleted after the fit.
"""

# Authors: The skinest developers
# SPDX-License-Identifier: BSD-3-Clause

import hashlib
import json
import os
import warnings
from contextlib import contextmanager, suppress

import numpy as np

from .._cache import make_key
from ._fit_identity import (
    describe_environment,
    describe_settings,
    identify_fit,
)

_PLACEHOLDER = "{fit}"  # in the path: another folder for each fit
_FILE = "checkpoint.npz"
_UNFINISHED = "unfinished.npz"
_LOCK = "lock"
_N_PROBE = 4096  # bytes
_N_NAMED = 3  # how many differences an error names
_CONTENT = "identity", "start", "seeds", "records", "stage"  # what JSON has


@contextmanager
def open_checkpoint(estimator, *data):
    """Lock the folder of a fit's checkpoint, and read what is in it.

    Parameters
    ----------
    estimator : NetworkEstimator
        The estimator that is fitted.

    *data : object
        `X`, `y`, `sample_weight`, `groups`, `X_val` and `y_val`.

    Yields
    ------
    checkpoint : Checkpoint
        It keeps nothing if the estimator has no folder for it.

    Raises
    ------
    ValueError
        If the folder cannot be written, another fit uses it, or its file is damaged or
        belongs to another fit.
    """
    seeds = estimator._make_seeds()
    if estimator.checkpoint is None:
        yield Checkpoint(None, None, {}, seeds)
        return
    identity = identify_fit(estimator, *data)
    shown, settings = estimator.checkpoint, describe_settings(estimator)
    key = make_key(*sorted({**settings, **identity}.items()))
    path = os.path.expanduser(os.fspath(shown))
    folder = path.replace(_PLACEHOLDER, key)
    _create(folder, shown)
    try:
        with _lock(folder, shown):
            _check_writable(folder, shown)
            identity.update(describe_environment())
            checkpoint = Checkpoint(shown, folder, identity, seeds)
            checkpoint.read(estimator)
            yield checkpoint
            checkpoint.delete()
    finally:
        if folder != path:
            with suppress(OSError):  # there is something in it
                os.rmdir(folder)


class Checkpoint:
    """State of a fit in a file.

    Parameters
    ----------
    shown : path or None
        The parameter of the estimator. None keeps nothing.

    folder : str or None
        Folder of the file.

    identity : dict of str to str
        What the result of the fit depends on, except for its initial weights.

    seeds : dict of str to int
        Seeds of a new fit. Those in the file replace them.

    Attributes
    ----------
    records : dict or None
        What the fit had recorded when the file was written.

    stage : dict or None
        State of the stage that was not finished.
    """

    def __init__(self, shown, folder, identity, seeds):
        self.seeds = seeds
        self.records = self.stage = None
        self._shown, self._folder, self._identity = shown, folder, identity
        self._start, self._start_written = {}, {}
        self._initial: tuple = ()
        self._arrays: dict = {}
        self._has_warned = False

    @property
    def is_on(self) -> bool:
        """Return whether the state is kept."""
        return self._folder is not None

    def read(self, estimator):
        """Read the file, if there is one, and check that it belongs to this fit."""
        path = os.path.join(self._folder, _FILE)
        try:
            with open(path, "rb") as file, np.load(file, allow_pickle=False) as found:
                arrays = {name: found[name] for name in found.files}
            content = json.loads(arrays.pop("content").tobytes())
            identity, start, seeds, records, stage = map(content.get, _CONTENT)
            n_finished = len(records["n_iter_per_stage"])
        except FileNotFoundError:
            return
        except Exception as error:  # NumPy and zipfile raise errors of many classes
            raise ValueError(
                f"checkpoint={self._shown!r}: {path!r} is damaged, or is not a "
                f"checkpoint of skinest ({type(error).__name__}: {error}). Delete it "
                "to start a new fit, or choose another folder."
            ) from error
        left = estimator._epochs[n_finished:]
        self._compare(identity, self._identity, ignored=left)
        if stage is not None and getattr(estimator, left[0]) < stage["n_epochs"]:
            self._refuse(
                f"{left[0]} is {getattr(estimator, left[0])}, but "
                f"{stage['n_epochs']} epochs of its stage are done"
            )
        for array in arrays.values():
            array.flags.writeable = False
        self.seeds, self.records, self.stage = seeds, records, stage
        self._start_written, self._arrays = start, arrays

    def start(self, arrays, n_epochs, engine) -> tuple[np.ndarray, ...]:
        """Set the initial weights of the fit, and return those that replace them.

        Parameters
        ----------
        arrays : sequence of ndarray
            Initial weights of the whole network.

        n_epochs : int
            Number of epochs before this fit.

        engine : str
            What computes the layers that are never trained.

        Returns
        -------
        arrays : tuple of ndarray
            Weights of the last layers of the network, or an empty tuple if nothing of
            the fit was done before.
        """
        if not self.is_on:
            return ()
        digest = hashlib.blake2b(digest_size=16)
        for array in arrays:
            digest.update(np.ascontiguousarray(array))
        self._initial = tuple(arrays)
        self._start = {
            "digest of the initial weights": digest.hexdigest(),
            "number of epochs before this fit": str(n_epochs),
            "engine of frozen layers": engine,
        }
        if self.records is None:
            return ()
        self._compare(self._start_written, self._start)
        return self.take_weights("start", self.records["n_replaced"])

    def take_weights(self, name, n_arrays) -> tuple[np.ndarray, ...]:
        """Return weights of the last layers: written ones, or else initial ones."""
        places = range(len(self._initial) - n_arrays, len(self._initial))
        return tuple(self._arrays.get(f"{name}/{i}", self._initial[i]) for i in places)

    def take(self, name) -> list[np.ndarray]:
        """Return a list of arrays that was written."""
        n_arrays = sum(key.startswith(f"{name}/") for key in self._arrays)
        return [self._arrays[f"{name}/{i}"] for i in range(n_arrays)]

    def forget(self):
        """Free what was read, when nothing of it is needed any more."""
        self.stage, self._arrays = None, {}

    def write(self, records, stage, *, start, weights=(), best=(), **lists):
        """Replace the file. If this fails, the old file remains, and a warning says so.

        Of weights, only those that differ from the initial ones are written.

        Parameters
        ----------
        records : dict
            What the fit has recorded, for JSON.

        stage : dict or None
            State of a stage that is not finished, for JSON.

        start : sequence of ndarray
            Weights of the network after the last stage that is finished.

        weights, best : sequence of ndarray, default=()
            Weights of the last layers in the stage: now, and at its best epoch.

        **lists : list of ndarray
            Other arrays to write.
        """
        values = self._identity, self._start, self.seeds, records, stage
        content = json.dumps(dict(zip(_CONTENT, values, strict=True)))
        arrays = {"content": np.frombuffer(content.encode(), np.uint8)}
        for name, listed in lists.items():
            arrays.update({f"{name}/{i}": array for i, array in enumerate(listed)})
        for name, listed in (("start", start), ("weights", weights), ("best", best)):
            first = len(self._initial) - len(listed)
            for i, array in enumerate(listed, start=first):
                if not _have_same_bits(array, self._initial[i]):
                    arrays[f"{name}/{i}"] = array
        try:
            self._replace_file(arrays)
        except OSError as error:
            self.warn(f"cannot be written: {error}")

    def warn(self, reason):
        """Warn, but only once, that the state of the fit is not kept."""
        if not self._has_warned:
            self._has_warned = True
            warnings.warn(
                f"checkpoint={self._shown!r} {reason}. The fit goes on, but if it is "
                "killed, its last epochs are lost.",
                UserWarning,
                stacklevel=2,
            )

    def delete(self):
        """Delete the file."""
        with suppress(OSError):  # it may have never been written
            os.remove(os.path.join(self._folder, _FILE))

    def _replace_file(self, arrays):
        unfinished = os.path.join(self._folder, _UNFINISHED)
        try:
            with open(unfinished, "wb") as file:
                np.savez(file, **arrays)
                file.flush()
                os.fsync(file.fileno())
            os.replace(unfinished, os.path.join(self._folder, _FILE))
        except OSError:
            with suppress(OSError):
                os.remove(unfinished)
            raise
        if os.name == "posix":  # a power failure could undo the renaming
            descriptor = os.open(self._folder, os.O_RDONLY)
            try:
                os.fsync(descriptor)
            finally:
                os.close(descriptor)

    def _compare(self, old, new, ignored=()):
        """Raise ValueError, with the differences, unless two fits are the same."""
        differences = [
            f"{name} was {old.get(name)} and is {new.get(name)}"
            for name in dict.fromkeys((*new, *old))
            if old.get(name) != new.get(name) and name not in ignored
        ]
        if differences:
            left = len(differences) - _N_NAMED
            more = f"; and {left} more differences" if left > 0 else ""
            self._refuse("; ".join(differences[:_N_NAMED]) + more)

    def _refuse(self, reason):
        raise ValueError(
            f"checkpoint={self._shown!r} has the state of another fit: {reason}. To "
            "continue that fit, call it as before. To start a new one, delete "
            f"{os.path.join(self._folder, _FILE)!r} or choose another folder; a path "
            "with '{fit}' in it gives each fit a folder of its own."
        )


def _have_same_bits(array, other) -> bool:
    """Return whether arrays are equal, where 0 and -0 differ and NaN equals itself."""
    if array is other:
        return True
    one, two = (np.ascontiguousarray(each).view(np.uint8) for each in (array, other))
    return array.shape == other.shape and np.array_equal(one, two)


def _create(folder, shown):
    """Create a folder."""
    try:
        if not folder:
            raise FileNotFoundError("the path is empty")
        os.makedirs(folder, exist_ok=True)
    except (OSError, ValueError) as error:  # ValueError: a null character in the name
        raise ValueError(
            f"checkpoint={shown!r} cannot be created as a folder: {error}"
        ) from error


def _check_writable(folder, shown):
    """Raise ValueError unless files can be written into a folder."""
    probe = os.path.join(folder, _UNFINISHED)
    try:
        with open(probe, "wb") as file:
            file.write(bytes(_N_PROBE))
            file.flush()
            os.fsync(file.fileno())
    except OSError as error:
        raise ValueError(
            f"checkpoint={shown!r} is a folder that cannot be written: {error}"
        ) from error
    finally:
        with suppress(OSError):
            os.remove(probe)


@contextmanager
def _lock(folder, shown):
    """Hold the lock of a folder, which the system releases when a process is killed.

    Raises
    ------
    ValueError
        If another fit holds it.
    """
    from filelock import FileLock, Timeout

    path = os.path.join(folder, _LOCK)
    lock = FileLock(path)
    try:
        lock.acquire(timeout=0)
    except Timeout:
        if _PLACEHOLDER in str(shown):
            raise ValueError(
                f"checkpoint={shown!r} is in use by a fit of the same data with the "
                "same parameters. Wait until it ends, or choose another folder."
            ) from None
        raise ValueError(
            f"checkpoint={shown!r} is in use by another fit. Wait until it ends, or "
            "choose another folder. For fits side by side, as in a search, put '{fit}' "
            f"into the path, such as {os.path.join(str(shown), _PLACEHOLDER)!r}: each "
            "fit then has a folder of its own."
        ) from None
    except (OSError, NotImplementedError):  # a file system without locks
        pass
    try:
        yield
    finally:
        with suppress(OSError):  # Windows deletes it when it is released
            os.remove(path)
        lock.release()
