"""The source of the runner in a bundle: the modules that it needs, in a package of their own.

They are copies of the modules that ``zoo`` itself uses, and can be read on the device.
"""

from __future__ import annotations

import ast
import re
from functools import cache
from importlib.util import find_spec
from pathlib import Path, PurePosixPath

from zoo import __version__
from zoo.errors import PluginError
from zoo.interfaces import Exporter

#: Requirements of the runner itself, with the bounds of ``pyproject.toml``.
REQUIRES = ("numpy>=2.1", "opencv-python-headless>=4.13")

#: Files that run the runner as a service: name in the bundle, and file in ``zoo/edge/deploy``.
DEPLOYMENT = {
    "Dockerfile": "Dockerfile",
    ".dockerignore": "dockerignore",
    "image-classifier.service": "image-classifier.service",
}

_ZOO = Path(__file__).parents[1]
_ENTRY = "zoo.edge.main"
_PACKAGE = "runner"
_IMPORT = re.compile(r"^(\s*(?:from|import) )zoo\.", re.MULTILINE)


def runner_files(exporter: Exporter) -> dict[str, str]:
    """Sources by path in the bundle: ``run.py``, all modules that it needs, and the files that run it as a service.

    Empty if the exporter has no runtime.

    Raises:
        PluginError: The exporter's runtime module does not exist, or imports ``zoo`` or other modules of its package.
    """
    if not exporter.runtime_module:
        return {}
    said = f"The runner of keras-edge-zoo {__version__}, an unchanged copy that is used by `python run.py`."
    init = f'"""{said}"""\n\n__version__ = "{__version__}"\n'
    files = {f"{_PACKAGE}/__init__.py": init, f"{_PACKAGE}/runtime.py": _runtime(exporter)}
    for module, path in sorted(_closure(_ENTRY).items()):
        place = PurePosixPath(_PACKAGE, *module.split(".")[1:])
        place = place / "__init__.py" if path.name == "__init__.py" else place.with_suffix(".py")
        files[str(place)] = _IMPORT.sub(rf"\1{_PACKAGE}.", path.read_text("utf-8"))
    files["run.py"] = (_ZOO / "edge" / "run.py").read_text("utf-8")
    return files | {name: (_ZOO / "edge" / "deploy" / file).read_text("utf-8") for name, file in DEPLOYMENT.items()}


def requirements(exporter: Exporter) -> tuple[str, ...]:
    """The requirements of the runner for ``pip``. Empty if there is no runner."""
    return (*REQUIRES, *exporter.requires) if exporter.runtime_module else ()


def imports_of(source: str, module: str) -> set[str]:
    """All modules that a source imports anywhere. ``from a import b`` yields both ``a`` and ``a.b``."""
    found: set[str] = set()
    for node in ast.walk(ast.parse(source, module)):
        if isinstance(node, ast.Import):
            found |= {alias.name for alias in node.names}
        elif isinstance(node, ast.ImportFrom):
            base = ".".join([*module.split(".")[: -node.level], *filter(None, [node.module])]) if node.level else ""
            base = base or node.module or ""
            found |= {base} | {f"{base}.{alias.name}" for alias in node.names}
    return found


@cache
def _closure(entry: str) -> dict[str, Path]:
    """Name and file of the module, of all ``zoo`` modules that it imports (also indirectly), and of their packages."""
    found: dict[str, Path] = {}
    waiting = [entry]
    while waiting:
        module = waiting.pop()
        path = _file(module)
        # The package `zoo` itself is the interface for plugins and imports everything.
        if module in found or path is None or module == "zoo":
            continue
        found[module] = path
        waiting += [module.rpartition(".")[0], *imports_of(path.read_text("utf-8"), module)]
    return found


def _file(module: str) -> Path | None:
    """The source file of a module of ``zoo``. ``None`` for other modules and for names inside a module."""
    top, *parts = module.split(".")
    base = _ZOO.joinpath(*parts)
    found = [path for path in (base / "__init__.py", base.with_suffix(".py")) if path.is_file()]
    return found[0] if top == "zoo" and found else None


def _runtime(exporter: Exporter) -> str:
    module = exporter.runtime_module
    try:
        spec = find_spec(module)
        source = Path(str(spec.origin)).read_text("utf-8") if spec else None
    except (ImportError, ValueError, OSError) as error:
        raise PluginError(f"Exporter '{exporter.name}' names the runtime module {module!r}: {error}.") from error
    if source is None:
        raise PluginError(f"Exporter '{exporter.name}' names the runtime module {module!r}, which does not exist.")
    for name in sorted(imports_of(source, module)):
        if name.split(".")[0] in ("zoo", module.split(".")[0]):
            raise PluginError(
                f"Exporter '{exporter.name}' names the runtime module {module!r}, which imports {name!r}.",
                "It runs on the device, where it may use only the standard library, NumPy and the packages in"
                " `requires`.",
            )
    return source
