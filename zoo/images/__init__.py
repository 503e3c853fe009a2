"""The only path from an image file to the input tensor of a model.

    load_image(path, spec) = resize(decode(read_file(path)), spec)

``look`` decodes too, and also returns a remark for the user. ``decode`` does not capture what decoders write to stderr.

Training, evaluation, calibration, verification and the runner on the device all use this path. It needs only NumPy and
OpenCV, and ``pi-heif`` for HEIC photos. It is copied to the device unchanged, with ``zoo.errors`` and
``zoo.image_spec``.
"""

from zoo.images.decode import DECODER_VERSION, decode
from zoo.images.errors import ImageError, ImageMemoryError, ImageTooLargeError, MissingDecoderError
from zoo.images.formats.header import ImageHeader
from zoo.images.listen import look
from zoo.images.load import MAX_FILE_BYTES, load_image, load_with_remark, patiently, read_file
from zoo.images.probe import MAX_PIXELS, probe
from zoo.images.resize import Box, resize, seen

__all__ = [
    "DECODER_VERSION",
    "MAX_FILE_BYTES",
    "MAX_PIXELS",
    "Box",
    "ImageError",
    "ImageHeader",
    "ImageMemoryError",
    "ImageTooLargeError",
    "MissingDecoderError",
    "decode",
    "load_image",
    "load_with_remark",
    "look",
    "patiently",
    "probe",
    "read_file",
    "resize",
    "seen",
]
