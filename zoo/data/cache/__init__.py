"""A cache of decoded images on disk, so that later runs start at once and use constant memory for data of any size.

    <cache>/index.sqlite            the content of each file, the row of each content, and refusals
    <cache>/images/<segment>.u8     uint8 pixels of up to 64 MB of images of one ImageSpec, mapped into memory
    <cache>/datasets/<name>-<v>/    named datasets, written out once
    <cache>/given/<digest>/         images that were given as arrays, written out once: ``zoo.data.given``
    <cache>/audit.sqlite            what `zoo data check` found out about contents and pairs of them
    <cache>/openimages/             the index files of Open Images, for `zoo data fetch`
    <cache>/arm64/                  the emulator of `zoo verify --processor`
    <cache>/precision.json          which precision trains faster on this machine

A segment is written to a temporary file, renamed when it is complete, and then entered in the index with its checksum.
It never changes afterwards. Two processes may decode the same image at the same time: both segments are valid, and one
row is used. Everything here can be deleted at any time, because a process keeps the segments that it
has mapped.

    folder.py    where the cache is, and how large it may become
    index.py     index.sqlite: its tables, its version, and its replacement when it is damaged
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
