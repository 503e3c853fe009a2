"""Unpacks a bundle from its ZIP archive to a temporary folder. The archive may come from an untrusted source."""

from __future__ import annotations

import stat
import struct
import tempfile
import zipfile
import zlib
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path, PurePosixPath

from zoo.edge.bundle import SPEC
from zoo.errors import UsageError, VerificationError

#: Maximum size of the unpacked archive, far above any classifier for a device.
MOST_BYTES = 2**30
MOST_FILES = 10_000

_BLOCK_BYTES = 2**20
_AGAIN = "Copy the archive again, or export the model again."


@contextmanager
def unpacked(path: Path) -> Iterator[Path]:
    """Yields the folder of the bundle, and removes it afterwards. Nothing is written anywhere else.

    Raises:
        UsageError: The file does not exist, or contains no bundle or several.
        VerificationError: The archive is damaged, or was not written by ``zoo export``: it has paths outside its
            folder, links, encrypted files, or more than ``MOST_BYTES`` or ``MOST_FILES``.
    """
    if not path.is_file():
        raise UsageError(f"The file '{path}' does not exist.")
    with tempfile.TemporaryDirectory(prefix="zoo-bundle-") as folder:
        try:
            with zipfile.ZipFile(path) as archive:
                entries = [entry for entry in archive.infolist() if not entry.is_dir()]
                _refuse_strange(path, entries)
                for entry in entries:
                    _extract(archive, entry, Path(folder))
        except (zipfile.BadZipFile, zlib.error, struct.error, EOFError, ValueError, RuntimeError) as error:
            raise VerificationError(f"The archive {path} is damaged: {error}.", _AGAIN) from error
        except OSError as error:
            raise UsageError(f"Could not unpack '{path}': {error.strerror or error}.") from error
        yield _bundle_in(Path(folder), path)


def _refuse_strange(path: Path, entries: list[zipfile.ZipInfo]) -> None:
    def refuse(what: str) -> VerificationError:
        return VerificationError(f"The archive {path} is refused, and nothing was unpacked: {what}.", _AGAIN)

    seen: set[str] = set()
    for entry in entries:
        # `filename` ends at a null byte and, on Windows, has its backslashes replaced. The name in the archive is used
        # instead.
        name = entry.orig_filename
        parts = PurePosixPath(name).parts
        if not parts or name.startswith("/") or ".." in parts or set(name) & set("\\:\0"):
            raise refuse(f"its entry {name!r} points outside its folder")
        kind = stat.S_IFMT(entry.external_attr >> 16)
        if kind and not stat.S_ISREG(kind):
            raise refuse(f"{name!r} is a link or a device, not a file")
        if entry.flag_bits & 1:
            raise refuse(f"{name!r} is encrypted")
        if entry.compress_type not in (zipfile.ZIP_STORED, zipfile.ZIP_DEFLATED):
            raise refuse(f"{name!r} is compressed by method {entry.compress_type}")
        folded = str(PurePosixPath(name)).casefold()
        if folded in seen:
            raise refuse(f"it contains {name!r} twice")
        seen.add(folded)
    if len(entries) > MOST_FILES:
        raise refuse(f"it contains {len(entries)} files, more than {MOST_FILES}")
    # Reading stops at the declared size of an entry, so the sum of the declared sizes is the maximum.
    total = sum(entry.file_size for entry in entries)
    if total > MOST_BYTES:
        raise refuse(f"it would need {total / 2**30:.1f} GiB, more than {MOST_BYTES // 2**30}")


def _extract(archive: zipfile.ZipFile, entry: zipfile.ZipInfo, folder: Path) -> None:
    target = folder / PurePosixPath(entry.orig_filename)
    target.parent.mkdir(parents=True, exist_ok=True)
    with archive.open(entry) as packed, target.open("xb") as file:
        while block := packed.read(_BLOCK_BYTES):
            file.write(block)


def _bundle_in(folder: Path, path: Path) -> Path:
    """The folder of ``spec.json``: the top level, or the only folder in it."""
    found = [place for place in (folder, *sorted(folder.iterdir())) if (place / SPEC).is_file()]
    if len(found) != 1:
        how = "no bundle, because it has no spec.json" if not found else "more than one bundle"
        raise UsageError(f"'{path}' contains {how}.", "Give the .zip file written by 'zoo export', or its folder.")
    return found[0]
