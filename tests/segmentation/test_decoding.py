"""Each file is decoded once for each call."""

# Authors: The skinest developers
# SPDX-License-Identifier: BSD-3-Clause

import os
import shutil

import pytest

from .conftest import hash_weights, make_pairs, make_small, record_fit, write_files

PREDICTIONS = ["predict", "predict_proba", "transform"]


@pytest.fixture(scope="module")
def files(tmp_path_factory):
    """Write files of 20 images and of their masks, all of which differ."""
    folder = tmp_path_factory.mktemp("files")
    images, masks = make_pairs(20)
    for number, mask in enumerate(masks):
        mask.flat[:5] = [number >> bit & 1 for bit in range(5)]
    X = write_files(folder / "images", images)
    y = write_files(folder / "masks", masks)
    assert len({open(path, "rb").read() for path in X + y}) == 40
    return X, y


@pytest.fixture(scope="module")
def fitted(files):
    X, y = files
    return make_small(epochs=1, batch_size=3).fit(X, y)


@pytest.mark.parametrize(
    "settings",
    [
        pytest.param({}, id="all"),
        pytest.param({"validation_fraction": 0.3}, id="some held out"),
        pytest.param(
            {"pad_to_aspect_ratio": True}, id="padded", marks=pytest.mark.slow
        ),
    ],
)
def test_fit_decodes_each_file_once(settings, files, decoded):
    X, y = files
    segmenter = make_small(epochs=3, **settings).fit(X, y)
    assert decoded.counts(X + y) == [1] * 40
    segmenter.set_params(warm_start=True).fit(X, y)
    assert decoded.counts(X + y) == [2] * 40
    assert len(decoded.contents) == 80


def test_memory_keeps_pairs_in_the_size_of_the_network(files, decoded, tmp_path):
    X, y = ([str(path) for path in paths[:6]] for paths in files)
    X[0] = str(shutil.copy(X[0], tmp_path))
    settings = {"epochs": 1, "memory": tmp_path / "cache"}
    expected = hash_weights(make_small(epochs=1).fit(X, y))
    decoded.contents.clear()
    assert hash_weights(make_small(**settings).fit(X, y)) == expected
    assert decoded.counts(X + y) == [1] * 12
    record_fit(make_small(base_filters=3, **settings), X, y)
    assert hash_weights(make_small(**settings).fit(X, y)) == expected
    assert decoded.counts(X + y) == [1] * 12
    record_fit(make_small(image_size=(32, 16), **settings), X, y)
    assert decoded.counts(X + y) == [2] * 12
    os.utime(X[0], (1, 1))  # as if it had been replaced
    make_small(**settings).fit(X, y)
    assert decoded.counts(X + y) == [3, *[2] * 5, 3, *[2] * 5]


def test_damaged_pairs_are_one_warning(files, tmp_path):
    X, y = (paths[:20] for paths in files)
    settings = {"epochs": 1, "memory": tmp_path}
    pairs = {"X_val": X[10:], "y_val": y[10:]}
    expected = hash_weights(make_small(**settings).fit(X[:10], y[:10], **pairs))
    for path in tmp_path.rglob("*.pkl"):
        path.write_bytes(b"damaged")
    with pytest.warns(UserWarning, match="memory: .* is damaged") as caught:
        again = make_small(**settings).fit(X[:10], y[:10], **pairs)
    assert sum("memory:" in str(each.message) for each in caught) == 1
    assert hash_weights(again) == expected


def test_pairs_from_memory_are_checked_against_the_depth(files, tmp_path):
    X, y = (paths[:6] for paths in files)
    settings = {"epochs": 1, "image_size": (64, 64), "memory": tmp_path}
    record_fit(make_small(**settings), X, y)
    for memory in (tmp_path, None):
        deep = make_small(**{**settings, "memory": memory}, depth=6)
        with pytest.raises(ValueError, match="both sides need 64 pixels or more"):
            deep.fit(X, y)


def test_fit_decodes_each_file_to_validate_on_once(files, decoded):
    X, y = files
    make_small(epochs=3).fit(X[:12], y[:12], X_val=X[12:], y_val=y[12:])
    assert decoded.counts(X + y) == [1] * 40
    assert len(decoded.contents) == 40


@pytest.mark.parametrize("n_views", [1, 2, 8])
@pytest.mark.parametrize("tile_overlap", [None, 0.5])
@pytest.mark.parametrize("method", PREDICTIONS)
def test_predictions_decode_each_image_once(
    method, tile_overlap, n_views, files, fitted, decoded
):
    X, _ = files
    fitted.set_params(tile_overlap=tile_overlap, n_prediction_views=n_views)
    assert len(getattr(fitted, method)(X)) == 20
    assert decoded.counts(X) == [1] * 20
    assert len(decoded.contents) == 20


def test_score_decodes_each_file_once(files, fitted, decoded):
    X, y = files
    fitted.set_params(tile_overlap=None, n_prediction_views=4).score(X, y)
    assert decoded.counts(X + y) == [1] * 40
    assert len(decoded.contents) == 40
