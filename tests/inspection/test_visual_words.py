"""Evidence of visual words, on images whose words are their colours."""

# Authors: The skinest developers
# SPDX-License-Identifier: BSD-3-Clause

import warnings

import numpy as np
import pytest
from matplotlib.colors import CenteredNorm
from numpy.testing import assert_allclose, assert_array_equal
from sklearn.cluster import KMeans
from sklearn.exceptions import NotFittedError
from sklearn.linear_model import LogisticRegression
from sklearn.pipeline import make_pipeline
from sklearn.preprocessing import FunctionTransformer, Normalizer, StandardScaler
from sklearn.svm import SVC

from skinest import BoVWSIFTTransformer
from skinest.datasets import make_dermoscopy
from skinest.inspection import VisualWordsDisplay

explain = VisualWordsDisplay.from_estimator
COLORS = np.array([[255, 0, 0], [0, 255, 0], [0, 0, 255], [128, 128, 128]])
RED = 0
ROWS, COLUMNS, SIDE = 4, 6, 4
N = ROWS * COLUMNS


class Blocks:
    """Describes each block of an image by its colour, at its centre."""

    def describe(self, image):
        rows, columns = (side // SIDE for side in image.shape[:2])
        y, x = np.mgrid[:rows, :columns].reshape(2, -1)
        centers = np.column_stack([(x + 0.5) / columns, (y + 0.5) / rows])
        values = image[SIDE // 2 :: SIDE, SIDE // 2 :: SIDE].reshape(-1, 3)
        return values.astype(np.float32), centers


def paint(blocks):
    """Return images from the number of the colour of each block."""
    colors = COLORS[blocks].astype(np.uint8)
    return colors.repeat(SIDE, axis=1).repeat(SIDE, axis=2)


BLOCKS = np.random.default_rng(0).integers(1, 4, (30, ROWS, COLUMNS))
Y = np.tile(["benign", "malignant"], 15)
BLOCKS[1::2, :2, :3] = RED  # the only difference between the classes
X = paint(BLOCKS)


def fit(*steps, y=Y, **settings):
    clusterer = KMeans(n_init=5)
    bovw = BoVWSIFTTransformer(
        4, descriptor=Blocks(), clusterer=clusterer, random_state=0, **settings
    )
    return make_pipeline(bovw, *steps).fit(X, y)


def word_of(pipeline, blocks):
    """Return the word of each block."""
    words = pipeline[0].vocabulary_
    distances = np.abs(words[:, np.newaxis] - COLORS).sum(axis=2)
    assert distances.min(axis=0).max() < 1
    return distances.argmin(axis=0)[blocks]


def leave_each_out(pipeline, image, score):
    """Return the change of the score when each number of the vector is set to 0."""
    vector = pipeline[0].transform(image[np.newaxis])
    changes = np.zeros(vector.shape[1])
    for k in range(vector.shape[1]):
        without = vector.copy()
        without[0, k] = 0
        changes[k] = score(pipeline[1:], vector) - score(pipeline[1:], without)
    return changes


@pytest.mark.parametrize("encoding", ["histogram", "tfidf"])
def test_a_linear_model_gives_each_word_its_coefficient_times_its_value(encoding):
    pipeline = fit(StandardScaler(), LogisticRegression(), encoding=encoding)
    display = explain(pipeline, X[:3], target="malignant")
    bovw, scaler, regression = pipeline
    coef = regression.coef_[0] / scaler.scale_
    for position, vector in enumerate(bovw.transform(X[:3])):
        assert_allclose(display.contributions[position], coef * vector, atol=1e-5)
        difference = np.subtract(
            *pipeline[1:].decision_function(np.stack([vector, np.zeros(4)]))
        )
        assert_allclose(display.contributions[position].sum(), difference, atol=1e-5)
        words = word_of(pipeline, BLOCKS[position].ravel())
        share = vector[words] / np.bincount(words, minlength=4)[words]
        assert_allclose(display.evidence[position], coef[words] * share, atol=1e-5)


def test_only_words_of_the_malignant_texture_are_evidence_for_it():
    pipeline = fit(SVC(kernel="linear"))
    display = explain(pipeline, X[:4], target="malignant")
    for blocks, evidence in zip(BLOCKS, display.evidence, strict=False):
        red = blocks.ravel() == RED
        assert (evidence[red] > 0.01).all()
        assert (evidence[~red] < 0.01).all()
    others = explain(pipeline, X[:4], target="benign")
    assert_allclose(others.evidence, -np.array(display.evidence))


def test_points_are_in_pixels():
    display = explain(fit(SVC()), X[:1])
    y, x = np.mgrid[:ROWS, :COLUMNS].reshape(2, -1) * SIDE + SIDE / 2
    assert_allclose(display.points[0], np.column_stack([x, y]))


@pytest.mark.parametrize("settings", [{}, {"pyramid": (1, 2)}, {"encoding": "soft"}])
def test_other_models_are_asked_again_without_each_word(settings):
    pipeline = fit(Normalizer(), SVC(gamma=3), **settings)
    display = explain(pipeline, X[:2], target="malignant")
    for image, contributions, evidence in zip(
        X, display.contributions, display.evidence, strict=False
    ):
        expected = leave_each_out(
            pipeline, image, lambda rest, vector: rest.decision_function(vector)[0]
        )
        assert_allclose(contributions, expected, atol=1e-6)
        assert_allclose(evidence.sum(), expected.sum(), atol=1e-6)


def test_points_of_a_pyramid_have_the_evidence_of_their_cells():
    pipeline = fit(LogisticRegression(), pyramid=(1, 2))
    display = explain(pipeline, X[1:2], target="malignant")
    coef = pipeline[1].coef_.reshape(5, 4)
    row, column = np.mgrid[:ROWS, :COLUMNS].reshape(2, -1)
    cell = 1 + 2 * (row // 2) + column // 3
    words = word_of(pipeline, BLOCKS[1].ravel())
    expected = (coef[0, words] + coef[cell, words]) / (2 * N)
    assert_allclose(display.evidence[0], expected, atol=1e-6)


def test_descriptors_share_soft_words_by_their_weights():
    pipeline = fit(LogisticRegression(), encoding="soft")
    display = explain(pipeline, X[:1], target="malignant")
    words = pipeline[0].vocabulary_
    distances = np.linalg.norm(words[:, np.newaxis] - words, axis=2)
    width = (distances + np.diag(np.full(4, np.inf))).min(axis=1).mean()
    weights = np.exp(-(distances**2) / (2 * width**2))
    weights /= weights.sum(axis=1, keepdims=True)
    mine = weights[word_of(pipeline, BLOCKS[0].ravel())]
    assert_allclose(display.evidence[0], mine @ pipeline[1].coef_[0] / N, atol=1e-5)


def test_several_classes_and_probabilities():
    y = np.where(BLOCKS[:, 3, 5] == 1, "third", Y)
    pipeline = fit(LogisticRegression(C=100), y=y)
    display = explain(pipeline, X[:2], response_method="predict_proba")
    probabilities = pipeline.predict_proba(X[:2])
    for position, k in enumerate(probabilities.argmax(axis=1)):
        expected = leave_each_out(
            pipeline,
            X[position],
            lambda rest, vector, k=k: rest.predict_proba(vector)[0, k],
        )
        assert_allclose(display.contributions[position], expected, atol=1e-6)
        title = f"{pipeline.classes_[k]} ({probabilities[position, k]:.2f})"
        assert display.titles[position] == title
    assert display.score_name == "probability"


def test_words_are_shown_on_the_images_that_the_transformer_gets():
    crop = FunctionTransformer(lambda images: images[:, : 2 * SIDE])
    pipeline = make_pipeline(crop, "passthrough", *fit(SVC()))
    display = explain(pipeline, X[:1])
    assert_array_equal(display.images[0], X[0, : 2 * SIDE])
    assert len(display.points[0]) == 2 * COLUMNS


@pytest.mark.parametrize("container", ["pandas", "polars"])
def test_frames_keep_the_names_of_their_columns(container):
    pytest.importorskip(container)
    pipeline = fit(StandardScaler(), SVC())
    expected = explain(pipeline, X[:1]).contributions
    pipeline = fit(StandardScaler(), SVC())
    pipeline.set_output(transform=container).fit(X, Y)
    with warnings.catch_warnings():
        warnings.simplefilter("error")
        found = explain(pipeline, X[:1]).contributions
    assert_allclose(found, expected, rtol=1e-3)  # as exact as SVC


def test_an_image_without_keypoints_has_no_evidence():
    pipeline = make_pipeline(BoVWSIFTTransformer(3, random_state=0), SVC())
    images = make_dermoscopy(4, image_size=(64, 64), random_state=0).images
    images[0] = 128
    with pytest.warns(UserWarning, match="no descriptor"):
        pipeline.fit(images, [0, 1, 0, 1])
        display = explain(pipeline, images[:2])
    assert display.points[0].shape == (0, 2)
    assert not display.contributions[0].any()
    assert len(display.points[1]) == len(display.evidence[1]) > 0


def test_points_at_one_place_are_plotted_as_one():
    points = [np.array([[3.0, 2.0], [5.0, 5.0], [3.0, 2.0]]), np.zeros((0, 2))]
    evidence = [np.array([0.25, -0.5, 0.5]), np.zeros(0)]
    display = VisualWordsDisplay(
        X[:2], points, evidence, [], titles=["a", "b"], score_name="probability"
    )
    assert display.plot(max_cols=1) is display
    shown, empty = display.scatters_
    assert_array_equal(shown.get_offsets(), [[5, 5], [3, 2]])
    assert_array_equal(shown.get_array(), [-0.5, 0.75])  # the largest is on top
    assert shown.get_clim() == empty.get_clim() == (-0.75, 0.75)
    assert np.ptp(shown.get_sizes()) > 0
    assert [axis.get_title() for axis in display.axes_] == ["a", "b"]
    assert "probability" in display.colorbar_.ax.get_ylabel()
    again = display.plot(
        ax=display.axes_, colorbar=False, scatter_kw={"ec": "none", "s": 9}
    )
    assert again.colorbar_ is None
    assert_array_equal(again.scatters_[0].get_sizes(), [9])


@pytest.mark.parametrize(
    ("steps", "message"),
    [
        ((StandardScaler(), SVC()), "Pipeline has no .*BoVWSIFTTransformer"),
        ((BoVWSIFTTransformer(4, descriptor=Blocks()),), "no step after"),
    ],
)
def test_pipelines_without_words_and_a_classifier_are_refused(steps, message):
    pipeline = make_pipeline(*steps).fit(X if len(steps) == 1 else X.mean((1, 2)), Y)
    with pytest.raises(TypeError, match=message):
        explain(pipeline, X[:1])


def test_other_estimators_and_arguments_are_refused():
    pipeline = fit(SVC())
    with pytest.raises(TypeError, match="BoVWSIFTTransformer is not a pipeline"):
        explain(pipeline[0], X[:1])
    with pytest.raises(NotFittedError):
        explain(make_pipeline(BoVWSIFTTransformer(), SVC()), X[:1])
    with pytest.raises(ValueError, match="target='nevus' is not one of the classes"):
        explain(pipeline, X[:1], target="nevus")
    with pytest.raises(TypeError, match="Pipeline has no predict_proba"):
        explain(pipeline, X[:1], response_method="predict_proba")
    of_vlad = fit(SVC(), encoding="vlad")
    of_vlad[0].encoding = "histogram"  # has no effect until the next fit
    with pytest.raises(ValueError, match=r"encoding='vlad'.*OcclusionDisplay"):
        explain(of_vlad, X[:1])


def test_descriptor_without_places_is_refused_before_predicting(monkeypatch):
    pipeline = fit(SVC())
    pipeline.set_params(bovwsifttransformer__descriptor=lambda image: image[0] * 1.0)
    pipeline.fit(X, Y)
    monkeypatch.setattr(SVC, "decision_function", pytest.fail)
    with pytest.raises(ValueError, match=r"descriptor=.* gives no places"):
        explain(pipeline, X[:1])


@pytest.mark.parametrize("given", [{"color": "red"}, {"norm": CenteredNorm()}])
def test_colours_of_the_user_replace_ours(given):
    points, evidence = [np.array([[3.0, 2.0]])], [np.array([0.5])]
    image = np.zeros((1, 8, 8, 3), np.uint8)
    display = VisualWordsDisplay(image, points, evidence, evidence, titles=["$a$"])
    display.plot(scatter_kw=given)
    display.figure_.canvas.draw()
    assert (display.colorbar_ is None) == ("color" in given)
    if "norm" in given:
        assert display.scatters_[0].norm is given["norm"]
    else:
        assert_array_equal(display.scatters_[0].get_facecolor(), [[1, 0, 0, 1]])
    assert display.axes_[0].get_title() == "$a$"
    assert not display.axes_[0].title.get_parse_math()
