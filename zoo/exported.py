"""Metadata and runtime interface of exported files, which are the same for every format.

This module uses NumPy only in type annotations, so that it can also be used on the device.
"""

from __future__ import annotations

import json
from collections.abc import Iterable, Mapping
from dataclasses import asdict, dataclass, field
from typing import TYPE_CHECKING, Any, Protocol, runtime_checkable

from zoo.errors import ExportError, UsageError
from zoo.image_spec import ImageSpec
from zoo.records import read_object, read_record

if TYPE_CHECKING:
    import numpy as np
    from numpy.typing import NDArray

#: Increased whenever readers of the metadata must change.
METADATA_VERSION = 1

#: Names of the input and the first output of every exported file.
INPUT, OUTPUT = "image", "probabilities"

#: Name of the second output of a file that was exported with a map: the contribution of each position to the logit of
#: each class, minus the mean over the classes; float32 ``(n, height, width, classes)``.
MAP = "map"


@dataclass(frozen=True, kw_only=True)
class Metadata:
    """The metadata stored inside an exported file, the same in every format.

    Args:
        labels: Class names in the order of the outputs.
        image: The preprocessing of image files.
        precision: ``float32``, ``float16`` or ``int8``.
        architecture: Name of the architecture.
        source: Source of the weights: the name of a run, or an architecture and its weights, such as
            ``mobilenetv2 (imagenet)``.
        model_digest: SHA-256 over the weights of the Keras model.
        data_digest: SHA-256 of the training dataset. Empty if unknown.
        calibration_digest: SHA-256 over the calibration images, in order. Empty without calibration.
        versions: Versions of the packages that wrote the file, by name.
        verification: Summary of the verification: ``status`` (``verified`` or ``unverified``) and its figures.

    >>> metadata = zoo.load("bundle").metadata
    >>> metadata.verified, metadata.precision, metadata.labels[:3]
    (True, 'float32', ('0', '1', '2'))
    >>> zoo.Metadata.from_json(metadata.to_json()) == metadata
    True
    """

    labels: tuple[str, ...]
    image: ImageSpec
    precision: str
    architecture: str
    source: str
    model_digest: str
    data_digest: str = ""
    calibration_digest: str = ""
    versions: Mapping[str, str] = field(default_factory=dict)
    verification: Mapping[str, Any] = field(default_factory=lambda: {"status": "unverified"})
    version: int = METADATA_VERSION

    @property
    def verified(self) -> bool:
        return self.verification.get("status") == "verified"

    def as_dict(self) -> dict[str, Any]:
        return asdict(self) | {"labels": list(self.labels), "image": self.image.as_dict()}

    def to_json(self) -> str:
        """Canonical JSON with sorted keys and without spaces, so that equal content gives equal bytes."""
        return json.dumps(self.as_dict(), sort_keys=True, separators=(",", ":"), ensure_ascii=False)

    @classmethod
    def from_json(cls, text: str) -> Metadata:
        """The inverse of ``to_json``.

        Raises:
            ExportError: The JSON is damaged, or was written by a newer zoo.
        """
        try:
            values = read_object(text)
            if values.get("version") != METADATA_VERSION:
                raise ExportError(
                    f"The file's metadata is version {values.get('version')!r:.40}; this zoo reads {METADATA_VERSION}."
                )
            found = read_record(cls, values)
            ImageSpec.from_dict(values["image"])  # refuses an unknown field
            return found
        except (ValueError, UsageError) as error:
            raise ExportError(f"The file's metadata cannot be read: {error}.", "Export the model again.") from error


def label_lines(labels: Iterable[str]) -> str:
    """Class names, one per line, as in ``labels.txt``.

    A name may contain a line break, or consist only of spaces, which readers skip. Both would shift the following
    names. Therefore line breaks become spaces, and an empty name becomes a question mark.
    """
    lines = (" ".join(label.splitlines()) for label in labels)
    return "".join(f"{line if line.strip() else '?'}\n" for line in lines)


@dataclass(frozen=True, kw_only=True)
class TensorInfo:
    """One input or output of an exported file.

    Args:
        name: Name in the file.
        shape: Shape, with ``None`` for a free dimension.
        dtype: NumPy name, such as ``float32``.
        scale, zero_point: Quantisation parameters: real = scale x (stored - zero_point). 1 and 0 if not quantised.

    >>> zoo.TensorInfo(name="image", shape=(None, 224, 224, 3), dtype="uint8").scale
    1.0
    """

    name: str
    shape: tuple[int | None, ...]
    dtype: str
    scale: float = 1.0
    zero_point: int = 0


class Runtime(Protocol):
    """An exported file that is loaded and ready to predict, as returned by ``Exporter.load``.

    >>> import numpy as np
    >>> class Constant:
    ...     inputs = (zoo.TensorInfo(name="image", shape=(None, 32, 32, 3), dtype="float32"),)
    ...     outputs = (zoo.TensorInfo(name="probabilities", shape=(None, 2), dtype="float32"),)
    ...
    ...     def predict(self, images):
    ...         return np.full((len(images), 2), 0.5, np.float32)
    >>> runtime: zoo.Runtime = Constant()
    >>> runtime.predict(np.zeros((1, 32, 32, 3), np.uint8))
    array([[0.5, 0.5]], dtype=float32)
    """

    @property
    def inputs(self) -> tuple[TensorInfo, ...]: ...

    @property
    def outputs(self) -> tuple[TensorInfo, ...]: ...

    def predict(self, images: NDArray[np.uint8]) -> NDArray[np.float32]:
        """Predicts probabilities, float32 ``(n, classes)``, from pixels, uint8 ``(n, height, width, 3)`` RGB.

        The pixels are converted to the dtype of the input, and not changed otherwise.
        """
        ...


@runtime_checkable
class MappingRuntime(Protocol):
    """The additional interface of a runtime whose file was exported with a map."""

    def explain(self, images: NDArray[np.uint8]) -> tuple[NDArray[np.float32], NDArray[np.float32]]:
        """Predicts probabilities like ``predict``, and the evidence at each position for each class.

        The evidence is float32 ``(n, height, width, classes)``.
        """
        ...


def has_map(runtime: Runtime) -> bool:
    """Whether a file has a second output with the evidence map, and its runtime supports it."""
    return [output.name for output in runtime.outputs][1:] == [MAP] and isinstance(runtime, MappingRuntime)
