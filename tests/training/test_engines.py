"""The engine of a frozen network: which one, with which results, and without it."""

# Authors: The skinest developers
# SPDX-License-Identifier: BSD-3-Clause

import os
import pickle
import subprocess
import sys
import textwrap
import warnings
from concurrent.futures import ThreadPoolExecutor
from dataclasses import replace
from itertools import groupby

import joblib
import keras
import numpy as np
import pytest
from threadpoolctl import threadpool_limits

import skinest
from skinest import BottleneckFeatureExtractor
from skinest._training import _engines, _openvino_model
from skinest.networks._backbone_table import BACKBONES
from skinest.utils._threads import count_threads

from ..classification.conftest import bits, make_images, small

Y = np.arange(12) % 2
BOTH = "float32", "bfloat16"
ALL = "bfloat16", "amx"  # features of a processor


@pytest.fixture(scope="module")
def images():
    return make_images(12)


@pytest.fixture
def row(monkeypatch):
    """Let OpenVINO compute the tiny backbone in some precisions."""
    monkeypatch.setattr(_engines, "_rejected", set())

    def write(*precisions, **settings):
        changed = replace(BACKBONES["tiny"], openvino=precisions, **settings)
        monkeypatch.setitem(BACKBONES, "tiny", changed)

    write("float32")
    return write


@pytest.fixture
def openvino(row):
    """Skip a test that needs OpenVINO where it is not used.

    `importorskip` would send data to its makers.
    """
    if not _engines._may_use_openvino():
        pytest.skip("OpenVINO is not installed, or not used with this processor")


def extractor(backbone="tiny", **settings):
    settings = {"weights": None, "image_size": (32, 32), "random_state": 0, **settings}
    return BottleneckFeatureExtractor(backbone, **settings)


def compute(images, engine="auto", **settings):
    with pytest.MonkeyPatch.context() as patch:
        patch.setenv("SKINEST_ENGINE", engine)
        return extractor(**settings).fit_transform(images)


@pytest.fixture
def engines(monkeypatch):
    """List the engines that compute, from here on."""
    used, share = [], _engines.Engine.share

    def note_and_share(engine, **part):
        used.append((engine.name, engine.compute_dtype))
        return share(engine, **part)

    monkeypatch.setattr(_engines.Engine, "share", note_and_share)
    return used


# Which engine.


@pytest.fixture
def machine(row, monkeypatch):
    """Stand in for a machine with OpenVINO, and some features of its processor."""

    def has(*features):
        monkeypatch.setattr(_engines, "_may_use_openvino", lambda: True)
        for module in ("skinest._compat", "skinest._training._engines"):
            for name in ("bfloat16", "amx"):
                has_it = name in features
                monkeypatch.setattr(f"{module}.cpu_has_{name}", lambda x=has_it: x)

    return has


@pytest.mark.parametrize(
    ("faster", "asked", "features", "expected"),
    [
        ((), "auto", ALL, ("keras", "float32")),
        ((), "bfloat16", ALL, ("keras", "bfloat16")),
        (("float32",), "auto", ALL, ("openvino", "float32")),
        (("float32",), "float32", ALL, ("openvino", "float32")),
        (("float32",), "bfloat16", ALL, ("keras", "bfloat16")),
        (("bfloat16",), "float32", ALL, ("keras", "float32")),
        (BOTH, "auto", ALL, ("openvino", "float32")),
        (BOTH, "float32", ALL, ("openvino", "float32")),
        (BOTH, "bfloat16", ALL, ("openvino", "bfloat16")),
        (BOTH, "bfloat16", ("bfloat16",), ("openvino", "bfloat16")),
        (BOTH, "bfloat16", (), ("keras", "bfloat16")),
    ],
)
def test_engine_and_precision(faster, asked, features, expected, machine, row):
    row(*faster)
    machine(*features)
    fitted = extractor(compute_dtype=asked).fit(make_images(1))
    engine = _engines.choose_engine(fitted._spec)
    assert (engine.name, engine.compute_dtype) == expected


def test_a_bfloat16_network_of_keras_stays_one(machine, row):
    """As VGG16, which OpenVINO computes no faster in bfloat16."""
    machine(*ALL)
    row("float32", compute_dtype="bfloat16")
    features = extractor().fit(make_images(1))
    engine = _engines.choose_engine(features._spec)
    assert (engine.name, engine.compute_dtype) == ("keras", "bfloat16")


def test_trained_backbones_keep_the_precision_of_the_training(machine, row, images):
    row(*BOTH, compute_dtype="bfloat16")
    clf = small(trainable="Conv_1", epochs=1).fit(images, Y)
    machine(*ALL)
    engine = _engines.choose_engine(clf._network.backbone_spec)
    assert (engine.name, engine.compute_dtype) == ("openvino", "float32")


@pytest.mark.parametrize("reason", ["not installed", "another processor", "backend"])
def test_keras_where_openvino_cannot_be_used(reason, row, monkeypatch, images):
    if reason == "not installed":
        monkeypatch.setattr(_engines, "find_version", lambda package: "")
    elif reason == "another processor":
        monkeypatch.setattr("platform.machine", lambda: "aarch64")
    else:
        monkeypatch.setattr("keras.backend.backend", lambda: "torch")
    features = extractor().fit(images)
    assert _engines.choose_engine(features._spec).name == "keras"


def test_the_environment_switches_openvino_off(openvino, engines, images):
    compute(images, "keras")
    compute(images, "auto")
    compute(images, "")
    assert [name for name, _ in engines] == ["keras", "openvino", "openvino"]


def test_an_unknown_engine_is_an_error(row, images):
    with pytest.raises(ValueError, match=r"SKINEST_ENGINE is 'onnx'.*'auto' or 'kera"):
        compute(images, "onnx")


# Results.


@pytest.mark.parametrize("pooling", ["avg", "max", "flatten"])
def test_features_are_those_of_keras(pooling, openvino, engines, images):
    settings = {"pooling": pooling, "image_size": (40, 56)}
    ours, plain = (compute(images, engine, **settings) for engine in ("auto", "keras"))
    assert [name for name, _ in engines] == ["openvino", "keras"]
    assert ours.dtype == plain.dtype
    largest = np.abs(plain).max()
    np.testing.assert_allclose(ours, plain, rtol=0, atol=1e-5 * largest)


@pytest.mark.parametrize("name", sorted(set(BACKBONES) - {"tiny"}))
def test_rows_of_the_table_name_precisions(name):
    assert set(BACKBONES[name].openvino) <= set(BOTH)


def test_bfloat16_differs_little(openvino, row, images):
    is_limited = {"ONEDNN_MAX_CPU_ISA", "DNNL_MAX_CPU_ISA"} & os.environ.keys()
    if is_limited or not _engines.cpu_has_bfloat16():
        pytest.skip("this processor has no bfloat16")
    row(*BOTH)
    rounded, plain = (
        compute(images, compute_dtype=dtype) for dtype in ("bfloat16", "float32")
    )
    assert 0 < np.abs(rounded - plain).max() < 0.02 * np.abs(plain).max()


def test_an_image_has_the_same_features_in_any_company(openvino, engines, images):
    expected = compute(images, batch_size=8)
    for batch_size in (1, 5, 32):
        found = compute(images, batch_size=batch_size)
        np.testing.assert_array_equal(found, expected)
    features = extractor(batch_size=8).fit(images)
    for chosen in ([3], [7, 2], range(11, -1, -1)):
        found = features.transform(images[chosen])
        np.testing.assert_array_equal(found, expected[chosen])
    assert {name for name, _ in engines} == {"openvino"}


def test_features_do_not_depend_on_the_number_of_threads(openvino, images):
    expected = compute(images)
    with threadpool_limits(1):
        np.testing.assert_array_equal(compute(images), expected)


def test_threads_predict_at_the_same_time(openvino, images):
    fitted = [extractor(random_state=seed).fit(images) for seed in range(3)]
    expected = [each.transform(images) for each in fitted]
    with ThreadPoolExecutor(6) as threads:
        jobs = [threads.submit(fitted[k % 3].transform, images) for k in range(12)]
    for number, job in enumerate(jobs):
        np.testing.assert_array_equal(job.result(), expected[number % 3])


def test_a_pickle_needs_no_engine(openvino, engines, images):
    def fit_and_predict():
        clf = small().fit(images, Y)
        return pickle.dumps(clf), clf.predict_proba(images)

    ours, expected_of_ours = fit_and_predict()
    assert b"openvino" not in ours
    with pytest.MonkeyPatch.context() as patch:
        patch.setattr(_engines, "find_version", lambda package: "")
        plain, expected_of_plain = fit_and_predict()
        found = pickle.loads(ours).predict_proba(images)
    np.testing.assert_allclose(found, expected_of_ours, rtol=0, atol=1e-5)
    found = pickle.loads(plain).predict_proba(images)
    np.testing.assert_allclose(found, expected_of_plain, rtol=0, atol=1e-5)
    order = ["openvino", "keras", "openvino"]
    assert [name for (name, _), _ in groupby(engines)] == order


@pytest.mark.usefixtures("own_models")
def test_fits_give_the_same_bits_again(openvino, images):
    first = small().fit(images, Y)
    skinest.clear_models()
    assert bits(small().fit(images, Y)) == bits(first)


# Caches and memory.


def test_engine_and_version_are_part_of_the_key(openvino, engines, images, tmp_path):
    def run(engine="auto", **settings):
        engines.clear()
        compute(images, engine, memory=tmp_path, **settings)
        return len(engines)

    assert [run(), run()] == [1, 0]
    assert [run("keras"), run("keras"), run()] == [1, 0, 0]
    with pytest.MonkeyPatch.context() as patch:
        patch.setattr(_engines, "find_version", lambda package: "99.0")
        assert [run(), run()] == [1, 0]


@pytest.mark.usefixtures("own_models")
def test_a_network_is_converted_once_and_compiled_for_new_weights(
    openvino, images, monkeypatch
):
    calls = []

    def watch(name):
        function = getattr(_openvino_model, name)

        def note_and_call(*args):
            calls.append(name)
            return function(*args)

        monkeypatch.setattr(_openvino_model, name, note_and_call)

    watch("_convert")
    watch("_bind")
    one, other = (extractor(random_state=seed).fit(images) for seed in range(2))
    for features in (one, one, other, other):
        features.transform(images)
    assert calls == ["_convert", "_bind", "_bind"]
    skinest.clear_models()
    other.transform(images)
    assert calls[3:] == ["_convert", "_bind"]


def test_openvino_computes_the_features_alone(openvino):
    """Other outputs double the time: those that silu makes for its gradient."""
    inputs = keras.Input((8, 8, 3))
    x = keras.layers.Conv2D(4, 3, activation="silu")(inputs)
    x = keras.layers.DepthwiseConv2D(3, activation="silu")(x)
    model = keras.Model(inputs, keras.layers.GlobalAveragePooling2D()(x))
    assert len(_openvino_model._convert(model).outputs) == 1


# Faults.


@pytest.mark.usefixtures("own_models")
def test_keras_computes_what_openvino_cannot(
    openvino, engines, images, tmp_path, monkeypatch
):
    def fail(*args):
        raise NotImplementedError("no such operation")

    monkeypatch.setattr(_openvino_model, "_convert", fail)
    settings = {"batch_size": 5, "memory": tmp_path}
    with pytest.warns(UserWarning, match="cannot compile tiny.*no such operation"):
        found = compute(images, **settings)
    np.testing.assert_array_equal(found, compute(images, "keras"))
    with warnings.catch_warnings():
        warnings.simplefilter("error")
        engines.clear()
        np.testing.assert_array_equal(compute(images, **settings), found)
        assert engines == []  # kept under the key of Keras
        compute(images[::-1])
    assert engines == [("keras", "float32")]


@pytest.mark.skipif(not hasattr(os, "fork"), reason="only POSIX forks")
def test_a_forked_copy_gives_an_error_and_does_not_wait_forever(openvino):
    code = """
        import os
        from skinest.utils._threads import check_not_forked
        check_not_forked("OpenVINO")
        if os.fork() == 0:
            check_not_forked()
            check_not_forked("OpenVINO")
        os.wait()
    """
    run = subprocess.run(
        [sys.executable, "-c", textwrap.dedent(code)],
        capture_output=True,
        text=True,
        timeout=60,
    )
    assert "forked after skinest had used OpenVINO" in run.stderr


def test_openvino_sends_nothing(openvino, images):
    compute(images)
    assert "openvino" in sys.modules
    assert "openvino_telemetry" not in sys.modules


# Threads.


@pytest.mark.parametrize("name", ["OMP_NUM_THREADS", "TF_NUM_INTRAOP_THREADS"])
def test_threads_follow_the_environment(name, monkeypatch):
    for other in ("OMP_NUM_THREADS", "TF_NUM_INTRAOP_THREADS"):
        monkeypatch.delenv(other, raising=False)
    monkeypatch.setattr(joblib, "cpu_count", lambda: 6)
    monkeypatch.setattr("skinest.utils._threads.threadpool_info", list)
    assert count_threads() == 6
    for value, expected in {"4": 4, "8": 6, "0": 6, "": 6, "x": 6}.items():
        monkeypatch.setenv(name, value)
        assert count_threads() == expected


def test_threads_follow_threadpoolctl():
    with threadpool_limits(1):
        assert count_threads() == 1


def test_workers_of_joblib_share_the_processors(openvino):
    with joblib.parallel_config("loky", n_jobs=2):
        counts = joblib.Parallel()(joblib.delayed(count_threads)() for _ in range(2))
    assert max(counts) <= max(1, joblib.cpu_count() // 2)
