"""What BoVWSIFTTransformer keeps, and when it must not serve it."""

import os
import shutil
import subprocess
import sys
import textwrap
import time
import warnings
from pathlib import Path

import cv2
import joblib
import numpy as np
import pytest
from sklearn.base import clone
from sklearn.cluster import KMeans

from skinest import BoVWSIFTTransformer, SIFTDescriptor

from .conftest import LoggingDescriptor, append_line, n_lines


def test_descriptors_are_computed_once_without_memory(textured, log):
    descriptor = LoggingDescriptor(log)
    BoVWSIFTTransformer(4, descriptor=descriptor).fit_transform(textured)
    assert n_lines(log) == 12
    BoVWSIFTTransformer(4, descriptor=descriptor, encoding="tfidf").fit(textured)
    assert n_lines(log) == 24


@pytest.mark.parametrize(
    "kind",
    [
        pytest.param(str, id="str"),
        pytest.param(Path, id="Path", marks=pytest.mark.slow),
        pytest.param(joblib.Memory, id="Memory", marks=pytest.mark.slow),
    ],
)
def test_memory_serves_other_words_encodings_and_root_from_the_same_descriptors(
    kind, textured, log, tmp_path, monkeypatch
):
    describe = SIFTDescriptor.describe

    def log_and_describe(self, image):
        append_line(log, "described")
        return describe(self, image)

    monkeypatch.setattr(SIFTDescriptor, "describe", log_and_describe)
    memory = kind(tmp_path / "memory")
    if isinstance(memory, joblib.Memory):
        memory.verbose = 0
    kept = []
    for encoding in ("histogram", "soft", "tfidf", "vlad", "fisher"):
        for root in (False, True):
            bovw = BoVWSIFTTransformer(
                4,
                encoding=encoding,
                descriptor=SIFTDescriptor(root=root),
                memory=memory,
                random_state=0,
            )
            kept.append(bovw.fit_transform(textured))
    assert n_lines(log) == 12
    changed = SIFTDescriptor(contrast_threshold=0.02)
    BoVWSIFTTransformer(4, descriptor=changed, memory=memory).fit(textured)
    assert n_lines(log) == 24
    for encoding in ("histogram", "soft", "tfidf", "vlad", "fisher"):
        for root in (False, True):
            bovw.set_params(encoding=encoding, descriptor__root=root, memory=None)
            np.testing.assert_array_equal(kept.pop(0), bovw.fit_transform(textured))


class LoggingKMeans(KMeans):
    """KMeans that writes a line for every fit."""

    version = 1

    def __init__(self, log=None, *, n_clusters=8, random_state=None):
        super().__init__(n_clusters=n_clusters, random_state=random_state)
        self.log = log

    def fit(self, X, y=None, sample_weight=None):
        append_line(self.log, "fitted")
        return super().fit(X)


def test_memory_serves_vocabularies_by_images_words_and_seed(textured, log, tmp_path):
    def fit(images, n_words=4, random_state=0, **settings):
        bovw = BoVWSIFTTransformer(
            n_words,
            clusterer=LoggingKMeans(log),
            memory=tmp_path / "memory",
            random_state=random_state,
            **settings,
        )
        return bovw.fit(images).vocabulary_

    first = fit(textured)
    np.testing.assert_array_equal(first, fit(textured.copy()))
    np.testing.assert_array_equal(first, fit(list(textured), encoding="soft"))
    assert n_lines(log) == 1
    fit(textured[:8])
    fit(textured, n_words=5)
    fit(textured, random_state=1)
    fit(textured, n_components=7)
    fit(textured, max_descriptors=60)
    fit(textured, descriptor=SIFTDescriptor(root=False))
    assert n_lines(log) == 7


def test_a_generator_gives_another_vocabulary_each_time(textured, tmp_path):
    bovw = BoVWSIFTTransformer(
        4, memory=tmp_path, random_state=np.random.RandomState(0), max_descriptors=50
    )
    first = bovw.fit(textured).vocabulary_
    assert not np.array_equal(first, bovw.fit(textured).vocabulary_)


def test_a_replaced_file_is_not_served_stale(textured, tmp_path):
    path = tmp_path / "image.png"
    cv2.imwrite(str(path), textured[0])
    bovw = BoVWSIFTTransformer(4, memory=tmp_path / "memory", random_state=0)
    before = bovw.fit(textured).transform([path])
    time.sleep(0.01)  # modification times have a grain
    cv2.imwrite(str(path), textured[1])
    after = bovw.transform([path])
    assert not np.array_equal(before, after)
    fresh = clone(bovw).set_params(memory=None).fit(textured)
    np.testing.assert_array_equal(after, fresh.transform([path]))


def test_nothing_is_left_in_the_temporary_folder(textured, tmp_path, monkeypatch):
    monkeypatch.setattr("tempfile.tempdir", str(tmp_path))
    BoVWSIFTTransformer(4).fit_transform(textured)
    with pytest.raises(ValueError):
        BoVWSIFTTransformer(100_000).fit_transform(textured)
    assert list(tmp_path.iterdir()) == []


def kept_files(folder):
    return sorted(Path(folder).rglob("*.pkl*"))  # with what is half written


def fit_transform(images, memory, descriptor=None, **settings):
    bovw = BoVWSIFTTransformer(
        4, descriptor=descriptor, memory=memory, random_state=0, **settings
    )
    return bovw.fit_transform(images)


@pytest.fixture(scope="module")
def plain(textured):
    """Vectors that were computed without memory."""
    return fit_transform(textured, None)


# What may happen to the folder.


def flip_middle(content):
    middle = len(content) // 2
    return content[:middle] + bytes([content[middle] ^ 255]) + content[middle + 1 :]


@pytest.mark.parametrize(
    "damage",
    [
        lambda content: b"",
        lambda content: b"damaged",
        lambda content: content[:-1],
        lambda content: content[: len(content) // 2] + b"\0" * (len(content) // 2),
        flip_middle,
    ],
    ids=["empty", "other", "cut", "zeros", "one byte"],
)
def test_damaged_files_are_computed_anew(damage, textured, plain, log, tmp_path):
    descriptor, memory = LoggingDescriptor(log), tmp_path / "memory"
    fit_transform(textured, memory, descriptor)
    files = kept_files(memory)
    assert len(files) == 12 + 2  # descriptors of each image, vocabulary, vectors
    for file in files:
        file.write_bytes(damage(file.read_bytes()))
    with pytest.warns(UserWarning, match="memory: .* is damaged") as caught:
        again = fit_transform(textured, memory, descriptor)
    assert len(caught) == 1
    np.testing.assert_array_equal(again, plain)
    assert n_lines(log) == 24
    with warnings.catch_warnings():
        warnings.simplefilter("error")
        again = fit_transform(textured, memory, descriptor)
    np.testing.assert_array_equal(again, plain)
    assert n_lines(log) == 24
    assert kept_files(memory) == files


@pytest.mark.skipif(os.name == "nt", reason="permissions are POSIX")
def test_a_file_that_may_not_be_read_counts_as_missing(textured, plain, tmp_path):
    fit_transform(textured, tmp_path)
    for file in kept_files(tmp_path):
        file.unlink()
        file.mkdir()  # as root reads whatever the permissions
    with pytest.warns(UserWarning, match="memory: .* is damaged") as caught:
        np.testing.assert_array_equal(fit_transform(textured, tmp_path), plain)
    assert len(caught) == 1


class DestructiveDescriptor(LoggingDescriptor):
    """SIFT that deletes a folder at the fifth image and may block its place."""

    def __init__(self, log=None, *, folder=None, block=False):
        super().__init__(log)
        self.folder = folder
        self.block = block

    def describe(self, image):
        if n_lines(self.log) == 4:
            shutil.rmtree(self.folder)
            if self.block:
                self.folder.touch()
        return super().describe(image)


@pytest.mark.parametrize("n_jobs", [None, 2])
def test_a_folder_that_is_deleted_in_fit_is_made_anew(
    n_jobs, textured, plain, log, tmp_path
):
    memory = tmp_path / "memory"
    descriptor = DestructiveDescriptor(log, folder=memory)
    with warnings.catch_warnings():
        if n_jobs is None:  # two threads may write while it is being deleted
            warnings.simplefilter("error")
        vectors = fit_transform(textured, memory, descriptor, n_jobs=n_jobs)
    np.testing.assert_array_equal(vectors, plain)
    shutil.rmtree(memory, ignore_errors=True)
    np.testing.assert_array_equal(fit_transform(textured, memory), plain)
    assert len(kept_files(memory)) == 14


@pytest.mark.parametrize("encoding", ["histogram", "tfidf"])
def test_a_folder_that_cannot_be_written_to_is_warned_of_once(
    encoding, textured, log, tmp_path
):
    memory = tmp_path / "memory"
    descriptor = DestructiveDescriptor(log, folder=memory, block=True)
    with pytest.warns(UserWarning, match="memory: nothing more is cached in") as caught:
        vectors = fit_transform(textured, memory, descriptor, encoding=encoding)
    assert len(caught) == 1
    plain = fit_transform(textured, None, encoding=encoding)
    np.testing.assert_array_equal(vectors, plain)


@pytest.mark.skipif(os.name == "nt", reason="permissions are POSIX")
def test_a_read_only_folder_is_read(textured, plain, log, tmp_path):
    descriptor = LoggingDescriptor(log)
    fit_transform(textured[:6], tmp_path / "memory", descriptor)
    folders = [path for path in (tmp_path / "memory").rglob("*") if path.is_dir()]
    for folder in folders:
        folder.chmod(0o555)
    try:
        if os.access(folders[0], os.W_OK):
            pytest.skip("This user may write everywhere.")
        with pytest.warns(
            UserWarning, match="memory: nothing more is cached"
        ) as caught:
            vectors = fit_transform(textured, tmp_path / "memory", descriptor)
        assert len(caught) == 1
        np.testing.assert_array_equal(vectors, plain)
        assert n_lines(log) == 12
    finally:
        for folder in folders:
            folder.chmod(0o755)


ON_A_FULL_DISK = """
    import resource, sys, warnings
    import numpy as np
    from skinest import BoVWSIFTTransformer

    # No file may be larger than this, which looks like a full disk.
    resource.setrlimit(resource.RLIMIT_FSIZE, (500, resource.RLIM_INFINITY))
    images = np.load(sys.argv[1])
    with warnings.catch_warnings(record=True) as caught:
        warnings.simplefilter("always")
        bovw = BoVWSIFTTransformer(4, memory=sys.argv[2], random_state=0)
        vectors = bovw.fit_transform(images)
    resource.setrlimit(resource.RLIMIT_FSIZE, (resource.RLIM_INFINITY,) * 2)
    np.save(sys.argv[3], vectors)
    print(*(warning.message for warning in caught), sep="\\n")
"""


@pytest.mark.slow
@pytest.mark.skipif(os.name == "nt", reason="limits are POSIX")
def test_a_full_disk_does_not_lose_the_fit(textured, plain, tmp_path):
    np.save(tmp_path / "images.npy", textured)
    names = [str(tmp_path / name) for name in ("images.npy", "memory", "vectors.npy")]
    result = subprocess.run(
        [sys.executable, "-c", textwrap.dedent(ON_A_FULL_DISK), *names],
        capture_output=True,
        text=True,
        check=True,
    )
    (line,) = result.stdout.splitlines()
    assert "memory: nothing more is cached" in line and "File too large" in line
    np.testing.assert_array_equal(np.load(tmp_path / "vectors.npy"), plain)
    assert kept_files(tmp_path / "memory") == []  # nothing half written


class Unpicklable(KMeans):
    """K-means that cannot be pickled once it is fitted."""

    version = 1

    def __getstate__(self):
        if hasattr(self, "cluster_centers_"):
            raise TypeError("what was learned cannot be pickled")
        return super().__getstate__()


def test_what_cannot_be_pickled_does_not_lose_the_fit(textured, tmp_path):
    settings = {"clusterer": Unpicklable(n_init=1)}
    with pytest.warns(UserWarning, match="memory: .*cannot be pickled") as caught:
        vectors = fit_transform(textured, tmp_path, **settings)
    assert len(caught) == 1
    np.testing.assert_array_equal(vectors, fit_transform(textured, None, **settings))


def test_processes_share_a_folder(textured, plain, tmp_path):
    work = [joblib.delayed(fit_transform)(textured, tmp_path)] * 4
    for vectors in joblib.Parallel(n_jobs=2, backend="loky")(work):
        np.testing.assert_array_equal(vectors, plain)
    assert len(kept_files(tmp_path)) == 14


@pytest.mark.parametrize("with_memory", [False, True], ids=["plain", "memory"])
def test_worker_processes_keep_what_they_describe(
    with_memory, textured, plain, log, tmp_path
):
    memory = tmp_path / "memory" if with_memory else None
    for n_passes in (1, 1 if with_memory else 2):
        with joblib.parallel_config("loky"):
            vectors = fit_transform(textured, memory, LoggingDescriptor(log), n_jobs=2)
        np.testing.assert_array_equal(vectors, plain)
        assert n_lines(log) == 12 * n_passes


# Objects of joblib.


def test_a_memory_that_is_cleared_keeps_nothing(textured, plain, log, tmp_path):
    memory = joblib.Memory(str(tmp_path / "memory"), verbose=0)
    descriptor = LoggingDescriptor(log)
    fit_transform(textured, memory, descriptor)
    fit_transform(textured, tmp_path / "memory", descriptor)  # the same folder
    assert n_lines(log) == 12
    memory.clear(warn=False)
    np.testing.assert_array_equal(fit_transform(textured, memory, descriptor), plain)
    assert n_lines(log) == 24


def test_a_memory_without_a_folder_keeps_nothing(textured, plain, tmp_path):
    sift = cv2.SIFT_create(contrastThreshold=0.01)

    def cannot_be_pickled(image):
        grey = cv2.cvtColor(image, cv2.COLOR_RGB2GRAY)
        values = sift.detectAndCompute(grey, None)[1]
        return np.sqrt(values / values.sum(axis=1, keepdims=True))

    memory = joblib.Memory(None, verbose=0)
    vectors = fit_transform(textured, memory, cannot_be_pickled)
    np.testing.assert_allclose(vectors, plain, atol=1e-6)


def test_without_a_seed_the_first_vocabulary_serves_again(textured, tmp_path):
    bovw = BoVWSIFTTransformer(4, memory=tmp_path, max_descriptors=50)
    first = bovw.fit(textured).vocabulary_
    np.testing.assert_array_equal(clone(bovw).fit(textured).vocabulary_, first)
