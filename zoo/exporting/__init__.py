"""From a trained Keras model to a file for another runtime: folding, 8 bits, conversion, and what travels along."""
