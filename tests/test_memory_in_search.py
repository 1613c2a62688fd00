"""Work that a search with memory does once, and callbacks around it."""

# Authors: The skinest developers
# SPDX-License-Identifier: BSD-3-Clause

import os
import subprocess
import sys
import time
from collections import Counter
from functools import partial
from pathlib import Path
from types import ModuleType

import cv2
import joblib
import numpy as np
import pytest
from sklearn.base import BaseEstimator
from sklearn.cluster import KMeans
from sklearn.linear_model import LogisticRegression
from sklearn.model_selection import GridSearchCV
from sklearn.pipeline import Pipeline
from sklearn.svm import SVC

from skinest import BoVWSIFTTransformer, SIFTDescriptor
from tests.callbacks import ProgressBar, needs_callbacks

N_IMAGES = 40  # batches of 16, 16 and 8
N_BATCHES = 3
Y = np.arange(N_IMAGES) % 2
WORDS = {"bovw__n_words": [3, 5], "svc__kernel": ["linear", "rbf"]}
N_VOCABULARIES = 5  # two sizes for each of two folds, and the best for all images


def log_line(log, what):
    with open(log, "a") as file:
        file.write(f"{os.getpid()} {what}\n")


def lines_of(log):
    return Path(log).read_text().splitlines() if Path(log).exists() else []


def images_of(log):
    """How often each image was described, in whatever process."""
    return Counter(line.split()[1] for line in lines_of(log))


class LoggingDescriptor(SIFTDescriptor):
    """SIFT that writes down the process and the image, and each use of what is kept."""

    version = 1

    def __init__(self, log=None, *, used=None):
        super().__init__(detector="grid", grid_step=16, grid_sizes=(16,))
        self.log = log
        self.used = used

    def describe(self, image):
        log_line(self.log, joblib.hash(image))
        return super().describe(image)

    def finish(self, values):
        if self.used is not None:
            log_line(self.used, "used")
        return super().finish(values)


class LoggingKMeans(KMeans):
    """K-means that writes down the process, the words and the descriptors."""

    version = 1

    def __init__(self, n_clusters=8, *, n_init=1, random_state=None, log=None):
        super().__init__(n_clusters, n_init=n_init, random_state=random_state)
        self.log = log

    def fit(self, X, y=None, sample_weight=None):
        log_line(self.log, f"{self.n_clusters}-{joblib.hash(X)}")
        return super().fit(X, y, sample_weight)


@pytest.fixture(scope="module")
def images():
    """Blurred noise for keypoints, along one direction in one class."""
    noise = np.random.RandomState(0).normal(size=(N_IMAGES, 64, 48, 3))
    widths = [(1.5, 1.5), (1.5, 6)]
    blurred = [
        cv2.GaussianBlur(image, (0, 0), widths[label][0], sigmaY=widths[label][1])
        for image, label in zip(noise, Y, strict=True)
    ]
    return np.uint8(np.clip(128 + 400 * np.array(blurred), 0, 255))


@pytest.fixture
def paths(images, tmp_path):
    names = [str(tmp_path / f"{i}.png") for i in range(N_IMAGES)]
    for name, image in zip(names, images, strict=True):
        cv2.imwrite(name, image[..., ::-1])
    return names


@pytest.fixture
def logs(tmp_path):
    """Where descriptors and vocabularies are written down."""
    return tmp_path / "described", tmp_path / "learned"


def bovw(n_words=4, **params):
    grid = SIFTDescriptor(detector="grid", grid_step=16, grid_sizes=(16,))
    params = {"descriptor": grid, "random_state": 0, **params}
    return BoVWSIFTTransformer(n_words, **params)


def logging_bovw(logs, memory, **params):
    described, learned = logs
    descriptor, clusterer = LoggingDescriptor(described), LoggingKMeans(log=learned)
    return bovw(descriptor=descriptor, clusterer=clusterer, memory=memory, **params)


def make_search(transformer, grid=WORDS, svc=None, **params):
    pipeline = Pipeline([("bovw", transformer), ("svc", SVC() if svc is None else svc)])
    return GridSearchCV(pipeline, grid, cv=2, error_score="raise", **params)


def scores_of(search):
    return search.cv_results_["mean_test_score"]


# What is computed once.


def kept_in(folder):
    """The kinds of memory that a transformer takes."""
    return str(folder), Path(folder), joblib.Memory(folder, verbose=0)


@pytest.mark.parametrize(
    "kind",
    [
        pytest.param(0, id="str"),
        pytest.param(1, id="Path", marks=pytest.mark.slow),
        pytest.param(2, id="Memory", marks=pytest.mark.slow),
    ],
)
def test_workers_never_do_their_own_work_twice(kind, paths, logs, tmp_path):
    described, learned = logs
    memory = kept_in(tmp_path / "kept")[kind]
    first = make_search(logging_bovw(logs, memory), n_jobs=2).fit(paths, Y)
    for log, n_different in ((described, N_IMAGES), (learned, N_VOCABULARIES)):
        lines = lines_of(log)
        assert len(set(lines)) == len(lines)  # one for each process at most
        assert len(images_of(log)) == n_different

    before = lines_of(described), lines_of(learned)
    second = make_search(logging_bovw(logs, memory), n_jobs=2).fit(paths, Y)
    assert (lines_of(described), lines_of(learned)) == before
    plain = make_search(bovw(clusterer=KMeans(n_init=1))).fit(paths, Y)
    np.testing.assert_array_equal(scores_of(first), scores_of(plain))
    np.testing.assert_array_equal(scores_of(second), scores_of(plain))


@pytest.mark.slow
def test_threads_within_workers_do_nothing_twice(paths, logs, tmp_path):
    transformer = logging_bovw(logs, tmp_path / "kept", n_jobs=2)
    found = make_search(transformer, n_jobs=2).fit(paths, Y)
    for log in logs:
        assert len(set(lines_of(log))) == len(lines_of(log))
    alone = make_search(bovw(clusterer=KMeans(n_init=1))).fit(paths, Y)
    np.testing.assert_array_equal(scores_of(found), scores_of(alone))


def test_each_image_is_encoded_once_by_each_vocabulary(paths, logs, tmp_path):
    used = tmp_path / "used"
    transformer = logging_bovw(logs, tmp_path / "kept")
    transformer.set_params(descriptor__used=used)
    search = make_search(transformer, return_train_score=True).fit(paths, Y)
    # Once for the sample that each is learned from, and once for each image.
    assert len(lines_of(used)) == N_VOCABULARIES * (1 + N_IMAGES)
    assert search.score(paths, Y) > 0.8
    assert len(lines_of(used)) == N_VOCABULARIES * (1 + N_IMAGES)


def test_another_classifier_starts_from_the_vectors(paths, logs, tmp_path):
    logs = *logs, tmp_path / "used"
    transformer = logging_bovw(logs[:2], tmp_path / "kept")
    transformer.set_params(descriptor__used=logs[2])
    make_search(transformer).fit(paths, Y)
    before = [lines_of(log) for log in logs]
    grid = {"bovw__n_words": [3, 5], "svc__C": [1, 10]}
    make_search(transformer, grid, LogisticRegression(), refit=False).fit(paths, Y)
    assert [lines_of(log) for log in logs] == before


@pytest.mark.slow
def test_search_over_nested_settings(paths, logs, tmp_path, monkeypatch):
    """Each threshold describes once; root is computed from what is on disk."""
    describe = SIFTDescriptor.describe

    def log_and_describe(self, image):
        log_line(logs[0], joblib.hash(image))
        return describe(self, image)

    monkeypatch.setattr(SIFTDescriptor, "describe", log_and_describe)
    grid = {
        "bovw__descriptor__contrast_threshold": [0.01, 0.03],
        "bovw__descriptor__root": [False, True],
    }
    clusterer = LoggingKMeans(log=logs[1])
    transformer = bovw(descriptor=SIFTDescriptor(), clusterer=clusterer)
    transformer.set_params(memory=tmp_path / "kept")
    kept = make_search(transformer, grid).fit(paths, Y)
    assert set(images_of(logs[0]).values()) == {2}
    assert len(lines_of(logs[0])) == 2 * N_IMAGES
    plain = make_search(transformer.set_params(memory=None), grid).fit(paths, Y)
    np.testing.assert_array_equal(scores_of(kept), scores_of(plain))
    np.testing.assert_array_equal(
        kept.decision_function(paths), plain.decision_function(paths)
    )


def test_pipeline_with_memory_of_its_own(paths, logs, tmp_path):
    pipeline = Pipeline(
        [("bovw", logging_bovw(logs, None)), ("svc", SVC())], memory=str(tmp_path)
    )
    first = pipeline.fit(paths, Y).decision_function(paths)
    before = [lines_of(log) for log in logs]
    assert len(before[1]) == 1
    pipeline.fit(paths, Y)
    assert [lines_of(log) for log in logs] == before
    np.testing.assert_array_equal(pipeline.decision_function(paths), first)


# Settings that look alike.


def powers(image, *, power=1.0):
    """A descriptor of one row for each 64 pixels."""
    return (image.reshape(-1, 3)[::64] / 255.0) ** power


powers.version = 1


class Powers:
    """A callable that is no estimator."""

    version = 1

    def __init__(self, power):
        self.power = power

    def __call__(self, image):
        return powers(image, power=self.power)

    def describe_image(self, image):
        return powers(image, power=self.power)


def of_module(power):
    """An estimator of the same name and parameters as that of another module."""
    module = ModuleType(f"powers_{power}")
    sys.modules[module.__name__] = module
    source = (
        "class Descriptor(BaseEstimator):\n"
        "    version = 1\n"
        "    def __call__(self, image):\n"
        f"        return powers(image, power={power})\n"
    )
    module.__dict__.update(BaseEstimator=BaseEstimator, powers=powers)
    exec(source, module.__dict__)
    return module.Descriptor()


@pytest.mark.parametrize(
    "make",
    [
        lambda power: partial(powers, power=power),
        Powers,
        lambda power: Powers(power).describe_image,
        of_module,
    ],
    ids=[
        "partial",
        "callable object",
        "bound method",
        "classes of one name",
    ],
)
def test_descriptors_that_look_alike_never_mix(make, images, tmp_path):
    for power in (1, 2):
        kept = bovw(descriptor=make(power), memory=tmp_path).fit(images).vocabulary_
        plain = bovw(descriptor=partial(powers, power=power)).fit(images).vocabulary_
        np.testing.assert_array_equal(kept, plain)


FIT_IN_PROCESS = """
import sys
import numpy as np
from skinest import BoVWSIFTTransformer

class Descriptor:
    version = 1

    def __call__(self, image):
        print("described")
        kind = "red" if "red" in {"red", "green", "blue", "grey", "lab"} else None
        return image[::8, :8, 0].astype(float)

images = (np.arange(2 * 32 * 32) % 251).reshape(2, 32, 32).astype(np.uint8)
BoVWSIFTTransformer(2, descriptor=Descriptor(), memory=sys.argv[1]).fit(images)
"""


@pytest.mark.slow
def test_memory_serves_processes_that_hash_strings_otherwise(tmp_path):
    printed = [
        subprocess.run(
            [sys.executable, "-c", FIT_IN_PROCESS, str(tmp_path)],
            env={**os.environ, "PYTHONHASHSEED": seed},
            check=True,
            capture_output=True,
            text=True,
        ).stdout.count("described")
        for seed in ("1", "2")
    ]
    assert printed == [2, 0]


class Failing:
    """A descriptor that fails for a black image and takes its time for others."""

    def __call__(self, image):
        if not image.any():
            raise RuntimeError("no descriptor today")
        time.sleep(0.001)
        return powers(image)


@pytest.mark.parametrize("n_jobs", [None, 2])
def test_error_of_a_descriptor_names_the_image(n_jobs, images, tmp_path, monkeypatch):
    monkeypatch.setattr("tempfile.tempdir", str(tmp_path))
    images = images.copy()
    images[3] = 0
    says = r"X\[3\] cannot be described: RuntimeError: no descriptor today"
    with pytest.raises(ValueError, match=says):
        bovw(descriptor=Failing(), n_jobs=n_jobs).fit_transform(images)
    assert list(tmp_path.iterdir()) == []


# Callbacks.


class Recorder:
    """A callback that counts tasks, goes to inner estimators and may stop."""

    max_propagation_depth = None

    def __init__(self, stop_at=None):
        self.stop_at = stop_at
        self.tasks = Counter()

    def setup(self, estimator, context):
        pass

    def on_fit_task_begin(self, estimator, context):
        self.tasks[context.task_name] += 1

    def on_fit_task_end(self, estimator, context):
        return context.task_name == self.stop_at

    def teardown(self, estimator, context):
        pass


@needs_callbacks
@pytest.mark.parametrize("n_jobs", [None, 2])
def test_callback_sees_three_batches_of_forty_images(n_jobs, images):
    recorder = Recorder()
    bovw(n_jobs=n_jobs).set_callbacks(recorder).fit(images)
    assert recorder.tasks == {"fit": 1, "describe-images": N_BATCHES}
    recorder = Recorder()
    bovw(n_jobs=n_jobs).set_callbacks(recorder).fit_transform(images)
    both = {"describe-images": N_BATCHES, "encode-images": N_BATCHES}
    assert recorder.tasks == {"fit": 1, **both}


@needs_callbacks
def test_callback_sees_no_batches_of_what_is_kept(images, tmp_path):
    recorder = Recorder()
    transformer = bovw(memory=tmp_path)
    transformer.fit_transform(images)
    transformer.set_callbacks(recorder).fit_transform(images)
    assert recorder.tasks == {"fit": 1}


# joblib warns of the batches that its threads had begun.
@needs_callbacks
@pytest.mark.filterwarnings("ignore:.* tasks :UserWarning:joblib")
@pytest.mark.parametrize("n_jobs", [None, 2])
@pytest.mark.parametrize("with_memory", [False, True], ids=["plain", "memory"])
def test_stopped_fit_transform_has_a_row_for_each_image(
    n_jobs, with_memory, images, logs, tmp_path
):
    memory = tmp_path / "kept" if with_memory else None
    transformer = logging_bovw(logs, memory, n_jobs=n_jobs)
    recorder = Recorder(stop_at="describe-images")
    vectors = transformer.set_callbacks(recorder).fit_transform(images)
    assert recorder.tasks["describe-images"] == 1
    few = bovw(clusterer=KMeans(n_init=1)).fit(images[:16])
    np.testing.assert_array_equal(transformer.vocabulary_, few.vocabulary_)
    np.testing.assert_array_equal(vectors, few.transform(images))
    if n_jobs is None:
        assert set(images_of(logs[0]).values()) == {1}

    # What was learned from some of the images is not kept for all of them.
    again = transformer.set_callbacks().fit_transform(images)
    whole = bovw(clusterer=KMeans(n_init=1))
    np.testing.assert_array_equal(again, whole.fit_transform(images))
    np.testing.assert_array_equal(transformer.vocabulary_, whole.vocabulary_)


@needs_callbacks
def test_encoding_is_not_stopped(images):
    recorder = Recorder(stop_at="encode-images")
    vectors = bovw().set_callbacks(recorder).fit_transform(images)
    assert recorder.tasks["encode-images"] == N_BATCHES
    np.testing.assert_array_equal(vectors, bovw().fit_transform(images))


@needs_callbacks
@pytest.mark.filterwarnings("ignore:The estimator SVC does not support callbacks")
@pytest.mark.parametrize("n_jobs", [1, pytest.param(2, marks=pytest.mark.slow)])
def test_stop_in_a_search_learns_from_fewer_images(n_jobs, images):
    search = make_search(bovw(), n_jobs=n_jobs)
    search.set_callbacks(Recorder(stop_at="describe-images")).fit(images, Y)
    best = bovw(search.best_params_["bovw__n_words"]).fit(images[:16])
    learned = search.best_estimator_["bovw"].vocabulary_
    np.testing.assert_array_equal(learned, best.vocabulary_)


@needs_callbacks
@pytest.mark.filterwarnings("ignore:The estimator SVC does not support callbacks")
@pytest.mark.parametrize("n_jobs", [1, 2])
def test_progress_bar_of_a_search(n_jobs, images, capsys):
    search = make_search(bovw(), {"bovw__n_words": [3, 5]}, n_jobs=n_jobs)
    search.set_callbacks(ProgressBar(max_propagation_depth=None)).fit(images, Y)
    lines = capsys.readouterr().out.splitlines()
    # The search, its tasks, and two levels for each of four fits and the refit.
    assert len(lines) == 1 + 1 + 2 * 4 + 2
    assert all("100%" in line for line in lines)
    assert sum("BoVWSIFTTransformer - fit" in line for line in lines) == 4 + 1


@needs_callbacks
@pytest.mark.parametrize("n_jobs", [None, 2])
def test_progress_bar_of_the_transformer_alone(n_jobs, images, capsys):
    bovw(n_jobs=n_jobs).set_callbacks(ProgressBar()).fit(images)
    out = capsys.readouterr().out
    assert out.startswith("BoVWSIFTTransformer - fit") and "100%" in out
