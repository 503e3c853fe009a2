"""From a folder of photos to a verified image classifier on an edge device.

``zoo.train``, ``zoo.load``, ``zoo.export`` and the other functions do the same as the commands. They are imported on
first use. The records are the public interface for plugins. Importing them loads neither Keras nor a backend.

``hookimpl`` marks the functions of a plugin that zoo calls:

>>> import zoo
>>> @zoo.hookimpl
... def zoo_architectures():
...     return [zoo.Architecture(name="my_net", summary="Mine", build=lambda input_shape, num_classes: None)]
>>> [architecture.name for architecture in zoo_architectures()]
['my_net']
"""

import importlib
from typing import TYPE_CHECKING, Any

from zoo.augmentation import Augmentation
from zoo.errors import (
    ClusterError,
    DataError,
    ExportError,
    PluginError,
    TrainingError,
    UsageError,
    VerificationError,
    ZooError,
)
from zoo.exported import Metadata, Runtime, TensorInfo
from zoo.hookspecs import hookimpl
from zoo.image_spec import ImageSpec
from zoo.interfaces import App, Architecture, Dataset, Exporter, Weights
from zoo.recipe import Recipe

if TYPE_CHECKING:
    from zoo.workflows.api import check, compare, evaluate, export, load, predict, runs, search, train, verify
    from zoo.workflows.models import ExportedFile, Model, Run

__version__ = "0.1.0"

#: Public functions and their results, each with its module, which is imported on first use.
_LAZY = {
    **dict.fromkeys(
        ("check", "compare", "evaluate", "export", "load", "predict", "runs", "search", "train", "verify"),
        "zoo.workflows.api",
    ),
    **dict.fromkeys(("ExportedFile", "Model", "Run"), "zoo.workflows.models"),
}


def __getattr__(name: str) -> Any:
    if name not in _LAZY:
        raise AttributeError(f"module 'zoo' has no attribute {name!r}")
    return getattr(importlib.import_module(_LAZY[name]), name)


def __dir__() -> list[str]:
    return sorted({*globals(), *_LAZY})


__all__ = [
    "App",
    "Architecture",
    "Augmentation",
    "ClusterError",
    "DataError",
    "Dataset",
    "ExportError",
    "ExportedFile",
    "Exporter",
    "ImageSpec",
    "Metadata",
    "Model",
    "PluginError",
    "Recipe",
    "Run",
    "Runtime",
    "TensorInfo",
    "TrainingError",
    "UsageError",
    "VerificationError",
    "Weights",
    "ZooError",
    "__version__",
    "check",
    "compare",
    "evaluate",
    "export",
    "hookimpl",
    "load",
    "predict",
    "runs",
    "search",
    "train",
    "verify",
]
