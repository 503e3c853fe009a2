"""What zoo asks of every architecture."""

import os

from zoo.testing import check_names, parametrize_with_checks

from zoo_keras_applications import architecture
from zoo_keras_applications.applications import APPLICATIONS

#: The smallest; the others when asked for, which takes hours.
ALWAYS = ("mobilenet_v3_small",)
ALL = bool(os.environ.get("ZOO_TEST_ALL_APPLICATIONS"))

#: Of so many layers these take a minute, and zoo's own tests ask smaller networks.
LONG = {"opens_without_the_plugin", "nudged_weight", "training_step", "export_onnx_float16", "export_tflite_float16"}


@parametrize_with_checks(
    [architecture(each) for each in APPLICATIONS if ALL or each.name in ALWAYS],
    checks=[name for name in check_names() if ALL or name not in LONG],
)
def test_conformance(check):
    check()
