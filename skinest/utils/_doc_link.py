"""Links from an estimator to its documentation."""

# Authors: The skinest developers
# SPDX-License-Identifier: BSD-3-Clause

from itertools import takewhile

SITE = "https://skinest.readthedocs.io/en/latest"


class DocLinkMixin:
    """Link the HTML of an estimator to its page of the site.

    It stands left of `BaseEstimator`, whose links it replaces.
    """

    _doc_link_module = "skinest"
    _doc_link_template = SITE + "/api/generated/{module}.{name}.html"

    def _doc_link_url_param_generator(self):
        import skinest

        name = type(self).__name__
        parts = type(self).__module__.split(".")
        home = ".".join(takewhile(lambda part: not part.startswith("_"), parts))
        return {"module": "skinest" if name in skinest.__all__ else home, "name": name}
