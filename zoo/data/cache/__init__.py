"""Decoded images on disk, so that the second run starts at once and memory stays flat however large the data is.

    <cache>/index.sqlite            which file has which content, which content is in which row, what was refused
    <cache>/images/<segment>.u8     uint8 pixels of up to 64 MB of images of one ImageSpec, mapped into memory
    <cache>/datasets/<name>-<v>/    named datasets, written out once
    <cache>/given/<digest>/         images that were given as arrays, written out once: ``zoo.data.given``
    <cache>/audit.sqlite            what `zoo data check` found out about contents and pairs of them
    <cache>/openimages/             the files that describe Open Images, of `zoo data fetch`
    <cache>/precision.json          which precision trains faster on this machine

A segment is written aside, renamed when whole, and only then entered in the index with its checksum; it never changes
afterwards. Two processes may decode the same image at the same time: both segments are right, one row is used.
Everything here can be deleted at any time: whoever looks something up gets it mapped, and keeps it.

    folder.py    where the cache is, and how large it may become
    index.py     index.sqlite: its tables, its version, what to do when it is damaged
    contents.py  tables of files and contents: hashes, refusals, remarks
    table.py     tables of images and segments: which content is in which row
    room.py      evictions, leftovers of killed processes, clearing
    images.py    the cache that all others use
"""

from zoo.data.cache.contents import FileState
from zoo.data.cache.folder import bound_bytes, cache_folder
from zoo.data.cache.images import ATTEMPTS, ImageCache, damage_note
from zoo.data.cache.room import CacheUsage

__all__ = ["ATTEMPTS", "CacheUsage", "FileState", "ImageCache", "bound_bytes", "cache_folder", "damage_note"]
