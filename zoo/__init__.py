"""From a folder of photos to a verified image classifier on an edge device.

The names below are the public interface for plugins; importing them loads neither Keras nor a backend.
"""

from zoo.augmentation import Augmentation
from zoo.errors import DataError, ExportError, PluginError, TrainingError, UsageError, VerificationError, ZooError
from zoo.exported import Metadata, Runtime, TensorInfo
from zoo.hookspecs import hookimpl
from zoo.image_spec import ImageSpec
from zoo.interfaces import App, Architecture, Dataset, Exporter, Weights
from zoo.recipe import Recipe

__version__ = "0.1.0"

__all__ = [
    "App",
    "Architecture",
    "Augmentation",
    "DataError",
    "Dataset",
    "ExportError",
    "Exporter",
    "ImageSpec",
    "Metadata",
    "PluginError",
    "Recipe",
    "Runtime",
    "TensorInfo",
    "TrainingError",
    "UsageError",
    "VerificationError",
    "Weights",
    "ZooError",
    "__version__",
    "hookimpl",
]
