"""Old names of parameters, which still work for one version."""

# Authors: The skinest developers
# SPDX-License-Identifier: BSD-3-Clause

import warnings

from .._compat import Hidden, StrOptions

DEPRECATED = "deprecated"  # the default of a parameter under its old name
NOT_PASSED = Hidden(StrOptions({DEPRECATED}))  # its constraint


def renamed_parameter(old_name, old, new_name, new):
    """Return the value of a parameter, and warn if its old name was used.

    Parameters
    ----------
    old_name, new_name : str
        Names of the parameter.

    old, new : object
        The values that were passed. `old` is ``"deprecated"`` by default.

    Returns
    -------
    value : object
        `old` if it was passed, otherwise `new`.

    Warns
    -----
    FutureWarning
        If `old` was passed.
    """
    if isinstance(old, str) and old == DEPRECATED:
        return new
    warnings.warn(
        f"{old_name} was renamed to {new_name} in version 0.1, and the old name will "
        f"be removed in 0.2. Pass {new_name}={old!r}.",
        FutureWarning,
        stacklevel=3,
    )
    return old
