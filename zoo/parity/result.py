"""The result of a verification: the record, its JSON, and the summary that is stored in the file."""

from __future__ import annotations

import hashlib
from collections.abc import Mapping, Sequence
from dataclasses import asdict, dataclass, replace
from pathlib import Path
from typing import Any

from zoo.exported import Metadata
from zoo.image_spec import ImageSpec
from zoo.parity.ask import TensorError
from zoo.parity.contract import Contract
from zoo.parity.device import Processor
from zoo.parity.gates import GateResult, Gates
from zoo.parity.maps import MapParity
from zoo.parity.values import Values

#: Increased whenever readers of ``verify.json`` must change.
VERIFICATION_VERSION = 1


@dataclass(frozen=True, kw_only=True)
class Verification:
    """The comparison of an exported file with its Keras model.

    Args:
        file: Name of the exported file.
        file_sha256: SHA-256 of its content.
        file_bytes: Size of the file with its parts.
        parts: Names of its parts, each with its SHA-256.
        format: Name of the exporter.
        precision: Precision in the metadata, or the one suggested by its input.
        metadata: Metadata of the file.
        reference: Name of the Keras model: the run, or ``mobilenetv2 (imagenet)``.
        architecture: Architecture of the Keras model.
        data: Name of the dataset: the last part of the folder's path.
        data_digest: SHA-256 over labels and every image's content, label and split.
        split: Split of the data.
        n: Number of images compared.
        image: The preprocessing of the file.
        contract: Names, shapes, types, labels and preprocessing.
        tensor: Difference of the pixels. ``None`` if the contract did not allow predictions.
        values: Comparison of the predictions. ``None`` if the contract did not allow predictions.
        limits: The gates.
        gates: Results of the gates. Empty without predictions.
        failures: Sentences on failures. The file passed if there are none.
        threads: Number of threads of the runtime.
        versions: Versions of the packages used, by name.
        map: Comparison of the evidence maps. ``None`` for a file without a map.
        processor: The processor that predicted. ``None``: this machine.
    """

    file: str
    file_sha256: str
    file_bytes: int
    parts: Mapping[str, str]
    format: str
    precision: str
    metadata: Metadata | None
    reference: str
    architecture: str
    data: str
    data_digest: str
    split: str
    n: int
    image: ImageSpec
    contract: Contract
    tensor: TensorError | None
    values: Values | None
    limits: Gates
    gates: tuple[GateResult, ...]
    failures: tuple[str, ...]
    threads: int
    versions: Mapping[str, str]
    map: MapParity | None = None
    processor: Processor | None = None

    def __str__(self) -> str:
        from zoo.parity.text import render

        return render(self)

    def _repr_pretty_(self, printer: Any, cycle: bool) -> None:
        printer.text(str(self))  # shown if it is the last expression of a notebook cell

    @property
    def passed(self) -> bool:
        return not self.failures

    @property
    def thin(self) -> bool:
        """Whether it passed on so few images that a bad file might have passed too."""
        return self.passed and any(gate.thin for gate in self.gates)

    @property
    def warnings(self) -> tuple[str, ...]:
        """Warnings that the model itself may be unusable, even if the file agrees with it."""
        return tuple(warning.sentence for warning in self.values.warnings) if self.values else ()

    def of_files(self, files: Sequence[Path]) -> Verification:
        """The same result for the current file and parts, after metadata was written or the file was renamed."""
        return replace(self, **described(files))

    def as_dict(self) -> dict[str, Any]:
        """The content of ``verify.json``. Labels and verification are left out of the metadata."""
        said = self.metadata.as_dict() if self.metadata else None
        if said:
            del said["labels"], said["verification"]
        content = asdict(self)
        for rare in ("map", "processor"):
            if content[rare] is None:
                del content[rare]
        return {
            "version": VERIFICATION_VERSION,
            "passed": self.passed,
            "evidence": "thin" if self.thin else "enough",
            "failures": list(self.failures),
            "warnings": list(self.warnings),
            **content,
            "metadata": said,
        }

    def summary(self) -> dict[str, Any]:
        """The summary for the file's metadata: ``status`` and the main figures."""
        values = self.values
        return {
            "status": "verified" if self.passed else "unverified",
            "evidence": "thin" if self.thin else "enough",
            "n": self.n,
            "split": self.split,
            "data_digest": self.data_digest,
            "max_abs_difference": values.difference.max if values and values.difference else None,
            "agreement": values.agreement if values else None,
            "accuracy": values.file.accuracy if values else None,
            "keras_accuracy": values.keras.accuracy if values else None,
            "warnings": [warning.kind for warning in values.warnings] if values else [],
            "gates": self.limits.as_dict(),
        } | ({"map": asdict(self.map)} if self.map else {})


def described(files: Sequence[Path]) -> dict[str, Any]:
    """The fields of a verification that identify its files: the exported file, followed by its parts."""
    file, *parts = files
    return {
        "file": file.name,
        "file_sha256": sha256_of(file),
        "file_bytes": size_bytes(files),
        "parts": {part.name: sha256_of(part) for part in parts},
    }


def size_bytes(files: Sequence[Path]) -> int:
    """Total size of all files."""
    return sum(path.stat().st_size for path in files)


def sha256_of(path: Path) -> str:
    with path.open("rb") as file:
        return hashlib.file_digest(file, "sha256").hexdigest()
