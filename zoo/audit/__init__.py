"""Finds problems in a dataset, such as unusable files, near-duplicates and suspicious labels.

No file of the user is changed.
"""
