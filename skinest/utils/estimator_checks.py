"""Checks of estimators that take images.

scikit-learn runs only one of its common checks on an estimator whose tags say
``two_d_array=False``. The checks here restate the others for images in every
form that :mod:`skinest.images` accepts, for estimators that return vectors, labels,
masks or resampled images.
"""

# Authors: The skinest developers
# SPDX-License-Identifier: BSD-3-Clause

from __future__ import annotations

import inspect
import random
import re
import warnings
from functools import partial
from importlib.util import find_spec
from pathlib import Path
from tempfile import TemporaryDirectory
from typing import TYPE_CHECKING, Any

import joblib
import numpy as np
from joblib.parallel import Parallel, delayed, parallel_config
from sklearn.base import clone, is_classifier
from sklearn.exceptions import NotFittedError
from sklearn.utils import estimator_html_repr, get_tags

from .._compat import HAS_CALLBACKS, KEEPS_INDEX_OF_SERIES, InvalidParameterError
from . import _class_checks
from ._check_data import (
    FIT_METHODS,
    METHODS,
    N_IMAGES,
    CheckData,
    CountingCallback,
    assert_finite,
    assert_near,
    clone_seeded,
    copy_by_joblib,
    copy_by_pickle,
    get_own_params,
    hash_params,
    hash_random_states,
    list_methods,
    make_forms,
    make_wrong_images,
    pair_labels,
    raises,
    write_png_files,
)

if TYPE_CHECKING:
    import pytest

    from .. import _typing as t

__all__ = ["check_image_estimator", "parametrize_with_image_checks"]


def check_image_estimator(
    estimator: Any, *, make_y: t.MakeTarget = None, atol: float = 1e-6
) -> None:
    """Check that an estimator of images follows scikit-learn's conventions.

    The tags, methods and parameters of the estimator tell which checks apply:
    ``transform``, ``predict``, ``predict_proba``, ``fit_resample``, ``n_jobs``,
    ``set_callbacks`` and so on.

    Parameters
    ----------
    estimator : estimator
        An instance that is fast enough to be fitted about fifty times to 12 images of
        48 x 48 pixels. It is cloned and not changed.

    make_y : callable, default=None
        Function that returns the target. Its arguments are the estimator and the
        images, an array of shape (n_images, height, width, 3) and dtype ``uint8``. None
        uses labels for classifiers, samplers and transformers, numbers for regressors,
        and masks for other estimators that predict.

    atol : float, default=1e-6
        Largest difference between the results for an image alone, in a batch, in
        another form or in another process. Results of two runs on the same data must be
        equal to the last bit.

    Raises
    ------
    Exception
        The error of the first check that fails, usually an `AssertionError`.

    See Also
    --------
    parametrize_with_image_checks : The same as separate tests of pytest.

    Examples
    --------
    >>> from skinest import BoVWSIFTTransformer, SIFTDescriptor
    >>> from skinest.utils.estimator_checks import check_image_estimator
    >>> grid = SIFTDescriptor(detector="grid", grid_step=16, grid_sizes=(16,))
    >>> check_image_estimator(BoVWSIFTTransformer(5, descriptor=grid))
    """
    for check in _checks(make_y, atol):
        check(estimator)


def parametrize_with_image_checks(
    estimators: list[Any],
    expected_failed_checks: t.ExpectedFailures = None,
    *,
    make_y: t.MakeTarget = None,
    atol: float = 1e-6,
) -> pytest.MarkDecorator:
    """Decorate a pytest test to run each check on each estimator.

    Parameters
    ----------
    estimators : list of estimators
        Instances, as for :func:`check_image_estimator`.

    expected_failed_checks : callable, default=None
        Function from an estimator to a dict of names of checks and reasons why they
        fail. These checks are marked as strict expected failures.

    make_y : callable, default=None
        Function that returns the target, see :func:`check_image_estimator`.

    atol : float, default=1e-6
        Largest difference, see :func:`check_image_estimator`.

    Returns
    -------
    decorator : pytest mark
        For a test with the arguments `estimator` and `check`.

    See Also
    --------
    check_image_estimator : Run all checks in one call.

    Examples
    --------
    >>> from skinest import BoVWSIFTTransformer
    >>> from skinest.utils.estimator_checks import parametrize_with_image_checks
    >>> @parametrize_with_image_checks([BoVWSIFTTransformer(5)])
    ... def test_bovw(estimator, check):
    ...     check(estimator)
    """
    import pytest

    parameters = []
    for estimator in estimators:
        expected = expected_failed_checks(estimator) if expected_failed_checks else {}
        shown = "".join(str(estimator).split())
        for check in _checks(make_y, atol):
            name = check.args[0].__name__
            reason = expected.get(name)
            marks = [pytest.mark.xfail(reason=reason, strict=True)] if reason else []
            parameters.append(
                pytest.param(estimator, check, marks=marks, id=f"{shown}-{name}")
            )
    return pytest.mark.parametrize(("estimator", "check"), parameters)


def check_clone(estimator, data):
    """Check that a clone has the same parameters and no fitted attributes."""
    cloned = clone(data.fit_clone(estimator, **get_own_params(estimator)))
    assert hash_params(cloned) == hash_params(estimator), "clone changed parameters."
    learned = [name for name in vars(cloned) if name.endswith("_")]
    assert not learned, f"The clone keeps {learned}."


def check_get_and_set_params(estimator, data):
    """Check that parameters, also nested ones, can be read and set by name."""
    estimator = clone(estimator)
    params = estimator.get_params(deep=True)
    for name, value in params.items():
        assert estimator.set_params(**{name: value}) is estimator, "not self."
        assert estimator.get_params()[name] is value, f"{name} does not come back."
    for name in set(params) - set(get_own_params(estimator)):
        marker = object()
        copy = clone(estimator).set_params(**{name: marker})
        assert copy.get_params()[name] is marker, f"{name} does not come back."
    try:
        estimator.set_params(no_such_parameter=1)
    except ValueError:
        return
    raise AssertionError("set_params takes a parameter that does not exist.")


def check_init(estimator, data):
    """Check that the constructor assigns its arguments and does nothing else."""
    cls = type(estimator)
    later = list(inspect.signature(cls).parameters.values())[1:]
    positional = [p.name for p in later if p.kind is not p.KEYWORD_ONLY]
    assert not positional, f"{positional} can be passed by position."
    arguments = {name: object() for name in get_own_params(estimator)}
    made = vars(cls(**arguments))  # raises if arguments are validated or used
    assert made.keys() == arguments.keys(), f"__init__ sets {made.keys()}."
    changed = [name for name in arguments if made[name] is not arguments[name]]
    assert not changed, f"__init__ changes {changed}."


def check_parameter_constraints(estimator, data):
    """Check that `fit` raises InvalidParameterError for a wrong type."""
    constraints = getattr(estimator, "_parameter_constraints", None)
    if constraints is None:  # other libraries check parameters in another way
        return
    assert constraints.keys() == get_own_params(estimator).keys(), (
        "Not all constrained."
    )
    for name in constraints:
        if constraints[name] == "no_validation":
            continue
        for method in list_methods(estimator, FIT_METHODS):
            wrong = clone(estimator).set_params(**{name: type("Wrong", (), {})()})
            case = f"{method} with a wrong {name}"
            with raises(InvalidParameterError, f"'{name}'", case):
                getattr(wrong, method)(data.images, data.y)


def check_fit_returns_self(estimator, data):
    """Check that `fit` returns the estimator, and learns no `n_features_in_`."""
    estimator = clone_seeded(estimator)
    assert estimator.fit(data.images, data.y) is estimator, "fit does not return self."
    assert not hasattr(estimator, "n_features_in_"), "n_features_in_ of images."


def check_params_unchanged(estimator, data):
    """Check that fitting and applying do not change the constructor's parameters."""
    estimator = clone_seeded(estimator)
    params, before = get_own_params(estimator), hash_params(estimator)
    estimator.fit(data.images, data.y)
    learned = set(vars(estimator))
    data.apply(estimator)
    replaced = [k for k, v in get_own_params(estimator).items() if v is not params[k]]
    assert not replaced, f"{replaced} were replaced."
    assert hash_params(estimator) == before, "A parameter was changed in place."
    if not hasattr(estimator, "fit_resample"):
        added = set(vars(estimator)) ^ learned
        assert not added, f"Applying the estimator changes {added}."


def check_fit_twice(estimator, data):
    """Check that a second fit is independent of the first and gives the same bits."""
    once = data.fit_clone(estimator)
    twice = data.fit_clone(estimator, data.images[::-1].copy()).fit(data.images, data.y)
    outputs = data.apply(once), data.apply(twice)
    data.assert_same(*outputs, "Fitted twice", exact=True)


def check_fit_transform(estimator, data):
    """Check that `fit_transform` equals `fit` followed by `transform`."""
    if hasattr(estimator, "fit_transform"):
        at_once = clone_seeded(estimator).fit_transform(data.images, data.y)
        apart = data.fit_clone(estimator).transform(data.images)
        data.assert_same({"rows": apart}, {"rows": at_once}, "fit_transform")


def check_not_fitted(estimator, data):
    """Check that applying an estimator before `fit` raises NotFittedError."""
    if not get_tags(estimator).requires_fit:
        return
    for method in list_methods(estimator, METHODS):
        with raises(NotFittedError, "fit", method):
            getattr(clone(estimator), method)(data.images)
    if hasattr(estimator, "get_feature_names_out"):
        with raises(NotFittedError, "fit", "get_feature_names_out"):
            clone(estimator).get_feature_names_out()


def check_pickle(estimator, data):
    """Check that pickle and joblib restore an equal estimator, fitted or not."""
    fitted = data.fit_clone(estimator)
    expected = data.apply(fitted)
    for copied in (copy_by_pickle, copy_by_joblib):
        unfitted = copied(clone_seeded(estimator))
        assert hash_params(unfitted) == hash_params(clone_seeded(estimator)), (
            "Parameters."
        )
        outputs = data.apply(copied(fitted))
        data.assert_same(expected, outputs, f"{copied.__name__}", exact=True)
        outputs = data.apply(unfitted.fit(data.images, data.y))
        data.assert_same(expected, outputs, f"{copied.__name__}, then fit", exact=True)


def check_input_unchanged(estimator, data):
    """Check that fitting and applying change neither `X` nor `y`."""
    for X in (data.images.copy(), data.images / 255.0, list(data.images / 255.0)):
        before = joblib.hash((X, data.y))
        data.fit_and_apply(estimator, X)
        assert joblib.hash((X, data.y)) == before, "X or y was changed."


def check_read_only(estimator, data):
    """Check that read-only arrays and memory maps give equal results."""
    expected = data.fit_and_apply(estimator)
    with TemporaryDirectory(prefix="skinest-") as folder:
        for name, X in {"uint8": data.images, "float": data.images / 255}.items():
            file = Path(folder, f"{name}.npy")
            np.save(file, X)
            X.flags.writeable = False
            for form in (X, list(X), np.load(file, mmap_mode="r")):
                outputs = data.fit_and_apply(estimator, form)
                data.assert_same(expected, outputs, f"Read-only {name}")
        del form  # Windows cannot delete a mapped file


def check_batches_and_order(estimator, data):
    """Check that the result for an image does not depend on the other images."""
    fitted = data.fit_clone(estimator)
    order = np.random.RandomState(0).permutation(N_IMAGES)
    for method in list_methods(fitted, METHODS):
        apply = getattr(fitted, method)
        expected = {method: apply(data.images)}
        alone = [row for image in data.images for row in apply(image[np.newaxis])]
        data.assert_same(expected, {method: alone}, "One by one")
        shuffled = list(apply(data.images[order]))
        rows = [shuffled[i] for i in np.argsort(order)]
        data.assert_same(expected, {method: rows}, "In another order")


def check_forms(estimator, data):
    """Check that arrays, lists and paths of the same images give the same results."""
    expected = data.fit_and_apply(estimator)
    with write_png_files(data.images) as paths:
        for name, X in make_forms(data.images, paths).items():
            data.assert_same(expected, data.fit_and_apply(estimator, X), name)


def check_n_jobs(estimator, data):
    """Check that two processes give the same result as one."""
    if "n_jobs" not in get_own_params(estimator):
        return
    expected = data.fit_and_apply(estimator, n_jobs=None)
    for backend in ("loky", "threading"):
        with parallel_config(backend):
            outputs = data.fit_and_apply(estimator, n_jobs=2)
        data.assert_same(expected, outputs, f"n_jobs=2 with {backend}")


def check_in_workers(estimator, data):
    """Check that fitting in a worker process gives the same result."""
    expected = data.fit_and_apply(estimator)
    work = delayed(data.fit_and_apply)(estimator)
    for outputs in Parallel(n_jobs=2, backend="loky")([work, work]):
        data.assert_same(expected, outputs, "In a worker of loky")


def check_blank_images(estimator, data):
    """Check that images of one colour have results without NaN or infinity."""
    X = data.images.copy()
    X[:3] = np.reshape([0, 128, 255], (3, 1, 1, 1))
    with warnings.catch_warnings():
        warnings.simplefilter("ignore", UserWarning)  # a warning is allowed
        assert_finite(data.fit_and_apply(estimator, X))


def check_wrong_images(estimator, data):
    """Check that invalid images raise an error that says what is wrong."""
    fitted, fit_methods = data.fit_clone(estimator), data.list_fit_methods(estimator)
    tags, is_sampler = get_tags(estimator), hasattr(estimator, "fit_resample")
    with write_png_files(data.images) as paths:
        for case, (X, error, named) in make_wrong_images(data.images, paths).items():
            # Samplers, and estimators that learn nothing, need not open files.
            is_open = case != "a text file" or (tags.requires_fit and not is_sampler)
            for method in fit_methods if is_open else ():
                with raises(error, named, f"{method} of {case}"):
                    made = getattr(clone(estimator), method)(X, data.y)
                    if method == "fit" and case == "a text file":
                        # `fit` reads files only if it learns from them.
                        data.apply(made, X)
            for method in list_methods(fitted, METHODS):
                with raises(error, named, f"{method} of {case}"):
                    getattr(fitted, method)(X)


def check_wrong_y(estimator, data):
    """Check that a missing target or one of another length raises an error."""
    for method in data.list_fit_methods(estimator):
        with raises(ValueError, str(N_IMAGES - 1), f"{method} with a short y"):
            getattr(clone(estimator), method)(data.images, data.y[:-1])
        if get_tags(estimator).target_tags.required:
            with raises(ValueError, "y", f"{method} without y"):
                getattr(clone(estimator), method)(data.images, None)


def check_global_random_state(estimator, data):
    """Check that an integer seed does not change the global generators."""
    of_numpy, of_python = np.random.get_state(), random.getstate()  # noqa: NPY002
    try:
        np.random.seed()  # noqa: NPY002 -- or it may be that of the last `fit`
        random.seed()
        before, _ = hash_random_states(), data.fit_and_apply(estimator)
        assert hash_random_states() == before, "A global random state was changed."
    finally:
        np.random.set_state(of_numpy)  # noqa: NPY002
        random.setstate(of_python)


def check_set_output(estimator, data):
    """Check that `set_output` gives a DataFrame with names and the index of `X`."""
    if not hasattr(estimator, "get_feature_names_out") or not find_spec("pandas"):
        return
    import pandas as pd

    fitted = data.fit_clone(estimator)
    expected = np.asarray(fitted.transform(data.images))
    fitted.set_output(transform="pandas")
    indexed = (pd.DataFrame, pd.Series) if KEEPS_INDEX_OF_SERIES else pd.DataFrame
    index = pd.Index([f"lesion{i}" for i in range(N_IMAGES)])
    with write_png_files(data.images) as paths:
        column = pd.Series([str(path) for path in paths], index=index, name="path")
        for X in (column, column.to_frame(), list(paths)):
            frame = fitted.transform(X)
            assert isinstance(frame, pd.DataFrame), f"{type(frame)} is not a DataFrame."
            assert list(frame.columns) == list(fitted.get_feature_names_out()), "Names."
            kept = frame.index.equals(getattr(X, "index", None))
            assert kept or not isinstance(X, indexed), "The index of X is lost."
            assert_near(expected, frame, data.atol, "set_output")


def check_feature_names_out(estimator, data):
    """Check that each feature has a unique name."""
    if hasattr(estimator, "get_feature_names_out"):
        fitted = data.fit_clone(estimator)
        names = fitted.get_feature_names_out()
        width = np.shape(fitted.transform(data.images))[1]
        assert len(set(names)) == len(names) == width, f"{width} features: {names}."
        assert all(isinstance(name, str) for name in names), "Names must be str."
        n_features = getattr(fitted, "n_features_out_", width)
        assert n_features == width, f"n_features_out_={n_features} for {width}."


def check_classifier(estimator, data):
    """Check that classes are those of `y`, and probabilities have their order."""
    if not is_classifier(estimator):
        return
    fitted = data.fit_clone(estimator)
    np.testing.assert_array_equal(fitted.classes_, np.unique(data.y))
    predicted = fitted.predict(data.images)
    assert np.isin(predicted, fitted.classes_).all(), "Labels that y does not have."
    if hasattr(fitted, "predict_proba"):
        proba = fitted.predict_proba(data.images)
        assert proba.shape == (N_IMAGES, len(fitted.classes_)), f"{proba.shape}"
        np.testing.assert_allclose(proba.sum(axis=1), 1, atol=1e-5)
        best = fitted.classes_[proba.argmax(axis=1)]
        np.testing.assert_array_equal(best, predicted)


def check_sampler(estimator, data):
    """Check that resampled images have the type of `X` and their own labels."""
    if not hasattr(estimator, "fit_resample"):
        return
    both = list_methods(estimator, METHODS)
    assert not both, f"Pipelines refuse samplers that have {both}."
    known = pair_labels(data.images, data.y)
    with write_png_files(data.images) as paths:
        for name, X in make_forms(data.images, paths).items():
            sampler = clone_seeded(estimator)
            images, y = sampler.fit_resample(X, data.y)
            assert type(images) is type(X), f"{name} comes back as {type(images)}."
            pairs = pair_labels(images, y)
            assert set(pairs) <= set(known), f"{name}: labels of other images."
            if hasattr(sampler, "sample_indices_"):
                selected = [known[index] for index in sampler.sample_indices_]
                assert pairs == selected, f"{name}: sample_indices_ of other images."


def check_callbacks(estimator, data):
    """Check that scikit-learn's callbacks get each task and do not change results."""
    if not (HAS_CALLBACKS and hasattr(estimator, "set_callbacks")):
        return
    expected = data.fit_and_apply(estimator)
    callback = CountingCallback()
    observed = clone_seeded(estimator).set_callbacks(callback)
    observed.fit(data.images, data.y)
    data.assert_same(expected, data.apply(observed), "With a callback", exact=True)
    counts = callback.counts
    assert counts["on_fit_task_begin"] == counts["on_fit_task_end"] > 0, f"{counts}"
    assert counts["setup"] == counts["teardown"] == 1, f"{counts}"


def check_repr(estimator, data):
    """Check that text and HTML represent the estimator, before and after `fit`."""
    for shown in (clone(estimator), data.fit_clone(estimator)):
        assert repr(shown).startswith(type(estimator).__name__), repr(shown)
        assert type(estimator).__name__ in estimator_html_repr(shown), "HTML"


def _run(check, make_y, atol, estimator):
    check(estimator, CheckData(estimator, make_y, atol))


def _checks(make_y, atol):
    """Return the checks of classes and those above. Each takes an estimator."""
    known = vars(_class_checks) | globals()
    names = [name for name in known if re.match("check_(?!image_estimator)", name)]
    return [partial(_run, known[name], make_y, atol) for name in names]
