"""Callbacks of Keras in fits that are interrupted, and continue from a checkpoint."""

# Authors: The skinest developers
# SPDX-License-Identifier: BSD-3-Clause

import threading

import keras
import pytest

from .broken_fits import Copies, describe, fit_broken, make_estimator


@pytest.fixture(scope="module")
def memory(tmp_path_factory):
    """Cache features, so that few fits need a model of the backbone."""
    folder = tmp_path_factory.mktemp("memory")
    estimator, data = make_estimator("two heads", memory=folder)
    estimator.fit(*data)
    return folder


@pytest.fixture
def make(memory):
    """Make a classifier with callbacks of Keras, and the arguments of its fit."""

    def make_with(folder, *callbacks, **settings):
        settings = {"memory": memory, "keras_callbacks": callbacks, **settings}
        return make_estimator("two heads", folder, **settings)

    return make_with


def make_callbacks(folder):
    """Make one of each callback of Keras that has a state."""
    callbacks = keras.callbacks
    return [
        callbacks.CSVLogger(folder / "log.csv"),
        callbacks.ModelCheckpoint(
            folder / "{epoch}.weights.h5",
            monitor="loss",
            save_best_only=True,
            save_weights_only=True,
        ),
        callbacks.LearningRateScheduler(lambda epoch, rate: rate / (1 + epoch)),
        callbacks.ReduceLROnPlateau(monitor="loss", patience=2, min_delta=10),
        callbacks.EarlyStopping(monitor="loss", mode="max", patience=2),
        callbacks.TerminateOnNaN(),
    ]


def test_callbacks_of_keras_continue(make, tmp_path):
    def list_files():
        return {path.name: path.read_bytes() for path in files.iterdir()}

    files, copies = tmp_path / "root" / "files", Copies(tmp_path / "root")
    files.mkdir(parents=True)
    callbacks = make_callbacks(files)
    estimator, data = make(None, *callbacks, epochs=4, fine_tune=None)
    plain = describe(estimator.fit(*data))
    expected = list_files()
    files.rename(tmp_path / "plain")
    files.mkdir()
    estimator.set_params(checkpoint=copies.folder / "checkpoint")
    assert describe(copies.fit(estimator, data)) == plain
    for number in (1, 2):
        copies.restore(number)
        assert describe(estimator.fit(*data)) == plain
        found = list_files()
        assert found.keys() == expected.keys()
        assert found["log.csv"] == expected["log.csv"]


class Counting(keras.callbacks.Callback):
    """Counts epochs, with an open file, a lock, and a list that is shared."""

    def __init__(self, path, see, shared):
        super().__init__()
        self.path, self.see, self.shared = path, see, shared
        self.n_epochs, self.lock, self.file = 0, None, None

    def on_train_begin(self, logs=None):
        self.lock, self.file = threading.Lock(), open(self.path, "a")

    def on_epoch_end(self, epoch, logs=None):
        self.n_epochs += 1
        self.shared.append(epoch)
        with self.lock:
            print(self.n_epochs, file=self.file, flush=True)
        self.see((self.n_epochs, self.shared.copy()))

    def on_train_end(self, logs=None):
        self.file.close()


class Other(keras.callbacks.Callback):
    """Shares a list, and has another callback."""

    def __init__(self, counting):
        super().__init__()
        self.counting, self.shared = counting, counting.shared

    def on_epoch_end(self, epoch, logs=None):
        assert self.shared is self.counting.shared


def test_callbacks_of_a_user_keep_their_state(make, tmp_path):
    seen, copies = [], Copies(tmp_path / "root")
    copies.folder.mkdir()
    counting = Counting(copies.folder / "log", lambda value: seen.append(value), [])
    callbacks = counting, Other(counting)
    estimator, data = make(copies.folder / "checkpoint", *callbacks)
    copies.fit(estimator, data)
    expected = [(n, list(range(n))) for n in range(1, 5)]
    assert seen == expected
    for number, n_epochs in ((1, 1), (3, 2), (4, 3)):
        seen.clear()
        copies.restore(number)
        estimator.fit(*data)
        assert seen == expected[n_epochs:]
        log = (copies.folder / "log").read_text()
        assert log.split() == list("1234")
    assert counting.n_epochs == 0


def test_a_state_that_cannot_be_pickled_is_refused(make, tmp_path):
    callback = keras.callbacks.Callback()
    callback.functions = [lambda: None]
    estimator, data = make(tmp_path, callback)
    with pytest.raises(ValueError, match="cannot be pickled for checkpoint") as caught:
        estimator.fit(None, None)
    assert "Callback" in str(caught.value)
    assert estimator.set_params(checkpoint=None).fit(*data).n_iter_ == 4


def test_a_state_that_changes_into_such_a_one_is_one_warning(make, tmp_path):
    class Changing(keras.callbacks.Callback):
        functions = ()

        def on_epoch_end(self, epoch, logs=None):
            self.functions = [lambda: None]

    estimator, data = make(tmp_path, Changing())
    with pytest.warns(UserWarning, match="cannot have the state of keras_call") as seen:
        assert estimator.fit(*data).n_iter_ == 4
    assert sum("checkpoint" in str(warning.message) for warning in seen) == 1


class Note:
    """A value of a callback."""


class Noting(keras.callbacks.Callback):
    def __init__(self, note):
        super().__init__()
        self.note = note


def test_a_state_whose_class_is_gone_is_refused(make, tmp_path, monkeypatch):
    callback, copies = Noting(Note()), Copies(tmp_path / "folder")
    estimator, data = make(copies.folder, callback)
    copies.fit(estimator, data)
    copies.restore(1)
    monkeypatch.delitem(globals(), "Note")
    callback.note = None
    with pytest.raises(ValueError, match="cannot be loaded: AttributeError"):
        estimator.fit(*data)


def test_frozen_weights_that_a_callback_changes_are_one_warning(make, tmp_path):
    class Changing(keras.callbacks.Callback):
        def on_epoch_end(self, epoch, logs=None):
            kernel = self.model.get_layer("Conv_1").kernel
            kernel.assign(kernel + 1.0)

    estimator, data = make(tmp_path, Changing())
    with pytest.warns(
        UserWarning, match="changed weights that are not trained"
    ) as seen:
        estimator.fit(*data)
    assert sum("checkpoint" in str(warning.message) for warning in seen) == 1


def test_weights_that_a_callback_changes_between_stages_are_kept(make, tmp_path):
    class Changing(keras.callbacks.Callback):
        def on_train_end(self, logs=None):
            kernel = self.model.get_layer("Conv_1").kernel
            kernel.assign(kernel + 1.0)

    settings = {"fine_tune": "Conv_1"}
    estimator, data = make(None, Changing(), **settings)
    expected = describe(estimator.fit(*data))
    estimator, data = make(tmp_path, Changing(), **settings)
    fit_broken(estimator, data, 3)
    assert describe(estimator.fit(*data)) == expected


def test_the_backup_of_keras_is_refused_beside_a_checkpoint(make, tmp_path):
    callback = keras.callbacks.BackupAndRestore(tmp_path / "backup")
    estimator, _ = make(tmp_path / "checkpoint", callback)
    with pytest.raises(ValueError, match="has BackupAndRestore, but checkpoint"):
        estimator.fit(None, None)


def fall(epoch, rate):
    """Halve the learning rate."""
    return rate / 2


def stay(epoch, rate):
    """Keep the learning rate."""
    return rate


def test_another_schedule_of_a_callback_is_refused(make, tmp_path):
    def make_with(schedule):
        return make(tmp_path, keras.callbacks.LearningRateScheduler(schedule))

    estimator, data = make_with(fall)
    fit_broken(estimator, data, 1)
    with pytest.raises(ValueError, match=r"fall.* and is .*stay"):
        make_with(stay)[0].fit(*data)
    make_with(fall)[0].fit(*data)
