"""ImageNet: extracts class folders from the user's own copy. Nothing is downloaded."""
