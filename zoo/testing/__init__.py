"""Conformance checks of plugins, for ``zoo plugin check`` and for a plugin's own tests.

    from zoo.testing import parametrize_with_checks

    @parametrize_with_checks(["resnet"])
    def test_conformance(check):
        check()

It corresponds to scikit-learn's ``check_estimator``, for architectures, exporters, datasets and callbacks. A check that
a record cannot pass is listed with the reason in its ``expected_failures``. An unexpected pass is a failure.
docs/reference/conformance.md describes each check. Importing this package does not load Keras.
"""

from zoo.testing.callbacks import Callbacks
from zoo.testing.checking import check_exporter, run_checks
from zoo.testing.checks import check_names
from zoo.testing.parametrize import parametrize_with_checks
from zoo.testing.result import CheckError, CheckResult

__all__ = [
    "Callbacks",
    "CheckError",
    "CheckResult",
    "check_exporter",
    "check_names",
    "parametrize_with_checks",
    "run_checks",
]
