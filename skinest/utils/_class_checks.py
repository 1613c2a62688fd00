"""Checks of an estimator's class, which look at no image."""

# Authors: The skinest developers
# SPDX-License-Identifier: BSD-3-Clause

import inspect
import re

from sklearn.base import BaseEstimator
from sklearn.utils import get_tags

from ._check_data import get_own_params


def check_tags(estimator, data):
    """Check that the tags say that images are taken, and tables are not."""
    tags = get_tags(estimator)
    assert not tags.input_tags.two_d_array, "two_d_array must be False."
    assert tags.input_tags.three_d_array, "three_d_array must be True."


def check_mixins(estimator, data):
    """Check that mixins are left of BaseEstimator, whose tags would hide theirs."""
    mro = type(estimator).__mro__
    late = mro[mro.index(BaseEstimator) :]
    misplaced = [c.__name__ for c in late if c not in BaseEstimator.__mro__]
    assert not misplaced, f"{misplaced} must be left of BaseEstimator."


def check_docstrings(estimator, data):
    """Check that every parameter and every public method is documented."""
    documentation = inspect.getdoc(type(estimator)) or ""
    for name in get_own_params(estimator):
        found = re.search(rf"^(\w+, )*{name}(, \w+)* :", documentation, re.MULTILINE)
        assert found, f"The parameter {name} is not documented."
    for name, method in inspect.getmembers(type(estimator), callable):
        assert name.startswith("_") or inspect.getdoc(method), f"{name}: no docstring."
