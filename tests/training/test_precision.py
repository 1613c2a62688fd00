"""What networks compute in, and what that changes of their predictions."""

# Authors: The skinest developers
# SPDX-License-Identifier: BSD-3-Clause

import os
from pathlib import Path

import keras
import numpy as np
import pytest
from sklearn.metrics import roc_auc_score

from skinest import TransferClassifier
from skinest.datasets import fetch_isic2016_part3
from skinest.images import check_images, resize
from skinest.networks import build_transfer_network

from ..classification.conftest import make_images, small

DATA = os.environ.get("SKINEST_DATA")
BACKBONES = ["vgg16", "vgg19", "mobilenetv2"]
MOBILENETV2 = "mobilenet_v2_1.0_224_no_top_from_int8.weights.h5"


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


def test_a_processor_that_numpy_says_nothing_of_is_asked_through_linux(processor):
    assert processor(None, "avx512_bf16")
    assert not processor(None, "avx512f")


def list_dtypes(clf):
    """List what the backbone's layers compute in; check all that never changes."""
    computed = {
        layer.name: layer.compute_dtype for layer in clf.model_.layers if layer.weights
    }
    assert computed.pop("logits") == "float32"
    assert clf.predict_proba(make_images(4)).dtype == np.float32
    assert {weight.dtype for weight in clf.model_.weights} <= {"float32", "uint32"}
    assert keras.config.dtype_policy().name == "float32"
    return set(computed.values())


@pytest.mark.parametrize(
    ("backbone", "feature"),
    [
        ("vgg16", "AMX_BF16"),
        ("vgg16", "AVX512BF16"),  # bfloat16 takes longer than float32 there
        pytest.param("vgg16", "AVX512F", marks=pytest.mark.slow),
        pytest.param("vgg19", "AMX_BF16", marks=pytest.mark.slow),
        pytest.param("mobilenetv2", "AMX_BF16", marks=pytest.mark.slow),
    ],
)
def test_backbones_under_auto(backbone, feature, processor):
    processor([feature])
    clf = small(backbone, epochs=1).fit(make_images(4), [0, 1, 0, 1])
    low = feature == "AMX_BF16" and backbone != "mobilenetv2"
    assert list_dtypes(clf) == {"bfloat16" if low else "float32"}


@pytest.mark.parametrize("compute_dtype", ["float32", "bfloat16"])
@pytest.mark.parametrize(
    "backbone", ["tiny", *(pytest.param(k, marks=pytest.mark.slow) for k in BACKBONES)]
)
def test_what_is_asked_for_is_computed_in(backbone, compute_dtype, processor):
    for features in (["AMX_BF16"], []):
        processor(features)
        clf = small(backbone, epochs=1, compute_dtype=compute_dtype)
        clf.fit(make_images(4), [0, 1, 0, 1])
        assert list_dtypes(clf) == {compute_dtype}


def predict_in_float32(clf, X):
    """Apply the same fitted network, computing in float32."""
    network = build_transfer_network(
        clf.backbone,
        weights=None,
        image_size=clf.image_size,
        hidden_units=clf.hidden_units,
        dropout=clf.dropout,
    )
    network.set_weights(clf.model_.get_weights())
    images = [resize(image, clf.image_size) for image in check_images(X)]
    return network.predict(np.stack(images), verbose=0)[:, 0]


@pytest.mark.slow
@pytest.mark.skipif(not DATA, reason="SKINEST_DATA names no folder")
@pytest.mark.parametrize("backbone", BACKBONES)
def test_predictions_on_real_images(backbone, processor):
    """Check that those under "auto" stay near those in float32."""
    processor(["AMX_BF16"])
    X, y = fetch_isic2016_part3(download_if_missing=False, return_X_y=True)
    X_test, y_test = fetch_isic2016_part3(
        subset="test", download_if_missing=False, return_X_y=True
    )
    imagenet = Path(DATA).parent / "weights" / MOBILENETV2
    clf = TransferClassifier(
        backbone,
        weights=imagenet if backbone == "mobilenetv2" and imagenet.exists() else None,
        image_size=(64, 64),
        hidden_units=(64,),
        dropout=0.0,
        l2=0.0,
        epochs=30,
        learning_rate=1e-3,
        class_weight="balanced",
        random_state=0,
    ).fit(X, y)
    low = clf.predict_proba(X_test)[:, 1]
    full = predict_in_float32(clf, X_test)
    atol = 0.02
    assert low.std() > 2.5 * atol  # predictions that could move by more than that
    np.testing.assert_allclose(low, full, rtol=0, atol=atol)
    # Of batches of other sizes float32 may be added up in another order.
    is_same = np.allclose(low, full, rtol=0, atol=1e-5)
    assert is_same == (backbone == "mobilenetv2")
    auc = roc_auc_score(y_test, full)
    assert auc > 0.6
    assert roc_auc_score(y_test, low) == pytest.approx(auc, abs=0.005)
