"""A cache on disk for results that are computed from images."""

# Authors: The skinest developers
# SPDX-License-Identifier: BSD-3-Clause

import hashlib
import os
import pickle
import uuid
import warnings
import zlib
from contextlib import suppress

import joblib

_N_CHECKSUM = 4  # bytes at the start of a file


class Cache:
    """Cache on disk with one file per key.

    Threads and processes can share a folder: files are written atomically, and a
    damaged file counts as missing. The folder can be deleted at any time.

    Parameters
    ----------
    memory : str, path, joblib.Memory or None
        The folder. With None, or a Memory without a location, nothing is cached.

    Attributes
    ----------
    is_on : bool
        Whether anything is cached.

    Raises
    ------
    ValueError
        If the folder cannot be created.

    Examples
    --------
    >>> from tempfile import TemporaryDirectory
    >>> from skinest._cache import Cache, make_key
    >>> with TemporaryDirectory() as folder:
    ...     cache = Cache(folder)
    ...     cache.put([make_key("one", 1)], [[1.0]])
    ...     cache.get([make_key("one", 1), make_key("two", 2)])
    [[1.0], None]
    """

    def __init__(self, memory):
        self._folder = None if memory is None else _find_folder(memory)
        self.is_on = self._folder is not None
        self._can_write = True

    def get(self, keys) -> list:
        """Read values.

        Parameters
        ----------
        keys : sequence of str
            Keys from :func:`make_key`.

        Returns
        -------
        values : list
            The value of each key, or None if it is missing or cannot be read.
        """
        if not self.is_on:
            return [None] * len(keys)
        return [_read(self._find_path(key)) for key in keys]

    def put(self, keys, values) -> None:
        """Write values, or warn if that fails.

        Parameters
        ----------
        keys : sequence of str
            Keys from :func:`make_key`.

        values : sequence of object
            A picklable value for each key, not None.

        Warns
        -----
        UserWarning
            If a value cannot be written; nothing is written after that.
        """
        if not self.is_on:
            return
        for key, value in zip(keys, values, strict=True):
            if not self._can_write:
                return
            try:
                _write(self._find_path(key), value)
            except Exception as error:  # pickle raises errors of many classes
                self._can_write = False
                warnings.warn(
                    f"memory: nothing more is cached in {self._folder!r}, because of "
                    f"{type(error).__name__}: {error}. Results are correct, but will "
                    "be computed again the next time.",
                    stacklevel=2,
                )

    def _find_path(self, key):
        # Folders of many thousand files are slow on some file systems.
        return os.path.join(self._folder, key[:2], f"{key[2:]}.pkl")


def make_key(*parts) -> str:
    """Return the key of a value.

    Parameters
    ----------
    *parts : str, int, float, bool, None or tuple of these
        Everything that the value depends on. Pass a digest for any other type.

    Returns
    -------
    key : str
        A text that is the same in every process.
    """
    return hashlib.blake2b(repr(parts).encode(), digest_size=16).hexdigest()


def _find_folder(memory):
    """Return the folder of a Memory or path, or None if there is none."""
    if not isinstance(memory, joblib.Memory):
        memory = os.path.expanduser(os.fspath(memory))
        try:
            os.makedirs(memory, exist_ok=True)
            memory = joblib.Memory(memory, verbose=0)
        except OSError as error:
            raise ValueError(
                f"memory={memory!r} cannot be created as a folder: {error}"
            ) from error
    if memory.location is None:
        return None
    # Inside joblib's own folder, so that Memory.clear() clears this too.
    return os.path.abspath(os.path.join(memory.store_backend.location, "skinest"))


def _read(path):
    """Return the value in a file, or None if it is missing or cannot be read."""
    try:
        with open(path, "rb", buffering=0) as file:
            content = memoryview(file.read())
        checksum, pickled = content[:_N_CHECKSUM], content[_N_CHECKSUM:]
        if _compute_checksum(pickled) != checksum:
            return None
        return pickle.loads(pickled)
    except Exception:  # a class that is gone may raise any error
        return None


def _write(path, value):
    pickled = pickle.dumps(value, protocol=5)
    temporary = f"{path}.{uuid.uuid4().hex}"
    try:
        try:
            file = open(temporary, "wb")
        except FileNotFoundError:  # rare, so nobody looks before
            os.makedirs(os.path.dirname(path), exist_ok=True)
            file = open(temporary, "wb")
        with file:
            file.write(_compute_checksum(pickled))
            file.write(pickled)
        os.replace(temporary, path)
    except BaseException:
        with suppress(OSError):
            os.remove(temporary)
        raise


def _compute_checksum(content) -> bytes:
    return zlib.crc32(content).to_bytes(_N_CHECKSUM)
