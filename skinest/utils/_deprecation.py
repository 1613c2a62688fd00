"""Old names of parameters, which work for one more version."""

# Authors: The skinest developers
# SPDX-License-Identifier: BSD-3-Clause

import warnings

from .._compat import Hidden, StrOptions

DEPRECATED = "deprecated"  # the default of a parameter under its old name
NOT_PASSED = Hidden(StrOptions({DEPRECATED}))  # its constraint


def renamed_parameter(old_name, old, new_name, new):
    """Return the value of a parameter, and warn if it came by its old name.

    Parameters
    ----------
    old_name, new_name : str
        Its names.

    old, new : object
        What was passed by each name; `old` is ``"deprecated"`` by default.

    Returns
    -------
    value : object
        `old` where it was passed, else `new`.

    Warns
    -----
    FutureWarning
        If `old` was passed.
    """
    if isinstance(old, str) and old == DEPRECATED:
        return new
    warnings.warn(
        f"{old_name} was renamed to {new_name} in version 0.1, and its old name will "
        f"be removed in 0.2. Pass {new_name}={old!r}.",
        FutureWarning,
        stacklevel=3,
    )
    return old
