"""What estimators that train a network share."""

# Authors: The skinest developers
# SPDX-License-Identifier: BSD-3-Clause

from math import nan

from sklearn.base import BaseEstimator
from sklearn.callback import CallbackSupportMixin

from ..utils._doc_link import DocLinkMixin


class NetworkEstimator(DocLinkMixin, CallbackSupportMixin, BaseEstimator):
    """Records of training, warm starts, pickling and tags."""

    def _n_done(self):
        """Epochs that are counted on from."""
        return self.n_iter_ if self.warm_start and hasattr(self, "n_iter_") else 0

    def _keep_records(self, training):
        """Keep what a fit has recorded, after what is counted on from."""
        history, per_stage, n_done = {}, [], self._n_done()
        if n_done:
            history, per_stage = self.history_, self.n_iter_per_stage_
        new, n_new = training.history, sum(training.n_iter_per_stage)
        # What one of the fits has not measured, as without validation, is NaN there.
        self.history_ = {
            name: [*history.get(name, [nan] * n_done), *new.get(name, [nan] * n_new)]
            for name in {**history, **new}
        }
        self.n_iter_per_stage_ = per_stage + training.n_iter_per_stage
        self.n_iter_ = sum(self.n_iter_per_stage_)

    def __getstate__(self):
        return {**super().__getstate__(), "_model": None}

    def __sklearn_tags__(self):
        tags = super().__sklearn_tags__()
        tags.input_tags.two_d_array = False
        tags.input_tags.three_d_array = True
        tags.input_tags.string = True
        return tags
