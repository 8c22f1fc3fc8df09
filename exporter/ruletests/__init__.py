"""Rule tests: log events in, expected matches, labels and values out, as with promtool.

``loading.py`` reads the test files, ``evaluation.py`` runs them through the real rule set,
``against_aws.py`` compares the results with TestMetricFilter.
"""

from exporter.ruletests.coverage import Coverage, coverage
from exporter.ruletests.evaluation import Failure, Got, TestResult, run_tests
from exporter.ruletests.loading import Loaded, load_rule_tests
from exporter.ruletests.models import Expectation, RuleTest, RuleTestFile

__all__ = [
    "Coverage",
    "Expectation",
    "Failure",
    "Got",
    "Loaded",
    "RuleTest",
    "RuleTestFile",
    "TestResult",
    "coverage",
    "load_rule_tests",
    "run_tests",
]
