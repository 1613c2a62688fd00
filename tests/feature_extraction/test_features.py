"""Bottleneck features: computed once, kept, and read from where they are kept."""

# Authors: The skinest developers
# SPDX-License-Identifier: BSD-3-Clause

import errno
import os
import shutil
import threading
from collections import Counter
from pathlib import Path

import cv2
import joblib
import keras
import numpy as np
import pytest
from sklearn.model_selection import GridSearchCV

from skinest import BottleneckFeatureExtractor
from skinest.augmentation import Augmentation
from tests.cache_rows import change_one_number

from ..classification.conftest import bits, make_images, small
from .conftest import N_IMAGES

Y = np.arange(N_IMAGES) % 2


@pytest.fixture(scope="module")
def weights_file(tmp_path_factory):
    """Write weights, so that a seed changes nothing but copies and the head."""
    path = tmp_path_factory.mktemp("weights") / "tiny.weights.h5"
    small(epochs=1).fit(make_images(4), [0, 1, 0, 1]).save_backbone(path)
    return path


def turned(image, generator):
    return np.rot90(image, generator.integers(1, 4)).copy()


def upside_down(image, generator):
    return image[::-1].copy()


turned.version = upside_down.version = 1


def augmented(n_copies=2, augmentation=turned, **settings):
    return small(augmentation=augmentation, n_augmented_copies=n_copies, **settings)


# Once per fit.


def test_each_copy_passes_once_per_fit(images, n_computed):
    small(epochs=3).fit(images, Y)
    assert n_computed() == N_IMAGES
    clf = augmented(n_copies=3, epochs=3).fit(images, Y)
    assert n_computed() == 4 * N_IMAGES
    clf.predict_proba(images)
    assert n_computed() == N_IMAGES


def test_both_stages_of_a_head_share_features(images, n_computed):
    clf = augmented(fine_tune="head", fine_tune_epochs=1, epochs=1).fit(images, Y)
    assert clf.n_iter_per_stage_ == [1, 1]
    assert n_computed() == 3 * N_IMAGES


def test_held_out_images_pass_once_and_have_no_copies(images, n_computed):
    augmented(validation_fraction=0.25, epochs=3).fit(images, Y)
    assert n_computed() == 3 * 9 + 3
    augmented(epochs=3).fit(images[:8], Y[:8], X_val=images[8:], y_val=Y[8:])
    assert n_computed() == 3 * 8 + 4


@pytest.mark.usefixtures("no_graphs")
def test_a_stage_of_the_whole_backbone_needs_no_features(images, n_computed):
    small(trainable="all", epochs=1).fit(images, Y)
    assert n_computed() == 0
    augmented(fine_tune="all", fine_tune_epochs=1, epochs=1).fit(images, Y)
    assert n_computed() == 3 * N_IMAGES


# Once for a search.

HEADS = [
    {"hidden_units": [(), (4,)], "learning_rate": [0.01, 1]},
    {"hidden_units": [(4,)], "dropout": [0.5]},
]


def search_of(clf, grid, **settings):
    return GridSearchCV(clf, grid, cv=2, error_score="raise", **settings)


def test_search_passes_each_copy_once(images, memory, n_computed):
    clf = augmented(memory=memory, epochs=1)
    search = search_of(clf, HEADS, return_train_score=True).fit(images, Y)
    assert len(search.cv_results_["params"]) == 5
    assert n_computed() == 3 * N_IMAGES  # folds share the copies of an image
    search.predict_proba(images)
    clf.set_params(class_weight="balanced", l2=0.1).fit(images, Y[::-1])
    augmented(memory=str(memory), batch_size=5).fit(images[::-1], Y)
    augmented(memory=joblib.Memory(str(memory), verbose=0), n_copies=1).fit(images, Y)
    assert n_computed() == 0


class LoggingAugmentation:
    """Writes down the process, the image and the random number that it gets."""

    version = 1

    def __init__(self, log):
        self.log = log

    def __call__(self, image, generator):
        drawn = generator.integers(2**60)
        with open(self.log, "a") as file:
            file.write(f"{os.getpid()} {joblib.hash(image)}-{drawn}\n")
        return image


@pytest.mark.slow
def test_each_worker_passes_a_copy_once_at_most(images, memory, tmp_path, n_computed):
    log = tmp_path / "log"
    # Worker processes have the backbones of the library only.
    settings = {"backbone": "mobilenetv2", "memory": memory, "epochs": 1}
    clf = augmented(augmentation=LoggingAugmentation(log), **settings)
    grid = {"learning_rate": [0.01, 1]}
    search_of(clf, grid, n_jobs=2).fit(images, Y)
    lines = log.read_text().splitlines()
    assert max(Counter(lines).values()) == 1
    copies = Counter(line.split()[1] for line in lines)
    assert len(copies) == 2 * N_IMAGES
    assert max(copies.values()) <= 2
    search_of(clf, grid).fit(images, Y)
    assert len(log.read_text().splitlines()) == len(lines)
    assert n_computed() == 0


def test_extractor_and_classifier_share_what_is_kept(
    images, weights_file, memory, n_computed
):
    shared = {"weights": weights_file, "memory": memory}
    small(**shared).fit(images, Y)
    assert n_computed() == N_IMAGES
    extractor = BottleneckFeatureExtractor(
        "tiny", pooling="avg", image_size=(32, 32), **shared
    )
    extractor.fit_transform(images)
    assert n_computed() == 0


# What has an entry of its own.


def test_a_replaced_file_passes_again(images, paths, memory, n_computed):
    clf = augmented(memory=memory).fit(paths, Y)
    assert n_computed() == 3 * N_IMAGES
    info = os.stat(paths[0])
    cv2.imwrite(paths[0], images[1, ..., ::-1])
    os.utime(paths[0], ns=(info.st_atime_ns, info.st_mtime_ns + 1_000_000_000))
    replaced = clf.predict_proba(paths)
    assert n_computed() == 1
    np.testing.assert_allclose(replaced[0], replaced[1], atol=1e-6)
    clf.fit(paths, Y)
    assert n_computed() == 2


def test_weights_that_change_are_read_again(images, weights_file, memory, n_computed):
    path = shutil.copy(weights_file, memory.with_suffix(".weights.h5"))
    extractor = BottleneckFeatureExtractor(
        "tiny", weights=path, image_size=(32, 32), memory=memory
    )
    before = extractor.fit_transform(images)
    n_computed()
    change_one_number(path)
    assert not np.array_equal(extractor.fit_transform(images), before)
    assert n_computed() == N_IMAGES


class Shifted:
    """A callable that is known by its state."""

    version = 1

    def __init__(self, n_pixels):
        self.n_pixels = n_pixels

    def __call__(self, image, generator):
        return np.roll(image, self.n_pixels + generator.integers(4), axis=0)


class Darker(keras.layers.Layer):
    """A layer that Keras does not know."""

    version = 1

    def call(self, images, training=None):
        return 0.5 * images


class Negative(keras.layers.Layer):
    version = 1

    def call(self, images, training=None):
        return 255.0 - images


Negative.__name__, Negative.__qualname__ = Darker.__name__, Darker.__qualname__


class Scaled(keras.layers.Layer):
    """A layer whose configuration says nothing of its weights."""

    version = 1

    def __init__(self, scale=0.0, **options):
        super().__init__(**options)
        self.scale = self.add_weight(shape=(), initializer="ones", trainable=False)
        self.scale.assign(scale)

    def call(self, images, training=None):
        return self.scale * images

    def __deepcopy__(self, memo):
        return Scaled(float(self.scale))


TWINS = {
    "parameters": (Augmentation(rotation=10), Augmentation(rotation=20)),
    "functions": (turned, upside_down),
    "objects": (Shifted(1), Shifted(9)),
    "layers": (keras.layers.RandomContrast(0.1), keras.layers.RandomContrast(0.9)),
    "layers in a row": (
        keras.Sequential([keras.layers.RandomRotation(0.1)]),
        keras.Sequential([keras.layers.RandomRotation(0.2)]),
    ),
    "code of layers": (Darker(), Negative()),
    "code of layers in a row": (
        keras.Sequential([Darker()]),
        keras.Sequential([Negative()]),
    ),
    "weights of layers": (Scaled(0.5), Scaled(0.9)),
}


@pytest.mark.parametrize(
    "twins",
    [
        pytest.param(twins, marks=[pytest.mark.slow] * twins.endswith("in a row"))
        for twins in TWINS
    ],
)
def test_augmentations_that_look_alike_never_mix(twins, images, memory, n_computed):
    heads = []
    for augmentation in TWINS[twins]:
        clf = augmented(augmentation=augmentation, n_copies=1, epochs=1)
        clf.fit(images[:4], Y[:4])
        plain = bits(clf)
        n_computed()
        clf.set_params(memory=memory).fit(images[:4], Y[:4])
        assert n_computed() == (
            8 if not heads else 4
        )  # they share the images themselves
        assert bits(clf) == plain
        heads.append(plain)
    assert heads[0] != heads[1]


def test_layers_of_other_names_share_copies(images, memory, n_computed):
    for _ in range(2):
        flip = keras.Sequential([keras.layers.RandomFlip()])
        augmented(augmentation=flip, memory=memory, epochs=1).fit(images, Y)
    assert n_computed() == 3 * N_IMAGES


def test_a_seed_and_more_copies_add_copies_alone(
    images, weights_file, memory, n_computed
):
    clf = augmented(weights=weights_file, memory=memory, epochs=1).fit(images, Y)
    assert n_computed() == 3 * N_IMAGES
    clf.set_params(n_augmented_copies=4).fit(images, Y)
    assert n_computed() == 2 * N_IMAGES
    clf.set_params(random_state=1).fit(images, Y)
    assert n_computed() == 4 * N_IMAGES


@pytest.mark.slow
def test_other_networks_have_their_own_entries(
    images, weights_file, memory, n_computed
):
    extractor = BottleneckFeatureExtractor(
        "tiny", weights=None, image_size=(32, 32), memory=memory, random_state=0
    )
    others = (
        {},
        {"random_state": 1},  # draws other weights
        {"pooling": "flatten"},
        {"image_size": (32, 40)},
        {"compute_dtype": "bfloat16"},
    )
    for changed in others:
        extractor.set_params(**changed)
        kept = extractor.fit_transform(images[:4])
        assert n_computed() == 4
        np.testing.assert_array_equal(extractor.fit_transform(images[:4]), kept)
        assert n_computed() == 0
    extractor.set_params(weights=weights_file, random_state=0).fit_transform(images[:4])
    assert n_computed() == 4


# What goes wrong.


def test_an_interrupted_fit_keeps_what_was_computed(images, paths, memory, n_computed):
    content = Path(paths[9]).read_bytes()
    Path(paths[9]).write_bytes(content[:100])
    clf = augmented(memory=memory, batch_size=4)
    with pytest.raises(ValueError, match=r"X\[9\].*9\.bmp' is truncated"):
        clf.fit(paths, Y)
    assert n_computed() == 3 * 8
    Path(paths[9]).write_bytes(content)
    clf.fit(paths, Y)
    assert n_computed() == 3 * 4
    plain = augmented(batch_size=4).fit(images, Y).predict_proba(images)
    np.testing.assert_allclose(clf.predict_proba(paths), plain, atol=1e-5)


def test_a_damaged_entry_is_computed_anew(images, memory, n_computed):
    clf = small(memory=memory).fit(images, Y)
    before = clf.predict_proba(images)
    entries = sorted(memory.rglob("*.pkl"))
    assert len(entries) == n_computed() == N_IMAGES
    entries[0].write_bytes(b"damaged")
    entries[1].unlink()
    with pytest.warns(UserWarning, match="memory: .* is damaged"):
        again = clf.predict_proba(images)
    np.testing.assert_allclose(again, before, atol=1e-6)
    assert n_computed() == 2
    np.testing.assert_allclose(clf.predict_proba(images), before, atol=1e-6)
    assert n_computed() == 0


def test_no_space_is_one_warning_in_a_fit(images, memory, monkeypatch):
    plain = augmented(validation_fraction=0.25, batch_size=2).fit(images, Y)

    def fail(*names):
        raise OSError(errno.ENOSPC, os.strerror(errno.ENOSPC))

    monkeypatch.setattr(os, "replace", fail)
    clf = augmented(validation_fraction=0.25, batch_size=2, memory=memory)
    with pytest.warns(UserWarning, match="memory: nothing more is cached") as caught:
        clf.fit(images, Y)
    assert sum("memory:" in str(each.message) for each in caught) == 1
    assert bits(clf) == bits(plain)


def test_copies_by_what_cannot_be_pickled_are_not_cached(images, memory, n_computed):
    augmentation = Shifted(1)
    augmentation.lock = threading.Lock()
    clf = augmented(augmentation=augmentation, memory=memory)
    for n_passed in (3, 2):  # the images themselves are cached
        n_computed()
        with pytest.warns(UserWarning, match=r"augmentation=.*cannot be pickled"):
            clf.fit(images, Y)
        assert n_computed() == n_passed * N_IMAGES


def test_kept_features_predict_the_same(images, memory):
    computed = augmented().fit(images, Y)
    kept = augmented(memory=memory).fit(images, Y)
    assert bits(kept) == bits(computed)
    again = augmented(memory=memory).fit(images, Y)
    assert bits(again) == bits(computed)
    expected = computed.predict_proba(images)
    np.testing.assert_array_equal(again.predict_proba(images), expected)


# Copies.


class Recorder:
    """Turns images, and keeps what is random for each."""

    def __init__(self):
        self.numbers = {}

    def __call__(self, image, generator):
        number = int(generator.integers(2**60))
        self.numbers.setdefault(joblib.hash(image), []).append(number)
        return turned(image, generator)

    def __deepcopy__(self, memo):
        return self


def record_numbers(images, n_copies=3, **settings):
    """Return random numbers of each image's copies, in the order of the copies."""
    recorder = Recorder()
    clf = augmented(n_copies, recorder, epochs=1, **settings)
    clf.fit(images, np.arange(len(images)) % 2)
    return recorder.numbers


def test_a_copy_is_random_by_seed_image_and_number(images):
    numbers = record_numbers(images)
    assert len(numbers) == N_IMAGES
    assert len({number for each in numbers.values() for number in each}) == 3 * N_IMAGES
    more = record_numbers(images, n_copies=5)
    assert {image: each[:3] for image, each in more.items()} == numbers
    others = record_numbers(images, random_state=1)
    for image, each in others.items():
        assert not set(each) & set(numbers[image])


def test_copies_do_not_depend_on_the_place_of_an_image(images):
    numbers = record_numbers(images)
    assert record_numbers(images[::-1], batch_size=5) == numbers
    some = record_numbers(images[[7, 0, 11, 3, 9]])
    assert some == {image: numbers[image] for image in some}


# Batches.


def test_networks_see_batches_of_few_sizes(images, monkeypatch):
    sizes = set()
    predict_on_batch = keras.Model.predict_on_batch

    def recording(self, batch):
        sizes.add(len(batch))
        return predict_on_batch(self, batch)

    monkeypatch.setenv("SKINEST_ENGINE", "keras")
    monkeypatch.setattr(keras.Model, "predict_on_batch", recording)
    extractor = BottleneckFeatureExtractor(
        "tiny", weights=None, image_size=(32, 32), batch_size=12, random_state=0
    ).fit(images)
    for n_images in range(1, N_IMAGES + 1):
        assert len(extractor.transform(images[:n_images])) == n_images
    # TensorFlow compiles each; one at a time where it rounds a row by its place.
    assert sizes in ({1}, {2, 4, 8, 12})


def test_few_files_are_read_before_they_are_needed(paths, decoded, monkeypatch):
    extractor = BottleneckFeatureExtractor(
        "tiny", weights=None, image_size=(32, 32), batch_size=2, random_state=0
    ).fit(paths)

    def fail(self, batch):
        raise RuntimeError("no luck")

    monkeypatch.setenv("SKINEST_ENGINE", "keras")
    monkeypatch.setattr(keras.Model, "predict_on_batch", fail)
    with pytest.raises(RuntimeError, match="no luck"):
        extractor.transform(paths)
    assert sum(decoded.counts(paths)) <= 2 * 4
    names = [thread.name for thread in threading.enumerate()]
    assert not [name for name in names if name.startswith("skinest-")]
