"""scikit-learn's callbacks, called from Keras' training loop."""

# Authors: The skinest developers
# SPDX-License-Identifier: BSD-3-Clause

import keras


class EpochTasks(keras.callbacks.Callback):
    """Each epoch of Keras is a task of scikit-learn's callbacks.

    Parameters
    ----------
    context : CallbackContext
        The context of the fit.

    hook_arguments : dict
        What the hooks get: `estimator`, `X` and `y`.

    attributes_of : callable
        Makes the attributes of an estimator that is fitted so far, called with the
        Keras model.

    Attributes
    ----------
    stopped : bool
        Whether a callback has asked to stop.
    """

    def __init__(self, context, hook_arguments, attributes_of):
        super().__init__()
        self._context = context
        self._hook_arguments = hook_arguments
        self._attributes_of = attributes_of
        self.stopped = False

    def on_epoch_begin(self, epoch, logs=None):
        self._task = self._context.subcontext(task_name="epoch")
        self._task.call_on_fit_task_begin(**self._hook_arguments)

    def on_epoch_end(self, epoch, logs=None):
        self.stopped |= self._task.call_on_fit_task_end(
            **self._hook_arguments,
            reconstruction_attributes=lambda: self._attributes_of(self.model),
        )
        if self.stopped:
            self.model.stop_training = True
