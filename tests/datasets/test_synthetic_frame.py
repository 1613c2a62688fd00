# Authors: The skinest developers
# SPDX-License-Identifier: BSD-3-Clause

import sys

import numpy as np
import pandas as pd
import pytest
from sklearn.base import clone
from sklearn.compose import ColumnTransformer
from sklearn.ensemble import RandomForestClassifier
from sklearn.impute import SimpleImputer
from sklearn.linear_model import LogisticRegression
from sklearn.model_selection import (
    GridSearchCV,
    StratifiedGroupKFold,
    cross_val_score,
    train_test_split,
)
from sklearn.pipeline import make_pipeline
from sklearn.preprocessing import OneHotEncoder, StandardScaler

from skinest import BoVWSIFTTransformer
from skinest.datasets import make_dermoscopy

from .scenes import without_pixels

SITES = {
    *("abdomen", "acral", "back", "chest", "ear", "face", "foot", "genital", "hand"),
    *("lower extremity", "neck", "scalp", "trunk", "upper extremity"),
}
# HAM10000: images of the most frequent sites.
SITE_COUNTS = {
    "back": 2192,
    "lower extremity": 2077,
    "trunk": 1404,
    "upper extremity": 1118,
    "abdomen": 1022,
    "face": 745,
    "chest": 407,
    "foot": 319,
    "neck": 168,
}
SMALL = {"image_size": (32, 32), "random_state": 0}


@pytest.fixture(scope="module")
def diagnoses():
    return make_dermoscopy(
        350, task="diagnosis", class_shares="balanced", as_frame=True, **SMALL
    )


@pytest.fixture(scope="module")
def patients():
    """Return 2,000 patients, of diagnoses as frequent as in HAM10000."""
    with without_pixels():
        frame = make_dermoscopy(
            2000, task="diagnosis", images_per_lesion=1, as_frame=True, **SMALL
        ).frame
    return frame.drop(columns="image")


# What is returned --------------------------------------------------------------


def test_frame(diagnoses):
    assert list(diagnoses.data.columns) == ["image", "age", "sex", "site"]
    assert list(diagnoses.frame.columns) == [*diagnoses.data.columns, "target"]
    assert isinstance(diagnoses.target, pd.Series)
    assert diagnoses.target.dtype == int
    assert diagnoses.frame.target.equals(diagnoses.target)
    assert diagnoses.data.age.dtype == float
    assert diagnoses.groups.shape == (350,)
    assert "Age (years), sex and site" in diagnoses.DESCR
    for image, cell in zip(diagnoses.images, diagnoses.data.image, strict=True):
        assert cell.shape == (32, 32, 3)
        assert np.shares_memory(image, cell)


def test_images_and_labels_are_the_same_without_a_frame(diagnoses):
    arrays = make_dermoscopy(350, task="diagnosis", class_shares="balanced", **SMALL)
    np.testing.assert_array_equal(arrays.images, diagnoses.images)
    np.testing.assert_array_equal(arrays.target, diagnoses.target)
    np.testing.assert_array_equal(arrays.groups, diagnoses.groups)
    assert "data" not in arrays and "frame" not in arrays
    assert "Age" not in arrays.DESCR


def test_return_X_y():
    X, y = make_dermoscopy(5, as_frame=True, return_X_y=True, **SMALL)
    data = make_dermoscopy(5, as_frame=True, **SMALL)
    pd.testing.assert_frame_equal(X.drop(columns="image"), data.data.iloc[:, 1:])
    assert all(map(np.array_equal, X.image, data.images))
    pd.testing.assert_series_equal(y, data.target)


def test_masks_beside_a_frame():
    X, masks = make_dermoscopy(
        5, task="lesion", as_frame=True, return_X_y=True, **SMALL
    )
    assert X.shape == (5, 4)
    assert masks.shape == (5, 32, 32)
    assert masks.any()


def test_patients_do_not_depend_on_the_number_of_images():
    few, many = (make_dermoscopy(n, as_frame=True, **SMALL).frame for n in (30, 50))
    same = few.target == many.target[:30]
    assert same.sum() >= 25
    pd.testing.assert_frame_equal(
        few[same].drop(columns="image"), many[:30][same].drop(columns="image")
    )


def test_images_of_a_lesion_have_one_patient(diagnoses):
    table = diagnoses.data.drop(columns="image").fillna({"age": -1}).fillna("?")
    n_different = table.groupby(diagnoses.groups).nunique()
    assert len(n_different) < 350
    assert (n_different == 1).all(axis=None)


def test_without_pandas(monkeypatch):
    monkeypatch.setitem(sys.modules, "pandas", None)
    with pytest.raises(ImportError, match=r"as_frame=True.* requires pandas"):
        make_dermoscopy(2, as_frame=True)
    make_dermoscopy(2)


# What is known of patients -----------------------------------------------------


def test_values(patients):
    assert set(patients.sex.dropna()) == {"female", "male"}
    assert set(patients.site.dropna()) == SITES
    assert set(patients.age.dropna() % 5) == {0}
    assert 0 < patients.age.min() and patients.age.max() <= 85


def test_some_entries_are_missing(patients):
    missing = patients.isna().mean()
    # Deviations of shares of 2,000: 0.003 and 0.005.
    np.testing.assert_allclose(missing[["age", "sex"]], 0.02, atol=0.0095)
    np.testing.assert_allclose(missing["site"], 0.05, atol=0.015)


def test_all_patients_together_are_like_those_of_ham10000(patients):
    assert abs(patients.age.mean() - 51.9) < 1.5
    assert abs((patients.sex.dropna() == "male").mean() - 5406 / 9958) < 0.03
    shares = patients.site.value_counts(normalize=True)
    # 234 of the 10,015 sites are unknown.
    for site, count in SITE_COUNTS.items():
        assert abs(shares[site] - count / 9781) < 0.03, site


def test_patients_depend_on_the_diagnosis(patients):
    mel, nv, bcc, akiec, bkl, df, _ = range(7)
    ages = patients.groupby("target").age.mean()
    assert ages[nv] < ages[df] < ages[mel] < min(ages[[bcc, akiec, bkl]])
    at = pd.crosstab(patients.target, patients.site, normalize="index")
    assert at.face[[bcc, akiec, bkl]].min() > 2 * at.face[[mel, nv]].max()
    assert at["lower extremity"].idxmax() == df


def test_malignant_patients_are_older():
    with without_pixels():
        frame = make_dermoscopy(
            300, malignant_fraction=0.5, as_frame=True, **SMALL
        ).frame
    ages = frame.groupby("target").age.mean()
    assert 8 < ages[1] - ages[0] < 22  # 61 and 46 years


# Composing ---------------------------------------------------------------------


def metadata_columns():
    return [
        ("age", make_pipeline(SimpleImputer(), StandardScaler()), ["age"]),
        ("rest", OneHotEncoder(handle_unknown="ignore"), ["sex", "site"]),
    ]


@pytest.mark.slow
def test_patients_alone_tell_some_of_the_diagnosis(diagnoses):
    scores = cross_val_score(
        make_pipeline(
            ColumnTransformer(metadata_columns()),
            RandomForestClassifier(100, min_samples_leaf=5, random_state=0),
        ),
        diagnoses.data,
        diagnoses.target,
        groups=diagnoses.groups,
        cv=StratifiedGroupKFold(5, shuffle=True, random_state=0),
        scoring="balanced_accuracy",
    )
    assert 1.3 / 7 < scores.mean() < 4 / 7


@pytest.fixture(scope="module")
def table():
    return make_dermoscopy(
        24,
        malignant_fraction=0.5,
        image_size=(48, 48),
        random_state=0,
        as_frame=True,
        return_X_y=True,
    )


def make_model(column):
    words = BoVWSIFTTransformer(5, random_state=0)
    return make_pipeline(
        ColumnTransformer([("bovw", words, column), *metadata_columns()]),
        LogisticRegression(max_iter=1000),
    )


@pytest.mark.parametrize("column", ["image", ["image"]], ids=["Series", "DataFrame"])
def test_images_beside_patients_in_a_column_transformer(table, column):
    X, y = table
    model = make_model(column)
    X_train, X_test, y_train, y_test = train_test_split(X, y, random_state=0)
    predicted = clone(model).fit(X_train, y_train).predict(X_test)
    assert predicted.shape == y_test.shape
    vectors = clone(model[0]).fit_transform(X)
    words = BoVWSIFTTransformer(5, random_state=0).fit_transform(np.stack(X.image))
    np.testing.assert_allclose(vectors[:, :5], words, rtol=1e-6)


def test_grid_search_over_images_beside_patients(table):
    search = GridSearchCV(
        make_model("image"),
        {"columntransformer__bovw__n_words": [5, 8]},
        cv=2,
        error_score="raise",
    )
    assert search.fit(*table).best_estimator_[0].n_features_in_ == 4
