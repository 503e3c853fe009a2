"""The conformance checks of zoo, which every architecture must pass."""

import os

import pytest
from zoo.testing import check_names, parametrize_with_checks

from zoo_keras_applications import architecture
from zoo_keras_applications.applications import APPLICATIONS

#: The smallest architecture. The others are tested only on request, which takes hours.
ALWAYS = ("mobilenet_v3_small",)
ALL = bool(os.environ.get("ZOO_TEST_ALL_APPLICATIONS"))

ARCHITECTURES = [architecture(each) for each in APPLICATIONS if ALL or each.name in ALWAYS]

#: With so many layers, other checks take long, and zoo's own tests run them on smaller networks.
SHORT = ["record", "builds", "raw_pixels"]


@parametrize_with_checks(ARCHITECTURES, checks=SHORT)
def test_conformance(check):
    check()


@pytest.mark.long
@parametrize_with_checks(ARCHITECTURES, checks=[name for name in check_names() if name not in SHORT])
def test_conformance_in_long_checks(check):
    check()
