"""Full, read-only, removed and damaged caches, and processes that are killed.

In each case the results are correct, and there is at most one warning.
"""

# Authors: The skinest developers
# SPDX-License-Identifier: BSD-3-Clause

import errno
import os
import shutil
import subprocess
import sys
import threading
import warnings
from pathlib import Path

import joblib
import numpy as np
import pytest

from skinest import BoVWSIFTTransformer
from skinest._cache import Cache, make_key
from tests.cache_rows import make_images

posix_only = pytest.mark.skipif(os.name == "nt", reason="needs POSIX")


@pytest.fixture(scope="module")
def images():
    return np.concatenate([make_images(seed) for seed in range(5)])


def fit_transform(images, memory, **settings):
    bovw = BoVWSIFTTransformer(4, memory=memory, random_state=0, **settings)
    return bovw.fit_transform(images)


@pytest.fixture(scope="module")
def plain(images):
    """Vectors that were computed without memory."""
    return fit_transform(images, None)


def list_files(folder):
    return sorted(path.relative_to(folder) for path in folder.rglob("*"))


@pytest.fixture
def mount(tmp_path):
    """Return a function that mounts small disks, if this user may do that."""
    mounted = []

    def mount_disk(name, size="1m"):
        (tmp_path / name).mkdir()
        command = ["mount", "-t", "tmpfs", "-o", f"size={size}", "tmpfs"]
        if (
            shutil.which("mount") is None
            or subprocess.run(
                [*command, tmp_path / name], stderr=subprocess.DEVNULL
            ).returncode
        ):
            pytest.skip("This user may not mount disks.")
        mounted.append(tmp_path / name)
        return mounted[-1]

    yield mount_disk
    for folder in mounted:
        subprocess.run(["umount", folder], check=True)


def fill(disk, n_left=0):
    """Fill a disk, except for some bytes."""
    with open(disk / "filler", "wb", buffering=0) as file:
        n_free = shutil.disk_usage(disk).free - n_left
        file.write(b"\0" * max(n_free, 0))


# Full -------------------------------------------------------------------------------


@posix_only
@pytest.mark.parametrize("n_left", [0, 30_000])
def test_a_full_disk_is_one_warning(n_left, images, plain, mount):
    disk = mount("disk")
    fill(disk, n_left)
    with pytest.warns(UserWarning, match="memory: nothing more is cached") as caught:
        np.testing.assert_array_equal(fit_transform(images, disk / "new"), plain)
    assert len(caught) == 1 and "No space left" in str(caught[0].message)


def refuse(number):
    """Return a function that raises an OSError."""

    def fail(*args, **kwargs):
        raise OSError(number, os.strerror(number))

    return fail


@pytest.mark.parametrize("function", ["makedirs", "replace"])
def test_no_space_is_one_warning(function, images, plain, tmp_path, monkeypatch):
    monkeypatch.setattr(os, function, refuse(errno.ENOSPC))
    with pytest.warns(UserWarning, match="memory: nothing more is cached") as caught:
        np.testing.assert_array_equal(fit_transform(images, tmp_path / "new"), plain)
    assert len(caught) == 1


def test_worker_processes_warn_once_in_this_process(images, plain, tmp_path, capfd):
    fit_transform(images, tmp_path)
    for file in tmp_path.rglob("*.pkl"):
        file.write_bytes(b"")
    with (
        joblib.parallel_config("loky"),
        pytest.warns(UserWarning, match="memory: .* is damaged") as caught,
    ):
        vectors = fit_transform(images, tmp_path, n_jobs=2)
    assert len(caught) == 1
    assert "damaged" not in capfd.readouterr().err
    np.testing.assert_array_equal(vectors, plain)


@posix_only
def test_no_space_for_temporary_files_is_one_warning(images, plain, mount, monkeypatch):
    disk = mount("temporary")
    fill(disk, n_left=30_000)
    monkeypatch.setattr("tempfile.tempdir", str(disk))
    with pytest.warns(UserWarning, match="temporary files: nothing more") as caught:
        np.testing.assert_array_equal(fit_transform(images, None), plain)
    assert len(caught) == 1
    assert [path.name for path in disk.iterdir()] == ["filler"]


def test_no_temporary_folder(images, plain, tmp_path, monkeypatch):
    monkeypatch.setattr("tempfile.tempdir", str(tmp_path / "nowhere"))
    np.testing.assert_array_equal(fit_transform(images, None), plain)


# Read-only --------------------------------------------------------------------------


@posix_only
@pytest.mark.parametrize("name", [".", "new"])
def test_an_empty_read_only_disk_is_refused(name, images, mount):
    disk = mount("disk")
    subprocess.run(["mount", "-o", "remount,ro", disk], check=True)
    with pytest.raises(ValueError, match=r"memory=.* cannot be created as a folder"):
        fit_transform(images, disk / name)


@posix_only
def test_a_read_only_disk_is_read(images, plain, mount):
    disk = mount("disk")
    fit_transform(images, disk / "memory")
    subprocess.run(["mount", "-o", "remount,ro", disk], check=True)
    with warnings.catch_warnings():
        warnings.simplefilter("error")
        np.testing.assert_array_equal(fit_transform(images, disk / "memory"), plain)
    few = fit_transform(images[:9], None)
    with pytest.warns(UserWarning, match="memory: nothing more is cached") as caught:
        vectors = fit_transform(images[:9], disk / "memory")
    assert len(caught) == 1 and "Read-only" in str(caught[0].message)
    np.testing.assert_array_equal(vectors, few)


@pytest.mark.parametrize("number", [errno.EROFS, errno.EACCES])
def test_a_folder_that_cannot_be_created_is_refused(
    number, images, tmp_path, monkeypatch
):
    monkeypatch.setattr(os, "makedirs", refuse(number))
    for memory in (tmp_path, tmp_path / "new"):
        with pytest.raises(ValueError, match=r"memory=.* cannot be created as a fold"):
            fit_transform(images, memory)


# Removed ----------------------------------------------------------------------------


@pytest.mark.slow
@posix_only
@pytest.mark.parametrize("with_memory", [True, False], ids=["memory", "temporary"])
def test_a_folder_that_is_removed_all_the_time(
    with_memory, images, plain, tmp_path, monkeypatch
):
    folder = tmp_path / "folder"
    monkeypatch.setattr("tempfile.tempdir", str(folder))
    stop = threading.Event()

    def remove():
        while not stop.is_set():
            for inner in folder.glob("*"):
                shutil.rmtree(inner, ignore_errors=True)

    remover = threading.Thread(target=remove)
    folder.mkdir()
    remover.start()
    try:
        for _ in range(3):
            with warnings.catch_warnings(record=True) as caught:
                warnings.simplefilter("always")
                memory = folder / "memory" if with_memory else None
                vectors = fit_transform(images, memory)
            np.testing.assert_array_equal(vectors, plain)
            assert len(caught) <= 1
    finally:
        stop.set()
        remover.join()


# Damaged ----------------------------------------------------------------------------


def test_the_value_of_another_key_is_not_served(tmp_path):
    cache, keys = Cache(tmp_path), [make_key(1), make_key(2)]
    cache.put(keys, ["one", "two"])
    first, second = (next(tmp_path.rglob(f"{key[:2]}/{key[2:]}.pkl")) for key in keys)
    shutil.copy(first, second)
    assert cache.get(keys) == ["one", None]
    with pytest.warns(UserWarning, match=r"memory: .*pkl' is damaged"):
        cache.warn()


# Killed -----------------------------------------------------------------------------

KILLED = """
import os, signal, sys, tempfile
import numpy as np
from skinest import BoVWSIFTTransformer

tempfile.tempdir = sys.argv[2]
replace, written = os.replace, []

def kill_at_the_third(source, target):
    written.append(target)
    if len(written) == 3:
        os.truncate(source, 50)  # as if it were only half written
        os.kill(os.getpid(), signal.SIGKILL)
    replace(source, target)

os.replace = kill_at_the_third
bovw = BoVWSIFTTransformer(4, memory=sys.argv[3] or None, random_state=0)
bovw.fit_transform(np.load(sys.argv[1]))
"""


@pytest.mark.slow
@posix_only
@pytest.mark.parametrize(
    "with_memory",
    [
        pytest.param(True, id="memory"),
        pytest.param(False, id="temporary", marks=pytest.mark.slow),
    ],
)
def test_a_killed_process_leaves_nothing_to_the_next(
    with_memory, images, plain, tmp_path, monkeypatch
):
    np.save(tmp_path / "images.npy", images)
    memory, temporary = tmp_path / "memory", tmp_path / "temporary"
    temporary.mkdir()
    arguments = tmp_path / "images.npy", temporary, memory if with_memory else ""
    command = [sys.executable, "-c", KILLED, *map(str, arguments)]
    assert subprocess.run(command).returncode < 0
    assert list(tmp_path.rglob("unfinished-*"))

    monkeypatch.setattr("tempfile.tempdir", str(temporary))
    with warnings.catch_warnings():
        warnings.simplefilter("error")
        vectors = fit_transform(images, memory if with_memory else None)
    np.testing.assert_array_equal(vectors, plain)
    assert list_files(temporary) == []
    if with_memory:
        fit_transform(images, tmp_path / "other")
        assert list_files(memory) == list_files(tmp_path / "other")


@posix_only
@pytest.mark.parametrize("is_writing", [True, False])
def test_files_that_are_being_written_are_not_deleted(is_writing, tmp_path):
    import fcntl

    Cache(tmp_path).put([make_key(1)], ["one"])
    (folder,) = tmp_path.rglob("skinest")
    (folder / "unfinished-1").touch()
    descriptor = os.open(folder, os.O_RDONLY)
    try:
        if is_writing:
            fcntl.flock(descriptor, fcntl.LOCK_SH)
        cache = Cache(tmp_path)
        assert (folder / "unfinished-1").exists() == is_writing
        cache.put([make_key(2)], ["two"])  # nobody waits
        assert cache.get([make_key(1), make_key(2)]) == ["one", "two"]
    finally:
        os.close(descriptor)
    Cache(tmp_path)
    assert not (folder / "unfinished-1").exists()


def test_a_file_system_without_locks(tmp_path, monkeypatch):
    if os.name != "nt":
        import fcntl

        monkeypatch.setattr(fcntl, "flock", refuse(errno.ENOTSUP))
    cache = Cache(tmp_path)
    cache.put([make_key(1)], ["one"])
    (folder,) = tmp_path.rglob("skinest")
    Path(folder, "unfinished-1").touch()
    assert Cache(tmp_path).get([make_key(1)]) == ["one"]
    assert Path(folder, "unfinished-1").exists()


@pytest.mark.parametrize("kind", [str, Path, joblib.Memory])
def test_git_ignores_the_cache_and_none_of_the_user_s_files(kind, tmp_path):
    if shutil.which("git") is None:
        pytest.skip("needs git")
    folder = tmp_path / "project"
    (folder / "joblib").mkdir(parents=True)
    for name in ("new.py", "joblib/own.py"):
        (folder / name).touch()
    memory = folder / "cache" if kind is joblib.Memory else folder
    options = {"verbose": 0} if kind is joblib.Memory else {}
    Cache(kind(str(memory), **options)).put([make_key("one")], [1])
    command = ["git", "-C", str(folder)]
    subprocess.run([*command, "init", "-q"], check=True)
    status = [*command, "status", "--porcelain", "--untracked-files=all"]
    found = subprocess.run(status, capture_output=True, text=True, check=True)
    assert found.stdout.split() == ["??", "joblib/own.py", "??", "new.py"]
