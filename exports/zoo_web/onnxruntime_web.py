"""Finds onnxruntime-web, a pinned release from npm. With 14 MB of WebAssembly, it is too large to be included.

``package.json``, which npm reads, names the release. The digests below ensure that it is the tested release.
"""

from __future__ import annotations

import hashlib
import os
import shlex
from importlib.resources import files
from pathlib import Path

from zoo import ExportError
from zoo.data.cache import cache_folder
from zoo.records import read_object

PACKAGE = "onnxruntime-web"

#: Environment variable with the folder in which npm installed the package.
VARIABLE = "ZOO_ONNXRUNTIME_WEB"

#: Name in the bundle, name in the package, SHA-256. Every server knows the type of ``.js`` files, but not of ``.mjs``
#: files, and a browser only runs a module that is served as JavaScript.
_FILES = (
    (
        "ort.wasm.bundle.min.js",
        "ort.wasm.bundle.min.mjs",
        "11e64bd8ffe11bd1a2a2f0d6275fdfbbba7262f0b76b99b53d228a8a22ef3d90",
    ),
    (
        "ort-wasm-simd-threaded.wasm",
        "ort-wasm-simd-threaded.wasm",
        "3398c10d07d229bd91b364548e130e0e51a8e5704b88c7c083ebbeb78842dee2",
    ),
)


def runtime_files() -> dict[str, bytes]:
    """The two files that run a model on one thread, and their licence.

    Raises:
        ExportError: The package is not installed, or is another release. The hint is the command that installs it.
    """
    folder = _find()
    found = {}
    for name, original, sha256 in _FILES:
        path = folder / "dist" / original
        try:
            found[name] = path.read_bytes()
        except OSError as error:
            raise ExportError(f"Could not read {path}: {error.strerror}.", install_command()) from error
        if hashlib.sha256(found[name]).hexdigest() != sha256:
            raise ExportError(f"{path} is not from {PACKAGE} {_pinned()}, the tested release.", install_command())
    return found | {"LICENSE.txt": (files("zoo_web") / "onnxruntime_web.LICENSE.txt").read_bytes()}


def _find() -> Path:
    """The folder of the package: that of ``ZOO_ONNXRUNTIME_WEB``, the folder of this file, or zoo's cache folder."""
    chosen = os.environ.get(VARIABLE)
    roots = [Path(chosen).expanduser()] if chosen else [Path(__file__).parent, _default_folder()]
    for root in roots:
        for folder in (root / "node_modules" / PACKAGE, root):
            if (folder / "dist").is_dir():
                return folder
    where = f"{roots[0]}, which {VARIABLE} names" if chosen else str(_default_folder())
    raise ExportError(f"{PACKAGE}, which runs the model in a browser, is not in {where}.", install_command())


def _default_folder() -> Path:
    return cache_folder() / PACKAGE


def install_command() -> str:
    """The shell command that installs the tested release in a folder in which zoo finds it."""
    folder = os.environ.get(VARIABLE) or str(_default_folder())
    return f"npm install --ignore-scripts --prefix {shlex.quote(folder)} {PACKAGE}@{_pinned()}"


def _pinned() -> str:
    said = read_object((files("zoo_web") / "package.json").read_text("utf-8"))
    return str(said["dependencies"][PACKAGE])
