"""Creates a distribution with a plugin from templates. It is complete and passes its own tests."""

from __future__ import annotations

import datetime
import importlib.util
import os
import re
import shutil
from collections.abc import Callable, Mapping
from dataclasses import dataclass
from importlib.resources import files
from pathlib import Path
from string import Template
from typing import Any

from zoo import __version__
from zoo.errors import UsageError
from zoo.registry import Registry, architectures, datasets, exporters

#: SPDX identifier by option.
LICENCES = {"apache-2.0": "Apache-2.0", "mit": "MIT", "bsd-3-clause": "BSD-3-Clause"}

_NAME = re.compile(r"[a-z](?:[a-z0-9_]{0,62}[a-z0-9])?")

#: Number of parameters of the new network, for two classes.
_PARAMETERS = 49_570


@dataclass(frozen=True)
class _Kind:
    """A type of plugin that a distribution can provide.

    Args:
        word: Name of the type in messages, with its article.
        description: One line for ``pyproject.toml``.
        dependencies: Dependencies in addition to zoo.
        constant: Name of the record in the package.
        files: Templates by path in the distribution. ``{package}`` and ``{name}`` are filled in.
        use: Example command that uses the plugin.
    """

    word: str
    description: str
    dependencies: tuple[str, ...]
    constant: str
    files: Mapping[str, str]
    use: str


_INIT, _TESTS = "{package}/__init__.py", "tests/test_{name}.py"
_KINDS = {
    "architecture": _Kind(
        "an architecture",
        "{name}, a small convolutional network, as a plugin for keras-edge-zoo.",
        ("keras>=3.15",),
        "ARCHITECTURE",
        {"README.md": "readme", _INIT: "package", "{package}/model.py": "model", _TESTS: "tests"},
        "zoo train {name}",
    ),
    "exporter": _Kind(
        "an exporter",
        "The file format {name}, as a plugin for keras-edge-zoo.",
        ("onnxruntime>=1.23",),
        "EXPORTER",
        {
            "README.md": "record_readme",
            _INIT: "exporter_package",
            "{package}/runtime.py": "exporter_runtime",
            _TESTS: "record_tests",
        },
        "zoo export RUN --format {name}",
    ),
    "dataset": _Kind(
        "a dataset",
        "The dataset {name}, as a plugin for keras-edge-zoo.",
        ("numpy>=2.1", "opencv-python-headless>=4.13"),
        "DATASET",
        {"README.md": "record_readme", _INIT: "dataset_package", _TESTS: "record_tests"},
        "zoo train simple_cnn --data {name}",
    ),
    "callbacks": _Kind(
        "a set of callbacks",
        "Keras callbacks for every training of keras-edge-zoo.",
        ("keras>=3.15",),
        "",
        {"README.md": "record_readme", _INIT: "callbacks_package", _TESTS: "callbacks_tests"},
        "zoo train simple_cnn",
    ),
}


KINDS = tuple(_KINDS)


@dataclass(frozen=True, kw_only=True)
class NewPluginRequest:
    """The plugin to create.

    Args:
        name: Name of the architecture, exporter or dataset.
        kind: One of ``KINDS``.
        out: Folder to write. ``None``: ``zoo-NAME`` in the current folder.
        licence: Licence of the distribution, one of ``LICENCES``.
    """

    name: str
    kind: str = "architecture"
    out: Path | None = None
    licence: str = "apache-2.0"


@dataclass(frozen=True)
class NewPlugin:
    """The plugin that was created.

    Args:
        folder: Folder of the distribution.
        check: The command that checks the plugin once it is installed.
        use: Example command that uses the plugin.
    """

    folder: Path
    check: str
    use: str


def new_plugin(request: NewPluginRequest) -> NewPlugin:
    """Writes a distribution. After an error, no folder is left behind.

    Raises:
        UsageError: The name is invalid or already in use, or the folder is not empty or cannot be written.
    """
    name, kind = request.name, request.kind
    _check_name(name, kind)
    distribution = f"zoo-{name.replace('_', '-')}"
    folder = request.out or Path(distribution)
    _check_free(folder)
    _write(folder, _contents(name, kind, distribution, request.licence))
    return NewPlugin(folder, f"zoo plugin check {_checked(name, kind)}", _KINDS[kind].use.format(name=name))


def _checked(name: str, kind: str) -> str:
    """The name for ``zoo plugin check``.

    Callbacks have no name of their own, so the name of the distribution is used.
    """
    return f"zoo-{name.replace('_', '-')}" if kind == "callbacks" else name


def _check_name(name: str, kind: str) -> None:
    word = _KINDS[kind].word
    if not _NAME.fullmatch(name) or name.startswith("zoo_"):
        near = re.sub(r"[^a-z0-9]+", "_", name.lower()).strip("_").removeprefix("zoo_").lstrip("0123456789_")[:64]
        guess = f" Did you mean '{near}'?" if near else ""
        raise UsageError(
            f"'{name}' is not a valid name of {word}.{guess}",
            "Use lower-case letters, digits and underscores. Start with a letter, and do not end with an underscore."
            " The prefix zoo_ is added.",
        )
    registries: dict[str, Callable[[], Registry[Any]]] = {
        "architecture": architectures,
        "exporter": exporters,
        "dataset": datasets,
    }
    known = list(registries[kind]()) if kind in registries else []
    if owners := sorted({offer.distribution for offer in known if offer.record.name == name}):
        raise UsageError(
            f"{word[0].upper()}{word[1:]} '{name}' already exists, in {' and '.join(owners)}.", "Choose another name."
        )
    if importlib.util.find_spec(f"zoo_{name}") is not None:
        raise UsageError(f"A package 'zoo_{name}' already exists.", "Choose another name.")


def _check_free(folder: Path) -> None:
    if folder.is_dir() and not any(folder.iterdir()):
        return
    if folder.exists() or folder.is_symlink():
        kind = "is not empty" if folder.is_dir() else "is a file"
        raise UsageError(f"'{folder}' {kind}; nothing was written.", "Choose another folder with --out.")


def _contents(name: str, kind: str, distribution: str, licence: str) -> dict[str, str]:
    """Text of each file, by its path in the distribution."""
    package, about = f"zoo_{name}", _KINDS[kind]
    zoo_version = ".".join(__version__.split(".")[:2])
    dependencies = (f"keras-edge-zoo>={zoo_version}", *about.dependencies)
    values = {
        "name": name,
        "distribution": distribution,
        "package": package,
        "spdx": LICENCES[licence],
        "year": str(datetime.date.today().year),
        "description": about.description.format(name=name),
        "dependencies": ", ".join(f'"{line}"' for line in dependencies),
        "word": about.word.partition(" ")[2],
        "constant": about.constant,
        "use": about.use.format(name=name),
        "checked": _checked(name, kind),
        "parameters": f"{_PARAMETERS:_}",
        "licence_files": '"LICENSE", "NOTICE"' if licence == "apache-2.0" else '"LICENSE"',
    }
    sources = {
        "pyproject.toml": "pyproject",
        "LICENSE": licence,
        **{path.format(package=package, name=name): source for path, source in about.files.items()},
    }
    if licence == "apache-2.0":
        sources["NOTICE"] = "notice"
    templates = files("zoo.workflows.new_plugin") / "template"
    filled = {
        path: Template((templates / f"{source}.txt").read_text(encoding="utf-8")).substitute(values)
        for path, source in sources.items()
    }
    return {**filled, f"{package}/py.typed": ""}


def _write(folder: Path, contents: dict[str, str]) -> None:
    """Writes to a temporary folder and renames it, so that no partial distribution is ever visible."""
    whole = folder.absolute()
    aside = whole.with_name(f".{whole.name}.{os.getpid()}")
    try:
        for path, text in contents.items():
            target = aside / path
            target.parent.mkdir(parents=True, exist_ok=True)
            target.write_text(text, encoding="utf-8")
        if folder.is_dir():  # an empty folder, which is kept, because it may be a link or the current folder
            for part in list(aside.iterdir()):
                part.rename(folder / part.name)
        else:
            aside.rename(folder)
    except OSError as error:
        raise UsageError(
            f"Could not write '{folder}': {error.strerror or error}.", "Choose another folder with --out."
        ) from error
    finally:
        shutil.rmtree(aside, ignore_errors=True)
