"""The metadata of a bundle in ``spec.json``, and the check that its files are unchanged."""

from __future__ import annotations

import json
from collections.abc import Mapping
from dataclasses import dataclass
from pathlib import Path, PurePosixPath
from typing import Any

from zoo.errors import UsageError, VerificationError, ZooError
from zoo.image_spec import ImageSpec
from zoo.records import read_object, read_record

#: Increased whenever programs that read ``spec.json`` must be changed.
BUNDLE_VERSION = 1

SPEC = "spec.json"
_AGAIN = "Copy the bundle again, or export the model again."


@dataclass(frozen=True, kw_only=True)
class MadeFile:
    """Original size and SHA-256 of a file."""

    bytes: int
    sha256: str


@dataclass(frozen=True, kw_only=True)
class Requirements:
    """What the runner needs, as requirements for ``pip``."""

    requires: tuple[str, ...]


@dataclass(frozen=True, kw_only=True)
class Proof:
    """The part of the verification that a benchmark also reports."""

    accuracy: float | None = None
    n: int | None = None
    data_digest: str | None = None


@dataclass(frozen=True, kw_only=True)
class Spec:
    """The content of ``spec.json``, as far as it is used."""

    version: int
    model: str
    format: str
    precision: str
    architecture: str
    source: str
    labels: tuple[str, ...]
    image: ImageSpec
    runtime: Requirements
    files: Mapping[str, MadeFile]
    parts: tuple[str, ...] = ()
    verification: Proof | None = None
    min_confidence: Mapping[str, Any] | None = None


@dataclass(frozen=True, kw_only=True)
class Bundle:
    """A bundle on disk.

    Args:
        folder: Folder of the bundle.
        model: Name of the model file.
        parts: Names of the other files that belong to the model.
        labels: Class names in the order of the outputs.
        image: The preprocessing of files.
        requires: What ``pip`` has to install, such as ``onnxruntime>=1.23``.
        files: Original size in bytes and SHA-256 of every other file.
        values: The whole content of ``spec.json``, which conforms to ``Spec``.
    """

    folder: Path
    model: str
    labels: tuple[str, ...]
    image: ImageSpec
    requires: tuple[str, ...]
    files: Mapping[str, tuple[int, str]]
    values: Mapping[str, Any]
    parts: tuple[str, ...] = ()

    @property
    def model_path(self) -> Path:
        return self.folder / self.model

    @property
    def model_bytes(self) -> int:
        """Original size of the model file with its parts."""
        return sum(self.files[name][0] for name in (self.model, *self.parts))

    def altered(self) -> list[str]:
        """One sentence for every file that is missing, truncated or changed since the bundle was written."""
        found = [] if seal(self.values) == dict(self.values) else [f"{SPEC} has been changed."]
        return found + [
            f"{name} {problem}."
            for name, (size_bytes, sha256) in sorted(self.files.items())
            if (problem := _problem(self.folder / name, size_bytes, sha256))
        ]

    def not_installed(self, error: ModuleNotFoundError) -> ZooError:
        """The error for a missing package or a missing module of the bundle itself."""
        if (error.name or "").split(".")[0] in (__name__.split(".")[0], ""):
            return VerificationError(f"The runner is damaged: {error}.", _AGAIN)
        wanted = " ".join(f'"{requirement}"' for requirement in self.requires)
        return UsageError(f"'{error.name}' is not installed.", f"python -m pip install {wanted}")


def is_bundle(folder: Path) -> bool:
    """Whether a folder is a bundle, which may be incomplete."""
    return any((folder / name).is_file() for name in (SPEC, "run.py"))


def read_bundle(folder: Path) -> Bundle:
    """Reads ``spec.json``. The other files are not checked.

    Raises:
        VerificationError: ``spec.json`` is missing, damaged, or names files outside the bundle.
        UsageError: The bundle has another version than this runner reads.
    """
    path = folder / SPEC
    try:
        values = read_object(path.read_bytes())
        if values.get("version") != BUNDLE_VERSION:
            raise UsageError(
                f"This bundle is version {values.get('version')!r:.40}; this runner reads {BUNDLE_VERSION}.",
                "Use its own runner: run.py in the bundle.",
            )
        spec = read_record(Spec, values)
        strange = [name for name in (spec.model, *spec.parts, *spec.files) if not _inside(name)]
        if strange:
            raise VerificationError(f"{SPEC} names a file outside the bundle: {strange[0]!r:.80}.", _AGAIN)
        if unlisted := [name for name in (spec.model, *spec.parts) if name not in spec.files]:
            raise ValueError(f"'files' does not name {unlisted[0]!r:.80}, which the model is made of")
        return Bundle(
            folder=folder,
            model=spec.model,
            labels=spec.labels,
            image=ImageSpec.from_dict(values["image"]),
            requires=spec.runtime.requires,
            files={name: (made.bytes, made.sha256) for name, made in spec.files.items()},
            values=values,
            parts=spec.parts,
        )
    except ZooError:
        raise
    except OSError as error:
        reason = "is missing" if isinstance(error, FileNotFoundError) else f"cannot be read: {error.strerror}"
        raise VerificationError(f"{SPEC} {reason} in {folder}.", _AGAIN) from error
    except ValueError as error:
        raise VerificationError(f"{SPEC} is damaged: {error}.", _AGAIN) from error


def seal(values: Mapping[str, Any]) -> dict[str, Any]:
    """Adds the digest of ``spec.json`` to its content. It is computed from all other values as canonical JSON."""
    import hashlib  # loads OpenSSL, which only the self-test needs

    rest = {name: value for name, value in values.items() if name != "digest"}
    text = json.dumps(rest, sort_keys=True, separators=(",", ":"))
    return rest | {"digest": hashlib.sha256(text.encode()).hexdigest()}


def fingerprint(path: Path) -> dict[str, Any]:
    """``bytes`` and ``sha256`` of a file, as ``spec.json`` has them."""
    import hashlib

    with path.open("rb") as file:
        return {"bytes": path.stat().st_size, "sha256": hashlib.file_digest(file, "sha256").hexdigest()}


def _problem(path: Path, size_bytes: int, sha256: str) -> str:
    try:
        found = fingerprint(path)
    except FileNotFoundError:
        return "is missing"
    except OSError as error:
        return f"cannot be read: {error.strerror}"
    if found["sha256"] == sha256:
        return ""
    if found["bytes"] < size_bytes:
        return f"is truncated: {found['bytes']} of {size_bytes} bytes"
    return "has been changed"


def _inside(name: str) -> bool:
    path = PurePosixPath(name)
    return bool(path.parts) and not path.is_absolute() and ".." not in path.parts and not set(name) & set("\\:")
