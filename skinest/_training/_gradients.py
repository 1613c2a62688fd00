"""The old place of the gradients, until what imports it has moved."""

# Authors: The skinest developers
# SPDX-License-Identifier: BSD-3-Clause

from ..inspection._gradients import (  # noqa: F401
    compute_score_gradients as score_gradients,
)
