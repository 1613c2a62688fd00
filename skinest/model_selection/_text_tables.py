"""Tables of scores with intervals as text for a paper."""

# Authors: The skinest developers
# SPDX-License-Identifier: BSD-3-Clause

from __future__ import annotations

from numbers import Integral
from typing import TYPE_CHECKING, Literal

from .._compat import HasMethods, Interval, StrOptions, validate_params
from ..utils._checks import is_missing

if TYPE_CHECKING:
    import pandas as pd

# Columns that become one: the value and the limits of its interval. A table with both
# an estimate and a score has the limits of the estimate.
_TRIPLES = {
    "estimate": ("low", "high"),
    "score": ("low", "high"),
    "difference": ("difference_low", "difference_high"),
}
_SIGNED = {"difference"}
_LATEX = {
    "\\": r"\textbackslash{}",
    **{character: rf"\{character}" for character in "&%$#_{}"},
    "~": r"\textasciitilde{}",
    "^": r"\textasciicircum{}",
}


@validate_params(
    {
        "table": [HasMethods(["itertuples", "reset_index"])],
        "output": [StrOptions({"markdown", "latex"})],
        "digits": [Interval(Integral, 0, None, closed="left")],
    },
    prefer_skip_nested_validation=True,
)
def format_table(
    table: pd.DataFrame,
    *,
    output: Literal["markdown", "latex"] = "markdown",
    digits: int = 3,
) -> str:
    """Convert a table of scores to Markdown or LaTeX, with intervals in brackets.

    It needs no other package, unlike the methods `to_markdown` and `to_latex` of
    pandas.

    Parameters
    ----------
    table : DataFrame
        A table of :func:`cross_val_table`, :func:`subgroup_report`, or any other. The
        columns `estimate` or `score`, `low` and `high` become one column, and so do
        `difference`, `difference_low` and `difference_high`. Columns without any value
        are left out.

    output : {"markdown", "latex"}, default="markdown"
        Markdown, or LaTeX for the package booktabs.

    digits : int, default=3
        Number of decimals.

    Returns
    -------
    text : str
        The table.

    See Also
    --------
    cross_val_table : Cross-validate several estimators.
    subgroup_report : Scores of subgroups.

    Examples
    --------
    >>> import pandas as pd
    >>> from skinest.model_selection import format_table
    >>> table = pd.DataFrame(
    ...     {"estimate": [0.8712, 0.9], "low": [0.81, 0.85], "high": [0.92, 0.94]},
    ...     index=pd.Index(["words", "network"], name="estimator"),
    ... )
    >>> print(format_table(table, digits=2))
    | estimator | estimate |
    |:---|---:|
    | words | 0.87 [0.81, 0.92] |
    | network | 0.90 [0.85, 0.94] |
    """
    n_levels = table.index.nlevels
    rows = _join_intervals(table.dropna(axis="columns", how="all"), digits)
    header, *body = rows
    if output == "markdown":
        return _to_markdown(header, body, n_levels)
    return _to_latex(header, body, n_levels)


def _join_intervals(table, digits):
    """Return the rows of a table as text, the header first."""
    limits: dict[str, tuple[str, str]] = {}
    for value, pair in _TRIPLES.items():
        if {value, *pair} <= set(table) and pair not in limits.values():
            limits[value] = pair
    hidden = {name for pair in limits.values() for name in pair}
    names = [name for name in table.columns if name not in hidden]
    levels = [name or "" for name in table.index.names]
    yield [*map(_join_lines, levels), *map(_join_lines, names)]
    columns = {name: table[name].tolist() for name in table.columns}
    for position, label in enumerate(table.index):
        row = {name: column[position] for name, column in columns.items()}
        keys = label if isinstance(label, tuple) else (label,)
        yield [
            *map(_join_lines, keys),
            *(_format_cell(row, name, limits.get(name, ()), digits) for name in names),
        ]


def _format_cell(row, name, limits, digits):
    """Return a value, with its interval if it is known, or nothing for NaN."""
    sign = "+" if name in _SIGNED else ""
    values = [row[name], *(row[limit] for limit in limits)]
    texts = [
        f"{value:{sign}.{digits}f}" if isinstance(value, float) else _join_lines(value)
        for value in values
    ]
    are_known = [not is_missing(value) for value in values]
    if not are_known[0]:
        return ""
    if not limits or not all(are_known):
        return texts[0]
    return f"{texts[0]} [{texts[1]}, {texts[2]}]"


def _join_lines(value) -> str:
    """Return a value as text of one line, because a cell has only one."""
    return " ".join(str(value).splitlines())


def _to_markdown(header, body, n_levels):
    rule = "|" + ":---|" * n_levels + "---:|" * (len(header) - n_levels)
    lines = [
        "| " + " | ".join(cell.replace("|", r"\|") for cell in row) + " |"
        for row in (header, *body)
    ]
    return "\n".join([lines[0], rule, *lines[1:]])


def _to_latex(header, body, n_levels):
    columns = "l" * n_levels + "r" * (len(header) - n_levels)
    first, *lines = (
        " & ".join("".join(_LATEX.get(c, c) for c in cell) for cell in row) + r" \\"
        for row in (header, *body)
    )
    return "\n".join(
        [
            rf"\begin{{tabular}}{{{columns}}}",
            r"\toprule",
            first,
            r"\midrule",
            *lines,
            r"\bottomrule",
            r"\end{tabular}",
        ]
    )
