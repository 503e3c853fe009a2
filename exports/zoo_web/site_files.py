"""The files of the page in a bundle: those of zoo from ``site/``, and the runtime from npm."""

from __future__ import annotations

from importlib.resources import files
from importlib.resources.abc import Traversable

from zoo_web.onnxruntime_web import runtime_files


def site_files() -> dict[str, bytes]:
    """The content of each file by its path in the bundle.

    Raises:
        ExportError: onnxruntime-web is not installed, or is another release.
    """
    runtime = {f"onnxruntime-web/{name}": content for name, content in runtime_files().items()}
    return runtime | _below(files("zoo_web") / "site", "")


def _below(folder: Traversable, prefix: str) -> dict[str, bytes]:
    found: dict[str, bytes] = {}
    for entry in folder.iterdir():
        name = f"{prefix}{entry.name}"
        if entry.is_dir():
            found |= _below(entry, f"{name}/")
        else:
            found[name] = entry.read_bytes()
    return found
