"""The sections of a verification's page on what the file promises and where everything comes from."""

from __future__ import annotations

from collections.abc import Mapping

from zoo.exported import TensorInfo
from zoo.parity import Verification
from zoo.parity.contract import shape_text
from zoo.report.markup import Column, esc, facts, name, section, table
from zoo.report.text import plural, thousands

_MOST_LABELS = 20


def contract(found: Verification) -> str:
    """Names, shapes and types of the tensors; labels and image rule; what is wrong with them."""
    kept = found.contract
    columns = (
        Column("Tensor", figures=False),
        Column("Name", figures=False),
        Column("Shape", figures=False),
        Column("Type", figures=False),
        Column("Scale"),
        Column("Zero point"),
    )
    rows = [
        *(_tensor("Input", item) for item in kept.inputs),
        *(_tensor("Output", item) for item in kept.outputs),
    ]
    problems = "".join(f'<li class="failed">{esc(sentence)}</li>' for sentence in kept.problems)
    notes = "".join(f"<li>{esc(sentence)}</li>" for sentence in kept.notes)
    said = f"<ul>{problems}{notes}</ul>" if problems or notes else ""
    verdict = "" if kept.problems else "<p>Kept: names, shapes, types, labels and image rule are as they must be.</p>"
    return section("contract", "Contract", verdict, said, table("Tensors of the file", columns, rows), _said(found))


def _tensor(kind: str, item: TensorInfo) -> tuple[str, ...]:
    cells = (
        f'<span class="one-line">{cell}</span>'
        for cell in (name(item.name), esc(shape_text(item.shape)), esc(item.dtype))
    )
    return (kind, *cells, f"{item.scale:g}", str(item.zero_point))


def _said(found: Verification) -> str:
    metadata = found.metadata
    if metadata is None:
        return ""
    shown = ", ".join(name(label) for label in metadata.labels[:_MOST_LABELS])
    left = len(metadata.labels) - _MOST_LABELS
    more = f" and {thousands(left)} more" if left > 0 else ""
    pairs = [("Labels", f"{shown}{more}"), ("Image rule", esc(metadata.image)), ("Precision", esc(metadata.precision))]
    return facts("Metadata of the file", pairs)


def provenance(found: Verification) -> str:
    """Digests, names and versions."""
    metadata = found.metadata
    file = [
        ("File", name(found.file)),
        ("SHA-256", _code(found.file_sha256)),
        *((f"{name(part)} (SHA-256)", _code(sha256)) for part, sha256 in found.parts.items()),
        ("Size", f"{thousands(found.file_bytes)} bytes"),
    ]
    if metadata:
        file += [
            ("Architecture", name(metadata.architecture)),
            ("Weights from", name(metadata.source)),
            ("Keras model (SHA-256)", _code(metadata.model_digest)),
            ("Training data (SHA-256)", _code(metadata.data_digest)),
            ("Calibration images (SHA-256)", _code(metadata.calibration_digest)),
            ("Written with", _versions(metadata.versions)),
        ]
    asked = [
        ("Against", f"{name(found.reference)} ({name(found.architecture)})"),
        ("Images", f"{plural(found.n, f'{esc(found.split)} image')} of {name(found.data)}"),
        ("Images (SHA-256)", _code(found.data_digest)),
        ("Threads", str(found.threads)),
        ("Verified with", _versions(found.versions)),
    ]
    tables = [
        facts(title, [(key, value) for key, value in pairs if value])
        for title, pairs in (("The file", file), ("The verification", asked))
    ]
    return section("provenance", "Where it comes from", *tables)


def _code(digest: str) -> str:
    return f"<code>{esc(digest)}</code>" if digest else ""


def _versions(versions: Mapping[str, str]) -> str:
    return ", ".join(f"{esc(package)} {esc(version)}" for package, version in sorted(versions.items()))
