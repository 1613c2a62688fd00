"""Tables of several models on the same folds."""

# Authors: The skinest developers
# SPDX-License-Identifier: BSD-3-Clause

import pickle
import warnings

import joblib
import numpy as np
import pytest
import sklearn
from PIL import Image
from sklearn.base import BaseEstimator, ClassifierMixin, clone
from sklearn.dummy import DummyClassifier
from sklearn.ensemble import StackingClassifier
from sklearn.frozen import FrozenEstimator
from sklearn.linear_model import LogisticRegression
from sklearn.metrics import accuracy_score, f1_score, make_scorer, roc_auc_score
from sklearn.model_selection import (
    GroupKFold,
    KFold,
    LeaveOneGroupOut,
    PredefinedSplit,
    RepeatedStratifiedKFold,
    StratifiedGroupKFold,
    StratifiedKFold,
    cross_val_predict,
    cross_val_score,
)
from sklearn.neighbors import KNeighborsClassifier
from sklearn.pipeline import make_pipeline
from sklearn.preprocessing import FunctionTransformer
from sklearn.svm import LinearSVC

from skinest.images import check_images
from skinest.metrics import dice_scorer
from skinest.model_selection import bootstrap_interval, compare, cross_val_table
from skinest.model_selection._fold_predictions import predict_folds

pd = pytest.importorskip("pandas")

RNG = np.random.default_rng(0)
GROUPS = np.repeat(np.arange(60), 2)
Y = (GROUPS % 2).astype(int)
X = Y[:, np.newaxis] + RNG.normal(size=(60, 3))[GROUPS] + RNG.normal(size=(120, 3))
MODELS = {"linear": LogisticRegression(), "neighbours": KNeighborsClassifier(5)}
OPTIONS = {"scoring": "roc_auc", "n_resamples": 10, "random_state": 0}
BY_GROUP = StratifiedGroupKFold(3)


def mean_colors(images):
    images = check_images(images)
    return np.array([image.mean(axis=(0, 1)) for image in images])


class Threshold(BaseEstimator):
    """Segmenter that finds what is brighter than a threshold."""

    def __init__(self, threshold=128):
        self.threshold = threshold

    def fit(self, X, y):
        return self

    def predict(self, X):
        return [image[..., 0] > self.threshold for image in check_images(X)]


class NotFitted(LogisticRegression):
    """Classifier of which a fit would be wasted."""

    def fit(self, X, y):
        raise AssertionError("It was fitted before the scorers were checked.")


# Numbers


def test_estimates_are_those_of_cross_val_score():
    scoring = ["roc_auc", "accuracy"]
    options = {**OPTIONS, "scoring": scoring, "groups": GROUPS, "cv": BY_GROUP}
    table = cross_val_table(MODELS, X, Y, **options)
    assert table.index.tolist() == [(s, name) for s in scoring for name in MODELS]
    assert {dtype.kind for dtype in table.dtypes} == {"f"}
    for (scorer, name), row in table.iterrows():
        expected = cross_val_score(
            MODELS[name], X, Y, groups=GROUPS, cv=BY_GROUP, scoring=scorer
        )
        assert row["estimate"] == pytest.approx(expected.mean())
        assert row["low"] < row["estimate"] < row["high"]


def test_pooled_scores_are_those_of_predictions_out_of_the_folds():
    table = cross_val_table(
        MODELS, X, Y, groups=GROUPS, cv=BY_GROUP, average="pooled", **OPTIONS
    )
    predicted = {
        name: cross_val_predict(
            model, X, Y, groups=GROUPS, cv=BY_GROUP, method="predict_proba"
        )[:, 1]
        for name, model in MODELS.items()
    }
    seed = {"groups": GROUPS, "n_resamples": 10, "random_state": 0}
    for name, p in predicted.items():
        expected = bootstrap_interval(roc_auc_score, Y, p, **seed)
        row = table.loc[("roc_auc", name), ["estimate", "low", "high"]]
        np.testing.assert_allclose(row.astype(float), expected)
    expected = compare(roc_auc_score, Y, *list(predicted.values())[::-1], **seed)
    row = table.loc[("roc_auc", "neighbours")]
    columns = ["difference", "difference_low", "difference_high", "share_below_zero"]
    np.testing.assert_allclose(
        row[columns].astype(float), [*expected, expected.share_below_zero]
    )
    assert table.loc[("roc_auc", "linear"), columns].isna().all()


def test_an_image_may_be_in_several_test_sets():
    cv = RepeatedStratifiedKFold(n_splits=2, n_repeats=2, random_state=0)
    for average in ("foldwise", "pooled"):
        table = cross_val_table(MODELS, X, Y, cv=cv, average=average, **OPTIONS)
        assert table["estimate"].between(0.6, 1).all()
    expected = cross_val_score(MODELS["linear"], X, Y, cv=cv, scoring="roc_auc").mean()
    table = cross_val_table(MODELS, X, Y, cv=cv, **OPTIONS)
    assert table["estimate"].iloc[0] == pytest.approx(expected)


def test_losses_are_negative_and_options_of_scorers_count():
    scoring = {
        "loss": "neg_log_loss",
        "macro F1": make_scorer(f1_score, average="macro"),
    }
    table = cross_val_table(
        {"linear": LogisticRegression()},
        X[:40],
        Y[:40],
        cv=2,
        **{**OPTIONS, "scoring": scoring},
    )
    for name, scorer in scoring.items():
        expected = cross_val_score(
            LogisticRegression(), X[:40], Y[:40], cv=2, scoring=scorer
        )
        row = table.loc[(name, "linear")]
        assert row["estimate"] == pytest.approx(expected.mean())


def test_several_classes():
    y, scoring = GROUPS[:60] % 3, "roc_auc_ovr"
    models = {"linear": LogisticRegression()}
    table = cross_val_table(
        *(models, X[:60], y),
        groups=GROUPS[:60],
        cv=StratifiedGroupKFold(2),
        **{**OPTIONS, "scoring": scoring},
    )
    expected = cross_val_score(
        *(models["linear"], X[:60], y),
        groups=GROUPS[:60],
        cv=StratifiedGroupKFold(2),
        scoring=scoring,
    )
    assert table["estimate"].iloc[0] == pytest.approx(expected.mean())


# Folds


def test_a_number_of_folds_keeps_groups_whole():
    by_number = cross_val_table(MODELS, X, Y, groups=GROUPS, cv=3, **OPTIONS)
    by_splitter = cross_val_table(MODELS, X, Y, groups=GROUPS, cv=BY_GROUP, **OPTIONS)
    pd.testing.assert_frame_equal(by_number, by_splitter)


def test_groups_in_training_and_test_set_are_warned_of():
    with pytest.warns(UserWarning, match="Fold 0 has images of the same group in its"):
        cross_val_table(
            *(MODELS, X, Y),
            groups=GROUPS,
            cv=StratifiedKFold(3, shuffle=True, random_state=0),
            **OPTIONS,
        )


def test_folds_without_a_class_need_pooled_scores():
    arguments = MODELS, X[:40], Y[:40]
    options = {**OPTIONS, "groups": GROUPS[:40], "cv": LeaveOneGroupOut()}
    with pytest.raises(ValueError, match=r"'roc_auc' cannot.* fold 0.*NaN.*pooled"):
        cross_val_table({"first": NotFitted()}, *arguments[1:], **options)
    table = cross_val_table(*arguments, average="pooled", **options)
    assert table["estimate"].between(0.5, 1).all()


# Data


@pytest.mark.parametrize("form", ["array", "list", "paths", "series"])
def test_images_in_any_form(form, tmp_path):
    y = np.arange(24) % 2
    images = [
        np.full((4 + index % 2, 5, 3), 60 * label + index, dtype=np.uint8)
        for index, label in enumerate(y)
    ]
    if form == "array":
        images = np.array([image[:4] for image in images])
    elif form in ("paths", "series"):
        paths = [tmp_path / f"{index}.png" for index in range(24)]
        for path, image in zip(paths, images, strict=True):
            Image.fromarray(image).save(path)
        images = paths if form == "paths" else pd.Series(list(map(str, paths)))
    model = make_pipeline(FunctionTransformer(mean_colors), KNeighborsClassifier(1))
    models = [("colours", model), ("majority", DummyClassifier())]
    table = cross_val_table(
        models, images, y, cv=2, **{**OPTIONS, "scoring": "accuracy"}
    )
    assert table["estimate"].tolist() == [1, 0.5]


@pytest.mark.parametrize("is_list", [False, True])
@pytest.mark.parametrize("average", ["foldwise", "pooled"])
def test_masks(is_list, average):
    rng = np.random.default_rng(0)
    images = rng.integers(0, 256, (20, 6, 5, 3), dtype=np.uint8)
    masks = (images[..., 0] > 128).astype(np.uint8)
    if is_list:
        images = [image[: 4 + i % 3] for i, image in enumerate(images)]
        masks = [mask[: 4 + i % 3] for i, mask in enumerate(masks)]
    table = cross_val_table(
        {"right": Threshold(), "low": Threshold(100)},
        images,
        masks,
        groups=np.arange(20) // 2,
        cv=2,
        average=average,
        **{**OPTIONS, "scoring": dice_scorer},
    )
    assert table.index.tolist() == [("dice_score", "right"), ("dice_score", "low")]
    assert table["estimate"].iloc[0] == 1 and 0.5 < table["estimate"].iloc[1] < 1
    if average == "foldwise":
        folds = GroupKFold(2).split(images, groups=np.arange(20) // 2)
        expected = [
            dice_scorer(
                Threshold(100), [images[i] for i in test], [masks[i] for i in test]
            )
            for _, test in folds
        ]
        assert table["estimate"].iloc[1] == pytest.approx(np.mean(expected))


class Weighed(ClassifierMixin, BaseEstimator):
    """Classifier that predicts the class with the highest sum of weights."""

    def fit(self, X, y, sample_weight=None):
        weights = np.ones(len(y)) if sample_weight is None else sample_weight
        self.classes_ = np.unique(y)
        sums = [weights[y == label].sum() for label in self.classes_]
        self.best_ = self.classes_[np.argmax(sums)]
        return self

    def predict(self, X):
        return np.full(len(X), self.best_)


def test_arguments_of_fit_are_split_and_may_differ_by_estimator():
    weights = np.where(Y == 1, 3.0, 1.0)
    y, cv = np.where(np.arange(120) < 30, 1, 0), StratifiedKFold(2)
    options = {**OPTIONS, "scoring": "recall", "cv": cv}
    models = {"weighted": Weighed(), "plain": Weighed()}
    table = cross_val_table(
        *(models, X, y),
        params={"weighted": {"sample_weight": np.where(y == 1, 9.0, 1.0)}},
        **options,
    )
    assert table["estimate"].tolist() == [1, 0]
    table = cross_val_table(models, X, y, params={"sample_weight": weights}, **options)
    assert table["estimate"].iloc[0] == table["estimate"].iloc[1]


def test_metadata_routing_gives_weights_to_estimators_and_scorers():
    weights = np.where(np.arange(120) < 60, 1.0, 0.25)
    with sklearn.config_context(enable_metadata_routing=True):
        model = Weighed().set_fit_request(sample_weight=True)
        scorer = make_scorer(accuracy_score).set_score_request(sample_weight=True)
        options = {"cv": 2, "params": {"sample_weight": weights}}
        table = cross_val_table(
            {"a": model}, X, Y, **options, **{**OPTIONS, "scoring": scorer}
        )
        expected = cross_val_score(model, X, Y, scoring=scorer, **options)
    assert table["estimate"].iloc[0] == pytest.approx(expected.mean())


def test_images_of_weight_0_are_of_no_class_in_samples_of_folds():
    weights = np.where(Y == 1, 0.0, 1.0)
    weights[[2, 7, 62, 67]] = 1  # 2 lesions of class 1 in each fold
    with sklearn.config_context(enable_metadata_routing=True):
        model = LogisticRegression().set_fit_request(sample_weight=True)
        scorer = make_scorer(roc_auc_score, response_method="decision_function")
        scorer = scorer.set_score_request(sample_weight=True)
        options = {"scoring": scorer, "params": {"sample_weight": weights}}
        options |= {"cv": PredefinedSplit(np.arange(120) // 60), "groups": GROUPS}
        with warnings.catch_warnings(record=True) as caught:
            warnings.simplefilter("always")
            cross_val_table({"a": model}, X, Y, n_resamples=50, **options)
    messages = [str(warning.message) for warning in caught]
    assert any("Class 1 in fold 0 is in 2 of 60 groups" in each for each in messages)
    assert not any("NaN" in message for message in messages)


def test_parallel_folds_give_the_same():
    expected = cross_val_table(MODELS, X, Y, cv=2, **OPTIONS)
    with joblib.parallel_config("threading"):
        table = cross_val_table(MODELS, X, Y, cv=2, n_jobs=2, **OPTIONS)
    pd.testing.assert_frame_equal(table, expected)


@pytest.mark.slow  # worker processes start, and import everything
def test_folds_in_worker_processes_give_the_same():
    expected = cross_val_table(MODELS, X, Y, cv=2, **OPTIONS)
    table = cross_val_table(MODELS, X, Y, cv=2, n_jobs=2, **OPTIONS)
    pd.testing.assert_frame_equal(table, expected)


def test_what_processes_exchange_can_be_pickled():
    predicted = predict_folds(
        *("linear", MODELS["linear"], X, Y, [(np.arange(60), np.arange(60, 120))]),
        {"area": make_scorer(roc_auc_score, multi_class="ovr")},
        params=None,
        n_jobs=None,
    )
    (of_fold,) = pickle.loads(pickle.dumps(predicted))["area"]
    assert of_fold.metric.function is roc_auc_score
    assert of_fold.metric.options == {"multi_class": "ovr"}
    np.testing.assert_array_equal(of_fold.y_true, Y[60:])


def test_estimators_are_not_changed():
    models = {name: clone(model) for name, model in MODELS.items()}
    cross_val_table(models, X, Y, cv=2, **OPTIONS)
    assert not any(hasattr(model, "classes_") for model in models.values())


@pytest.mark.parametrize(
    ("changes", "error", "message"),
    [
        ({"estimators": {}}, ValueError, "at least one estimator"),
        ({"estimators": [LogisticRegression()]}, ValueError, r"a list of \(name,"),
        ({"estimators": {"a": "svm"}}, TypeError, r"estimators\['a'\]='svm' has no"),
        ({"scoring": []}, ValueError, "scoring is empty"),
        (
            {"scoring": {"own": lambda model, X, y: 1.0}},
            TypeError,
            "'own' was not created by make_scorer",
        ),
        ({"scoring": "sharpness"}, ValueError, "sharpness"),
        ({"average": "imagewise"}, ValueError, "average"),
        ({"groups": GROUPS[1:]}, ValueError, "groups has 119 entries"),
    ],
)
def test_wrong_arguments_are_named(changes, error, message):
    arguments = {"estimators": MODELS, **OPTIONS, **changes}
    with pytest.raises(error, match=message):
        cross_val_table(X=X, y=Y, **arguments)


@pytest.mark.parametrize(
    ("scoring", "proposed"),
    [
        (
            ["roc_auc", "average_precision"],
            "average_precision_score, pos_label='melanoma', "
            "response_method=('decision_function', 'predict_proba')",
        ),
        ("f1", "f1_score, average='binary', pos_label='melanoma'"),
        (
            "neg_brier_score",
            "brier_score_loss, pos_label='melanoma', greater_is_better=False, "
            "response_method='predict_proba'",
        ),
    ],
    ids=str,
)
@pytest.mark.parametrize("dtype", [str, object])
def test_scorers_without_a_positive_class_are_refused_before_any_fit(
    scoring, proposed, dtype
):
    labels = np.where(Y, "nevus", "melanoma").astype(dtype)
    name = np.ravel(scoring)[-1]
    with pytest.raises(ValueError, match=f"The score '{name}' cannot") as raised:
        cross_val_table(
            {"first": NotFitted()}, X, labels, **{**OPTIONS, "scoring": scoring}
        )
    assert f"as in make_scorer({proposed})." in str(raised.value)


def test_advice_about_the_positive_class_is_given_only_if_it_helps():
    with pytest.raises(ValueError, match="multiclass") as raised:
        cross_val_table(
            {"first": NotFitted()}, X, GROUPS % 3, **{**OPTIONS, "scoring": "f1"}
        )
    assert "make_scorer" not in str(raised.value)


def test_folds_without_a_rare_class_are_refused_before_any_fit():
    y = np.r_[np.zeros(20, int), np.ones(18, int), [2] * 2]
    options = {**OPTIONS, "scoring": "roc_auc_ovr", "cv": StratifiedKFold(2)}
    table = cross_val_table({"linear": LogisticRegression()}, X[:40], y, **options)
    assert table["estimate"].notna().all()
    options["cv"] = KFold(5)
    message = r"'roc_auc_ovr' cannot.* fold 0, .*labels \[0\]: .*fewer folds"
    with pytest.raises(ValueError, match=message):
        cross_val_table({"first": NotFitted()}, X[:40], y, **options)


def test_frozen_classifiers_need_no_training_images_of_each_class():
    y = GROUPS % 3
    frozen = FrozenEstimator(LogisticRegression().fit(X, y))
    folds = [(np.flatnonzero(y < 2)[:60], np.arange(60, 120))]
    options = {**OPTIONS, "scoring": "roc_auc_ovr", "cv": folds}
    assert cross_val_table({"frozen": frozen}, X, y, **options)["estimate"].item() > 0


def test_folds_that_only_predictions_show_to_be_bad_have_the_same_advice():
    def strict(y_true, y_pred):
        if len(np.unique(y_true)) < 2:
            raise ValueError("One label.")
        return 1.0

    cv, scoring = LeaveOneGroupOut(), {"strict": make_scorer(strict)}
    options = {**OPTIONS, "cv": cv, "groups": GROUPS[:40], "scoring": scoring}
    message = r"strict of majority, fold 0: .*One label\. If a fold has.*pooled"
    with pytest.raises(ValueError, match=message):
        cross_val_table({"majority": DummyClassifier()}, X[:40], Y[:40], **options)


def test_estimators_without_a_method_are_refused_before_any_fit():
    pipeline = make_pipeline(FunctionTransformer(), LinearSVC())
    message = r"'neg_log_loss' cannot .* estimators\['svc'\].* needs: predict_proba"
    for svc in (LinearSVC(), pipeline):
        models = {"first": NotFitted(), "svc": svc}
        with pytest.raises(ValueError, match=message):
            cross_val_table(models, X, Y, **{**OPTIONS, "scoring": "neg_log_loss"})


def test_estimators_may_get_a_method_in_the_fit():
    stacked = [("linear", LogisticRegression())]
    options = {**OPTIONS, "scoring": "neg_log_loss", "cv": 2}
    table = cross_val_table({"stack": StackingClassifier(stacked)}, X, Y, **options)
    assert table["estimate"].notna().all()
    models = {"stack": StackingClassifier(stacked, final_estimator=LinearSVC())}
    with pytest.raises(ValueError, match=r"'neg_log_loss' .*estimators\['stack'\]"):
        cross_val_table(models, X, Y, **options)


class Fixed(ClassifierMixin, BaseEstimator):
    """Classifier that predicts a column of its input."""

    def __init__(self, column=0):
        self.column = column

    def fit(self, X, y):
        self.classes_ = np.unique(y)
        return self

    def predict(self, X):
        return X[:, self.column].astype(int)


def test_equal_scores_are_no_difference_whatever_rounding_says():
    y, fold = np.tile([0, 1], 30), np.repeat([0, 1, 2], 20)
    patients = np.repeat(np.arange(6), 10)
    is_wrong = np.zeros((3, 20, 2), dtype=int)
    for number, (of_first, of_second) in enumerate([(2, 4), (3, 2), (4, 3)]):
        is_wrong[number, :of_first, 0] = 1
        is_wrong[number, 20 - of_second :, 1] = 1
    predicted = is_wrong.reshape(60, 2) ^ y[:, np.newaxis]
    shares = []
    for columns in ((0, 1), (1, 0)):
        table = cross_val_table(
            {str(column): Fixed(column) for column in columns},
            predicted,
            y,
            scoring="accuracy",
            cv=PredefinedSplit(fold),
            groups=patients,
            n_resamples=2000,
            random_state=0,
        )
        assert abs(table["difference"].iloc[1]) < 1e-12  # 9 errors of each
        shares.append(table["share_below_zero"].iloc[1])
    # In fractions: the second is below in .4925 of these samples, above in .4550, and
    # equal in the others.
    assert shares == [0.4925, 0.4550]
