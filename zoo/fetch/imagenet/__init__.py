"""ImageNet: class folders out of the copy that the user has; nothing is downloaded."""
