from ._interval_result import IntervalResult
from ._intervals import bootstrap_interval
from ._subgroups import subgroup_report

__all__ = [
    "IntervalResult",
    "bootstrap_interval",
    "subgroup_report",
]
