"""What a trained model is worth: its answers on the test images, the figures they give, and runs beside each other.

Importing this loads NumPy and nothing heavier; scikit-learn and SciPy come in when a figure needs them.
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
