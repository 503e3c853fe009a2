"""Records a verification on another processor in the bundle: in ``verify.json``, the model card and the archive."""

from __future__ import annotations

import os
import re
import shutil
from collections.abc import Mapping
from typing import Any

from zoo.atomic import read_text, whole_file, write_bytes, write_json, write_text
from zoo.atomic_folders import folder_aside
from zoo.edge.bundle import SPEC, Bundle, fingerprint, read_bundle, seal
from zoo.errors import ExportError, ZooError
from zoo.exporting.golden import json_bytes
from zoo.exporting.place import archive_of, packed_by_us, put, replacing, write_archive
from zoo.figures import percent
from zoo.parity import Verification
from zoo.parity.result import VERIFICATION_VERSION
from zoo.records import read_object

_CARD, _PROOF = "README.md", "verify.json"
_WRITTEN = (_CARD, _PROOF)
_HEADING = "## On other processors"
#: The section is inserted before the first of these sections of the card. The second is the older name of the first.
_AFTER = ("## Unknown images", "## When it does not know", "## Photos")


def record_processor(bundle: Bundle, found: Verification) -> None:
    """Adds the verification to a bundle, and replaces an earlier one on the same processor.

    The folder is replaced as a whole, followed by its archive, if there is one. Other files in the folder are kept. If
    the bundle has no ``verify.json``, because it was never verified, one with only this verification is created.

    Args:
        bundle: The bundle as it was when its verification began.
        found: The verification.

    Raises:
        ExportError: The bundle has been changed since then, or the folder cannot be replaced.
        DataError: Another command has been writing the bundle for a long time.
        TrainingError: The disk is full, or the folder cannot be written.
    """
    assert found.processor is not None
    folder = bundle.folder.resolve()
    with replacing(folder), folder_aside(folder) as aside:
        now = _unchanged(bundle)
        shutil.copytree(folder, aside, dirs_exist_ok=True, symlinks=True, copy_function=_link)
        proof: dict[str, Any] = {"version": VERIFICATION_VERSION}
        if (aside / _PROOF).is_file():
            proof = read_object((aside / _PROOF).read_bytes())
        processors = {**proof.get("processors", {}), found.processor.name: found.as_dict()}
        write_json(aside / _PROOF, {**proof, "processors": processors})
        write_text(aside / _CARD, _with_section(read_text(aside / _CARD), _section(processors)))
        files = now.values["files"] | {name: fingerprint(aside / name) for name in _WRITTEN}
        write_bytes(aside / SPEC, json_bytes(seal({**now.values, "files": dict(sorted(files.items()))})))
        archive = archive_of(folder)
        if packed_by_us(archive, folder.name):
            with whole_file(archive) as packed:
                write_archive(aside, packed, folder.name, {*files, SPEC})
                put(aside, folder)
        else:
            put(aside, folder)


def _unchanged(bundle: Bundle) -> Bundle:
    """The bundle as it is now. It must be the one that was verified, apart from records of other processors."""
    try:
        now = read_bundle(bundle.folder)
        problems = now.altered()
    except ZooError as error:
        problems = [error.message]
    else:
        if not problems and _verified(now) != _verified(bundle):
            problems = ["It is another export."]
    if problems:
        raise ExportError(
            f"{bundle.folder} was changed during the verification, so the result was not recorded: {problems[0]}",
            "Verify the bundle again. Export the model again if files of the bundle were edited.",
        )
    return now


def _verified(bundle: Bundle) -> dict[str, Any]:
    """The content of ``spec.json`` without what this module writes."""
    files = {name: made for name, made in bundle.files.items() if name not in _WRITTEN}
    return {**bundle.values, "files": files, "digest": None}


def _link(source: str, target: str) -> str:
    """Creates a hard link, or a copy if the file system has no links. Existing files are never written to."""
    try:
        os.link(source, target)
    except OSError:
        shutil.copy2(source, target)
    return target


def _section(processors: Mapping[str, Any]) -> str:
    rows = [_row(found) for _, found in sorted(processors.items())]
    return "\n".join(
        [
            _HEADING,
            "",
            "`zoo verify --processor` ran this bundle on emulated processors and compared its predictions with those "
            "of Keras.",
            "An emulator shows the results of a processor, but not its speed.",
            "",
            "| processor | images | agreement with Keras | max difference of a probability | |",
            "|---|---|---|---|---|",
            *rows,
        ]
    )


def _row(found: Mapping[str, Any]) -> str:
    processor, values = found["processor"], found["values"]
    agreement = percent(values["agreement"]) if values else "-"
    difference = f"{values['difference']['max']:.3g}" if values and values["difference"] else "-"
    verdict = "**not verified**" if not found["passed"] else "passed"
    if found["passed"] and found["evidence"] == "thin":
        verdict = "passed on thin evidence"
    cells = (
        f"{processor['name']}, emulated by {processor['emulator']}",
        f"{found['n']} {found['split']}",
        agreement,
        difference,
        verdict,
    )
    return f"| {' | '.join(cells)} |"


def _with_section(card: str, section: str) -> str:
    """Inserts the section into the card, or replaces it."""
    card = re.sub(rf"^{_HEADING}$.*?(?=^## |\Z)", "", card, flags=re.MULTILINE | re.DOTALL)
    places = [place for heading in _AFTER if (place := card.find(f"\n{heading}\n")) >= 0]
    if not places:
        return f"{card.rstrip()}\n\n{section}\n"
    place = min(places) + 1
    return f"{card[:place]}{section}\n\n{card[place:]}"
