"""Tables of scores as Markdown and LaTeX."""

# Authors: The skinest developers
# SPDX-License-Identifier: BSD-3-Clause

import numpy as np
import pytest
from sklearn.metrics import accuracy_score

from skinest.model_selection import format_table, subgroup_report

pd = pytest.importorskip("pandas")

TABLE = pd.DataFrame(
    {
        "n_images": [60, 60],
        "estimate": [0.8, 0.9],
        "low": [0.7, 0.8],
        "high": [0.9, 1.0],
        "difference": [np.nan, 0.1],
        "difference_low": [np.nan, -0.02],
        "difference_high": [np.nan, 0.2],
        "share_below_zero": [np.nan, 0.06],
    },
    index=pd.MultiIndex.from_tuples(
        [("roc_auc", "words"), ("roc_auc", "a|b & 50%")], names=["score", "estimator"]
    ),
)


def test_markdown():
    assert format_table(TABLE, digits=2).splitlines() == [
        "| score | estimator | n_images | estimate | difference | share_below_zero |",
        "|:---|:---|---:|---:|---:|---:|",
        "| roc_auc | words | 60 | 0.80 [0.70, 0.90] |  |  |",
        r"| roc_auc | a\|b & 50% | 60 | 0.90 [0.80, 1.00] | +0.10 [-0.02, +0.20] "
        "| 0.06 |",
    ]


def test_latex():
    assert format_table(TABLE[["estimate", "low", "high"]], output="latex") == (
        "\\begin{tabular}{llr}\n\\toprule\n"
        "score & estimator & estimate \\\\\n\\midrule\n"
        "roc\\_auc & words & 0.800 [0.700, 0.900] \\\\\n"
        "roc\\_auc & a|b \\& 50\\% & 0.900 [0.800, 1.000] \\\\\n"
        "\\bottomrule\n\\end{tabular}"
    )


def test_columns_without_values_are_left_out_and_an_index_needs_no_name():
    table = pd.DataFrame(
        {"estimate": [0.5], "low": [0.4], "high": [0.6], "difference": [np.nan]}
    )
    assert format_table(table, digits=1).splitlines()[::2] == [
        "|  | estimate |",
        "| 0 | 0.5 [0.4, 0.6] |",
    ]


def test_an_interval_that_is_not_known_is_left_out():
    rows = {"estimate": [0.5, 0.75], "low": [np.nan, 0.5], "high": [np.nan, 1.0]}
    table = pd.DataFrame(rows, index=pd.Index(["a", "b"], name="model"))
    lines = format_table(table, digits=2).splitlines()
    assert lines[2:] == ["| a | 0.50 |", "| b | 0.75 [0.50, 1.00] |"]


def test_scores_of_subgroups_have_their_intervals():
    y = np.arange(120) % 2
    report = subgroup_report(
        *(accuracy_score, y, np.where(np.arange(120) < 30, 1 - y, y)),
        {"sex": np.where(np.arange(120) < 115, "female", "male")},
        n_resamples=20,
        random_state=0,
    )
    row = report.iloc[0]
    lines = format_table(report, digits=2).splitlines()
    assert lines[0].endswith("| prevalence | score | note |")
    cells = f"120 | 120 | 0.50 | 0.75 [{row['low']:.2f}, {row['high']:.2f}] |  |"
    assert lines[2] == f"| all |  | {cells}"
    assert lines[4].startswith("| sex | male | 5 | 5 | 0.60 |  | too few to say")


def test_limits_without_their_value_remain():
    limits = {"low": [0.25], "high": [0.75]}
    lines = format_table(pd.DataFrame({"auc": [0.5], **limits}), digits=2).splitlines()
    assert lines[::2] == ["|  | auc | low | high |", "| 0 | 0.50 | 0.25 | 0.75 |"]
    table = pd.DataFrame({"score": ["auc"], "estimate": [0.5], **limits})
    lines = format_table(table, digits=2).splitlines()
    assert lines[2] == "| 0 | auc | 0.50 [0.25, 0.75] |"
    changes = pd.DataFrame({"difference_low": [-0.5], "difference_high": [0.5]})
    assert "difference_low | difference_high" in format_table(changes)


def test_wrong_arguments_are_named():
    with pytest.raises(ValueError, match="output"):
        format_table(TABLE, output="html")
    with pytest.raises(ValueError, match="table"):
        format_table([1, 2])


@pytest.mark.parametrize("dtype", ["Int64", "Float64", object])
def test_missing_values_of_pandas_are_empty(dtype):
    table = pd.DataFrame({"n": pd.Series([1, pd.NA], dtype=dtype)})
    lines = format_table(table, digits=0).splitlines()
    assert lines[2:] == ["| 0 | 1 |", "| 1 |  |"]


def test_lines_of_a_cell_are_joined():
    table = pd.DataFrame({"note": ["first\nsecond", [[1], [2, 3]]]})
    assert format_table(table).splitlines()[2:] == [
        "| 0 | first second |",
        "| 1 | [[1], [2, 3]] |",
    ]
    assert "0 & first second \\\\" in format_table(table, output="latex")
