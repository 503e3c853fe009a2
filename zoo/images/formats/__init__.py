"""One module for each file format, with the function ``read_header(data: bytes) -> ImageHeader``.

The modules parse only what decoding needs: the size, so that a decompression bomb is refused before it is
decompressed; the orientation, because whether OpenCV applies it depends on format, flag and version; and everything
that OpenCV would misread without an error.

Reading past the end of ``data`` raises ``struct.error`` or ``IndexError``. ``zoo.images.probe`` turns them into an
``ImageError``.
"""
