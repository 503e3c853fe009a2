"""Does a plugin keep its promises? Named checks, for ``zoo plugin check`` and for a plugin's own tests.

    from zoo.testing import parametrize_with_checks

    @parametrize_with_checks(["resnet"])
    def test_conformance(check):
        check()

The counterpart of scikit-learn's ``check_estimator``, for architectures, exporters, datasets and callbacks. A check
that a record cannot pass is named with its reason in its ``expected_failures``; one that passes all the same fails.
What each check asks is in docs/reference/conformance.md. Importing this loads no Keras.
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
