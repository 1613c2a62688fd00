"""Small estimators of images that keep scikit-learn's conventions."""

# Authors: The skinest developers
# SPDX-License-Identifier: BSD-3-Clause

from numbers import Real

import numpy as np
from joblib.parallel import Parallel, delayed
from sklearn.base import (
    BaseEstimator,
    ClassifierMixin,
    RegressorMixin,
    TransformerMixin,
    clone,
)
from sklearn.utils import check_random_state
from sklearn.utils.validation import check_is_fitted

from skinest._compat import (
    CallbackSupportMixin,
    Interval,
    fit_context,
    open_callback_context,
    with_callbacks,
)
from skinest.images import check_images
from tests.private_names import select_rows


class ImageTags:
    def __sklearn_tags__(self):
        tags = super().__sklearn_tags__()
        tags.input_tags.two_d_array = False
        tags.input_tags.three_d_array = True
        return tags


def mean_colors(X, y=None, n_jobs=None):
    images = check_images(X, y)
    return np.array(
        Parallel(n_jobs)(delayed(np.mean)(image, axis=(0, 1)) for image in images)
    )


class MeanColor(ImageTags, CallbackSupportMixin, TransformerMixin, BaseEstimator):
    """Mean colours, as differences from those of one image drawn at random.

    Parameters
    ----------
    scale : float
        Factor.

    scaler : transformer
        Applied to the colours.

    n_jobs, random_state : int
        As in scikit-learn.
    """

    _parameter_constraints = {
        "scale": [Interval(Real, 0, None, closed="neither")],
        "scaler": "no_validation",
        "n_jobs": [int, None],
        "random_state": ["random_state"],
    }

    def __init__(self, scale=1.0, *, scaler=None, n_jobs=None, random_state=None):
        self.scale = scale
        self.scaler = scaler
        self.n_jobs = n_jobs
        self.random_state = random_state

    @with_callbacks
    @fit_context(prefer_skip_nested_validation=True)
    def fit(self, X, y=None):
        """Draw the image."""
        context = open_callback_context(self, 1)
        context.call_on_fit_task_begin(estimator=self, X=X, y=y)
        task = context.subcontext(task_name="draw")
        task.call_on_fit_task_begin(estimator=self)
        colors = mean_colors(X, y, self.n_jobs)
        if self.scaler is not None:
            self.scaler_ = clone(self.scaler).fit(colors)
        self.center_ = colors[check_random_state(self.random_state).randint(len(X))]
        self.n_features_out_ = 3
        task.call_on_fit_task_end(estimator=self)
        context.call_on_fit_task_end(estimator=self, X=X, y=y)
        return self

    def transform(self, X):
        """Compare with the drawn image."""
        check_is_fitted(self)
        colors = mean_colors(X, n_jobs=self.n_jobs)
        if self.scaler is not None:
            colors = self.scaler_.transform(colors)
        return self.scale * (colors - self.center_)

    def get_feature_names_out(self, input_features=None):
        """Name the colours."""
        check_is_fitted(self)
        return np.array(["red", "green", "blue"], dtype=object)


class NearestColor(ImageTags, ClassifierMixin, BaseEstimator):
    """Classifier by mean colours."""

    _parameter_constraints = {}

    def fit(self, X, y):
        """Learn the mean colour of each class."""
        if y is None:
            raise ValueError("y is needed.")
        colors, y = mean_colors(X, y), np.asarray(y)
        self.classes_ = np.unique(y)
        self.centers_ = np.array([colors[y == c].mean(axis=0) for c in self.classes_])
        return self

    def predict_proba(self, X):
        """Compare with the classes."""
        check_is_fitted(self)
        distances = np.abs(mean_colors(X)[:, np.newaxis] - self.centers_).sum(axis=2)
        proba = np.exp(-distances / 100)
        return proba / proba.sum(axis=1, keepdims=True)

    def predict(self, X):
        """Choose the nearest class."""
        best = self.predict_proba(X).argmax(axis=1)
        return self.classes_[best]


class MeanRedness(ImageTags, RegressorMixin, BaseEstimator):
    """Regressor: mean red above the average of the training images."""

    _parameter_constraints = {}

    def fit(self, X, y):
        """Learn the mean of y."""
        if y is None:
            raise ValueError("y is needed.")
        self.mean_ = np.mean(y) - mean_colors(X, y)[:, 0].mean() / 255
        return self

    def predict(self, X):
        """Add the mean red."""
        check_is_fitted(self)
        return self.mean_ + mean_colors(X)[:, 0] / 255


class ColorThreshold(ImageTags, BaseEstimator):
    """Segmenter: pixels above the mean of those in the foreground."""

    _parameter_constraints = {}

    def fit(self, X, y):
        """Learn the threshold from masks."""
        if y is None:
            raise ValueError("y is needed: masks.")
        reds = [image[..., 0] for image in check_images(X, y)]
        self.threshold_ = np.mean(
            [r[m > 0].mean() for r, m in zip(reds, y, strict=True)]
        )
        return self

    def predict(self, X):
        """Return masks: an array for an array, else an array of masks."""
        check_is_fitted(self)
        masks = [(i[..., 0] > self.threshold_).astype(int) for i in check_images(X)]
        if isinstance(X, np.ndarray) and X.dtype != object:
            return np.array(masks)
        objects = np.empty(len(masks), dtype=object)
        objects[:] = masks
        return objects

    def __sklearn_tags__(self):
        tags = super().__sklearn_tags__()
        tags.target_tags.required = True
        return tags


class HalfOfImages(ImageTags, BaseEstimator):
    """Sampler: half of the images.

    Parameters
    ----------
    random_state : int
        As in scikit-learn.
    """

    _parameter_constraints = {"random_state": ["random_state"]}

    def __init__(self, random_state=None):
        self.random_state = random_state

    @fit_context(prefer_skip_nested_validation=True)
    def fit(self, X, y):
        """Learn nothing."""
        check_images(X, y)
        return self

    @fit_context(prefer_skip_nested_validation=True)
    def fit_resample(self, X, y):
        """Draw the images."""
        images = check_images(X, y)
        rng = check_random_state(self.random_state)
        self.sample_indices_ = rng.permutation(len(images))[: len(images) // 2]
        selected = select_rows(X, self.sample_indices_)
        selected = tuple(selected) if isinstance(X, tuple) else selected
        return selected, np.asarray(y)[self.sample_indices_]


class Unconstrained(ImageTags, TransformerMixin, BaseEstimator):
    """Estimator that checks its parameters in another way, as it has none."""

    def fit(self, X, y=None):
        """Check images."""
        check_images(X, y)
        self.is_fitted_ = True
        return self

    def transform(self, X):
        """Return mean colours."""
        check_is_fitted(self)
        return np.array([image.mean(axis=(0, 1)) for image in check_images(X)])
