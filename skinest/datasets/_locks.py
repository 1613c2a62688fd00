"""One process at a time."""

# Authors: The skinest developers
# SPDX-License-Identifier: BSD-3-Clause

import contextlib
import os
import sys
import time

if sys.platform == "win32":
    import msvcrt
else:
    import fcntl

_PAUSE = 0.2  # seconds


@contextlib.contextmanager
def hold_lock(file, waiting):
    """Wait until no other process or thread holds the lock, and hold it.

    The system lets go of the lock of a process that has died. Whoever holds it may
    delete the file.

    Parameters
    ----------
    file : Path
        An empty file, made if it is missing.

    waiting : str
        Printed on standard error if there is another one to wait for.
    """
    opened = _try_to_lock(file)
    if opened is None:
        print(waiting, file=sys.stderr)
        while opened is None:
            time.sleep(_PAUSE)
            opened = _try_to_lock(file)
    with opened:
        yield


def _try_to_lock(file):
    """Open and lock a file; None if another one holds it."""
    with contextlib.ExitStack() as stack:
        try:
            file.parent.mkdir(parents=True, exist_ok=True)
            opened = stack.enter_context(file.open("ab"))
            is_locked = _lock(opened)
            # Its last holder may have deleted it, and another one may be there now.
            is_current = os.path.samestat(file.stat(), os.fstat(opened.fileno()))
        except (FileNotFoundError, FileExistsError):  # deleted in between
            return None
        if is_locked and is_current:
            stack.pop_all()
            return opened
    return None


def _lock(opened):
    try:
        if sys.platform == "win32":
            msvcrt.locking(opened.fileno(), msvcrt.LK_NBLCK, 1)
        else:
            fcntl.flock(opened, fcntl.LOCK_EX | fcntl.LOCK_NB)
    except (BlockingIOError, PermissionError):
        return False
    return True
