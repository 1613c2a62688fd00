"""scikit-learn's callbacks, for tests that are skipped where it has none."""

# Authors: The skinest developers
# SPDX-License-Identifier: BSD-3-Clause

from collections import Counter

import pytest

from skinest._compat import HAS_CALLBACKS

if HAS_CALLBACKS:
    from sklearn.callback import ProgressBar, ScoringMonitor
else:
    ProgressBar = ScoringMonitor = None

__all__ = [
    "ProgressBar",
    "Recorder",
    "ScoringMonitor",
    "SilentCallback",
    "needs_callbacks",
]

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


class Recorder(SilentCallback):
    """Counts tasks, keeps what could be fitted so far, and may ask to stop."""

    max_propagation_depth = None

    def __init__(self, stop_after=None, stop_at="epoch"):
        self.stop_after = stop_after
        self.stop_at = stop_at
        self.begun, self.ended, self.fitted = Counter(), Counter(), []

    def on_fit_task_begin(self, estimator, context):
        self.begun[context.task_name] += 1

    def on_fit_task_end(self, estimator, context, *, fitted_estimator):
        self.ended[context.task_name] += 1
        if context.task_name == "epoch":
            self.fitted.append(fitted_estimator)
        return self.ended[self.stop_at] == self.stop_after
