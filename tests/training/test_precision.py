"""What networks compute in, and what that changes of their predictions."""

# Authors: The skinest developers
# SPDX-License-Identifier: BSD-3-Clause

import os
from dataclasses import replace
from pathlib import Path

import keras
import numpy as np
import pytest
from numpy._core import _multiarray_umath
from sklearn.metrics import roc_auc_score

from skinest import TransferClassifier
from skinest._training import _precision
from skinest._training._precision import cpu_has_bfloat16, resolve_compute_dtype
from skinest.datasets import fetch_isic2016_part3

from ..classification.conftest import make_images, small

DATA = os.environ.get("SKINEST_DATA")
MOBILENETV2 = "mobilenet_v2_1.0_224_no_top_from_int8.weights.h5"


@pytest.fixture
def processor(monkeypatch):
    """Stands in for the tables of the processor: NumPy's, and Linux' own."""

    def has(numpy=(), linux=None):
        features = dict.fromkeys(numpy, True) | {"AVX512F": True, "VSX": False}
        monkeypatch.setattr(_multiarray_umath, "__cpu_features__", features)

        class CpuInfo:
            def __init__(self, path):
                assert path == "/proc/cpuinfo"

            def read_text(self):
                if linux is None:
                    raise FileNotFoundError
                return f"processor\t: 0\nflags\t\t: fpu vme {linux} sse2\n"

        monkeypatch.setattr(_precision, "Path", CpuInfo)
        cpu_has_bfloat16.cache_clear()
        return cpu_has_bfloat16()

    yield has
    cpu_has_bfloat16.cache_clear()


@pytest.mark.parametrize(
    ("numpy", "linux", "expected"),
    [
        (["AVX512BF16"], None, True),
        (["AMX_BF16"], None, True),
        ([], "avx512_bf16", True),
        ([], "amx_bf16", True),
        ([], "asimddp bf16 i8mm", True),  # as Linux names it on ARM
        ([], "avx512f avx512_vnni", False),
        ([], "notbf16", False),
        ([], None, False),
    ],
)
def test_processors(numpy, linux, expected, processor):
    assert processor(numpy, linux) is expected


def test_a_processor_that_numpy_says_nothing_of_is_asked_through_linux(
    processor, monkeypatch
):
    assert processor([], "avx512_bf16")
    monkeypatch.delattr(_multiarray_umath, "__cpu_features__")
    cpu_has_bfloat16.cache_clear()
    assert cpu_has_bfloat16()


def test_auto_is_what_a_backbone_gains_from_where_the_processor_has_it(processor):
    processor(["AVX512BF16"])
    assert resolve_compute_dtype("auto", "bfloat16") == "bfloat16"
    assert resolve_compute_dtype("auto", "float32") == "float32"
    processor()
    assert resolve_compute_dtype("auto", "bfloat16") == "float32"
    for given in ("float32", "bfloat16"):
        assert resolve_compute_dtype(given, "bfloat16") == given
        assert resolve_compute_dtype(given, "float32") == given


@pytest.mark.parametrize("has_bfloat16", [True, False])
@pytest.mark.parametrize("backbone", ["vgg16", "vgg19", "mobilenetv2"])
def test_backbones_under_auto(backbone, has_bfloat16, processor):
    processor(["AVX512BF16"] if has_bfloat16 else [])
    clf = small(backbone, epochs=1).fit(make_images(4), [0, 1, 0, 1])
    low = has_bfloat16 and backbone != "mobilenetv2"
    expected = "bfloat16" if low else "float32"
    assert clf._state.trunk_spec.compute_dtype == expected
    computed = {
        layer.name: layer.compute_dtype for layer in clf.model_.layers if layer.weights
    }
    assert computed.pop("logits") == "float32"
    assert set(computed.values()) == {expected}
    assert clf.predict_proba(make_images(4)).dtype == np.float32
    assert {weight.dtype for weight in clf.model_.weights} <= {"float32", "uint32"}
    assert keras.config.dtype_policy().name == "float32"


@pytest.mark.slow
@pytest.mark.skipif(not DATA, reason="SKINEST_DATA names no folder")
@pytest.mark.parametrize(
    ("backbone", "learning_rate"),
    [("vgg16", 3e-4), ("vgg19", 3e-4), ("mobilenetv2", 1e-3)],
)
def test_predictions_on_real_images(backbone, learning_rate, processor):
    """Under "auto" they are as near to those of float32 as the user guide says."""
    processor(["AVX512BF16"])
    X, y = fetch_isic2016_part3(download_if_missing=False, return_X_y=True)
    X_test, y_test = fetch_isic2016_part3(
        subset="test", download_if_missing=False, return_X_y=True
    )
    weights = Path(DATA).parent / "weights" / MOBILENETV2
    given = backbone == "mobilenetv2" and weights.exists()
    clf = TransferClassifier(
        backbone,
        weights=weights if given else None,
        image_size=(64, 64),
        hidden_units=(64,),
        epochs=40,
        learning_rate=learning_rate,
        class_weight="balanced",
        random_state=0,
    ).fit(X, y)
    low = clf.predict_proba(X_test)[:, 1]
    spec = replace(clf._state.trunk_spec, compute_dtype="float32")
    clf._state = replace(clf._state, trunk_spec=spec)
    full = clf.predict_proba(X_test)[:, 1]
    assert full.std() > 0.05  # it has learned to tell images apart
    assert np.abs(low - full).max() <= 0.02
    assert abs(roc_auc_score(y_test, low) - roc_auc_score(y_test, full)) <= 0.005
