"""A cache on disk for results that are computed from images."""

# Authors: The skinest developers
# SPDX-License-Identifier: BSD-3-Clause

import errno
import hashlib
import os
import pickle
import shutil
import sys
import tempfile
import uuid
import warnings
import zlib
from contextlib import contextmanager, nullcontext, suppress
from contextvars import ContextVar

import joblib

if sys.platform != "win32":
    import fcntl

_N_CHECKSUM = 4  # bytes at the start of a file
_N_TRIES = 10  # to make a folder that another process may be removing
_UNFINISHED = "unfinished-"  # start of the names of files that are being written
_TEMPORARY = "skinest-descriptors-"  # start of the names of temporary folders
_FULL = errno.ENOSPC, errno.EDQUOT
_IS_READ_ONLY = ContextVar("_IS_READ_ONLY", default=False)


class Cache:
    """Cache on disk with one file per key.

    Threads and processes can share a folder: files are written atomically, and a
    damaged file counts as missing. The folder can be deleted at any time. What a killed
    process did not finish is deleted by the next cache in the folder, except on Windows
    and on file systems without locks.

    Parameters
    ----------
    memory : str, path, joblib.Memory or None
        The folder. With None, or a Memory without a location, nothing is cached.

    name : str, default="memory"
        Name of the cache in warnings.

    Attributes
    ----------
    is_on : bool
        Whether anything is cached.

    fault : str or None
        The first problem, as the text of a warning.

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

    def __init__(self, memory, name="memory"):
        self._name = name
        self._folder = None if memory is None else _find_folder(memory)
        self.is_on = self._folder is not None
        self.fault = None
        self._can_write = self.is_on and not _IS_READ_ONLY.get()
        self._has_warned = False
        if self.is_on:
            delete_unfinished(self._folder, _is_unfinished)

    def get(self, keys) -> list:
        """Read values.

        Parameters
        ----------
        keys : sequence of str or None
            Keys from :func:`make_key`. None stands for a value that is not cached.

        Returns
        -------
        values : list
            The value of each key, or None if it is missing or cannot be read.
        """
        if not self.is_on:
            return [None] * len(keys)
        return [None if key is None else self._read(key) for key in keys]

    def put(self, keys, values) -> None:
        """Write values. If one cannot be written, none is written after it.

        Parameters
        ----------
        keys : sequence of str or None
            Keys from :func:`make_key`. None stands for a value that is not cached.

        values : sequence of object
            A picklable value for each key, not None.
        """
        if not self._can_write or not any(keys):
            return
        with lock_folder(self._folder):
            for key, value in zip(keys, values, strict=True):
                try:
                    if key is not None:
                        self._write(key, value)
                except Exception as error:  # pickle raises errors of many classes
                    self._can_write = False
                    self._note(
                        f"nothing more is cached in {self._folder!r}, because of "
                        f"{type(error).__name__}: {error}. Results are correct, but "
                        "will be computed again the next time."
                    )
                    return

    def warn(self, fault=None) -> None:
        """Warn of the first fault of this cache, but only once.

        Parameters
        ----------
        fault : str, default=None
            A fault of a copy of this cache, from a worker process.

        Warns
        -----
        UserWarning
            If a value could not be read or written.
        """
        self.fault = self.fault or fault
        if self.fault and not self._has_warned:
            self._has_warned = True
            warnings.warn(self.fault, stacklevel=2)

    def _note(self, fault):
        self.fault = self.fault or f"{self._name}: {fault}"

    def _find_path(self, key):
        # Folders of many thousand files are slow on some file systems.
        return os.path.join(self._folder, key[:2], f"{key[2:]}.pkl")

    def _read(self, key):
        """Return a value, or None if it is missing or cannot be read."""
        path = self._find_path(key)
        try:
            with open(path, "rb", buffering=0) as file:
                content = memoryview(file.read())
        except (FileNotFoundError, NotADirectoryError):
            return None
        except OSError:
            content = memoryview(b"")
        checksum, pickled = content[:_N_CHECKSUM], content[_N_CHECKSUM:]
        with suppress(Exception):  # a class that is gone may raise any error
            if _compute_checksum(key, pickled) == checksum:
                return pickle.loads(pickled)
        self._note(f"{path!r} is damaged; its result is computed again.")
        return None

    def _write(self, key, value):
        pickled = pickle.dumps(value, protocol=5)
        path = self._find_path(key)
        unfinished = os.path.join(self._folder, f"{_UNFINISHED}{uuid.uuid4().hex}")
        try:
            with _create(unfinished) as file:
                file.write(_compute_checksum(key, pickled))
                file.write(pickled)
            try:
                os.replace(unfinished, path)
            except FileNotFoundError:  # rare, so nobody looks before
                _make_folder(os.path.dirname(path))
                os.replace(unfinished, path)
        except BaseException:
            with suppress(OSError):
                os.remove(unfinished)
            raise


@contextmanager
def read_only():
    """Let caches that are created in this block read, but not write.

    It is for images that nobody will need again.
    """
    token = _IS_READ_ONLY.set(True)
    try:
        yield
    finally:
        _IS_READ_ONLY.reset(token)


@contextmanager
def open_temporary_cache():
    """Yield a cache in a temporary folder, which is deleted at the end.

    If the folder cannot be created, nothing is cached.
    """
    folder = None
    try:
        _delete_left_folders()
        with suppress(OSError):  # no space, or no folder for temporary files
            folder = tempfile.mkdtemp(prefix=_TEMPORARY)
        with nullcontext() if folder is None else lock_folder(folder):
            yield Cache(folder, "temporary files")
    finally:
        if folder is not None:
            shutil.rmtree(folder, ignore_errors=True)


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


def delete_unfinished(folder, is_unfinished) -> None:
    """Delete what killed processes did not finish, if no process locks the folder.

    Parameters
    ----------
    folder : str or path
        The folder.

    is_unfinished : callable
        Returns whether an `os.DirEntry` of the folder is unfinished if no process
        locks the folder.
    """
    try:
        with os.scandir(folder) as entries:
            left = [entry for entry in entries if is_unfinished(entry)]
    except OSError:
        return
    if left:
        with lock_folder(folder, alone=True) as is_locked:
            for entry in left if is_locked else ():
                _delete(entry)


@contextmanager
def lock_folder(folder, alone=False):
    """Lock a folder, and yield whether that has succeeded.

    Several processes can hold a lock at the same time. With `alone`, it succeeds only
    if no other process holds the lock, and does not wait. The system releases the lock
    of a killed process.
    """
    if sys.platform == "win32":
        yield False
        return
    try:
        descriptor = os.open(folder, os.O_RDONLY)
    except OSError:
        yield False
        return
    try:
        mode = fcntl.LOCK_EX | fcntl.LOCK_NB if alone else fcntl.LOCK_SH
        is_locked = True
        try:
            fcntl.flock(descriptor, mode)
        except OSError:  # somebody else, or a file system without locks
            is_locked = False
        yield is_locked
    finally:
        os.close(descriptor)


def _find_folder(memory):
    """Return the folder of a Memory or path, or None if there is none."""
    if isinstance(memory, joblib.Memory):
        if memory.location is None:
            return None
        outer = memory.store_backend.location
    else:
        memory = os.path.expanduser(os.fsdecode(memory))
        outer = memory and os.path.join(memory, "joblib")
    # Inside joblib's own folder, so that Memory.clear() clears this too.
    folder = os.path.abspath(os.path.join(outer, "skinest"))
    try:
        if not outer:
            raise FileNotFoundError("the path is empty")
        _make_folder(folder)
        _make_gitignore(folder)
    except (OSError, ValueError) as error:  # ValueError: a null character in the name
        # On a full disk, there may be results to read.
        if getattr(error, "errno", None) not in _FULL:
            raise ValueError(
                f"memory={memory!r} cannot be created as a folder: {error}"
            ) from error
    return folder


def _make_folder(folder):
    """Create a folder, even while another process removes its parents."""
    for _ in range(_N_TRIES - 1):
        with suppress(FileNotFoundError, FileExistsError):
            return os.makedirs(folder, exist_ok=True)
    return os.makedirs(folder, exist_ok=True)


def _make_gitignore(folder):
    """Keep the files of a folder out of the user's repository, but no other files."""
    with suppress(OSError), open(os.path.join(folder, ".gitignore"), "x") as file:
        file.write("*\n")


def _create(path):
    try:
        return open(path, "xb")
    except FileNotFoundError:  # the folder has been removed
        _make_folder(os.path.dirname(path))
        return open(path, "xb")


def _compute_checksum(key, content) -> bytes:
    """Return a checksum of key and content, so that a renamed file is not used."""
    return zlib.crc32(content, zlib.crc32(key.encode())).to_bytes(_N_CHECKSUM)


def _is_unfinished(entry) -> bool:
    return entry.name.startswith(_UNFINISHED)


def _delete(entry):
    if entry.is_dir(follow_symlinks=False):
        shutil.rmtree(entry.path, ignore_errors=True)
    else:
        with suppress(OSError):
            os.remove(entry.path)


def _delete_left_folders():
    """Delete the temporary folders of killed processes."""
    left = []
    with suppress(OSError), os.scandir(tempfile.gettempdir()) as entries:
        left = [entry.path for entry in entries if entry.name.startswith(_TEMPORARY)]
    for folder in left:
        with lock_folder(folder, alone=True) as is_locked:
            if is_locked:
                shutil.rmtree(folder, ignore_errors=True)
