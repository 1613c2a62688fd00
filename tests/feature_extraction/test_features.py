"""Bottleneck features: computed once, kept, and read from where they are kept."""

# Authors: The skinest developers
# SPDX-License-Identifier: BSD-3-Clause

import gc
import os
import threading
import tracemalloc
import weakref
from collections import Counter
from pathlib import Path
from types import SimpleNamespace

import cv2
import joblib
import keras
import numpy as np
import pytest
from sklearn.model_selection import GridSearchCV

from skinest import BottleneckFeatureExtractor
from skinest._training import _large_arrays
from skinest._training._large_arrays import gathered
from skinest._training._predicting import predict_rows
from skinest.augmentation import Augmentation
from skinest.classification import _fitting
from skinest.feature_extraction import _features
from skinest.feature_extraction._features import FeatureStore, Views
from skinest.images import ImageCollection, check_images
from skinest.networks._transfer import TrunkSpec
from skinest.networks._weights import load_backbone_weights, save_backbone_weights

from ..classification.conftest import bits, make_images, small

N_IMAGES = 12
Y = np.arange(N_IMAGES) % 2
SPEC = TrunkSpec("mobilenetv2", (32, 32), "avg", "float32")


@pytest.fixture(scope="module")
def images():
    return make_images(N_IMAGES)


@pytest.fixture
def paths(images, tmp_path):
    # BMP files of one shape have one size: only the time tells a replaced one.
    names = [str(tmp_path / f"{i}.bmp") for i in range(N_IMAGES)]
    for name, image in zip(names, images, strict=True):
        cv2.imwrite(name, image[..., ::-1])
    return names


@pytest.fixture(scope="module")
def weights_file(tmp_path_factory):
    """A file of weights, so that a seed changes nothing but views and the head."""
    path = tmp_path_factory.mktemp("weights") / "mobilenetv2.weights.h5"
    weights = load_backbone_weights("mobilenetv2", None, 0)
    save_backbone_weights("mobilenetv2", weights, path)
    return path


@pytest.fixture
def memory(tmp_path):
    return tmp_path / "memory"


@pytest.fixture
def forward(monkeypatch):
    """Counts what goes through a backbone; read and put to 0 by calling it."""
    n_rows = [0]

    def counting(model, batch, batch_size):
        n_rows[0] += len(batch)
        return predict_rows(model, batch, batch_size)

    def read():
        n_read, n_rows[0] = n_rows[0], 0
        return n_read

    monkeypatch.setattr(_features, "predict_rows", counting)
    return read


def turned(image, generator):
    return np.rot90(image, generator.integers(1, 4)).copy()


def augmented(n_views=2, augmentation=turned, **settings):
    return small(augmentation=augmentation, n_views=n_views, **settings)


# Once per fit.


def test_each_view_passes_once_per_fit(images, forward):
    small(epochs=3).fit(images, Y)
    assert forward() == N_IMAGES
    clf = augmented(n_views=3, epochs=3).fit(images, Y)
    assert forward() == 4 * N_IMAGES
    clf.predict_proba(images)
    assert forward() == N_IMAGES


def test_both_stages_of_a_head_share_features(images, forward):
    clf = augmented(fine_tune="head", fine_tune_epochs=1, epochs=1).fit(images, Y)
    assert clf.n_iter_per_stage_ == [1, 1]
    assert forward() == 3 * N_IMAGES


def test_held_out_images_pass_once_and_have_no_other_views(images, forward):
    augmented(validation_fraction=0.25, epochs=3).fit(images, Y)
    assert forward() == 3 * 9 + 3
    augmented(epochs=3).fit(images[:8], Y[:8], X_val=images[8:], y_val=Y[8:])
    assert forward() == 3 * 8 + 4


def test_a_stage_of_the_backbone_needs_no_features(images, forward):
    small(trainable="Conv_1", epochs=1).fit(images, Y)
    assert forward() == 0
    augmented(fine_tune="Conv_1", fine_tune_epochs=1, epochs=1).fit(images, Y)
    assert forward() == 3 * N_IMAGES


# Once for a search.

HEADS = [
    {"hidden_units": [(), (4,)], "learning_rate": [0.01, 1]},
    {"hidden_units": [(4,)], "dropout": [0.5]},
]


def search_of(clf, grid, **settings):
    return GridSearchCV(clf, grid, cv=2, error_score="raise", **settings)


def test_search_passes_each_view_once(images, memory, forward):
    clf = augmented(memory=memory, epochs=1)
    search = search_of(clf, HEADS, return_train_score=True).fit(images, Y)
    assert len(search.cv_results_["params"]) == 5
    assert forward() == 3 * N_IMAGES  # folds share the views of an image
    search.predict_proba(images)
    clf.set_params(class_weight="balanced", l2=0.1).fit(images, Y[::-1])
    augmented(memory=str(memory), batch_size=5).fit(images[::-1], Y)
    augmented(memory=joblib.Memory(str(memory), verbose=0), n_views=1).fit(images, Y)
    assert forward() == 0


class LoggingAugmentation:
    """Writes down the process, the image and the number that it draws."""

    def __init__(self, log):
        self.log = log

    def __call__(self, image, generator):
        drawn = generator.integers(2**60)
        with open(self.log, "a") as file:
            file.write(f"{os.getpid()} {joblib.hash(image)}-{drawn}\n")
        return image


@pytest.mark.slow
def test_each_worker_passes_a_view_once_at_most(images, memory, tmp_path, forward):
    log = tmp_path / "log"
    clf = augmented(augmentation=LoggingAugmentation(log), memory=memory, epochs=1)
    grid = {"learning_rate": [0.01, 1]}
    search_of(clf, grid, n_jobs=2).fit(images, Y)
    lines = log.read_text().splitlines()
    assert max(Counter(lines).values()) == 1
    views = Counter(line.split()[1] for line in lines)
    assert len(views) == 2 * N_IMAGES
    assert max(views.values()) <= 2
    search_of(clf, grid).fit(images, Y)
    assert len(log.read_text().splitlines()) == len(lines)
    assert forward() == 0


def test_extractor_and_classifier_share_what_is_kept(
    images, weights_file, memory, forward
):
    shared = {"weights": weights_file, "memory": memory}
    small(**shared).fit(images, Y)
    assert forward() == N_IMAGES
    extractor = BottleneckFeatureExtractor(
        "mobilenetv2", pooling="avg", image_size=(32, 32), **shared
    )
    extractor.fit_transform(images)
    assert forward() == 0


# What has an entry of its own.


def test_a_replaced_file_passes_again(images, paths, memory, forward):
    clf = augmented(memory=memory).fit(paths, Y)
    assert forward() == 3 * N_IMAGES
    info = os.stat(paths[0])
    cv2.imwrite(paths[0], images[1, ..., ::-1])
    os.utime(paths[0], ns=(info.st_atime_ns, info.st_mtime_ns + 1_000_000_000))
    replaced = clf.predict_proba(paths)
    assert forward() == 1
    np.testing.assert_allclose(replaced[0], replaced[1], atol=1e-6)
    clf.fit(paths, Y)
    assert forward() == 2


class Shifted:
    """A callable that is known by its state."""

    def __init__(self, n_pixels):
        self.n_pixels = n_pixels

    def __call__(self, image, generator):
        return np.roll(image, self.n_pixels + generator.integers(4), axis=0)


class Darker(keras.layers.Layer):
    """A layer that Keras does not know."""

    def call(self, images, training=None):
        return 0.5 * images


class Black(keras.layers.Layer):
    def call(self, images, training=None):
        return 0.0 * images


Black.__name__, Black.__qualname__ = Darker.__name__, Darker.__qualname__


class Scaled(keras.layers.Layer):
    """A layer whose configuration says nothing of its weights."""

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
    "functions": (turned, lambda image, generator: image[::-1].copy()),
    "objects": (Shifted(1), Shifted(9)),
    "layers": (keras.layers.RandomContrast(0.1), keras.layers.RandomContrast(0.9)),
    "layers in a row": (
        keras.Sequential([keras.layers.RandomRotation(0.1)]),
        keras.Sequential([keras.layers.RandomRotation(0.2)]),
    ),
    "code of layers": (Darker(), Black()),
    "code of layers in a row": (
        keras.Sequential([Darker()]),
        keras.Sequential([Black()]),
    ),
    "weights of layers": (Scaled(0.5), Scaled(0.9)),
}


@pytest.mark.parametrize("twins", TWINS)
def test_augmentations_that_look_alike_never_mix(twins, images, memory, forward):
    heads = []
    for augmentation in TWINS[twins]:
        clf = augmented(augmentation=augmentation, n_views=1, epochs=1)
        clf.fit(images[:4], Y[:4])
        plain = bits(clf)
        forward()
        clf.set_params(memory=memory).fit(images[:4], Y[:4])
        assert forward() == (8 if not heads else 4)  # they share the images themselves
        assert bits(clf) == plain
        heads.append(plain)
    assert heads[0] != heads[1]


def test_layers_of_other_names_share_views(images, memory, forward):
    for _ in range(2):
        flip = keras.Sequential([keras.layers.RandomFlip()])
        augmented(augmentation=flip, memory=memory, epochs=1).fit(images, Y)
    assert forward() == 3 * N_IMAGES


def test_a_seed_and_more_views_add_views_alone(images, weights_file, memory, forward):
    clf = augmented(weights=weights_file, memory=memory, epochs=1).fit(images, Y)
    assert forward() == 3 * N_IMAGES
    clf.set_params(n_views=4).fit(images, Y)
    assert forward() == 2 * N_IMAGES
    clf.set_params(random_state=1).fit(images, Y)
    assert forward() == 4 * N_IMAGES


def test_other_networks_have_their_own_entries(images, weights_file, memory, forward):
    extractor = BottleneckFeatureExtractor(
        "mobilenetv2", weights=None, image_size=(32, 32), memory=memory, random_state=0
    )
    others = (
        {},
        {"random_state": 1},  # draws other weights
        {"pooling": "avg"},
        {"image_size": (32, 40)},
        {"compute_dtype": "bfloat16"},
    )
    for changed in others:
        extractor.set_params(**changed)
        kept = extractor.fit_transform(images[:4])
        assert forward() == 4
        np.testing.assert_array_equal(extractor.fit_transform(images[:4]), kept)
        assert forward() == 0
    extractor.set_params(weights=weights_file, random_state=0).fit_transform(images[:4])
    assert forward() == 4


# What goes wrong.


def test_an_interrupted_fit_keeps_what_was_computed(images, paths, memory, forward):
    content = Path(paths[9]).read_bytes()
    Path(paths[9]).write_bytes(content[:100])
    clf = augmented(memory=memory, batch_size=4)
    with pytest.raises(ValueError, match=r"X\[9\].*9\.bmp' is truncated"):
        clf.fit(paths, Y)
    assert forward() == 3 * 8
    Path(paths[9]).write_bytes(content)
    clf.fit(paths, Y)
    assert forward() == 3 * 4
    plain = augmented(batch_size=4).fit(images, Y).predict_proba(images)
    np.testing.assert_allclose(clf.predict_proba(paths), plain, atol=1e-5)


@pytest.mark.filterwarnings("ignore:Exception while loading results:UserWarning")
def test_a_damaged_entry_is_computed_anew(images, memory, forward):
    clf = small(memory=memory).fit(images, Y)
    before = clf.predict_proba(images)
    entries = sorted(memory.rglob("output.pkl"))
    assert len(entries) == forward() == N_IMAGES
    entries[0].write_bytes(b"damaged")
    entries[1].unlink()
    np.testing.assert_allclose(clf.predict_proba(images), before, atol=1e-6)
    assert forward() == 2
    np.testing.assert_allclose(clf.predict_proba(images), before, atol=1e-6)
    assert forward() == 0


def test_memory_needs_an_augmentation_that_can_be_pickled(images, memory):
    augmentation = Shifted(1)
    augmentation.lock = threading.Lock()
    clf = augmented(augmentation=augmentation).fit(images, Y)
    with pytest.raises(ValueError, match=r"augmentation=.*cannot be pickled"):
        clf.set_params(memory=memory).fit(images, Y)


def test_kept_features_predict_the_same(images, memory):
    computed = augmented().fit(images, Y)
    kept = augmented(memory=memory).fit(images, Y)
    assert bits(kept) == bits(computed)
    again = augmented(memory=memory).fit(images, Y)
    assert bits(again) == bits(computed)
    expected = computed.predict_proba(images)
    np.testing.assert_array_equal(again.predict_proba(images), expected)


# More than memory holds.


@pytest.fixture
def temporary(tmp_path, monkeypatch):
    """A folder of temporary files, into which all features go."""
    folder = tmp_path / "temporary"
    folder.mkdir()
    monkeypatch.setattr("tempfile.tempdir", str(folder))
    monkeypatch.setattr(_large_arrays, "_MAX_IN_MEMORY", 1000)
    return folder


@pytest.fixture
def gathered_arrays(monkeypatch):
    """What each fit gathers: its type, and a weak reference."""
    recorded = []

    class Recording:
        def __init__(self, *arguments):
            self._context = gathered(*arguments)

        def __enter__(self):
            array = self._context.__enter__()
            recorded.append((type(array), weakref.ref(array)))
            return array

        def __exit__(self, *error):
            return self._context.__exit__(*error)

    monkeypatch.setattr(_fitting, "gathered", Recording)
    return recorded


def large(**settings):
    settings = {"validation_fraction": 0.25, **settings}
    return augmented(**settings)


def test_a_temporary_file_gives_the_same_bits(images, temporary, gathered_arrays):
    in_file = large().fit(images, Y)
    assert [kind for kind, _ in gathered_arrays] == [np.memmap, np.memmap]
    with pytest.MonkeyPatch.context() as patch:
        patch.setattr(_large_arrays, "_MAX_IN_MEMORY", 2**30)
        in_memory = large().fit(images, Y)
    assert [kind for kind, _ in gathered_arrays[2:]] == [np.ndarray, np.ndarray]
    assert bits(in_file) == bits(in_memory)
    assert in_file.history_ == in_memory.history_


class Failing(keras.callbacks.Callback):
    def on_epoch_end(self, epoch, logs=None):
        raise RuntimeError("no luck")


def test_a_temporary_file_is_gone_afterwards(images, paths, temporary, gathered_arrays):
    large().fit(images, Y)
    assert list(temporary.iterdir()) == []
    with pytest.raises(RuntimeError, match="no luck"):
        large(keras_callbacks=[Failing()]).fit(images, Y)
    Path(paths[9]).write_bytes(b"BM")
    with pytest.raises(ValueError, match="truncated"):
        large().fit(paths, Y)
    assert list(temporary.iterdir()) == []
    gc.collect()
    assert len(gathered_arrays) >= 4
    assert all(array() is None for _, array in gathered_arrays)


def test_nothing_in_memory_outlives_a_fit(images, gathered_arrays):
    large().fit(images, Y)
    gc.collect()
    assert [array() for _, array in gathered_arrays] == [None, None]


def test_a_temporary_file_takes_features_out_of_memory(images, memory, temporary):
    clf = augmented(
        n_views=20, image_size=(64, 64), pooling="flatten", epochs=1, memory=memory
    )
    n_bytes = N_IMAGES * 21 * 4 * 5120
    clf.fit(images, Y)
    peaks = []
    for limit in (1000, n_bytes):
        with pytest.MonkeyPatch.context() as patch:
            patch.setattr(_large_arrays, "_MAX_IN_MEMORY", limit)
            tracemalloc.start()
            clf.fit(images, Y)
            peaks.append(tracemalloc.get_traced_memory()[1])
            tracemalloc.stop()
    assert peaks[1] - peaks[0] > 0.7 * n_bytes


def test_gathered_in_a_file_holds_a_batch_at_a_time(temporary):
    shape = (400, 2, 5000)
    tracemalloc.start()
    batches = (np.full((10, 2, 5000), i, dtype=np.float32) for i in range(40))
    with gathered(batches, shape) as features:
        peak = tracemalloc.get_traced_memory()[1]
        tracemalloc.stop()
        assert peak < 1_000_000 < features.nbytes
        assert features.shape == shape
        np.testing.assert_array_equal(features[:, 1, -1], np.arange(400) // 10)


def test_too_little_space_is_an_error_before_any_is_filled(temporary, monkeypatch):
    usage = SimpleNamespace(free=1_000_000)
    monkeypatch.setattr("shutil.disk_usage", lambda folder: usage)
    with (
        pytest.raises(OSError, match=r"4\.0 GB are needed.*temporary'.*TMPDIR"),
        gathered(iter([]), (1000, 1, 1_000_000)),
    ):
        pass
    with gathered(iter([np.ones((10, 1, 30))]), (10, 1, 30)) as features:
        assert features.all()


# Views.


def test_a_view_is_drawn_from_seed_image_and_number(images):
    augmentation = Augmentation(rotation=180, vertical_flip=True)
    views, image = Views(3, augmentation, seed=5), images[0]
    assert len(views) == 4
    assert views.draw(image, 0) is image
    drawn = [views.draw(image, number) for number in (1, 2, 3)]
    assert len({joblib.hash(view) for view in [image, *drawn]}) == 4
    again = Views(9, augmentation, seed=5).draw(image.copy(), 2)
    np.testing.assert_array_equal(again, drawn[1])
    other = Views(3, augmentation, seed=6).draw(image, 1)
    assert not np.array_equal(other, drawn[0])


def numbers_of(image, generator):
    """An image whose first pixels tell what is drawn for it."""
    image[0] = generator.integers(256, size=image[0].shape)
    return image


def test_views_do_not_depend_on_the_place_of_an_image(images):
    store = FeatureStore(SPEC, load_backbone_weights("mobilenetv2", None, 0), None, 4)
    views = Views(2, numbers_of, seed=0)
    X = check_images(images)
    whole = np.concatenate(list(store.batches(X, views=views)))
    assert whole.shape == (N_IMAGES, 3, 1280)
    positions = np.array([7, 0, 11, 3, 9])
    some = np.concatenate(list(store.batches(X, positions, views)))
    np.testing.assert_allclose(some, whole[positions], atol=1e-5)
    moved = np.concatenate(list(store.batches(X[3:], views=views)))
    np.testing.assert_allclose(moved, whole[3:], atol=1e-5)
    # Views of an image differ by what is drawn for their number.
    assert np.abs(whole[:, 1] - whole[:, 2]).max(axis=1).min() > 1e-3


# Batches.


def test_networks_see_batches_of_few_sizes(images, monkeypatch):
    sizes = set()
    predict_on_batch = keras.Model.predict_on_batch

    def recording(self, batch):
        sizes.add(len(batch))
        return predict_on_batch(self, batch)

    monkeypatch.setattr(keras.Model, "predict_on_batch", recording)
    extractor = BottleneckFeatureExtractor(
        "mobilenetv2", weights=None, image_size=(32, 32), batch_size=12, random_state=0
    ).fit(images)
    for n_images in range(1, N_IMAGES + 1):
        assert len(extractor.transform(images[:n_images])) == n_images
    # TensorFlow compiles each; one at a time where it rounds a row by its place.
    assert sizes in ({1}, {2, 4, 8, 12})


def test_padding_changes_no_feature(images):
    weights = load_backbone_weights("mobilenetv2", None, 0)
    X = check_images(images)
    whole = np.concatenate(list(FeatureStore(SPEC, weights, None, 12).batches(X)))
    for batch_size in (1, 5, 32):
        store = FeatureStore(SPEC, weights, None, batch_size)
        batches = list(store.batches(X))
        assert len(batches) == store.n_batches(N_IMAGES)
        np.testing.assert_allclose(np.concatenate(batches), whole, atol=1e-5)


def test_few_images_are_read_before_they_are_needed(images, monkeypatch):
    read = []
    getitem = ImageCollection.__getitem__

    def counting(self, index):
        read.append(index)
        return getitem(self, index)

    monkeypatch.setattr(ImageCollection, "__getitem__", counting)
    store = FeatureStore(SPEC, load_backbone_weights("mobilenetv2", None, 0), None, 2)
    batches = store.batches(check_images(images))
    next(batches)
    batches.close()
    assert len(read) <= 2 * 4
    assert not [t for t in threading.enumerate() if t.name.startswith("ThreadPool")]
