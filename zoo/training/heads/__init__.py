"""A linear head, chosen by cross-validation on what a frozen backbone says about the training images."""
