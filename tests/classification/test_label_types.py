"""Labels of all types of pandas, against scikit-learn's own classifiers."""

# Authors: The skinest developers
# SPDX-License-Identifier: BSD-3-Clause

import numpy as np
import pandas as pd
import pytest
from numpy.testing import assert_array_equal
from sklearn.linear_model import LogisticRegression

from .conftest import small

CODES = np.array([0, 0, 1] * 4)
NAMES = np.array(["naevus", "melanoma"])[CODES]
LABELS = {
    "Int64": pd.Series(CODES, dtype="Int64"),
    "array of UInt8": pd.array(CODES, dtype="UInt8"),
    "Float64": pd.Series(CODES, dtype="Float64"),
    "boolean": pd.Series(CODES == 1, dtype="boolean"),
    "bool": pd.Series(CODES == 1),
    "string": pd.Series(NAMES, dtype="string"),
    "object": pd.Series(NAMES, dtype=object),
    "category of str": pd.Series(NAMES).astype("category"),
    "category of int": pd.Series(CODES).astype("category"),
    "category of Int64": pd.Series(CODES, dtype="Int64").astype("category"),
    "ordered": pd.Series(pd.Categorical(NAMES, ["naevus", "melanoma"], ordered=True)),
    "Index": pd.Index(NAMES),
    "int8": pd.Series(CODES.astype(np.int8)),
    "DataFrame": pd.DataFrame({"diagnosis": NAMES}),
}


@pytest.mark.filterwarnings("ignore::sklearn.exceptions.DataConversionWarning")
@pytest.mark.parametrize("kind", LABELS)
def test_classes_are_those_of_scikit_learn(kind, images):
    y = LABELS[kind]
    expected = LogisticRegression().fit(np.c_[CODES, CODES], y)
    clf = small(epochs=1).fit(images, y, X_val=images, y_val=y)
    assert_array_equal(clf.classes_, expected.classes_, strict=True)
    assert clf.predict(images).dtype == expected.predict(np.c_[CODES, CODES]).dtype


@pytest.mark.parametrize("kind", ["Int64", "boolean", "string", "category of str"])
def test_class_weights_are_found_by_these_labels(kind, images):
    y = LABELS[kind]
    weights = dict.fromkeys(pd.Series(y).unique().tolist(), 2.0)
    clf = small(epochs=1, class_weight=weights).fit(images, y)
    assert len(clf.classes_) == 2


@pytest.mark.parametrize("kind", ["Int64", "boolean", "Float64", "string", "object"])
def test_missing_labels_are_refused(kind, images):
    y = LABELS[kind].copy()
    y[3] = pd.NA
    says = "y mixes values of types" if y.dtype.kind == "O" else "at position 3"
    with pytest.raises(ValueError, match=says):
        small(epochs=1).fit(images, y)
