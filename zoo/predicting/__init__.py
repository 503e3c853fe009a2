"""Writes predictions of any number of photos to a file.

photos.py      the photos of lists, folders and Parquet files
shard.py       the share of the photos that one of several commands predicts
unfinished.py  finished parts of a file that is not finished yet
rows.py        the row of a photo
table.py       the finished file: CSV, JSON Lines or Parquet
"""
