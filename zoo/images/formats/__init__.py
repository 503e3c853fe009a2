"""One room per file format: ``read_header(data: bytes) -> ImageHeader``.

Own parsing, as little as decoding needs: the size, so that a decompression bomb is refused before it unfolds; the
orientation, which OpenCV applies or not depending on format, flag and version; and what it would misread in silence.

Reading past the end of ``data`` raises ``struct.error`` or ``IndexError``; ``zoo.images.probe`` turns them into words.
"""
