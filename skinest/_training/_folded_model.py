"""Networks for predictions whose batch normalisation is part of the convolutions."""

# Authors: The skinest developers
# SPDX-License-Identifier: BSD-3-Clause

from ._models import ReusableModel, free_variables


class FoldedModel(ReusableModel):
    """A Keras model that predicts, with fewer operations.

    Its weights are loaded as those of the model that it was built from.

    Parameters
    ----------
    model : keras.Model
        The model. Weights that are not needed are freed.
    """

    def __init__(self, model):
        from ..networks._norms import fold_norms, fuse_norms

        folded, self._fold = fold_norms(model)
        super().__init__(fuse_norms(folded))
        used = set(map(id, folded.weights))
        free_variables([weight for weight in model.weights if id(weight) not in used])

    def _set_weights(self, arrays):
        super()._set_weights(self._fold(arrays))
