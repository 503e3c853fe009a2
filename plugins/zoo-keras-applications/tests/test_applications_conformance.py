"""What zoo asks of every architecture."""

import os

from zoo.testing import check_names, parametrize_with_checks

from zoo_keras_applications import architecture
from zoo_keras_applications.applications import APPLICATIONS

#: The smallest; the others when asked for, which takes hours.
ALWAYS = ("mobilenet_v3_small",)
ALL = bool(os.environ.get("ZOO_TEST_ALL_APPLICATIONS"))

#: test_applications_model.py shows that a saved model opens in another process, and that its layers are Keras's own.
CHECKS = [name for name in check_names() if ALL or name != "opens_without_the_plugin"]


@parametrize_with_checks([architecture(each) for each in APPLICATIONS if ALL or each.name in ALWAYS], checks=CHECKS)
def test_conformance(check):
    check()
