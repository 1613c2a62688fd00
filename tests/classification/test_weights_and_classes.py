"""Weights of classes and images, and labels of any type."""

import numpy as np
import pytest
import sklearn
from numpy.testing import assert_allclose, assert_array_equal
from sklearn.model_selection import cross_validate
from sklearn.pipeline import Pipeline
from sklearn.preprocessing import FunctionTransformer
from sklearn.utils.class_weight import compute_sample_weight

from .conftest import apply, bits, small

KINDS = {
    "str": np.array(["benign", "malignant"]),
    "object": np.array(["benign", "malignant"], dtype=object),
    "int": np.array([-1, 7]),
    "float": np.array([0.0, 1.0]),
    "bool": np.array([False, True]),
}
OWN = np.linspace(0.5, 2, 12)


@pytest.fixture(scope="module")
def weighted_by_hand(images, y):
    return small(epochs=5).fit(images, y, sample_weight=np.array([0.75, 1.5])[y])


@pytest.mark.parametrize("kind", KINDS)
def test_labels_of_any_type_come_back_and_are_found_in_a_dict_of_weights(
    kind, images, y, weighted_by_hand
):
    names = KINDS[kind]
    class_weight = dict(zip(names.tolist(), [0.75, 1.5], strict=True))
    clf = small(epochs=5, class_weight=class_weight).fit(images, names[y])
    assert_array_equal(clf.classes_, names)
    assert clf.classes_.dtype == names.dtype
    predicted = clf.predict(images)
    assert predicted.dtype == names.dtype
    assert_array_equal(predicted, names[weighted_by_hand.predict(images)])
    assert set(predicted.tolist()) == set(names.tolist())
    assert bits(clf) == bits(weighted_by_hand)
    assert clf.class_weight == class_weight


def test_probabilities_are_in_the_order_of_the_classes(images):
    names = np.array(["c", "a", "b"])
    y = names[np.arange(12) % 3]
    clf = small(epochs=15).fit(images, y)
    assert clf.classes_.tolist() == ["a", "b", "c"]
    probabilities = clf.predict_proba(images)
    assert (probabilities.shape, probabilities.dtype) == ((12, 3), np.float32)
    assert_allclose(probabilities.sum(axis=1), 1, rtol=1e-5)
    assert_array_equal(clf.classes_[probabilities.argmax(axis=1)], y)
    assert_array_equal(clf.predict(images), y)


def test_column_zero_is_the_first_of_two_classes(images, y):
    names = np.array(["benign", "malignant"])
    clf = small(epochs=15).fit(images, names[y])
    probabilities = clf.predict_proba(images)
    assert (probabilities.shape, probabilities.dtype) == ((12, 2), np.float32)
    assert_allclose(probabilities.sum(axis=1), 1, rtol=1e-6)
    assert (probabilities[y == 0, 0] > 0.5).all()
    assert (probabilities[y == 1, 1] > 0.5).all()
    assert_allclose(apply(clf.model_, images)[:, 0], probabilities[:, 1], atol=1e-5)


def test_balanced_is_the_formula_of_scikit_learn(images, y):
    clf = small(class_weight="balanced").fit(images, y)
    # 12 / (2 * 8) and 12 / (2 * 4)
    assert bits(clf) == bits(small(class_weight={0: 0.75, 1: 1.5}).fit(images, y))
    weights = compute_sample_weight("balanced", y)
    assert bits(clf) == bits(small().fit(images, y, sample_weight=weights))


def test_classes_are_balanced_in_the_images_that_train(images):
    y = np.array([0] * 9 + [1] * 3)
    settings = {"validation_fraction": 0.4, "learning_rate": 1e-30}
    clf = small(**settings, class_weight="balanced", epochs=1).fit(images, y)
    start = small(**settings, class_weight={0: 1, 1: 1}, epochs=1).fit(images, y)
    # Without class weights, all images start with the fraction of training images.
    fraction = 1 / (1 + np.exp(-start.model_.get_layer("logits").bias.numpy()))
    assert_allclose(fraction, 2 / 7, rtol=1e-5)
    assert_allclose(clf.model_.get_layer("logits").bias.numpy(), 0, atol=1e-6)


@pytest.mark.parametrize("trainable", ["head", "block_16"])
def test_weights_of_classes_and_of_images_are_multiplied(trainable, images, y):
    settings = {"epochs": 1, "trainable": trainable}
    clf = small(**settings, class_weight={0: 0.3, 1: 2.5})
    clf.fit(images, y, sample_weight=OWN)
    product = OWN * np.array([0.3, 2.5])[y]
    by_hand = small(**settings).fit(images, y, sample_weight=product)
    assert bits(clf) == bits(by_hand)


def test_weights_of_three_classes(images):
    y = np.array(["a", "b", "c"] * 4)
    class_weight = {"a": 1, "b": 0.5, "c": 4}
    clf = small(class_weight=class_weight).fit(images, y)
    by_hand = [class_weight[label] for label in y]
    assert bits(clf) == bits(small().fit(images, y, sample_weight=by_hand))


def test_ones_are_no_weights(images, y):
    plain = small().fit(images, y)
    for ones in (np.ones(12), np.ones(12, dtype=int), [1] * 12):
        assert bits(small().fit(images, y, sample_weight=ones)) == bits(plain)
    assert bits(small(class_weight={0: 1, 1: 1}).fit(images, y)) == bits(plain)


def test_nothing_is_learned_from_images_without_weight(images, y):
    weights = np.ones(12)
    weights[[2, 5, 7]] = 0
    other = images.copy()
    other[[2, 5, 7]] = 0
    one = small().fit(images, y, sample_weight=weights)
    assert bits(one) == bits(small().fit(other, y, sample_weight=weights))
    assert bits(one) != bits(small().fit(images, y))


@pytest.mark.parametrize("weigh", ["images", "classes"])
def test_only_ratios_of_weights_count(weigh, images, y):
    if weigh == "images":
        fits = [small(l2=0.1).fit(images, y, sample_weight=w) for w in (OWN, 8 * OWN)]
    else:
        dicts = {0: 0.5, 1: 2.0}, {0: 4.0, 1: 16.0}
        fits = [small(l2=0.1, class_weight=weights).fit(images, y) for weights in dicts]
    assert bits(fits[0]) == bits(fits[1])
    assert fits[0].history_ == fits[1].history_


def test_a_class_of_more_weight_is_predicted_more(images, y):
    def mean_probability(weight):
        clf = small(epochs=5, learning_rate=1e-3, class_weight={0: 1, 1: weight})
        return clf.fit(images, y).predict_proba(images)[:, 1].mean()

    assert mean_probability(0.1) < mean_probability(1) < mean_probability(10)


def test_sample_weight_reaches_fit_by_metadata_routing(images, y):
    plain = small().fit(images, y, sample_weight=OWN)
    with sklearn.config_context(enable_metadata_routing=True):
        clf = small().set_fit_request(sample_weight=True)
        clf.set_score_request(sample_weight=True)
        pipeline = Pipeline([("same", FunctionTransformer()), ("clf", clf)])
        pipeline.fit(images, y, sample_weight=OWN)
        if hasattr(pipeline, "set_score_request"):  # scikit-learn 1.7 only
            pipeline.set_score_request(sample_weight=True)
        folds = [(np.arange(12), np.arange(12))]
        scores = cross_validate(
            pipeline,
            images,
            y,
            cv=folds,
            params={"sample_weight": OWN},
            return_estimator=True,
        )
    assert bits(pipeline[-1]) == bits(plain)
    assert bits(scores["estimator"][0][-1]) == bits(plain)


def test_sample_weight_reaches_fit_by_the_name_of_the_step(images, y):
    pipeline = Pipeline([("same", FunctionTransformer()), ("clf", small())])
    pipeline.fit(images, y, clf__sample_weight=OWN)
    assert bits(pipeline[-1]) == bits(small().fit(images, y, sample_weight=OWN))
