"""Does an exported file answer like the Keras model it was made from? Asked with image files, through the whole path.

Names, shapes and labels come first, then the pixels, then the answers; each has its own error, so that it is known what
is off. Importing this loads NumPy and OpenCV; Keras and the runtime of a format come in when a model is asked.
"""

from zoo.parity.contract import Contract, check_contract, precision_of
from zoo.parity.failures import acceptance
from zoo.parity.formats import exporter_of
from zoo.parity.gates import Gates, default_gates
from zoo.parity.images import verification_images
from zoo.parity.maps import ExpectedMaps
from zoo.parity.result import Verification
from zoo.parity.stored import stored_problem
from zoo.parity.text import render, thin_evidence
from zoo.parity.unused import Unused, ask_unused, unused_images
from zoo.parity.verify import keras_answers, verify

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
    "keras_answers",
    "precision_of",
    "render",
    "stored_problem",
    "thin_evidence",
    "unused_images",
    "verification_images",
    "verify",
]
