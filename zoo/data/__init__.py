"""Reads the dataset of ``--data``: labels images, splits them, and caches their pixels."""

from zoo.data.dataset import ImageData, load_data, load_for_evaluation, load_recorded
from zoo.data.given import as_source
from zoo.data.named import named_dataset
from zoo.data.source import SPLITS, TEST, TRAIN, VAL, Skipped

__all__ = [
    "SPLITS",
    "TEST",
    "TRAIN",
    "VAL",
    "ImageData",
    "Skipped",
    "as_source",
    "load_data",
    "load_for_evaluation",
    "load_recorded",
    "named_dataset",
]
