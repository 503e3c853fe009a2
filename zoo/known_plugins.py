"""Names of the architectures in distributions that belong to zoo but are installed separately.

These names are only used to tell the user which distribution to install. The architectures themselves are defined by
their plugins. ``tests/test_known_plugins.py`` compares the table with the plugins.
"""

from __future__ import annotations

from importlib.metadata import PackageNotFoundError, version

_BROUGHT = {
    "zoo-efficientnet-lite": """
        efficientnet_lite0 efficientnet_lite1 efficientnet_lite2
    """,
    "zoo-keras-applications": """
        mobilenet_v1 mobilenet_v3_small mobilenet_v3_large nasnet_mobile densenet121 densenet169 densenet201
        efficientnet_b0 efficientnet_b1 efficientnet_b2 efficientnet_b3 efficientnet_b4 efficientnetv2_b0
        efficientnetv2_b1 efficientnetv2_b2 efficientnetv2_b3 efficientnetv2_s resnet50 resnet101 resnet152
        resnet50v2 resnet101v2 resnet152v2 convnext_tiny convnext_small xception inception_v3 inception_resnet_v2
    """,
}

#: Names of the architectures of each distribution.
KNOWN = {distribution: tuple(names.split()) for distribution, names in _BROUGHT.items()}


def brought_by(architecture: str) -> str:
    """The distribution that provides an architecture. Empty if none is known."""
    return next((distribution for distribution, names in KNOWN.items() if architecture in names), "")


def is_installed(distribution: str) -> bool:
    try:
        version(distribution)
    except PackageNotFoundError:
        return False
    return True
