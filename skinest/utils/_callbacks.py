"""Use of scikit-learn's callbacks for batches of work."""

# Authors: The skinest developers
# SPDX-License-Identifier: BSD-3-Clause

from contextlib import closing


def iterate_with_callbacks(
    results, n_results, *, estimator, context, name, can_stop=True
):
    """Yield results; computing and using each one is one task of the callbacks.

    Parameters
    ----------
    results : generator
        Generator that computes one result at each step.

    n_results : int
        Number of results.

    estimator : estimator
        The estimator that is being fitted.

    context : CallbackContext or None
        Context of the tasks. None if no estimator is being fitted.

    name : str
        The name of a task.

    can_stop : bool, default=True
        Whether a callback can stop the work.

    Yields
    ------
    result : object
    """
    with closing(results):
        for _ in range(n_results):
            if context is None:
                yield next(results)
                continue
            task = context.subcontext(task_name=name)
            task.call_on_fit_task_begin(estimator=estimator)
            yield next(results)
            if task.call_on_fit_task_end(estimator=estimator) and can_stop:
                break
