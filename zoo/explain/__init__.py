"""Where a Keras model finds the evidence for a class: exactly where its head is linear, else by LayerCAM.

``zoo.exporting.evidence`` finds a linear head and computes with it, which needs no gradients; the same becomes the
second output of an exported file. ``zoo.edge`` draws.
"""

from zoo.explain.explainer import Explainer

__all__ = ["Explainer"]
