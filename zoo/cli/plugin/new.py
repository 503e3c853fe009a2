"""``zoo plugin new``."""

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

import click

from zoo import __version__
from zoo.errors import UsageError
from zoo.registry import Registry, architectures, datasets, exporters

#: Option to SPDX identifier.
_LICENCES = {"apache-2.0": "Apache-2.0", "mit": "MIT", "bsd-3-clause": "BSD-3-Clause"}

_NAME = re.compile(r"[a-z](?:[a-z0-9_]{0,62}[a-z0-9])?")

#: Of the network that is written, for two classes.
_PARAMETERS = 49_570


@dataclass(frozen=True)
class _Kind:
    """What a distribution may offer.

    Args:
        word: In messages, with its article.
        description: One line for ``pyproject.toml``.
        dependencies: Beside zoo.
        constant: Name of the record in the package.
        files: Path in the distribution to template; ``{package}`` and ``{name}`` are filled in.
        use: The command that makes use of it.
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
        "a data set",
        "The data set {name}, as a plugin for keras-edge-zoo.",
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


@click.command("new")
@click.argument("name")
@click.option(
    "--kind", type=click.Choice(list(_KINDS)), default="architecture", show_default=True, help="What it offers."
)
@click.option("--out", type=click.Path(path_type=Path), help="Folder to write.  [default: zoo-NAME]")
@click.option(
    "--licence",
    type=click.Choice(list(_LICENCES)),
    default="apache-2.0",
    show_default=True,
    help="Of the distribution; the whole text is written.",
)
def command(name: str, kind: str, out: Path | None, licence: str) -> None:
    """Write a distribution with an architecture NAME in it, or another plugin: complete, and passing its own tests.

    It holds a small network (file format, data set, callback) to change or to exchange, its record, the conformance
    checks as tests, a README and the licence. The folder is written whole or not at all.
    """
    _check_name(name, kind)
    distribution = f"zoo-{name.replace('_', '-')}"
    folder = out or Path(distribution)
    _check_free(folder)
    _write(folder, _contents(name, kind, distribution, licence))
    click.echo(f"Written: {folder}{os.sep}\n")
    click.echo(f"  pip install -e {folder}")
    click.echo(f"  zoo plugin check {_checked(name, kind)}")
    click.echo(f"  {_KINDS[kind].use.format(name=name)}")


def _checked(name: str, kind: str) -> str:
    """What ``zoo plugin check`` calls it: callbacks have no name, so their distribution's is taken."""
    return f"zoo-{name.replace('_', '-')}" if kind == "callbacks" else name


def _check_name(name: str, kind: str) -> None:
    word = _KINDS[kind].word
    if not _NAME.fullmatch(name) or name.startswith("zoo_"):
        near = re.sub(r"[^a-z0-9]+", "_", name.lower()).strip("_").removeprefix("zoo_").lstrip("0123456789_")[:64]
        guess = f" Did you mean '{near}'?" if near else ""
        raise UsageError(
            f"'{name}' is not a valid name of {word}.{guess}",
            "Use lower-case letters, digits and underscores, a letter first, no underscore last; zoo_ comes before it.",
        )
    registries: dict[str, Callable[[], Registry[Any]]] = {
        "architecture": architectures,
        "exporter": exporters,
        "dataset": datasets,
    }
    known = list(registries[kind]()) if kind in registries else []
    if owners := sorted({offer.distribution for offer in known if offer.record.name == name}):
        raise UsageError(f"There is {word} '{name}' already, in {' and '.join(owners)}.", "Choose another name.")
    if importlib.util.find_spec(f"zoo_{name}") is not None:
        raise UsageError(f"There is a package 'zoo_{name}' already.", "Choose another name.")


def _check_free(folder: Path) -> None:
    if folder.is_dir() and not any(folder.iterdir()):
        return
    if folder.exists() or folder.is_symlink():
        kind = "is not empty" if folder.is_dir() else "is a file"
        raise UsageError(f"'{folder}' {kind}; nothing was written.", "Choose another folder with --out.")


def _contents(name: str, kind: str, distribution: str, licence: str) -> dict[str, str]:
    """Path within the distribution to text."""
    package, about = f"zoo_{name}", _KINDS[kind]
    zoo_version = ".".join(__version__.split(".")[:2])
    dependencies = (f"keras-edge-zoo>={zoo_version}", *about.dependencies)
    values = {
        "name": name,
        "distribution": distribution,
        "package": package,
        "spdx": _LICENCES[licence],
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
    templates = files("zoo.cli.plugin.template")
    filled = {
        path: Template((templates / f"{source}.txt").read_text(encoding="utf-8")).substitute(values)
        for path, source in sources.items()
    }
    return {**filled, f"{package}/py.typed": ""}


def _write(folder: Path, contents: dict[str, str]) -> None:
    """Writes aside and renames, so that half a distribution is never seen."""
    whole = folder.absolute()
    aside = whole.with_name(f".{whole.name}.{os.getpid()}")
    try:
        for path, text in contents.items():
            target = aside / path
            target.parent.mkdir(parents=True, exist_ok=True)
            target.write_text(text, encoding="utf-8")
        if folder.is_dir():  # empty, as was seen; it stays what it is: a link, or where the user is
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
