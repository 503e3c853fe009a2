"""Verifies that an exported file agrees with its Keras model, on image files and through the whole preprocessing.

First names, shapes and labels are checked, then the pixels, then the predictions. Each has its own error, so that the
faulty part is known. Importing this loads NumPy and OpenCV. Keras and the runtime of a format are loaded when a model
is run.
"""

from zoo.parity.contract import Contract, check_contract, precision_of
from zoo.parity.failures import acceptance
from zoo.parity.formats import exporter_of
from zoo.parity.gates import Gates, default_gates
from zoo.parity.images import verification_images
from zoo.parity.maps import ExpectedMaps
from zoo.parity.result import Verification
from zoo.parity.stored import stored_problem
from zoo.parity.text import float_operators_text, render, thin_evidence
from zoo.parity.unused import Unused, ask_unused, unused_images
from zoo.parity.verify import keras_predictions, verify

__all__ = [
    "Contract",
    "ExpectedMaps",
    "Gates",
    "Unused",
    "Verification",
    "acceptance",
    "ask_unused",
    "check_contract",
    "default_gates",
    "exporter_of",
    "float_operators_text",
    "keras_predictions",
    "precision_of",
    "render",
    "stored_problem",
    "thin_evidence",
    "unused_images",
    "verification_images",
    "verify",
]
