"""Searches over the settings of BoVW: what is computed, kept and reported."""

# Authors: The skinest developers
# SPDX-License-Identifier: BSD-3-Clause

import os
from collections import Counter
from pathlib import Path

import cv2
import numpy as np
import pytest
from sklearn.base import BaseEstimator
from sklearn.cluster import KMeans
from sklearn.experimental import enable_halving_search_cv  # noqa: F401
from sklearn.model_selection import GridSearchCV, HalvingGridSearchCV
from sklearn.pipeline import Pipeline
from sklearn.preprocessing import StandardScaler
from sklearn.svm import SVC

from skinest import BoVWSIFTTransformer, SIFTDescriptor
from skinest.kernels import chi2_kernel, histogram_intersection_kernel
from tests.callbacks import ProgressBar, needs_callbacks

N_IMAGES = 20
Y = np.arange(N_IMAGES) % 2

# Standardised features for the kernels of vectors, plain ones for those of histograms.
KERNELS = [
    {
        "bovw__n_words": [3, 5],
        "scale": [StandardScaler()],
        "svc__kernel": ["linear", "rbf"],
    },
    {
        "bovw__n_words": [3, 5],
        "scale": ["passthrough"],
        "svc__kernel": [histogram_intersection_kernel, chi2_kernel],
    },
]


def append_line(log, line=""):
    with open(log, "a") as file:
        file.write(f"{line}\n")


def lines_of(log):
    return Path(log).read_text().split("\n")[:-1] if Path(log).exists() else []


def grid_descriptor(grid_step=16, color="grey", root=False):
    return SIFTDescriptor(
        detector="grid", grid_step=grid_step, grid_sizes=(16,), color=color, root=root
    )


class LoggingDescriptor(BaseEstimator):
    """SIFT on a grid that writes down each image, or each use of what is kept."""

    version = 1

    def __init__(self, log=None, used=None):
        self.log = log
        self.used = used

    def __call__(self, image):
        if self.log is not None:
            append_line(self.log, image.sum())
        return grid_descriptor()(image)

    def finish(self, values):
        if self.used is not None:
            append_line(self.used)
        return values


class LoggingKMeans(KMeans):
    """K-means that writes down each fit."""

    version = 1

    def __init__(self, n_clusters=8, *, n_init=1, random_state=None, log=None):
        super().__init__(n_clusters, n_init=n_init, random_state=random_state)
        self.log = log

    def fit(self, X, y=None, sample_weight=None):
        append_line(self.log)
        return super().fit(X, y, sample_weight)


@pytest.fixture(scope="module")
def images():
    rng = np.random.RandomState(0)
    blocks = rng.uniform(size=(N_IMAGES, 8, 8, 3))
    blocks[Y == 1] = 0.7 * blocks[Y == 1, :1] + 0.3 * blocks[Y == 1]
    return (255 * blocks.repeat(6, axis=1).repeat(6, axis=2)).astype(np.uint8)


@pytest.fixture
def paths(images, tmp_path):
    # BMP files of one shape have one size: only the time tells a replaced one.
    names = [str(tmp_path / f"{i}.bmp") for i in range(N_IMAGES)]
    for name, image in zip(names, images, strict=True):
        cv2.imwrite(name, image)
    return names


@pytest.fixture(params=["paths", "array"])
def X(request, images, paths):
    return paths if request.param == "paths" else images


def bovw(**params):
    params = {"descriptor": grid_descriptor(), "random_state": 0, **params}
    return BoVWSIFTTransformer(4, **params)


def make_search(transformer, grid, **params):
    steps = [("bovw", transformer), ("scale", "passthrough"), ("svc", SVC())]
    return GridSearchCV(Pipeline(steps), grid, cv=2, error_score="raise", **params)


WORDS = {"bovw__n_words": [3, 5], "svc__kernel": ["linear", "rbf"]}


@pytest.mark.parametrize(
    "with_memory",
    [
        pytest.param(False, id="plain", marks=pytest.mark.slow),
        pytest.param(True, id="memory"),
    ],
)
def test_search_over_kernels_is_the_same_in_processes(with_memory, paths, tmp_path):
    found = []
    for n_jobs in (1, 2):
        memory = str(tmp_path / f"memory{n_jobs}") if with_memory else None
        search = make_search(bovw(memory=memory), KERNELS, n_jobs=n_jobs)
        found.append(search.fit(paths, Y))
    here, there = found
    scores = ("mean_test_score", "split0_test_score", "split1_test_score")
    for key in (*scores, "rank_test_score"):
        np.testing.assert_array_equal(here.cv_results_[key], there.cv_results_[key])
    assert len(here.cv_results_["params"]) == 8
    np.testing.assert_array_equal(here.predict(paths), there.predict(paths))


def test_search_describes_each_image_once(X, tmp_path):
    log = tmp_path / "log"
    transformer = bovw(descriptor=LoggingDescriptor(log), memory=str(tmp_path / "kept"))
    make_search(transformer, KERNELS).fit(X, Y).predict(X)
    counts = Counter(lines_of(log))
    assert len(counts) == N_IMAGES
    assert set(counts.values()) == {1}

    make_search(transformer, KERNELS).fit(X, Y)
    make_search(transformer, {"bovw__n_words": [6]}).fit(X, Y)
    assert len(lines_of(log)) == N_IMAGES


def test_worker_processes_describe_each_image_once_each(X, tmp_path):
    log = tmp_path / "log"
    transformer = bovw(descriptor=LoggingDescriptor(log), memory=str(tmp_path / "kept"))
    make_search(transformer, WORDS, n_jobs=2).fit(X, Y)
    counts = Counter(lines_of(log))
    assert len(counts) == N_IMAGES
    assert max(counts.values()) <= 2

    before = lines_of(log)
    make_search(transformer, KERNELS, n_jobs=2).fit(X, Y)
    assert lines_of(log) == before


def test_what_is_on_disk_is_not_described_by_workers(paths, tmp_path):
    log = tmp_path / "log"
    transformer = bovw(descriptor=LoggingDescriptor(log), memory=str(tmp_path / "kept"))
    transformer.fit(paths)
    make_search(transformer, WORDS, n_jobs=2).fit(paths, Y)
    assert len(lines_of(log)) == N_IMAGES


def test_search_learns_each_vocabulary_once(X, tmp_path):
    log, used = tmp_path / "log", tmp_path / "used"
    transformer = bovw(
        descriptor=LoggingDescriptor(used=used),
        clusterer=LoggingKMeans(log=str(log)),
        memory=str(tmp_path / "kept"),
    )
    first = make_search(transformer, KERNELS).fit(X, Y)
    # Two sizes for each of two folds, and the best on all images.
    assert len(lines_of(log)) == 5
    before = lines_of(used)
    second = make_search(transformer, KERNELS).fit(X, Y)
    assert len(lines_of(log)) == 5
    assert lines_of(used) == before  # neither learned from nor encoded again
    scores = [s.cv_results_["mean_test_score"] for s in (first, second)]
    np.testing.assert_array_equal(*scores)


def test_replaced_file_is_not_served_stale(images, paths, tmp_path):
    transformer = bovw(memory=str(tmp_path / "kept")).fit(paths)
    before = transformer.transform(paths)
    vocabulary = transformer.vocabulary_
    info = os.stat(paths[0])
    cv2.imwrite(paths[0], images[1])
    os.utime(paths[0], ns=(info.st_atime_ns, info.st_mtime_ns + 1_000_000_000))

    after = transformer.transform(paths)
    np.testing.assert_array_equal(after[0], after[1])
    assert not np.array_equal(after[0], before[0])
    np.testing.assert_array_equal(after[1:], before[1:])
    again = bovw(memory=transformer.memory).fit(paths)
    assert not np.array_equal(again.vocabulary_, vocabulary)


def test_settings_never_mix(images, tmp_path):
    settings = [
        {},
        {"descriptor": grid_descriptor(root=True)},
        {"descriptor": grid_descriptor(color="rgb")},
        {"descriptor": grid_descriptor(grid_step=12)},
        {"n_words": 5},
        {"n_components": 3},
        {"pyramid": (1, 2)},
        {"max_descriptors": 40},
        {"random_state": 1},
        {"clusterer": KMeans(n_init=1)},
        {"encoding": "soft"},
        {"encoding": "tfidf"},
        {"encoding": "vlad"},
        {"encoding": "fisher", "n_components": 3},
    ]
    plain = [bovw().set_params(**params).fit_transform(images) for params in settings]
    for _ in range(2):  # computed, then read
        for params, expected in zip(settings, plain, strict=True):
            kept = bovw(memory=str(tmp_path / "kept")).set_params(**params)
            np.testing.assert_array_equal(kept.fit_transform(images), expected)


def test_halving_search(paths):
    steps = [("bovw", bovw()), ("svc", SVC())]
    search = HalvingGridSearchCV(
        Pipeline(steps),
        {"bovw__n_words": [3, 5], "svc__C": [1, 10]},
        cv=2,
        factor=2,
        min_resources=10,
        random_state=0,
        error_score="raise",
    ).fit(paths, Y)
    assert search.n_iterations_ == 2
    assert search.predict(paths).shape == (N_IMAGES,)


class Recorder:
    """A callback that notes the tasks, goes to inner estimators, and may stop."""

    max_propagation_depth = None

    def __init__(self, stop_at=None):
        self.stop_at = stop_at
        self.begun, self.ended = Counter(), Counter()

    def setup(self, estimator, context):
        pass

    def on_fit_task_begin(self, estimator, context):
        self.begun[context.task_name] += 1

    def on_fit_task_end(self, estimator, context):
        self.ended[context.task_name] += 1
        return context.task_name == self.stop_at

    def teardown(self, estimator, context):
        pass


@needs_callbacks
def test_callback_sees_a_task_for_each_batch_of_16_images(images):
    recorder = Recorder()
    transformer = bovw().set_callbacks(recorder).fit(images)
    assert recorder.begun == recorder.ended == {"fit": 1, "describe-images": 2}
    transformer.set_callbacks(recorder).fit_transform(images)
    assert recorder.begun["describe-images"] == 4
    assert recorder.begun["encode-images"] == 2


@needs_callbacks
@pytest.mark.filterwarnings("ignore:The estimator SVC does not support callbacks")
def test_callback_of_a_search_sees_the_batches_of_each_fit(images):
    recorder = Recorder()
    search = make_search(bovw(), {"bovw__n_words": [3, 5]})
    search.set_callbacks(recorder).fit(images, Y)
    # Two sizes for two folds of 10 images, and the best for all 20 of them.
    assert recorder.begun["describe-images"] == 2 * 2 + 2
    assert recorder.begun["encode-images"] == 2 * 2 + 2
    assert recorder.begun == recorder.ended


@needs_callbacks
@pytest.mark.filterwarnings("ignore:The estimator SVC does not support callbacks")
@pytest.mark.parametrize("outermost", ["transformer", "pipeline", "search"])
def test_progress_bar(outermost, images, capsys):
    estimator = {
        "transformer": bovw(),
        "pipeline": Pipeline([("bovw", bovw()), ("svc", SVC())]),
        "search": make_search(bovw(), {"bovw__n_words": [3, 5]}),
    }[outermost]
    bar = ProgressBar(max_propagation_depth=None)
    estimator.set_callbacks(bar).fit(images, Y)
    assert "BoVWSIFTTransformer" in capsys.readouterr().out


@needs_callbacks
def test_callback_stops_the_reading_of_images(images, tmp_path):
    log = tmp_path / "log"
    memory = str(tmp_path / "kept")
    stopped = bovw(descriptor=LoggingDescriptor(log), memory=memory)
    stopped.set_callbacks(Recorder(stop_at="describe-images")).fit(images)
    assert len(lines_of(log)) == 16
    expected = bovw().fit(images[:16]).vocabulary_
    np.testing.assert_array_equal(stopped.vocabulary_, expected)

    whole = stopped.set_callbacks().fit(images)  # what was stopped is not kept
    np.testing.assert_array_equal(whole.vocabulary_, bovw().fit(images).vocabulary_)
