"""Evaluation of a trained model: its predictions on the test images, metrics, and the comparison of runs.

Importing this package loads only NumPy. scikit-learn and SciPy are loaded when a metric needs them.
"""

from zoo.evaluation.compare import Comparison, compare
from zoo.evaluation.intervals import exact_interval, tango_interval, wilson_interval
from zoo.evaluation.metrics import compute_metrics
from zoo.evaluation.predictions import Predictions

__all__ = [
    "Comparison",
    "Predictions",
    "compare",
    "compute_metrics",
    "exact_interval",
    "tango_interval",
    "wilson_interval",
]
