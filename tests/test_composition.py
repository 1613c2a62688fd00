"""Every form of images, through scikit-learn's and imbalanced-learn's tools."""

# Authors: The skinest developers
# SPDX-License-Identifier: BSD-3-Clause

import itertools
import pickle
from functools import cache

import cv2
import joblib
import numpy as np
import pandas as pd
import pytest
from imblearn.over_sampling import SMOTE, RandomOverSampler
from imblearn.pipeline import make_pipeline as make_imblearn_pipeline
from sklearn.base import clone
from sklearn.calibration import CalibratedClassifierCV
from sklearn.compose import ColumnTransformer
from sklearn.ensemble import (
    AdaBoostClassifier,
    BaggingClassifier,
    StackingClassifier,
    VotingClassifier,
)
from sklearn.frozen import FrozenEstimator
from sklearn.inspection import permutation_importance
from sklearn.linear_model import LogisticRegression
from sklearn.model_selection import (
    FixedThresholdClassifier,
    GridSearchCV,
    RandomizedSearchCV,
    StratifiedGroupKFold,
    TunedThresholdClassifierCV,
    cross_val_predict,
    cross_val_score,
    cross_validate,
    learning_curve,
    train_test_split,
)
from sklearn.multiclass import OneVsOneClassifier, OneVsRestClassifier
from sklearn.multioutput import ClassifierChain, MultiOutputClassifier
from sklearn.naive_bayes import GaussianNB
from sklearn.pipeline import FeatureUnion, Pipeline, make_pipeline
from sklearn.preprocessing import OneHotEncoder, StandardScaler
from sklearn.semi_supervised import SelfTrainingClassifier
from sklearn.svm import SVC

from skinest import BoVWSIFTTransformer, ColorPatchDescriptor, SIFTDescriptor
from skinest._compat import HAS_CALLBACKS

N_IMAGES = 18
Y = np.where(np.arange(N_IMAGES) % 3 == 0, "malignant", "benign")
GROUPS = np.arange(N_IMAGES) // 2

FORMS = (
    "uint8 array",
    "float array",
    "grey array",
    "list of different sizes",
    "object array of different sizes",
    "list of str",
    "list of Path",
    "array of str",
    "Series",
    "column",
    "DataFrame column",
)
COLUMNS = ("column", "DataFrame column")
# Containers that tools of scikit-learn treat as others: arrays of as many dimensions,
# and lists.
LIKE_OTHERS = ("float array", "array of str", "list of str")
# The form with the same images; green alone and other sizes are other images.
SAME_IMAGES = {
    "grey array": "grey array",
    "list of different sizes": "list of different sizes",
    "object array of different sizes": "list of different sizes",
}


def make_image(label, height, rng):
    """Stripes if malignant, squares if benign."""
    blocks = rng.uniform(size=(height // 6, 8, 3))
    if label == "malignant":
        blocks = 0.9 * blocks[:1] + 0.1 * blocks
    return (255 * blocks.repeat(6, axis=0).repeat(6, axis=1)).astype(np.uint8)


@pytest.fixture(scope="module")
def forms(tmp_path_factory):
    """Write the images in each form."""
    rng = np.random.RandomState(0)
    images = np.array([make_image(label, 48, rng) for label in Y])
    sizes = [make_image(label, 42 + 6 * (i % 3), rng) for i, label in enumerate(Y)]
    objects = np.empty(N_IMAGES, dtype=object)
    objects[:] = sizes
    folder = tmp_path_factory.mktemp("images")
    paths = [folder / f"{i}.png" for i in range(N_IMAGES)]
    for path, image in zip(paths, images, strict=True):
        cv2.imwrite(str(path), image[..., ::-1])
    names = [str(path) for path in paths]
    series = pd.Series(names, index=np.arange(N_IMAGES)[::-1], name="path")
    values = (
        images,
        images / 255.0,
        images[..., 1],
        sizes,
        objects,
        names,
        paths,
        np.array(names),
        series,
        np.array(names, dtype=object)[:, np.newaxis],
        series.to_frame(),
    )
    return dict(zip(FORMS, values, strict=True))


def bovw(n_words=4, **params):
    grid = SIFTDescriptor(detector="grid", grid_step=16, grid_sizes=(16,))
    return BoVWSIFTTransformer(n_words, descriptor=grid, random_state=0, **params)


def classifier():
    return LogisticRegression(C=100, class_weight="balanced")


def model():
    return make_pipeline(bovw(), classifier())


def pair():
    return [("few", model()), ("many", make_pipeline(bovw(6), GaussianNB()))]


def outputs(fitted, X):
    """Predicted labels, and the numbers behind them, where no difference hides."""
    has_values = hasattr(fitted, "decision_function")
    method = fitted.decision_function if has_values else fitted.predict_proba
    return fitted.predict(X), method(X)


def search(X, y):
    pipeline = Pipeline([("bovw", bovw()), ("svc", SVC())])
    grid = {"bovw__n_words": [3, 5], "svc__kernel": ["linear", "rbf"]}
    cv = StratifiedGroupKFold(2)
    found = GridSearchCV(pipeline, grid, cv=cv, error_score="raise")
    return outputs(found.fit(X, y, groups=GROUPS), X)


def randomized(X, y):
    found = RandomizedSearchCV(
        model(),
        {"bovwsifttransformer__n_words": [3, 5]},
        n_iter=1,
        cv=2,
        random_state=0,
        error_score="raise",
    )
    return outputs(found.fit(X, y), X)


def frozen_features(X, y):
    frozen = FrozenEstimator(bovw().fit(X))
    return outputs(make_pipeline(frozen, classifier()).fit(X, y), X)


def frozen_classifier(X, y):
    frozen = FrozenEstimator(model().fit(X, y))
    return outputs(CalibratedClassifierCV(frozen).fit(X, y), X)


def with_pandas_output(X, y):
    pipeline = model().set_output(transform="pandas")
    frame = pipeline.fit(X, y)[0].transform(X)
    assert list(frame.columns) == list(pipeline[0].get_feature_names_out())
    assert frame.index.equals(getattr(X, "index", None)) or not hasattr(X, "iloc")
    return outputs(pipeline, X)


def split(X, y):
    train, test, y_train, _ = train_test_split(X, y, stratify=y, random_state=0)
    assert len(model().fit(train, y_train).predict(test)) == len(test)
    return outputs(model().fit(X, y), X)


def validated(X, y):
    settings = {"cv": 2, "error_score": "raise"}
    metrics = ["accuracy", "roc_auc", "average_precision"]
    results = cross_validate(model(), X, y == "malignant", scoring=metrics, **settings)
    assert all(results[f"test_{metric}"].shape == (2,) for metric in metrics)
    scores = cross_val_score(model(), X, y, **settings)
    np.testing.assert_array_equal(scores, results["test_accuracy"])
    curve = learning_curve(model(), X, y, train_sizes=[1.0], **settings)
    np.testing.assert_array_equal(scores, curve[2][0])
    return tuple(
        cross_val_predict(model(), X, y, cv=2, method=method)
        for method in ("predict", "decision_function")
    )


def fitted(make):
    """Fits what `make` makes, and predicts."""

    def apply(X, y):
        return outputs(make().fit(X, y), X)

    return apply


def over_sampled(sampler):
    return make_imblearn_pipeline(bovw(), sampler, classifier())


COMPOSITIONS = {
    "GridSearchCV": search,
    "RandomizedSearchCV": randomized,
    "cross-validation": validated,
    "train_test_split": split,
    "VotingClassifier": fitted(lambda: VotingClassifier(pair(), voting="soft")),
    "StackingClassifier": fitted(lambda: StackingClassifier(pair(), cv=2)),
    "CalibratedClassifierCV": fitted(
        lambda: CalibratedClassifierCV(model(), ensemble=False, cv=2)
    ),
    "TunedThresholdClassifierCV": fitted(
        lambda: TunedThresholdClassifierCV(model(), cv=2)
    ),
    "FixedThresholdClassifier": fitted(lambda: FixedThresholdClassifier(model())),
    "OneVsRestClassifier": fitted(lambda: OneVsRestClassifier(model())),
    "FrozenEstimator of features": frozen_features,
    "FrozenEstimator of a classifier": frozen_classifier,
    "set_output": with_pandas_output,
    "FeatureUnion": fitted(
        lambda: make_pipeline(
            FeatureUnion([("a", bovw()), ("b", bovw(3, encoding="vlad"))]),
            classifier(),
        )
    ),
    "SMOTE of features": fitted(
        lambda: over_sampled(SMOTE(k_neighbors=2, random_state=0))
    ),
    "RandomOverSampler of features": fitted(
        lambda: over_sampled(RandomOverSampler(random_state=0))
    ),
}


@pytest.fixture(scope="module")
def cached_outputs(forms):
    """Return a function that makes the outputs of a composition for a form."""
    return cache(lambda composition, form: COMPOSITIONS[composition](forms[form], Y))


# These select no images, or as the others do, so that a few forms show what they do.
LIKE_OTHER_COMPOSITIONS = (
    "RandomizedSearchCV",
    "cross-validation",
    "VotingClassifier",
    "StackingClassifier",
    "CalibratedClassifierCV",
    "TunedThresholdClassifierCV",
    "FrozenEstimator of a classifier",
    "FixedThresholdClassifier",
    "OneVsRestClassifier",
    "FrozenEstimator of features",
    "set_output",
    "FeatureUnion",
    "SMOTE of features",
    "RandomOverSampler of features",
)
SOME_FORMS = ("list of different sizes",)


def is_slow(composition, form):
    some = SOME_FORMS if composition in LIKE_OTHER_COMPOSITIONS else FORMS
    return form in LIKE_OTHERS or form not in some


@pytest.mark.parametrize(
    ("composition", "form"),
    [
        pytest.param(*case, marks=[pytest.mark.slow] * is_slow(*case))
        for case in itertools.product(COMPOSITIONS, FORMS)
    ],
)
def test_each_form_in_each_composition(composition, form, cached_outputs):
    predicted, values = cached_outputs(composition, form)
    assert predicted.shape == (N_IMAGES,)
    assert np.mean(predicted == Y) > 0.75  # one label for all is right for 0.67
    expected = cached_outputs(composition, SAME_IMAGES.get(form, "uint8 array"))
    np.testing.assert_array_equal(predicted, expected[0])
    np.testing.assert_array_equal(values, expected[1])


def test_multi_output(forms):
    y = np.column_stack([Y, Y[::-1]])
    for form in ("list of different sizes", "column"):
        X = forms[form]
        assert MultiOutputClassifier(model()).fit(X, y).predict(X).shape == y.shape


def chain(X, y):
    y = np.column_stack([y == "benign", y == "benign"]).astype(int)
    return ClassifierChain(model()).fit(X, y)


def self_training(X, y):
    y = np.where(np.arange(N_IMAGES) < 9, (y == "benign").astype(int), -1)
    return SelfTrainingClassifier(model()).fit(X, y)


def before_features(sampler):
    return make_imblearn_pipeline(sampler, bovw(), classifier())


# What cannot work: scikit-learn and imbalanced-learn ask for tables there. Under
# each name, what is run, the forms that work all the same, the error and why.
IN_THEIR_WORDS = (
    "dim <= 2|2D|2-dimensional|number of dimensions|inhomogeneous|"
    "array element with a sequence|convert string to float|sample_weight|tuple index"
)
TABLE = "X must have two dimensions"
SHOWN = ("uint8 array", "Series", "column")  # in the usual suite
NUMBERS = "X must be a table of numbers, even where it is of paths"
BY_DESIGN = {
    "StackingClassifier(passthrough=True)": (
        lambda X, y: StackingClassifier(pair()[1:], cv=2, passthrough=True).fit(X, y),
        (),
        ValueError,
        "X is set beside the predictions as more features",
    ),
    "BaggingClassifier": (
        fitted(lambda: BaggingClassifier(model(), n_estimators=2, random_state=0)),
        COLUMNS,
        ValueError,
        TABLE,
    ),
    "AdaBoostClassifier": (
        fitted(lambda: AdaBoostClassifier(model(), n_estimators=2)),
        (),
        ValueError,
        f"{TABLE}, and a Pipeline takes no sample_weight",
    ),
    "OneVsOneClassifier": (
        fitted(lambda: OneVsOneClassifier(model())),
        (),
        ValueError,
        NUMBERS,
    ),
    "ClassifierChain": (chain, (), ValueError, NUMBERS),
    "SelfTrainingClassifier": (self_training, (), ValueError, NUMBERS),
    "RandomOverSampler of images": (
        fitted(lambda: before_features(RandomOverSampler(random_state=0))),
        COLUMNS,
        ValueError,
        TABLE,
    ),
    "SMOTE of images": (
        fitted(lambda: before_features(SMOTE(k_neighbors=2))),
        (),
        ValueError,
        "it makes new samples between others, so X must be a table of numbers",
    ),
    "permutation_importance": (
        lambda X, y: permutation_importance(model().fit(X, y), X, y, n_repeats=1),
        COLUMNS,
        (ValueError, IndexError),
        "it shuffles columns",
    ),
    "ColumnTransformer": (
        fitted(
            lambda: make_pipeline(
                ColumnTransformer([("images", bovw(), [0])]), classifier()
            )
        ),
        COLUMNS,
        (ValueError, IndexError),
        "it selects columns",
    ),
}


@pytest.mark.parametrize(
    "form",
    [
        pytest.param(form, marks=[pytest.mark.slow] * (form not in SHOWN))
        for form in FORMS
    ],
)
@pytest.mark.parametrize("name", BY_DESIGN)
def test_what_fails_by_design(name, form, forms):
    """Tells the day when one of these is mended."""
    run, working, error, _ = BY_DESIGN[name]
    if form == "DataFrame column" and not HAS_CALLBACKS:
        pytest.skip("below scikit-learn 1.9 it depends on the version of pandas")
    if form in working:
        run(forms[form], Y)
    else:
        with pytest.raises(error, match=IN_THEIR_WORDS):
            run(forms[form], Y)


@pytest.mark.parametrize("columns", ["path", ["path"]], ids=["Series", "DataFrame"])
def test_paths_beside_other_columns(columns, forms):
    table = pd.DataFrame(
        {
            "path": forms["list of str"],
            "age": np.linspace(20, 80, N_IMAGES),
            "sex": np.where(np.arange(N_IMAGES) % 2, "female", "male"),
        },
        index=np.arange(N_IMAGES)[::-1],
    )
    columns = ColumnTransformer(
        [
            ("image", bovw(), columns),
            ("age", StandardScaler(), ["age"]),
            ("sex", OneHotEncoder(sparse_output=False), ["sex"]),
        ]
    ).set_output(transform="pandas")
    vectors = columns.fit_transform(table)
    assert list(vectors.columns) == [
        *(f"image__word{word}" for word in range(4)),
        "age__age",
        "sex__sex_female",
        "sex__sex_male",
    ]
    assert vectors.index.equals(table.index)
    alone = bovw().fit_transform(forms["uint8 array"])
    np.testing.assert_array_equal(vectors.to_numpy()[:, :4].astype(np.float32), alone)

    pipeline = make_pipeline(columns, classifier())
    grid = {"columntransformer__image__n_words": [3, 5]}
    found = GridSearchCV(pipeline, grid, cv=2, error_score="raise").fit(table, Y)
    assert found.score(table, Y) > 0.75


@pytest.mark.parametrize(
    ("n_jobs", "form"),
    [
        (None, "list of Path"),
        pytest.param(2, "list of Path", marks=pytest.mark.slow),
        pytest.param(None, "uint8 array", marks=pytest.mark.slow),
        pytest.param(2, "uint8 array", marks=pytest.mark.slow),
    ],
)
def test_union_sets_vectors_side_by_side(n_jobs, form, forms):
    X = forms[form]
    colours = ColorPatchDescriptor(sigmas=(1, 4), grid_step=16)
    parts = [("sift", bovw(3)), ("colour", bovw(2, encoding="vlad"))]
    parts[1][1].set_params(descriptor=colours)
    union = FeatureUnion(parts, n_jobs=n_jobs).fit(X)
    expected = np.hstack([clone(part).fit_transform(X) for _, part in parts])
    np.testing.assert_array_equal(union.transform(X), expected)
    names = union.get_feature_names_out()
    assert list(names[2:4]) == ["sift__word2", "colour__word0_dim0"]


def by_joblib(fitted, folder):
    joblib.dump(fitted, folder / "fitted.joblib")
    return joblib.load(folder / "fitted.joblib")


def by_pickle(fitted, folder):
    return pickle.loads(pickle.dumps(fitted))


def by_clone(fitted, folder):
    return clone(fitted)


@pytest.mark.parametrize(
    ("with_memory", "copied"),
    [
        (False, by_joblib),
        (True, by_pickle),
        (True, by_clone),
        pytest.param(False, by_pickle, marks=pytest.mark.slow),
        pytest.param(False, by_clone, marks=pytest.mark.slow),
        pytest.param(True, by_joblib, marks=pytest.mark.slow),
    ],
)
def test_fitted_pipelines_and_searches_are_copied(copied, with_memory, forms, tmp_path):
    X = forms["list of str"]
    memory = joblib.Memory(tmp_path / "memory", verbose=0) if with_memory else None
    pipeline = make_pipeline(bovw(memory=memory), SVC())
    grid = {"bovwsifttransformer__n_words": [3, 5]}
    for estimator in (pipeline, GridSearchCV(pipeline, grid, cv=2)):
        copy = copied(estimator.fit(X, Y), tmp_path)
        if copied is by_clone:
            assert not hasattr(copy, "classes_")
            copy.fit(X, Y)
        values = estimator.decision_function(X)
        np.testing.assert_array_equal(copy.decision_function(X), values)
