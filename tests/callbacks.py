"""scikit-learn's callbacks, for tests that are skipped where it has none."""

# Authors: The skinest developers
# SPDX-License-Identifier: BSD-3-Clause

import pytest

from skinest._compat import HAS_CALLBACKS

if HAS_CALLBACKS:
    from sklearn.callback import ProgressBar, ScoringMonitor
else:
    ProgressBar = ScoringMonitor = None

__all__ = ["ProgressBar", "ScoringMonitor", "SilentCallback", "needs_callbacks"]

needs_callbacks = pytest.mark.skipif(
    not HAS_CALLBACKS, reason="callbacks need scikit-learn 1.9"
)


class SilentCallback:
    """A callback that does nothing; subclasses do something after a task."""

    def setup(self, estimator, context):
        pass

    def teardown(self, estimator, context):
        pass

    def on_fit_task_begin(self, estimator, context, **details):
        pass
