"""The checks pass for sound estimators, and each fails for a broken one."""

# Authors: The skinest developers
# SPDX-License-Identifier: BSD-3-Clause

import os
import random

import numpy as np
import pytest
from sklearn.base import BaseEstimator, TransformerMixin
from sklearn.preprocessing import StandardScaler
from sklearn.utils.validation import check_is_fitted

from skinest._compat import HAS_CALLBACKS, open_callback_context
from skinest.images import check_images
from skinest.utils.estimator_checks import (
    check_image_estimator,
    parametrize_with_image_checks,
)
from tests.utils.sound_estimators import (
    ColorThreshold,
    HalfOfImages,
    MeanColor,
    MeanRedness,
    NearestColor,
    Unconstrained,
    mean_colors,
)

SOUND = (
    MeanColor(2.0, scaler=StandardScaler()),
    NearestColor(),
    MeanRedness(),
    ColorThreshold(),
    HalfOfImages(),
    Unconstrained(),
)


@pytest.mark.parametrize("estimator", SOUND, ids=lambda e: type(e).__name__)
def test_sound_estimators_pass(estimator):
    assert check_image_estimator(estimator) is None  # or it raises


def test_make_y_is_used():
    made = []

    def make_y(estimator, images):
        made.append((estimator, images.shape))
        return np.arange(len(images)) % 3

    estimator = NearestColor()
    check_image_estimator(estimator, make_y=make_y)
    assert made[0] == (estimator, (12, 48, 48, 3))


BROKEN = []


def breaks(check, message, **params):
    """Note that a class breaks a check, which then says what is wrong."""

    def register(cls):
        BROKEN.append((check, cls(**params), message))
        return cls

    return register


@breaks("check_fit_returns_self", "fit does not return self")
class ReturnsNothing(MeanColor):
    def fit(self, X, y=None):
        super().fit(X, y)


@breaks("check_fit_returns_self", "n_features_in_")
class SetsNumberOfFeatures(MeanColor):
    def fit(self, X, y=None):
        self.n_features_in_ = 48
        return super().fit(X, y)


@breaks("check_clone", "clone changed parameters", scale=2.0)
class LosesParams(MeanColor):
    def __sklearn_clone__(self):
        return type(self)()


@breaks("check_clone", "The clone keeps")
class KeepsLearned(MeanColor):
    def __sklearn_clone__(self):
        return self


@breaks(
    "check_get_and_set_params",
    r"scaler__\w+ does not come back",
    scaler=StandardScaler(),
)
class SetsNothing(MeanColor):
    def set_params(self, **params):
        return self


@breaks("check_get_and_set_params", "does not exist")
class SetsAnything(MeanColor):
    def set_params(self, **params):
        vars(self).update(params)
        return self


@breaks("check_init", "not supported between")
class Validates(MeanColor):
    def __init__(self, scale=1.0, *, scaler=None, n_jobs=None, random_state=None):
        super().__init__(scale, scaler=scaler, n_jobs=n_jobs, random_state=random_state)
        if scale <= 0:
            raise ValueError


@breaks("check_init", r"changes \['scale'\]")
class CopiesArguments(MeanColor):
    def __init__(self, scale=1.0, *, scaler=None, n_jobs=None, random_state=None):
        super().__init__(scale, scaler=scaler, n_jobs=n_jobs, random_state=random_state)
        self.scale = [scale]


@breaks("check_init", "__init__ sets .*center_")
class Works(MeanColor):
    def __init__(self, scale=1.0, *, scaler=None, n_jobs=None, random_state=None):
        super().__init__(scale, scaler=scaler, n_jobs=n_jobs, random_state=random_state)
        self.center_ = np.zeros(3)


@breaks("check_init", r"\['scaler'\] can be passed by position")
class TakesPositions(MeanColor):
    def __init__(self, scale=1.0, scaler=None, *, n_jobs=None, random_state=None):
        super().__init__(scale, scaler=scaler, n_jobs=n_jobs, random_state=random_state)


@breaks("check_parameter_constraints", "fit with a wrong scale raises")
class DoesNotValidate(MeanColor):
    def fit(self, X, y=None):
        return MeanColor.fit.__wrapped__.__wrapped__(self, X, y)


@breaks("check_parameter_constraints", "Not all")
class DoesNotConstrain(MeanColor):
    _parameter_constraints = {}


@breaks("check_params_unchanged", r"\['scale'\] were replaced")
class SetsParamInFit(MeanColor):
    def fit(self, X, y=None):
        self.scale = 2 * self.scale
        return super().fit(X, y)


@breaks("check_params_unchanged", "changed in place", scaler=StandardScaler())
class FitsItsParam(MeanColor):
    def fit(self, X, y=None):
        self.scaler.fit(np.eye(3))
        return super().fit(X, y)


@breaks("check_params_unchanged", "n_seen_")
class RemembersTransform(MeanColor):
    def transform(self, X):
        self.n_seen_ = len(X)
        return super().transform(X)


@breaks("check_fit_twice", "Fitted twice: transform")
class Accumulates(MeanColor):
    def fit(self, X, y=None):
        before = getattr(self, "center_", 0)
        super().fit(X, y).center_ += before
        return self


@breaks("check_fit_twice", "Fitted twice: transform")
class IgnoresSeed(MeanColor):
    def fit(self, X, y=None):
        super().fit(X, y).center_ = np.random.default_rng().random(3)
        return self


@breaks("check_fit_transform", "fit_transform")
class TransformsOtherwise(MeanColor):
    def fit_transform(self, X, y=None):
        return 2 * self.fit(X, y).transform(X)


@breaks("check_not_fitted", "transform raises AttributeError")
class DoesNotCheckFitted(MeanColor):
    def transform(self, X):
        return mean_colors(X) - self.center_


@breaks("check_not_fitted", "get_feature_names_out raises nothing")
class NamesBeforeFit(MeanColor):
    def get_feature_names_out(self, input_features=None):
        return np.array(["red", "green", "blue"], dtype=object)


@breaks("check_pickle", "by_pickle: transform")
class LosesLearned(MeanColor):
    def __getstate__(self):
        return {**super().__getstate__(), "center_": np.zeros(3)}


@breaks("check_pickle", "Can't|cannot|Can't pickle")
class CannotPickle(MeanColor):
    def fit(self, X, y=None):
        self.function_ = lambda: None
        return super().fit(X, y)


@breaks("check_input_unchanged", "X or y was changed")
class ChangesX(MeanColor):
    def transform(self, X):
        if isinstance(X, np.ndarray) and X.dtype.kind == "f":
            X *= 0.5
        return super().transform(X)


@breaks("check_input_unchanged", "X or y was changed")
class ChangesY(MeanColor):
    def fit(self, X, y=None):
        super().fit(X, y)
        y[:] = y[::-1].copy()
        return self


@breaks("check_read_only", "read-only")
class WritesToX(MeanColor):
    def fit(self, X, y=None):
        X[0][0, 0] = X[0][0, 0].copy()
        return super().fit(X, y)


@breaks("check_batches_and_order", r"One by one")
class LooksAtBatch(MeanColor):
    def transform(self, X):
        colors = super().transform(X)
        return colors - colors.mean(axis=0)


@breaks("check_batches_and_order", r"One by one")
class LooksAtPlace(MeanColor):
    def transform(self, X):
        colors = super().transform(X)
        return colors + (np.arange(len(colors)) == 2)[:, np.newaxis]


@breaks("check_forms", "Series: transform")
class IndexesByLabel(MeanColor):
    def fit(self, X, y=None):
        super().fit(X, y).center_ = mean_colors(X)[0]
        if hasattr(X, "loc") and X.ndim == 1:
            self.center_ = mean_colors([X[0]])[0]
        return self


@breaks("check_forms", "float64 array")
class DividesFloats(MeanColor):
    def transform(self, X):
        is_float = isinstance(X, np.ndarray) and X.dtype.kind == "f"
        return super().transform(X) / (255 if is_float else 1)


@breaks("check_n_jobs", "n_jobs=2 with loky")
class DependsOnJobs(MeanColor):
    def transform(self, X):
        return super().transform(X) * (self.n_jobs or 1)


@breaks("check_in_workers", "In a worker")
class DependsOnProcess(MeanColor):
    def transform(self, X):
        return super().transform(X) + os.getpid()


@breaks("check_blank_images", "transform gives NaN or infinity")
class DividesByContrast(MeanColor):
    def transform(self, X):
        contrasts = [np.float64(np.std(image)) for image in check_images(X)]
        with np.errstate(all="ignore"):
            return super().transform(X) / np.reshape(contrasts, (-1, 1))


@breaks("check_wrong_images", "transform of a path raises nothing")
class TakesAnything(MeanColor):
    def transform(self, X):
        return np.zeros((len(X), 3))


@breaks("check_wrong_images", "fit of a path raises TypeError")
class RaisesOtherwise(MeanColor):
    def fit(self, X, y=None):
        try:
            return super().fit(X, y)
        except ValueError as error:
            raise TypeError(str(error)) from None


@breaks("check_wrong_images", "is not named in")
class SaysNothing(MeanColor):
    def fit(self, X, y=None):
        try:
            return super().fit(X, y)
        except ValueError:
            raise ValueError("Bad input.") from None


@breaks("check_wrong_y", "short y raises nothing")
class IgnoresY(MeanColor):
    def fit(self, X, y=None):
        return super().fit(X)


@breaks("check_wrong_y", "without y raises nothing")
class NeedsNoY(NearestColor):
    def fit(self, X, y):
        return super().fit(X, np.arange(len(X)) % 2 if y is None else y)


@breaks("check_global_random_state", "global")
class SeedsNumPy(MeanColor):
    def fit(self, X, y=None):
        np.random.seed(self.random_state)  # noqa: NPY002
        return super().fit(X, y)


@breaks("check_global_random_state", "global")
class SeedsPython(MeanColor):
    def transform(self, X):
        random.seed(0)
        return super().transform(X)


@breaks("check_set_output", "not a DataFrame")
class KeepsArrays(MeanColor):
    def set_output(self, *, transform=None):
        return self


@breaks("check_feature_names_out", "3 features")
class RepeatsNames(MeanColor):
    def get_feature_names_out(self, input_features=None):
        check_is_fitted(self)
        return np.array(["red", "red", "blue"], dtype=object)


@breaks("check_feature_names_out", "n_features_out_=4 for 3")
class CountsWrong(MeanColor):
    def fit(self, X, y=None):
        super().fit(X, y).n_features_out_ = 4
        return self


@breaks("check_classifier", "Arrays are not equal")
class ReversesProba(NearestColor):
    def predict(self, X):
        return self.classes_[self.predict_proba(X).argmin(axis=1)]


@breaks("check_classifier", r"Labels that y does not have")
class PredictsNumbers(NearestColor):
    def predict(self, X):
        return self.predict_proba(X).argmax(axis=1)


@breaks("check_sampler", "tuple of arrays comes back as <class 'list'>")
class MakesLists(HalfOfImages):
    def fit_resample(self, X, y):
        images, y = super().fit_resample(X, y)
        return (list(images) if isinstance(X, tuple) else images), y


@breaks("check_sampler", "labels of other images")
class LeavesLabels(HalfOfImages):
    def fit_resample(self, X, y):
        images, _ = super().fit_resample(X, y)
        return images, y[: len(images)]


@breaks("check_sampler", "sample_indices_ of other images")
class NamesOtherRows(HalfOfImages):
    def fit_resample(self, X, y):
        resampled = super().fit_resample(X, y)
        self.sample_indices_ = self.sample_indices_[::-1]
        return resampled


@breaks("check_sampler", "samplers that have .'transform'")
class IsTransformerToo(HalfOfImages):
    def transform(self, X):
        return X


@breaks("check_tags", "two_d_array must be False")
class TakesTables(MeanColor):
    def __sklearn_tags__(self):
        return BaseEstimator.__sklearn_tags__(self)


@breaks("check_mixins", "TransformerMixin")
class MixinOnTheRight(BaseEstimator, TransformerMixin):
    pass


@breaks("check_callbacks", "'on_fit_task_begin': 3, 'on_fit_task_end': 2")
class BeginsWithoutEnd(MeanColor):
    def fit(self, X, y=None):
        super().fit(X, y)
        context = open_callback_context(self, 0)
        context.call_on_fit_task_begin(estimator=self)
        return self


@breaks("check_repr", r"object at")
class HasNoRepr(MeanColor):
    def __repr__(self):
        return object.__repr__(self)


@breaks("check_docstrings", "is not documented")
class HasNoDocumentation(MeanColor):
    """Mean colours."""


@breaks("check_docstrings", "colors: no docstring")
class HasUndocumentedMethod(MeanColor):
    __doc__ = MeanColor.__doc__

    def colors(self):
        pass


@pytest.mark.parametrize(
    ("check", "estimator", "message"),
    BROKEN,
    ids=lambda value: type(value).__name__ if isinstance(value, BaseEstimator) else "",
)
def test_broken_estimator_fails(check, estimator, message):
    if check == "check_callbacks" and not HAS_CALLBACKS:
        pytest.skip("callbacks need scikit-learn 1.9")
    run = {partial.args[0].__name__: partial for partial in checks()}[check]
    with pytest.raises(Exception, match=message):
        run(estimator)


def checks():
    mark = parametrize_with_image_checks([MeanColor()])
    return [check for _, check in (parameters.values for parameters in mark.args[1])]


def test_each_check_fails_for_some_estimator():
    names = {check.args[0].__name__ for check in checks()}
    assert names == {check for check, _, _ in BROKEN}


def test_check_image_estimator_raises_what_the_first_check_raises():
    with pytest.raises(AssertionError, match="two_d_array must be False"):
        check_image_estimator(TakesTables())


class SeedsAndDraws(MeanColor):
    def fit(self, X, y=None):
        np.random.seed(42)  # noqa: NPY002
        np.random.random(3)  # noqa: NPY002
        return super().fit(X, y)


def test_a_global_seed_is_found_although_other_checks_have_set_it():
    run = {partial.args[0].__name__: partial for partial in checks()}
    for _ in range(2):
        with pytest.raises(AssertionError, match="global random state"):
            run["check_global_random_state"](SeedsAndDraws())


def test_expected_failures_are_strict_and_have_a_reason():
    mark = parametrize_with_image_checks(
        [MeanColor(), NearestColor()],
        lambda e: {"check_tags": "why"} if isinstance(e, MeanColor) else {},
    )
    marked = {p.id: p.marks[0].kwargs for p in mark.args[1] if p.marks}
    assert marked == {"MeanColor()-check_tags": {"reason": "why", "strict": True}}
