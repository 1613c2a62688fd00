from ._cross_source_table import cross_source_table
from ._cross_val_table import cross_val_table
from ._delong import delong_interval, delong_test
from ._interval_result import ComparisonResult, DeLongResult, IntervalResult
from ._intervals import bootstrap_interval, compare
from ._priors import adjust_priors, estimate_priors
from ._subgroups import subgroup_report
from ._text_tables import format_table

__all__ = [
    "ComparisonResult",
    "DeLongResult",
    "IntervalResult",
    "adjust_priors",
    "bootstrap_interval",
    "compare",
    "cross_source_table",
    "cross_val_table",
    "delong_interval",
    "delong_test",
    "estimate_priors",
    "format_table",
    "subgroup_report",
]
