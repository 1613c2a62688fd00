from ._interval_result import IntervalResult
from ._intervals import bootstrap_interval

__all__ = [
    "IntervalResult",
    "bootstrap_interval",
]
