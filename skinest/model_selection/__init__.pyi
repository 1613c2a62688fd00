from ._cross_val_table import cross_val_table
from ._delong import delong_interval, delong_test
from ._interval_result import ComparisonResult, DeLongResult, IntervalResult
from ._intervals import bootstrap_interval, compare
from ._text_tables import format_table

__all__ = [
    "ComparisonResult",
    "DeLongResult",
    "IntervalResult",
    "bootstrap_interval",
    "compare",
    "cross_val_table",
    "delong_interval",
    "delong_test",
    "format_table",
]
