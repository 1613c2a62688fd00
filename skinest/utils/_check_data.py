"""Images, targets and invalid inputs for checks of estimators."""

# Authors: The skinest developers
# SPDX-License-Identifier: BSD-3-Clause

import io
import pickle
import random
from contextlib import contextmanager
from importlib.util import find_spec
from pathlib import Path
from tempfile import TemporaryDirectory

import joblib
import numpy as np
from sklearn.base import clone, is_classifier, is_regressor

from ..images import check_images

N_IMAGES = 12
_SIDE = 48
_BLOCK = 6  # side length of the coloured squares in the images
FIT_METHODS = ("fit", "fit_transform", "partial_fit", "fit_resample")
METHODS = ("transform", "predict", "predict_proba", "decision_function")


class CheckData:
    """Images and targets, and the results of an estimator on them.

    Parameters
    ----------
    estimator : estimator
        The estimator to check.

    make_y : callable or None
        Function from the estimator and the images to the target.

    atol : float
        Largest absolute difference of results.
    """

    def __init__(self, estimator, make_y, atol):
        self.images = _make_images()
        self.y = (make_y or _make_y)(estimator, self.images)
        self.atol = atol

    def fit_clone(self, estimator, X=None, **params):
        """Return a clone with `random_state=0`, fitted to `X` or to the images."""
        X = self.images if X is None else X
        return clone_seeded(estimator, **params).fit(X, self.y)

    def list_fit_methods(self, estimator) -> list[str]:
        """List the methods that fit, with `partial_fit` if the settings allow it."""
        names = list_methods(estimator, FIT_METHODS)
        try:
            clone_seeded(estimator).partial_fit(self.images, self.y)
        except (AttributeError, ValueError):
            return [name for name in names if name != "partial_fit"]
        return names

    def apply(self, fitted, X=None) -> dict:
        """Return the result of each method for `X` or for the images."""
        X = self.images if X is None else X
        names = list_methods(fitted, METHODS)
        outputs = {name: getattr(fitted, name)(X) for name in names}
        if hasattr(fitted, "fit_resample"):
            images, y = fitted.fit_resample(X, self.y)
            outputs["fit_resample: X"] = list(check_images(images))
            outputs["fit_resample: y"] = y
        return outputs

    def fit_and_apply(self, estimator, X=None, **params) -> dict:
        """Return the result for `X` of each method of a clone fitted to `X`."""
        return self.apply(self.fit_clone(estimator, X, **params), X)

    def assert_same(self, expected, outputs, case, exact=False) -> None:
        """Raise an AssertionError if outputs differ by more than `atol`."""
        assert expected.keys() == outputs.keys(), f"{case}: other methods."
        for name, rows in expected.items():
            rows, others = list(rows), list(outputs[name])
            assert len(rows) == len(others), f"{case}: {name} gives another length."
            for row, other in zip(rows, others, strict=True):
                assert_near(row, other, 0 if exact else self.atol, f"{case}: {name}")


class CountingCallback:
    """Callback of scikit-learn that counts the calls of its hooks."""

    def __init__(self):
        self.counts = dict.fromkeys(
            ("setup", "on_fit_task_begin", "on_fit_task_end", "teardown"), 0
        )

    def setup(self, estimator, context):
        self.counts["setup"] += 1

    def on_fit_task_begin(self, estimator, context):
        self.counts["on_fit_task_begin"] += 1

    def on_fit_task_end(self, estimator, context):
        self.counts["on_fit_task_end"] += 1

    def teardown(self, estimator, context):
        self.counts["teardown"] += 1


def assert_near(expected, values, atol, case) -> None:
    """Raise an AssertionError if values differ by more than `atol`."""
    expected, values = np.asarray(expected), np.asarray(values)
    if expected.dtype.kind == "f":
        np.testing.assert_allclose(values, expected, rtol=0, atol=atol, err_msg=case)
    else:
        np.testing.assert_array_equal(values, expected, err_msg=case)


def assert_finite(outputs) -> None:
    """Raise an AssertionError if outputs have NaN or infinite values."""
    for name, rows in outputs.items():
        numbers = [row for row in map(np.asarray, rows) if row.dtype.kind == "f"]
        finite = all(np.isfinite(row).all() for row in numbers)
        assert finite, f"{name} gives NaN or infinity."


@contextmanager
def raises(error, named, case):
    """Raise an AssertionError unless the block raises an `error` with this text."""
    try:
        yield
    except error as raised:
        assert named in str(raised), f"{case}: {named!r} is not named in {raised!r}."
    except Exception as raised:
        raise AssertionError(f"{case} raises {raised!r}.") from raised
    else:
        raise AssertionError(f"{case} raises nothing.")


def clone_seeded(estimator, **params):
    """Return a clone with these parameters and, if it has one, `random_state=0`."""
    estimator = clone(estimator)
    if "random_state" in get_own_params(estimator):
        params = {"random_state": 0, **params}
    return estimator.set_params(**params)


def list_methods(estimator, names) -> list[str]:
    """Return the names of those methods that the estimator has."""
    return [name for name in names if hasattr(estimator, name)]


def get_own_params(estimator) -> dict:
    """Return the constructor's parameters."""
    return estimator.get_params(deep=False)


def hash_params(estimator) -> str:
    """Return a hash of the constructor's parameters."""
    return joblib.hash(get_own_params(estimator))


def hash_random_states() -> str:
    """Return a digest of the states of the global random generators."""
    return joblib.hash((np.random.get_state(), random.getstate()))  # noqa: NPY002


def copy_by_pickle(estimator):
    """Copy an estimator by pickle."""
    return pickle.loads(pickle.dumps(estimator))


def copy_by_joblib(estimator):
    """Copy an estimator by joblib."""
    buffer = io.BytesIO()
    joblib.dump(estimator, buffer)
    return joblib.load(io.BytesIO(buffer.getvalue()))


@contextmanager
def write_png_files(images):
    """Write images to PNG files, and yield their paths."""
    import cv2

    with TemporaryDirectory(prefix="skinest-") as folder:
        paths = [Path(folder, f"image{i}.png") for i in range(len(images))]
        for path, image in zip(paths, images, strict=True):
            cv2.imwrite(str(path), image[..., ::-1])
        yield paths


def make_forms(images, paths) -> dict:
    """Return the same images in each form that skinest accepts, by name."""
    names = [str(path) for path in paths]
    objects = np.empty(len(images), dtype=object)
    objects[:] = list(images)
    alpha = np.full_like(images[..., :1], 255)
    same = {
        "float64 array": images / 255.0,
        "float32 array": (images / 255.0).astype(np.float32),
        "uint16 array": images.astype(np.uint16) * 257,
        "array with alpha": np.concatenate([images, alpha], axis=-1),
        "array in Fortran order": np.asfortranarray(images),
        "list of arrays": list(images),
        "tuple of arrays": tuple(images),
        "object array of arrays": objects,
        "list of str": names,
        "list of Path": list(paths),
        "array of str": np.array(names),
        "object array of str": np.array(names, dtype=object),
        "column of paths": np.array(names, dtype=object)[:, np.newaxis],
    }
    if find_spec("pandas"):
        import pandas as pd

        index = np.arange(len(names))[::-1]  # index labels differ from positions
        series = pd.Series(names, index=index, name="path")
        same |= {"Series": series, "DataFrame column": series.to_frame()}
    return same


def pair_labels(images, y) -> list:
    """Return pairs of image content and label."""
    contents = [image.tobytes() for image in check_images(images)]
    return list(zip(contents, y, strict=True))


def make_wrong_images(images, paths) -> dict:
    """List invalid inputs: X, its error and a text in the message."""
    folder = paths[0].parent
    missing, empty, text = (folder / f"{name}.png" for name in ("none", "empty", "no"))
    empty.touch()
    text.write_text("This is not an image.")
    shape = str(images.shape[1:3])[:-1]
    unit = images / 255.0
    wrong = {
        "a path": (str(paths[0]), paths[0].name),
        "a Path": (paths[0], paths[0].name),
        "a grey image": (images[0, ..., 0], f"{shape})"),
        "a colour image": (images[0], f"{shape}, 3)"),
        "5 dimensions": (images[np.newaxis], str((1, *images.shape))),
        "2 channels": (images[..., :2], f"{shape}, 2)"),
        "5 channels": (np.concatenate([images, images[..., :2]], -1), f"{shape}, 5)"),
        "an empty list": ([], "empty"),
        "an empty array": (images[:0], "empty"),
        "an image without pixels": ([*images[:-1], images[-1][:0]], "(0, "),
        "floats up to 255": (images.astype(float), "255"),
        "floats below 0": (unit - 1, "from -"),
        "NaN": (_with_value(unit, np.nan), "NaN"),
        "infinity": (_with_value(unit, np.inf), "infinite"),
        "int64": (images.astype(np.int64), "int64"),
        "bool": (images > 128, "bool"),
        "arrays and a path": ([*images[:-1], str(paths[-1])], f"X[{N_IMAGES - 1}]"),
        "paths and an array": ([*paths[:-1], images[-1]], f"X[{N_IMAGES - 1}]"),
        "paths and None": ([*paths[:-1], None], "None"),
        "an empty file": ([*paths[:-1], empty], empty.name),
        "a text file": ([*paths[:-1], text], text.name),
    }
    no_files = {
        "a missing file": ([*paths[:-1], missing], missing.name),
        "a folder": ([*paths[:-1], folder], folder.name),
    }
    table: dict[str, tuple] = {
        case: (X, ValueError, named) for case, (X, named) in wrong.items()
    }
    for case, (X, named) in no_files.items():
        table[case] = X, FileNotFoundError, named
    return table


def _with_value(images, value):
    images = images.copy()
    images[-1, 0, 0, 0] = value
    return images


def _make_images() -> np.ndarray:
    """Return images of stripes and squares of random colours, with texture."""
    rng = np.random.RandomState(0)
    blocks = rng.uniform(size=(N_IMAGES, _SIDE // _BLOCK, _SIDE // _BLOCK, 3))
    blocks[::3] = 0.7 * blocks[::3, :1] + 0.3 * blocks[::3]
    images = blocks.repeat(_BLOCK, axis=1).repeat(_BLOCK, axis=2)
    images += 0.1 * rng.uniform(size=images.shape)
    return (images / images.max() * 255).astype(np.uint8)


def _make_y(estimator, images):
    """Return labels, numbers or masks, depending on the estimator."""
    if is_regressor(estimator):
        return images.mean(axis=(1, 2, 3)) / 255
    if hasattr(estimator, "predict") and not is_classifier(estimator):
        return (images[..., 0] > 128).astype(np.uint8)
    return np.where(np.arange(len(images)) % 3 == 0, "malignant", "benign")
