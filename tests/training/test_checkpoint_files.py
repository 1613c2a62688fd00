"""Folders of checkpoints: of other fits, damaged, full, read-only, or in use."""

# Authors: The skinest developers
# SPDX-License-Identifier: BSD-3-Clause

import errno
import os
import shutil
import sys
from contextlib import contextmanager
from functools import partial
from types import SimpleNamespace

import joblib
import keras
import numpy as np
import pytest
from sklearn.base import clone
from sklearn.model_selection import GridSearchCV

from skinest import Augmentation, VGGTransferClassifier
from skinest._compat import cpu_has_amx, cpu_has_bfloat16
from skinest._training._engines import Engine
from skinest._training._fit_identity import (
    describe_environment,
    describe_masks,
    describe_value,
)
from skinest.classification import _stages
from skinest.losses import Dice
from skinest.masks import check_masks
from skinest.networks import KerasBackbone

from ..classification.conftest import bits, make_images
from ..networks.own_networks import fill
from .broken_fits import Copies, Y, describe, fit_broken, make_estimator

SETTINGS = {"fine_tune": None, "epochs": 2}


def make(folder, **settings):
    return make_estimator("two heads", folder, **{**SETTINGS, **settings})


@pytest.fixture(scope="module")
def memory(tmp_path_factory):
    """Cache features, so that few fits need a model of the backbone."""
    folder = tmp_path_factory.mktemp("memory")
    estimator, data = make(None, memory=folder)
    estimator.fit(*data)
    return folder


@pytest.fixture(scope="module")
def left(tmp_path_factory):
    """Return a folder as a fit leaves it that is killed after its first epoch."""
    copies = Copies(tmp_path_factory.mktemp("fit") / "checkpoint")
    copies.fit(*make(copies.folder))
    copies.restore(1)
    return copies.folder


@pytest.fixture
def folder(left, tmp_path):
    """Copy the checkpoint of a fit that was broken."""
    shutil.copytree(left, tmp_path / "copy")
    return tmp_path / "copy"


def get_error(estimator, data, **arguments):
    """Return the message of the error of a fit, which leaves the checkpoint."""
    folder = estimator.checkpoint
    before = (folder / "checkpoint.npz").read_bytes()
    with pytest.raises(ValueError, match="checkpoint=") as caught:
        estimator.fit(*data, **arguments)
    assert (folder / "checkpoint.npz").read_bytes() == before
    message = str(caught.value)
    assert str(folder) in message and "delete" in message.lower()
    return message


# Other fits ---------------------------------------------------------------------------


@pytest.mark.parametrize(
    ("settings", "expected"),
    [
        ({"learning_rate": 0.02}, "learning_rate was 0.01 and is 0.02"),
        ({"random_state": 1}, "random_state was 0 and is 1"),
        ({"random_state": None}, "random_state was 0 and is None"),
        ({"hidden_units": (3,)}, "hidden_units was () and is (3)"),
        ({"class_weight": {0: 1, 1: 2}}, "class_weight was None and is {0: 1, 1: 2}"),
        ({"optimizer": keras.optimizers.SGD(0.1)}, "is keras.src.optimizers.sgd.SGD{"),
        ({"augmentation": Augmentation()}, "Augmentation{'blur': 0.0"),
        ({"keras_callbacks": [keras.callbacks.History()]}, "history.History{"),
        ({"batch_size": 3, "l2": 0.1}, "batch_size was 4 and is 3; l2 was 0.0 and is"),
    ],
    ids=lambda value: next(iter(value)) if isinstance(value, dict) else "",
)
def test_other_parameters_are_named(settings, expected, folder):
    message = get_error(*make(folder, **settings))
    assert "has the state of another fit: " in message
    assert expected in message


@pytest.mark.parametrize(
    ("data", "arguments", "expected"),
    [
        ((make_images(12, seed=1), Y), {}, "X was 12 with digest"),
        ((make_images(12)[:11], Y[:11]), {}, "X was 12 with"),
        ((make_images(12), 1 - Y), {}, "y was 12 with digest"),
        ((make_images(12), Y), {"sample_weight": Y + 1.0}, "sample_weight was None"),
        ((make_images(12), Y), {"groups": Y}, "groups was None"),
        (
            (make_images(12), Y),
            {"X_val": make_images(12), "y_val": Y},
            "X_val was None and is 12 with",
        ),
    ],
    ids=["images", "fewer", "labels", "weights", "groups", "validation"],
)
def test_other_data_are_named(data, arguments, expected, folder):
    assert expected in get_error(make(folder)[0], data, **arguments)


def test_replaced_files_are_other_images(write_masks, tmp_path):
    paths = write_masks("images", make_images(12)[..., 0])
    estimator, _ = make(tmp_path / "checkpoint")
    fit_broken(estimator, (paths, Y), 1)
    paths[0].write_bytes(paths[1].read_bytes())
    assert "X was 12 with" in get_error(estimator, (paths, Y))


def test_replaced_masks_are_other_masks(write_masks):
    masks = [np.eye(8, dtype=np.uint8), np.zeros((8, 8), dtype=np.uint8)]
    paths = write_masks("masks", masks)
    for forms in (paths, masks):
        before = describe_masks(check_masks(forms))
        assert describe_masks(check_masks(forms)) == before
        assert describe_masks(check_masks(forms[::-1])) != before
    before = describe_masks(check_masks(paths))
    paths[0].write_bytes(paths[1].read_bytes())
    assert describe_masks(check_masks(paths)) != before


@pytest.mark.usefixtures("no_graphs")
def test_another_file_of_weights_is_refused(tmp_path):
    paths = [tmp_path / f"{number}.weights.h5" for number in range(3)]
    for seed, path in enumerate(paths[:2]):
        estimator, data = make(None, random_state=seed, epochs=1)
        estimator.fit(*data).save_backbone(path)
    shutil.copy(paths[0], paths[2])
    folder = tmp_path / "checkpoint"
    fit_broken(*make(folder, weights=paths[0]), 1)
    message = get_error(*make(folder, weights=paths[1]))
    assert "digest of the initial weights" in message
    estimator, data = make(folder, weights=paths[2])
    assert estimator.fit(*data).n_iter_ == 2


def test_a_warm_start_from_another_fit_is_refused(tmp_path):
    estimator, data = make(None, warm_start=True, epochs=1)
    estimator.fit(*data)
    other = clone(estimator).set_params(checkpoint=tmp_path)
    estimator.set_params(checkpoint=tmp_path)
    fit_broken(estimator.set_params(epochs=2), data, 1)
    message = get_error(other.set_params(epochs=2), data)
    assert "number of epochs before this fit was 1 and is 0" in message


def test_another_class_is_refused(folder):
    estimator = VGGTransferClassifier(checkpoint=folder)
    message = get_error(estimator, (make_images(12), Y))
    assert "estimator was skinest.classification._transfer_classifier.T" in message


@pytest.mark.parametrize("name", ["keras", "skinest"])
def test_another_version_is_refused(name, folder, monkeypatch):
    if name == "keras":
        monkeypatch.setattr(keras, "__version__", "0.0")
    else:
        from skinest._training import _fit_identity

        monkeypatch.setattr(_fit_identity, "__version__", "0.0")
    message = get_error(*make(folder))
    assert f"{name} was " in message and " and is 0.0" in message


@pytest.mark.parametrize(
    "features", [(), ("AVX512BF16",), ("AVX512BF16", "AMX_BF16")], ids=len
)
def test_another_processor_is_refused(features, folder, processor):
    here = cpu_has_bfloat16(), cpu_has_amx()
    if here == (bool(features), "AMX_BF16" in features):
        pytest.skip("this is that processor")
    processor(numpy=features)
    assert "processor was " in get_error(*make(folder))


@pytest.mark.usefixtures("no_graphs")
def test_another_layer_of_the_same_name_is_refused(tmp_path):
    def make_backbone(*names):
        parts = [keras.layers.Conv2D(4, 3, strides=2, name=name) for name in names]
        images = keras.Input((32, 32, 3))
        return KerasBackbone(fill(keras.Sequential([images, *parts], name="net")))

    estimator, data = make(tmp_path, trainable="b")
    fit_broken(estimator.set_params(backbone=make_backbone("a", "b")), data, 1)
    estimator.set_params(backbone=make_backbone("b", "c"))
    assert "first trained layers was 1" in get_error(estimator, data)
    estimator.set_params(backbone=make_backbone("other", "b")).fit(*data)


def test_another_number_of_threads_is_refused(folder, monkeypatch):
    monkeypatch.setenv("TF_NUM_INTRAOP_THREADS", "77")
    message = get_error(*make(folder))
    assert "number of threads was " in message and " and is 77" in message


def test_threads_of_jax_are_those_that_its_compiler_uses(monkeypatch):
    module = SimpleNamespace(default_backend=lambda: "cpu")
    monkeypatch.setitem(sys.modules, "jax", module)
    monkeypatch.setattr(keras.backend, "backend", lambda: "jax")
    monkeypatch.setenv("NPROC", "77")
    assert describe_environment()["number of threads"] == "77"


@pytest.mark.parametrize("has_gpu", [False, True])
@pytest.mark.parametrize("backend", ["jax", "torch"])
def test_a_gpu_of_another_backend_is_known(backend, has_gpu, monkeypatch):
    device = "gpu" if has_gpu else "cpu"
    module = SimpleNamespace(default_backend=lambda: device, get_num_threads=lambda: 77)
    tensor = SimpleNamespace(device=SimpleNamespace(type=device))
    monkeypatch.setattr(keras.ops, "zeros", lambda shape: tensor)
    monkeypatch.setitem(sys.modules, backend, module)
    monkeypatch.setattr(keras.backend, "backend", lambda: backend)
    found = describe_environment()
    assert ("GPU" in found["processor"].split()) == has_gpu
    assert (found["number of threads"] == "77") == (backend == "torch")


def test_another_engine_is_refused(folder, monkeypatch):
    def choose(spec):
        return Engine("openvino", "float32")

    monkeypatch.setattr(_stages, "choose_engine", choose)
    assert "engine of frozen layers was keras" in get_error(*make(folder))


def test_what_does_not_change_the_result_may_change(folder, memory):
    expected, data = make(None)
    expected = describe(expected.fit(*data))
    estimator, data = make(folder, memory=memory, verbose=1)
    assert describe(estimator.fit(*data)) == expected


def test_equal_parameters_of_other_types_are_the_same(folder):
    estimator, (images, y) = make(folder, image_size=[np.int64(32), 32])
    assert estimator.fit(list(images), y.tolist()).n_iter_ == 2


def make_network(n_filters=2):
    network = keras.Sequential(
        [keras.Input((None, None, 3)), keras.layers.Conv2D(n_filters, 3)]
    )
    network.set_weights([np.ones_like(array) for array in network.get_weights()])
    return network


def augment(image, random_state):
    return image


def augment_else(image, random_state):
    return image[::-1].copy()


def scale_by(default):
    def scale(image, random_state, *, factor=default):
        return scale(image, random_state) if factor is None else image * factor

    return scale


def exclude(*names):
    """Return an optimizer that excludes weights of these names from weight decay."""
    optimizer = keras.optimizers.AdamW()
    # Keras joins them in the order of a set, which differs between processes.
    optimizer.exclude_from_weight_decay(var_names=["|".join(names)])
    return optimizer


def keep(value):
    return lambda image, random_state: (image, value)


@pytest.mark.parametrize(
    ("value", "equal", "other"),
    [
        ("a", "a", "b"),
        (Augmentation(), Augmentation(), Augmentation(rotation=0)),
        (augment, augment, augment_else),
        (partial(augment), partial(augment), partial(augment_else)),
        (partial(augment, a=1), partial(augment, a=1), partial(augment, a=2)),
        (scale_by(0.5), scale_by(0.5), scale_by(0.6)),
        (keep(0.5), keep(0.5), keep(0.6)),
        (keep(scale_by(0.5)), keep(scale_by(0.5)), keep(scale_by(0.6))),
        (keep(np.arange(3)), keep(np.arange(3)), keep(np.arange(4))),
        (keep([keep(1)]), keep([keep(1)]), keep([keep(2)])),
        (keep(partial(pow, 2)), keep(partial(pow, 2)), keep(partial(pow, 3))),
        (
            keras.optimizers.Adam(0.1),
            keras.optimizers.Adam(0.1),
            keras.optimizers.Adam(0.2),
        ),
        (exclude("beta", "bias"), exclude("bias", "beta"), exclude("bias")),
        (
            keras.Sequential([keras.layers.RandomFlip()]),
            keras.Sequential([keras.layers.RandomFlip()]),
            keras.Sequential([keras.layers.RandomFlip("vertical")]),
        ),
        (
            keras.optimizers.schedules.ExponentialDecay(0.1, 1, 0.5),
            keras.optimizers.schedules.ExponentialDecay(0.1, 1, 0.5),
            keras.optimizers.schedules.ExponentialDecay(0.1, 1, 0.6),
        ),
        (
            KerasBackbone(make_network()),
            KerasBackbone(make_network()),
            KerasBackbone(make_network(3)),
        ),
        (Dice(smooth=2.0), Dice(smooth=2.0), Dice(smooth=1.0)),
        (
            keras.callbacks.EarlyStopping(patience=1),
            keras.callbacks.EarlyStopping(patience=1),
            keras.callbacks.EarlyStopping(patience=2),
        ),
    ],
    ids=lambda value: type(value).__name__,
)
def test_texts_are_equal_for_equal_values(value, equal, other):
    assert describe_value(value) == describe_value(equal) != describe_value(other)


# Damaged ------------------------------------------------------------------------------


def flip(content, place):
    changed = bytearray(content)
    changed[place] ^= 0xFF
    return bytes(changed)


@pytest.mark.parametrize(
    "damage",
    [
        lambda content: b"",
        lambda content: content[: len(content) // 2],
        lambda content: content[:-1],
        lambda content: flip(content, len(content) // 2),
        lambda content: flip(content, 200),
        lambda content: b"\0" * len(content),
        lambda content: b"not an archive",
    ],
    ids=["empty", "half", "short", "flipped", "header", "zeros", "text"],
)
def test_a_damaged_file_is_refused(damage, folder):
    path = folder / "checkpoint.npz"
    path.write_bytes(damage(path.read_bytes()))
    message = get_error(*make(folder))
    assert "is damaged, or is not a checkpoint of skinest" in message


def test_a_file_of_arrays_is_refused(tmp_path):
    np.savez(tmp_path / "checkpoint.npz", a=np.zeros(3))
    assert "is not a checkpoint of skinest" in get_error(*make(tmp_path))


def test_objects_are_not_loaded(tmp_path):
    content = np.array([print], dtype=object)
    np.savez(tmp_path / "checkpoint.npz", content=content)
    assert "allow_pickle=False" in get_error(*make(tmp_path))


def test_an_unfinished_file_is_left_out(folder):
    (folder / "unfinished.npz").write_bytes(b"half")
    estimator, data = make(folder)
    assert estimator.fit(*data).n_iter_ == 2
    assert list(folder.iterdir()) == []


# Folders that cannot be written -------------------------------------------------------


@pytest.mark.parametrize("kind", ["file", "below a file", "empty", "null"])
def test_a_path_that_cannot_be_a_folder_is_refused(kind, tmp_path):
    (tmp_path / "file").touch()
    path = {
        "file": tmp_path / "file",
        "below a file": tmp_path / "file" / "folder",
        "empty": "",
        "null": "\0",
    }[kind]
    estimator, data = make(path)
    with pytest.raises(ValueError, match="cannot be created as a folder"):
        estimator.fit(*data)


@contextmanager
def one_warning(match):
    with pytest.warns(UserWarning, match=match) as caught:
        yield
    found = [str(w.message) for w in caught if "checkpoint" in str(w.message)]
    assert len(found) == 1, found


def fail(*arguments, **settings):
    raise OSError(errno.ENOSPC, os.strerror(errno.ENOSPC))


def test_a_full_disk_is_refused_before_any_work(tmp_path, monkeypatch):
    monkeypatch.setattr(os, "fsync", fail)
    estimator, data = make(tmp_path)
    with pytest.raises(ValueError, match=r"cannot be written: .*No space left"):
        estimator.fit(*data)
    assert list(tmp_path.iterdir()) == []


def test_a_disk_that_gets_full_is_one_warning(memory, tmp_path, monkeypatch):
    expected, data = make(None, memory=memory)
    expected = describe(expected.fit(*data))
    monkeypatch.setattr(os, "replace", fail)
    estimator, data = make(tmp_path, memory=memory)
    with one_warning("cannot be written: .* The fit goes on"):
        assert describe(estimator.fit(*data)) == expected
    assert list(tmp_path.iterdir()) == []


def test_a_folder_that_is_deleted_is_one_warning(memory, tmp_path):
    folder = tmp_path / "folder"
    delete = keras.callbacks.LambdaCallback(
        on_epoch_begin=lambda epoch, logs: shutil.rmtree(folder, ignore_errors=True)
    )
    estimator, data = make(folder, memory=memory, keras_callbacks=[delete])
    with one_warning("cannot be written"):
        assert estimator.fit(*data).n_iter_ == 2


# Several fits -------------------------------------------------------------------------


def test_a_second_fit_in_a_folder_is_refused(memory, tmp_path):
    found = []

    def fit_second(epoch, logs):
        with pytest.raises(ValueError, match="is in use by another fit") as caught:
            clone(estimator).set_params(keras_callbacks=None).fit(*data)
        found.append(str(caught.value))

    callback = keras.callbacks.LambdaCallback(on_epoch_end=fit_second)
    estimator, data = make(tmp_path, memory=memory, keras_callbacks=[callback])
    estimator.fit(*data)
    assert len(found) == 2
    assert f"{tmp_path}/{{fit}}" in found[0]
    estimator.set_params(keras_callbacks=None).fit(*data)  # the first has ended


@pytest.mark.slow
def test_fits_of_a_search_have_their_own_folders(memory, tmp_path):
    estimator, data = make(tmp_path / "{fit}", memory=memory)
    grid = {"learning_rate": [0.01, 0.02]}
    search = GridSearchCV(estimator, grid, cv=2, error_score="raise")
    plain = clone(search).set_params(estimator__checkpoint=None).fit(*data)
    fit_broken(search, data, 3 + 3 + 1)
    (left,) = tmp_path.iterdir()  # of the second candidate
    assert (left / "checkpoint.npz").exists()
    search.fit(*data)
    assert list(tmp_path.iterdir()) == []
    for name in ("split0_test_score", "split1_test_score"):
        np.testing.assert_array_equal(search.cv_results_[name], plain.cv_results_[name])
    assert bits(search.best_estimator_) == bits(plain.best_estimator_)


@pytest.mark.slow
def test_threads_have_their_own_folders(memory, tmp_path):
    estimator, data = make(tmp_path / "{fit}", memory=memory)
    grid = {"learning_rate": [0.01, 0.02]}
    with joblib.parallel_config("threading"):
        search = GridSearchCV(estimator, grid, cv=2, n_jobs=2, error_score="raise")
        search.fit(*data)
    assert list(tmp_path.iterdir()) == []


def test_fits_that_differ_in_their_predictions_only_have_two_folders(tmp_path, memory):
    for n_views in (1, 2):
        settings = {"memory": memory, "n_prediction_views": n_views}
        estimator, data = make(tmp_path / "{fit}", **settings)
        fit_broken(estimator, data, 1)
    assert len(list(tmp_path.iterdir())) == 2
