"""What BoVWSIFTTransformer keeps, and when it must not serve it."""

import time

import cv2
import joblib
import numpy as np
import pytest
from sklearn.base import clone
from sklearn.cluster import KMeans

from skinest import BoVWSIFTTransformer, SIFTDescriptor

from .conftest import LoggingDescriptor, n_lines


def test_descriptors_are_computed_once_without_memory(textured, log):
    descriptor = LoggingDescriptor(log)
    BoVWSIFTTransformer(4, descriptor=descriptor).fit_transform(textured)
    assert n_lines(log) == 12
    BoVWSIFTTransformer(4, descriptor=descriptor, encoding="tfidf").fit(textured)
    assert n_lines(log) == 24


@pytest.mark.parametrize("kind", [str, lambda path: path, joblib.Memory])
def test_memory_serves_other_words_encodings_and_root_from_the_same_descriptors(
    kind, textured, log, tmp_path
):
    memory = kind(tmp_path / "memory")
    if isinstance(memory, joblib.Memory):
        memory.verbose = 0
    for encoding in ("histogram", "soft", "tfidf", "vlad", "fisher"):
        for root in (False, True):
            descriptor = LoggingDescriptor(log, root=root)
            bovw = BoVWSIFTTransformer(
                4,
                encoding=encoding,
                descriptor=descriptor,
                memory=memory,
                random_state=0,
            )
            kept = bovw.fit_transform(textured)
            fresh = clone(bovw).set_params(
                memory=None, descriptor=SIFTDescriptor(root=root)
            )
            np.testing.assert_array_equal(kept, fresh.fit_transform(textured))
    assert n_lines(log) == 12
    changed = LoggingDescriptor(log, contrast_threshold=0.02)
    BoVWSIFTTransformer(4, descriptor=changed, memory=memory).fit(textured)
    assert n_lines(log) == 24


class LoggingKMeans(KMeans):
    """KMeans that writes a line for every fit."""

    def __init__(self, log=None, *, n_clusters=8, random_state=None):
        super().__init__(n_clusters=n_clusters, random_state=random_state)
        self.log = log

    def fit(self, X, y=None, sample_weight=None):
        with open(self.log, "a") as file:
            file.write("fitted\n")
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


def test_a_callable_is_known_by_its_source(textured, tmp_path):
    def vectors(function):
        bovw = BoVWSIFTTransformer(
            3, descriptor=function, memory=tmp_path, random_state=0
        )
        return bovw.fit_transform(textured)

    def describe_image(image):
        return image.reshape(-1, 3).mean(axis=0, keepdims=True)

    first = vectors(describe_image)

    def describe_image(image):
        return image.reshape(-1, 3).max(axis=0, keepdims=True)

    assert not np.array_equal(first, vectors(describe_image))


def test_nothing_is_left_in_the_temporary_folder(textured, tmp_path, monkeypatch):
    monkeypatch.setattr("tempfile.tempdir", str(tmp_path))
    BoVWSIFTTransformer(4).fit_transform(textured)
    with pytest.raises(ValueError):
        BoVWSIFTTransformer(100_000).fit_transform(textured)
    assert list(tmp_path.iterdir()) == []
