"""Scores of parts of the images, such as those of women."""

# Authors: The skinest developers
# SPDX-License-Identifier: BSD-3-Clause

from __future__ import annotations

from collections.abc import Mapping
from numbers import Integral, Real
from typing import TYPE_CHECKING, Any

import numpy as np
from sklearn.utils import check_consistent_length

from .._compat import Interval, validate_params
from ..utils._checks import check_groups, check_installed, choose_seed, select_items
from ._intervals import bootstrap_interval
from ._weighted_score import count_images, has_labels

if TYPE_CHECKING:
    import pandas as pd
    from numpy.typing import ArrayLike

    from .._typing import MetricLike, RandomStateLike, TargetLike

_ALL = "all"
_MISSING = "missing"
_MAX_VALUES = 25  # a column with more is a measurement, not an attribute
_COLUMNS = ["n_images", "n_groups", "prevalence", "score", "low", "high", "note"]


@validate_params(
    {
        "metric": [callable, str],
        "groups": ["array-like", None],
        "min_per_class": [Interval(Integral, 1, None, closed="left")],
        "n_resamples": [Interval(Integral, 10, None, closed="left")],
        "confidence_level": [Interval(Real, 0, 1, closed="neither")],
        "random_state": ["random_state"],
    },
    prefer_skip_nested_validation=True,
)
def subgroup_report(
    metric: MetricLike,
    y_true: TargetLike,
    y_score: TargetLike,
    metadata: Mapping[str, ArrayLike] | pd.DataFrame,
    groups: ArrayLike | None = None,
    *,
    pos_label: Any = None,
    min_per_class: int = 10,
    n_resamples: int = 1000,
    confidence_level: float = 0.95,
    random_state: RandomStateLike = None,
) -> pd.DataFrame:
    """Report a score with its interval for each subgroup of the images.

    The score of all images does not show whether it is lower for one sex, age, site or
    skin colour. The report also says which subgroups are too small for a score.

    Parameters
    ----------
    metric : callable, scorer or str
        Function of `y_true` and `y_score` that returns a number, or a scorer or its
        name, see :func:`bootstrap_interval`.

    y_true : array-like of length n_images
        True labels, or masks in any form that skinest accepts.

    y_score : array-like of length n_images
        Predictions in the form that `metric` needs: labels, scores, probabilities of
        shape (n_images, n_classes) or masks.

    metadata : DataFrame or dict of str to array-like of shape (n_images,)
        Attributes of the images, such as "sex" and "site", also as a table of Polars or
        Arrow. Each value is a subgroup, and a missing value, or the text "missing", is
        the subgroup "missing". Put numbers into ranges first, as in
        ``pd.cut(age, [0, 40, 60, 100])``.

    groups : array-like of shape (n_images,), default=None
        Lesion or patient of each image. They are kept whole in the bootstrap, and are
        what is counted for `min_per_class`. None means that each image is a group.

    pos_label : int, float, bool or str, default=None
        The class of the prevalence. None means the greater of two labels. With more
        classes and None, and for masks, there is no prevalence.

    min_per_class : int, default=10
        Minimum number of positive and of negative groups in a subgroup. Below it, the
        score is NaN and the note says why, as it does if the metric is not defined for
        the subgroup. If there is no positive class, it is the minimum number of groups.

    n_resamples : int, default=1000
        Number of bootstrap samples, at least 10.

    confidence_level : float, default=0.95
        Confidence level of the intervals.

    random_state : int, RandomState instance or None, default=None
        Seed of the bootstrap samples, the same for each subgroup. With an int, each
        interval is that of :func:`bootstrap_interval` with this seed.

    Returns
    -------
    report : DataFrame
        A row for each subgroup, with the index levels "attribute" and "subgroup";
        :func:`format_table` converts it to Markdown or LaTeX. The first row is of all
        images. Values are as in `metadata`, but True and False are texts if another
        attribute has the numbers 1 or 0. Columns are "n_images", "n_groups",
        "prevalence", "score", "low", "high" (the limits of the interval) and "note".

    Raises
    ------
    ImportError
        If pandas is not installed.
    TypeError
        If `metadata` is neither a table nor a dict.
    ValueError
        If arguments differ in length, an attribute has more than 25 values or is there
        twice, `pos_label` is not in `y_true`, or all images have no score.

    See Also
    --------
    bootstrap_interval : The interval of one score.
    skinest.feature_extraction.individual_typology_angle : Estimated skin colour.

    Notes
    -----
    A score that is the same in all bootstrap samples, such as 1, has the limits of
    :func:`bootstrap_interval`.

    Subgroups differ by chance, and with twenty subgroups about one interval misses the
    true score. If the intervals of two subgroups overlap, this does not show that their
    scores are equal. Many scores depend on the prevalence, so compare only those that
    do not, such as the AUC, sensitivity and specificity.

    Examples
    --------
    >>> import numpy as np
    >>> from sklearn.metrics import roc_auc_score
    >>> from skinest.model_selection import subgroup_report
    >>> rng = np.random.default_rng(0)
    >>> y_true = rng.integers(0, 2, 120)
    >>> y_score = y_true + rng.normal(size=120)
    >>> sex = np.array(["female", "male"])[rng.integers(0, 2, 120)]
    >>> sex[:5] = "other"
    >>> report = subgroup_report(
    ...     roc_auc_score, y_true, y_score, {"sex": sex}, n_resamples=20, random_state=0
    ... )
    >>> report.index.tolist()
    [('all', ''), ('sex', 'female'), ('sex', 'male'), ('sex', 'other')]
    >>> report.loc[("sex", "other"), "note"]
    'too few to say: 3 positive and 2 negative'
    """
    check_installed("pandas", "subgroup_report")
    import pandas as pd

    n_images = count_images(y_true)
    check_consistent_length(y_true, y_score)
    groups = check_groups(groups, n_images)
    if groups is None:
        groups = np.arange(n_images)
    parts = [((_ALL, ""), np.arange(n_images)), *split_attributes(metadata, n_images)]
    is_positive = _find_positive(y_true, pos_label) if has_labels(y_true) else None
    options: dict[str, Any] = {
        "n_resamples": n_resamples,
        "confidence_level": confidence_level,
        "random_state": choose_seed(random_state),
    }
    rows = []
    for name, members in parts:
        positive = None if is_positive is None else is_positive[members]
        row = _count(groups[members], positive)
        row["note"] = _explain(row.pop("per_class"), min_per_class)
        if not row["note"]:
            true, score = (select_items(each, members) for each in (y_true, y_score))
            try:
                found = bootstrap_interval(
                    metric, true, score, groups=groups[members], **options
                )
                row |= {"score": found[0], "low": found[1], "high": found[2]}
            except ValueError as error:
                if name == (_ALL, ""):
                    raise
                row["note"] = f"no score: {error}"
        rows.append(row)
    names = pd.MultiIndex.from_tuples(
        [name for name, _ in parts], names=["attribute", "subgroup"]
    )
    return pd.DataFrame(rows, index=names, columns=_COLUMNS)


def split_attributes(metadata, n_images):
    """Return the name of each subgroup, and the positions of its images."""
    import pandas as pd

    names = _list_names(metadata)
    parts = []
    for name in names:
        if names.count(name) > 1:
            raise ValueError(f"metadata has two columns with the name {name!r}.")
        values = pd.Series(metadata[name]).reset_index(drop=True)
        if len(values) != n_images:
            raise ValueError(
                f"metadata[{name!r}] has {len(values)} values, but there are "
                f"{n_images} images."
            )
        is_missing = (values.isna() | (values == _MISSING)).to_numpy(
            bool, na_value=True
        )
        try:
            present = values[~is_missing].unique()
        except TypeError as error:  # of values that cannot be compared
            raise ValueError(
                f"metadata[{name!r}] has values such as lists ({error}). Pass one "
                "text, number or category per image."
            ) from None
        if len(present) > _MAX_VALUES:
            raise ValueError(
                f"metadata[{name!r}] has {len(present)} different values. Put them "
                f"into at most {_MAX_VALUES} ranges first, for example by pandas.cut."
            )
        for value in _sort(values, present):
            is_member = (values == value).to_numpy(dtype=bool, na_value=False)
            parts.append(((name, value), np.flatnonzero(is_member)))
        if is_missing.any():
            parts.append(((name, _MISSING), np.flatnonzero(is_missing)))
    return _separate_booleans(parts)


def _separate_booleans(parts):
    """Return True and False as texts if another attribute has the numbers 1 or 0.

    These are equal in Python, so that an index would show all of them as the first one.
    """
    are_booleans = [isinstance(value, bool | np.bool_) for (_, value), _ in parts]
    if not any(
        not is_boolean and isinstance(value, Real) and value in (0, 1)
        for is_boolean, ((_, value), _) in zip(are_booleans, parts, strict=True)
    ):
        return parts
    return [
        ((name, str(value) if is_boolean else value), members)
        for is_boolean, ((name, value), members) in zip(
            are_booleans, parts, strict=True
        )
    ]


def _list_names(metadata) -> list:
    """Return the names of the columns of a table of any library, or of a dict."""
    if isinstance(metadata, Mapping):
        return list(metadata)
    for attribute in ("column_names", "columns"):  # of Arrow; of pandas and Polars
        if hasattr(metadata, attribute):
            return list(getattr(metadata, attribute))
    raise TypeError(
        f"metadata is of type {type(metadata).__name__}. Pass a DataFrame, or a dict "
        'from names of attributes to values, such as {"sex": sex}.'
    )


def _sort(values, present):
    """Return values in the order of their categories, or else sorted."""
    if hasattr(values, "cat"):
        return [value for value in values.cat.categories if value in present]
    try:
        return sorted(present.tolist())
    except TypeError:  # of different types
        return sorted(present.tolist(), key=str)


def _find_positive(y_true, pos_label):
    """Return which images are positive, or None if there is no positive class."""
    y_true = np.asarray(y_true)
    y_true = y_true.reshape(len(y_true), -1)
    if y_true.shape[1] > 1:  # several labels
        return None
    classes = np.unique(y_true).tolist()
    if pos_label is None and len(classes) == 2:
        pos_label = classes[1]
    if pos_label is None:
        return None
    if pos_label not in classes:
        raise ValueError(f"pos_label={pos_label!r} is not in y_true: {classes[:9]}.")
    return y_true[:, 0] == pos_label


def _count(groups, is_positive):
    """Return the numbers of images and groups, and the prevalence of images."""
    row = {"n_images": len(groups), "n_groups": len(np.unique(groups))}
    if is_positive is None:
        return {**row, "per_class": {"groups": row["n_groups"]}}
    per_class = {
        name: len(np.unique(groups[chosen]))
        for name, chosen in (("positive", is_positive), ("negative", ~is_positive))
    }
    return {**row, "prevalence": is_positive.mean(), "per_class": per_class}


def _explain(per_class, min_per_class):
    """Return why a subgroup is too small for a score, or an empty text."""
    if min(per_class.values()) >= min_per_class:
        return ""
    counts = " and ".join(f"{count} {name}" for name, count in per_class.items())
    return f"too few to say: {counts}"
