"""Computes the evidence map of a Keras model for a class. It is exact for a linear head; others use LayerCAM.

``zoo.exporting.evidence`` finds a linear head and computes the map without gradients. The same computation is the
second output of an exported file. ``zoo.edge`` draws the map.
"""

from zoo.explain.explainer import Explainer

__all__ = ["Explainer"]
