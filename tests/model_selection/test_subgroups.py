"""Scores of subgroups."""

# Authors: The skinest developers
# SPDX-License-Identifier: BSD-3-Clause

import numpy as np
import pytest
from numpy.testing import assert_allclose
from sklearn.metrics import accuracy_score, balanced_accuracy_score, roc_auc_score

from skinest.metrics import dice_score
from skinest.model_selection import bootstrap_interval, subgroup_report

pd = pytest.importorskip("pandas")

N = 120
LESIONS = np.repeat(np.arange(N // 2), 2)  # two images of each
Y = (np.arange(N // 2) % 3 == 0).astype(int)[LESIONS]
SCORES = Y + np.random.default_rng(0).normal(size=N)
SEX = np.where(LESIONS % 2 == 0, "male", "female").astype(object)
OPTIONS = {"n_resamples": 40, "random_state": 0}


def report(metadata, **options):
    return subgroup_report(roc_auc_score, Y, SCORES, metadata, **{**OPTIONS, **options})


def test_each_row_is_the_interval_of_its_images():
    found = report({"sex": SEX}, groups=LESIONS, min_per_class=5)
    assert found.index.names == ["attribute", "subgroup"]
    assert found.index.tolist() == [("all", ""), ("sex", "female"), ("sex", "male")]
    for row, members in ((0, SEX != ""), (1, SEX == "female"), (2, SEX == "male")):
        values = found.iloc[row]
        assert values["n_images"] == members.sum()
        assert values["n_groups"] == members.sum() // 2
        assert_allclose(values["prevalence"], Y[members].mean())
        score, low, high = values[["score", "low", "high"]]
        assert_allclose(score, roc_auc_score(Y[members], SCORES[members]))
        assert low < score < high
        assert values["note"] == ""


def test_intervals_keep_groups_together():
    expected = bootstrap_interval(roc_auc_score, Y, SCORES, groups=LESIONS, **OPTIONS)
    of_lesions = report({}, groups=LESIONS).iloc[0]
    assert_allclose(of_lesions[["score", "low", "high"]].astype(float), expected)
    assert report({}).iloc[0]["low"] != of_lesions["low"]
    # Groups follow the attributes, as in check_split and duplicate_groups.
    again = subgroup_report(roc_auc_score, Y, SCORES, {}, LESIONS, **OPTIONS)
    assert_allclose(again["low"], of_lesions["low"])


def test_the_seed_is_that_of_each_interval():
    found = report({"sex": SEX}, random_state=7)
    for row, members in enumerate((SEX != "", SEX == "female", SEX == "male")):
        expected = bootstrap_interval(
            roc_auc_score, Y[members], SCORES[members], n_resamples=40, random_state=7
        )
        assert tuple(found.iloc[row][["score", "low", "high"]]) == tuple(expected)
    # A generator of random numbers gives one seed for all rows.
    first, second = (
        report({"same": np.ones(N)}, random_state=np.random.RandomState(0))
        for _ in range(2)
    )
    pd.testing.assert_frame_equal(first, second)
    assert first["low"].nunique() == 1
    rng = np.random.RandomState(0)
    lows = [report({}, random_state=rng).iloc[0]["low"] for _ in range(2)]
    assert lows[0] != lows[1]


def test_small_subgroups_have_a_note_and_no_score():
    site = np.full(N, "back", dtype=object)
    site[LESIONS < 6] = "face"  # two malignant lesions of six
    found = report({"site": site}, groups=LESIONS, min_per_class=3)
    small = found.loc[("site", "face")]
    assert small["note"] == "too few to say: 2 positive and 4 negative"
    assert small[["score", "low", "high"]].isna().all()
    assert (small["n_images"], small["n_groups"]) == (12, 6)
    assert_allclose(small["prevalence"], 1 / 3)
    assert found.loc[("site", "back"), "note"] == ""


def test_all_forms_of_metadata():
    age = np.linspace(5, 90, N)
    age[:3] = np.nan
    ranges = pd.cut(pd.Series(age), [0, 40, 60, 100], labels=["young", "mid", "old"])
    frame = pd.DataFrame({"age": ranges, "sex": SEX, "old": age > 60})
    frame.index = np.arange(N)[::-1]  # rows count, not the index
    sex = SEX.copy()
    sex[5] = None
    frame["sex"] = sex
    found = report(frame)
    assert found.index.tolist()[1:] == [
        *(("age", name) for name in ("young", "mid", "old", "missing")),
        *(("sex", name) for name in ("female", "male", "missing")),
        *(("old", value) for value in (False, True)),
    ]
    for name in ("age", "sex", "old"):
        assert found.loc[name, "n_images"].sum() == N
    assert found.loc[("sex", "missing"), "n_images"] == 1


def test_true_and_one_are_two_values():
    found = report({"old": LESIONS % 3 == 0, "n_seen": LESIONS % 2})
    names = [(name, repr(value)) for name, value in found.index[1:]]
    assert names == [
        ("old", "'False'"),
        ("old", "'True'"),
        ("n_seen", "0"),
        ("n_seen", "1"),
    ]


class OtherTable:
    """A table of another library, whose columns are read by their names."""

    def __init__(self, attribute, **columns):
        self._data = columns
        setattr(self, attribute, list(columns))

    def __getitem__(self, name):
        return self._data[name]


@pytest.mark.parametrize("attribute", ["columns", "column_names"])
def test_tables_of_other_libraries(attribute):
    site = np.where(LESIONS % 4 == 0, "face", "back")
    found = report(OtherTable(attribute, sex=SEX, site=site), groups=LESIONS)
    pd.testing.assert_frame_equal(
        found, report({"sex": SEX, "site": site}, groups=LESIONS)
    )


def test_several_classes():
    y = np.array(["mel", "nv", "bcc"])[LESIONS % 3]
    pred = np.where(np.arange(N) % 5 == 0, "nv", y)
    found = subgroup_report(
        balanced_accuracy_score, y, pred, {"sex": SEX}, groups=LESIONS, **OPTIONS
    )
    assert found["prevalence"].isna().all()
    assert found["score"].between(0.7, 1).all()
    found = subgroup_report(
        *(balanced_accuracy_score, y, pred, {"sex": SEX}),
        groups=LESIONS,
        pos_label="mel",
        min_per_class=11,
        **OPTIONS,
    )
    assert_allclose(found["prevalence"], 1 / 3)
    assert found["note"].tolist()[1] == "too few to say: 10 positive and 20 negative"


def test_columns_of_probabilities_and_a_random_state():
    proba = np.column_stack([1 - SCORES, SCORES])

    def auc(y, scores):
        return roc_auc_score(y, scores[:, 1])

    found = subgroup_report(auc, Y, proba, {"sex": SEX}, min_per_class=5, **OPTIONS)
    again = report({"sex": SEX}, min_per_class=5)
    assert_allclose(found["score"], again["score"])
    assert_allclose(found["high"], again["high"])
    named = subgroup_report("roc_auc", Y, proba, {"sex": SEX}, **OPTIONS)
    assert_allclose(named["score"], again["score"])


def test_unused_categories_are_left_out_and_missing_values_are_one_subgroup():
    sex = pd.Series(SEX).where(LESIONS > 5)
    sex[:4] = "missing"
    for values in (
        pd.Categorical(sex, categories=["male", "other", "female", "missing"]),
        sex.astype("string"),
        sex.tolist(),
    ):
        found = report({"sex": values})
        assert set(found.index.tolist()[1:-1]) == {("sex", "female"), ("sex", "male")}
        assert found.index[-1] == ("sex", "missing")
        assert found.loc[("sex", "missing"), "n_images"] == 12


def test_masks_have_subgroups_too():
    masks = np.zeros((N, 4, 4), dtype=int)
    masks[:, 1:3] = 1
    predicted = [
        mask if sex == "male" else mask.T for mask, sex in zip(masks, SEX, strict=True)
    ]
    found = subgroup_report(
        *(dice_score, list(masks), predicted, {"sex": SEX}), groups=LESIONS, **OPTIONS
    )
    assert found["score"].tolist() == [0.75, 0.5, 1]
    assert found["prevalence"].isna().all()


def test_several_labels_have_no_prevalence():
    y_true = np.column_stack([Y, 1 - Y])
    found = subgroup_report(
        *(accuracy_score, y_true, y_true, {"sex": SEX}), groups=LESIONS, **OPTIONS
    )
    assert found["score"].tolist() == [1, 1, 1]


def test_a_subgroup_for_which_the_metric_is_not_defined_has_a_note():
    sex, lesions = SEX[:48], LESIONS[:48]
    y = np.where(sex == "female", Y[:48], lesions % 3)
    proba = np.random.default_rng(0).dirichlet([1, 1, 1], 48)
    found = subgroup_report("roc_auc_ovr", y, proba, {"sex": sex}, **OPTIONS)
    assert found["score"].notna().tolist() == [True, False, True]
    assert found.loc[("sex", "female"), "note"].startswith("no score: roc_auc_score")
    with pytest.raises(ValueError, match="roc_auc_score"):  # there is no score at all
        subgroup_report("roc_auc_ovr", y, proba[:, :2], {"sex": sex}, **OPTIONS)


@pytest.mark.parametrize(
    ("metadata", "options", "says"),
    [
        ({"sex": SEX[:-1]}, {}, r"metadata\['sex'\] has 119 values, but there are 120"),
        ({"age": np.arange(N)}, {}, r"metadata\['age'\] has 120 .*pandas\.cut"),
        ({}, {"pos_label": 2}, r"pos_label=2 is not in y_true: \[0, 1\]"),
        ({}, {"groups": LESIONS[:-1]}, "groups has 119 entries"),
        ({}, {"min_per_class": 0}, "The 'min_per_class' parameter"),
        ({}, {"n_resamples": 5}, "The 'n_resamples' parameter"),
        (
            pd.DataFrame([["a", "b"]] * N, columns=["sex", "sex"]),
            {},
            "metadata has two columns with the name 'sex'",
        ),
    ],
)
def test_wrong_arguments(metadata, options, says):
    with pytest.raises(ValueError, match=says):
        report(metadata, **options)


@pytest.mark.parametrize("metadata", [SEX, pd.Series(SEX), [("sex", SEX)]])
def test_attributes_need_names(metadata):
    with pytest.raises(TypeError, match="metadata is of type"):
        report(metadata)
