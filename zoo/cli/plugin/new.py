"""``zoo plugin new``."""

from __future__ import annotations

import datetime
import importlib.util
import os
import re
import shutil
from importlib.resources import files
from pathlib import Path
from string import Template

import click

from zoo import __version__
from zoo.errors import UsageError
from zoo.registry import architectures

#: Option to SPDX identifier.
_LICENCES = {"apache-2.0": "Apache-2.0", "mit": "MIT", "bsd-3-clause": "BSD-3-Clause"}

_NAME = re.compile(r"[a-z](?:[a-z0-9_]{0,62}[a-z0-9])?")

#: Of the network that is written, for two classes.
_PARAMETERS = 49_570


@click.command("new")
@click.argument("name")
@click.option("--out", type=click.Path(path_type=Path), help="Folder to write.  [default: zoo-NAME]")
@click.option(
    "--licence",
    type=click.Choice(list(_LICENCES)),
    default="apache-2.0",
    show_default=True,
    help="Of the distribution; the whole text is written.",
)
def command(name: str, out: Path | None, licence: str) -> None:
    """Write a distribution with an architecture NAME in it: complete, and passing its own tests.

    It holds a small network to change or to exchange, its record, the conformance checks as tests, a README and the
    licence. The folder is written whole or not at all.
    """
    _check_name(name)
    distribution = f"zoo-{name.replace('_', '-')}"
    folder = out or Path(distribution)
    _check_free(folder)
    _write(folder, _contents(name, distribution, licence))
    click.echo(f"Written: {folder}{os.sep}\n")
    click.echo(f"  pip install -e {folder}")
    click.echo(f"  zoo plugin check {name}")
    click.echo(f"  zoo train {name}")


def _check_name(name: str) -> None:
    if not _NAME.fullmatch(name) or name.startswith("zoo_"):
        near = re.sub(r"[^a-z0-9]+", "_", name.lower()).strip("_").removeprefix("zoo_").lstrip("0123456789_")[:64]
        guess = f" Did you mean '{near}'?" if near else ""
        raise UsageError(
            f"'{name}' is not a valid name of an architecture.{guess}",
            "Use lower-case letters, digits and underscores, a letter first, no underscore last; zoo_ comes before it.",
        )
    known = architectures()
    if name in known:
        owners = sorted({offer.distribution for offer in known if offer.record.name == name})
        raise UsageError(
            f"There is an architecture '{name}' already, in {' and '.join(owners)}.", "Choose another name."
        )
    if importlib.util.find_spec(f"zoo_{name}") is not None:
        raise UsageError(f"There is a package 'zoo_{name}' already.", "Choose another name.")


def _check_free(folder: Path) -> None:
    if folder.is_dir() and not any(folder.iterdir()):
        return
    if folder.exists() or folder.is_symlink():
        kind = "is not empty" if folder.is_dir() else "is a file"
        raise UsageError(f"'{folder}' {kind}; nothing was written.", "Choose another folder with --out.")


def _contents(name: str, distribution: str, licence: str) -> dict[str, str]:
    """Path within the distribution to text."""
    package = f"zoo_{name}"
    values = {
        "name": name,
        "distribution": distribution,
        "package": package,
        "spdx": _LICENCES[licence],
        "year": str(datetime.date.today().year),
        "zoo_version": ".".join(__version__.split(".")[:2]),
        "parameters": f"{_PARAMETERS:_}",
        "licence_files": '"LICENSE", "NOTICE"' if licence == "apache-2.0" else '"LICENSE"',
    }
    sources = {
        "pyproject.toml": "pyproject",
        "README.md": "readme",
        "LICENSE": licence,
        f"{package}/__init__.py": "package",
        f"{package}/model.py": "model",
        f"tests/test_{name}.py": "tests",
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
