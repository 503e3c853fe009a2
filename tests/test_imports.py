"""Imports: their direction between parts, and that large packages are not imported before they are needed."""

from __future__ import annotations

import ast
import os
import shlex
import subprocess
import sys
from pathlib import Path

import pytest

REPOSITORY = Path(__file__).resolve().parents[1]
HEAVY = (
    "tensorflow",
    "keras",
    "cv2",
    "sklearn",
    "jax",
    "torch",
    "matplotlib",
    "scipy",
    "rich",
    "yaml",
    "numpy",
    "filelock",
    "jinja2",
    "optuna",
    "pyarrow",
    "ray",
)

#: A part never imports a later one. Parts on one line may not import each other unless they are listed in order.
LAYERS = [
    ["errors", "memory", "quiet", "figures", "locks", "text_files", "yaml_files", "records", "terminal", "table"],
    ["array_files"],
    ["named_function", "keras_internals", "backend"],
    ["reporter", "progress", "atomic", "atomic_folders", "hosts", "cluster"],
    ["image_spec", "keras_names", "augmentation", "recipe", "exported"],
    ["interfaces"],
    ["hookspecs"],
    ["plugin_guard", "plugin_watch", "plugin_manager"],
    ["known_plugins", "registry", "weights"],
    ["images", "edge", "machine", "run_folder", "data", "fetch"],
    ["evaluation", "training", "parity", "exporting", "foreign", "explain", "emulation"],
    ["audit"],
    ["searching", "predicting"],
    ["report", "testing"],
    ["workflows"],
    ["cli"],
]


def modules() -> list[Path]:
    return sorted((REPOSITORY / "zoo").rglob("*.py"))


def imports_of(path: Path) -> list[tuple[int, str]]:
    """Line and name of every ``zoo`` and ``zoo_*`` module that a file imports at any place."""
    found = []
    for node in ast.walk(ast.parse(path.read_text())):
        if isinstance(node, ast.ImportFrom) and node.module:
            found += [
                (node.lineno, f"{node.module}.{name.name}" if node.module == "zoo" else node.module)
                for name in node.names
            ]
        elif isinstance(node, ast.Import):
            found += [(node.lineno, name.name) for name in node.names]
    return [(line, name) for line, name in found if name.split(".")[0] == "zoo" or name.startswith("zoo_")]


def test_left_never_imports_right() -> None:
    rank = {part: (level, place) for level, parts in enumerate(LAYERS) for place, part in enumerate(parts)}
    offenders = []
    for path in modules():
        part = path.relative_to(REPOSITORY / "zoo").parts[0].removesuffix(".py")
        if part == "__init__":
            continue
        for line, name in imports_of(path):
            target = name.split(".")[1] if name.count(".") else "__init__"
            if target in rank and rank[target] > rank[part]:
                offenders.append(f"{path.relative_to(REPOSITORY)}:{line} {part} imports {target}")
    assert not offenders, "\n".join(offenders)


def test_the_core_knows_no_plugin() -> None:
    offenders = [
        f"{path.relative_to(REPOSITORY)}:{line} imports {name}"
        for path in modules()
        for line, name in imports_of(path)
        if name.startswith("zoo_")
    ]
    assert not offenders, "\n".join(offenders)


@pytest.mark.parametrize(
    "arguments",
    [
        "--help",
        "list",
        "plugin list",
        "train --help",
        "search --help",
        "export --help",
        "verify --help",
        "predict --help",
        "explain --help",
        "bench --help",
        "data --help",
        "plugin --help",
        "--version",
        *(f"_ZOO_COMPLETE={shell}_source" for shell in ("bash", "zsh", "fish")),
        "_ZOO_COMPLETE=bash_complete COMP_CWORD=2 COMP_WORDS=zoo\\ train\\ --head-e",
    ],
)
def test_nothing_heavy_is_imported_before_it_is_needed(arguments: str) -> None:
    words = shlex.split(arguments)
    completion = dict(word.split("=", 1) for word in words if "=" in word)
    words = [] if completion else words
    code = (
        f"import sys; sys.argv = ['zoo', *{words!r}]\n"
        "from zoo.cli.main import main\n"
        "try:\n    main()\nexcept SystemExit as end:\n    assert not end.code, end.code\n"
        f"print('LOADED', [name for name in {HEAVY!r} if name in sys.modules])"
    )
    environment = {**os.environ, **completion}
    done = subprocess.run([sys.executable, "-c", code], env=environment, capture_output=True, text=True, check=True)
    *shown, loaded = done.stdout.strip().splitlines()
    assert loaded == "LOADED []"
    assert not completion or "_zoo_completion" in done.stdout or shown == ["plain,--head-epochs"]
