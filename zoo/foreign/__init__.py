"""Reads Keras models from outside zoo and adapts them to raw pixels and probabilities, or refuses them."""
