"""Finds problems in a dataset:

unusable files, near-duplicates and suspicious labels. No file of the user is changed.
"""
