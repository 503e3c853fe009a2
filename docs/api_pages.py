"""Writes the Python reference: the docstrings of everything in `zoo.__all__` as Markdown."""

from __future__ import annotations

import inspect
import re
from collections.abc import Iterator
from functools import cached_property
from typing import Any

import zoo

FOLDER = "docs/reference/api"
#: For each page: its title, its introduction, and its names. Every name of `zoo.__all__` is on one page.
PAGES: dict[str, tuple[str, str, tuple[str, ...]]] = {
    "functions": (
        "Functions",
        "The verbs of the command line as functions of `zoo`. [How to use them](../../how-to/python.md) has examples.",
        ("train", "load", "predict", "evaluate", "compare", "export", "verify", "check", "search", "runs"),
    ),
    "models": ("Models", "What the functions return: objects that predict.", ("Run", "Model", "ExportedFile")),
    "records": (
        "Records for plugins",
        "`zoo.hookimpl` marks the [hooks](../hooks.md) of a plugin. These are the records that hooks return, and "
        "what the records are made of.",
        (
            *("Architecture", "Weights", "Dataset", "Exporter", "App"),
            *("Recipe", "Augmentation", "ImageSpec", "Metadata", "TensorInfo", "Runtime"),
        ),
    ),
    "errors": (
        "Errors",
        "The errors that a user can fix. The command line ends with the exit code of the error.",
        (
            *("ZooError", "UsageError", "PluginError", "DataError", "TrainingError", "ExportError"),
            *("VerificationError", "ClusterError"),
        ),
    ),
}
#: Matches the place where a section or the examples of a docstring begin.
PART = re.compile(r"\n\n(?=(?:Args|Returns|Raises):\n|>>> )")
#: Matches an argument or an error, and its description.
ENTRY = re.compile(r"^(\*{0,2}\w+(?:, \*{0,2}\w+)*): (.*(?:\n .*)*)", re.MULTILINE)


def api_pages() -> dict[str, str]:
    """The Markdown of each page, by path."""
    pages = {}
    for name, (title, words, members) in PAGES.items():
        parts = [f"# {title}", words, *(described(f"zoo.{member}", getattr(zoo, member)) for member in members)]
        pages[f"{FOLDER}/{name}.md"] = "\n\n".join(parts) + "\n"
    return pages


def described(name: str, thing: Any, level: int = 2) -> str:
    """Heading, signature and docstring of a name, and for a class also those of its methods and properties."""
    made_by_users = not (isinstance(thing, type) and issubclass(thing, zoo.Model | zoo.ZooError))
    text = markdown(inspect.getdoc(thing) or "", with_arguments=made_by_users)
    call = f"```python\n{signature(name, thing)}\n```\n\n" if callable(thing) and made_by_users else ""
    parts = [f"{'#' * level} `{name}`\n\n{call}{text}"]
    if isinstance(thing, type):
        parts += [described(f"{thing.__name__}.{each}", value, 3) for each, value in members_of(thing)]
    return "\n\n".join(parts)


def members_of(thing: type) -> list[tuple[str, Any]]:
    """Methods and properties that the class itself defines."""
    kinds = (property, cached_property)
    found = [(name, value) for name, value in vars(thing).items() if not name.startswith("_")]
    return [(name, value) for name, value in found if isinstance(value, kinds) or inspect.isroutine(value)]


def signature(name: str, thing: Any) -> str:
    """The signature on one line if it fits, otherwise with one line for each parameter."""
    called = inspect.signature(thing.__func__ if isinstance(thing, classmethod) else thing)
    given = [each for each in called.parameters.values() if each.name not in ("self", "cls")]
    parameters = [str(each).replace(f"'{each.annotation}'", str(each.annotation), 1) for each in given]
    parameters = [re.sub(r"<class '(\w+)'>", r"\1", each).replace("<factory>", "...") for each in parameters]
    parameters = [each.replace("PosixPath(", "Path(").replace("WindowsPath(", "Path(") for each in parameters]
    named_only = [each.kind is each.KEYWORD_ONLY for each in given]
    if any(named_only):
        parameters.insert(named_only.index(True), "*")
    returns = called.return_annotation
    result = f" -> {returns}" if isinstance(returns, str) and not isinstance(thing, type) else ""
    line = f"{name}({', '.join(parameters)}){result}"
    return line if len(line) <= 80 else "\n".join([f"{name}(", *(f"    {each}," for each in parameters), f"){result}"])


def markdown(docstring: str, with_arguments: bool) -> str:
    """The docstring as Markdown: its sections become lists, and its examples become code blocks."""
    parts = []
    for part in PART.split(docstring):
        title, _, body = part.partition(":\n")
        if part.startswith(">>> "):
            parts.append(f"```pycon\n{part}\n```")
        elif title == "Returns":
            parts.append(f"**Returns**\n\n{plain(inspect.cleandoc(body))}")
        elif title in ("Args", "Raises"):
            if with_arguments or title == "Raises":
                parts.append("\n".join([f"**{'Arguments' if title == 'Args' else title}**\n", *entries(body)]))
        else:
            parts.append(plain(part))
    return "\n\n".join(parts)


def entries(body: str) -> Iterator[str]:
    for names, said in ENTRY.findall(inspect.cleandoc(body)):
        yield f"- {', '.join(f'`{name}`' for name in names.split(', '))}: {plain(' '.join(said.split()))}"


def plain(text: str) -> str:
    """Replaces the double backquotes of a docstring by the single ones of Markdown."""
    return text.replace("``", "`")
