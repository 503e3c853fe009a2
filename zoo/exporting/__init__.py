"""Exports a trained Keras model to a file for another runtime: folding, quantisation, conversion, and the bundle."""
