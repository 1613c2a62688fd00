from ._cross_source_table import cross_source_table
from ._interval_result import IntervalResult
from ._intervals import bootstrap_interval
from ._priors import adjust_priors, estimate_priors

__all__ = [
    "IntervalResult",
    "adjust_priors",
    "bootstrap_interval",
    "cross_source_table",
    "estimate_priors",
]
