"""A linear head, chosen by cross-validation on the features of a frozen backbone for the training images."""
