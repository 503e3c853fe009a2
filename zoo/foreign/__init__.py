"""Keras models from outside zoo: read, adapted to raw pixels and probabilities, or refused with the reason."""
