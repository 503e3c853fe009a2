"""What zoo asks of every architecture."""

import os

from zoo.testing import parametrize_with_checks

from zoo_keras_applications import architecture
from zoo_keras_applications.applications import APPLICATIONS

#: The smallest; the others when asked for, which takes hours.
ALWAYS = ("mobilenet_v3_small",)
ALL = bool(os.environ.get("ZOO_TEST_ALL_APPLICATIONS"))


@parametrize_with_checks([architecture(each) for each in APPLICATIONS if ALL or each.name in ALWAYS])
def test_conformance(check):
    check()
