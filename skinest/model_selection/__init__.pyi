from ._check_split import SplitCheck, check_split
from ._cross_source_table import cross_source_table
from ._cross_val_table import cross_val_table
from ._delong import delong_interval, delong_test
from ._interval_result import ComparisonResult, DeLongResult, IntervalResult
from ._intervals import bootstrap_interval, compare
from ._mask_thresholds import tune_mask_threshold
from ._near_duplicates import (
    NearDuplicates,
    duplicate_groups,
    find_near_duplicates,
)
from ._priors import adjust_priors, estimate_priors
from ._splits import StratifiedGroupShuffleSplit, train_test_split
from ._subgroups import subgroup_report
from ._text_tables import format_table

__all__ = [
    "ComparisonResult",
    "DeLongResult",
    "IntervalResult",
    "NearDuplicates",
    "SplitCheck",
    "StratifiedGroupShuffleSplit",
    "adjust_priors",
    "bootstrap_interval",
    "check_split",
    "compare",
    "cross_source_table",
    "cross_val_table",
    "delong_interval",
    "delong_test",
    "duplicate_groups",
    "estimate_priors",
    "find_near_duplicates",
    "format_table",
    "subgroup_report",
    "train_test_split",
    "tune_mask_threshold",
]
