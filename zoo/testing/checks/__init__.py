"""All checks by name. The module of a check is imported when the check is run."""

from __future__ import annotations

import importlib
from collections.abc import Callable, Iterable, Iterator
from dataclasses import dataclass
from typing import TYPE_CHECKING

from zoo.errors import UsageError, unknown_name
from zoo.interfaces import PRECISIONS
from zoo.registry import exporters

if TYPE_CHECKING:
    from zoo.testing.workspace import Workspace

Table = dict[str, tuple[str, str]]

#: Checks of an architecture: the name of each check, its module and its requirement. In that module, the function is
#: named ``check_`` plus the name of the check.
_ARCHITECTURE: dict[str, tuple[str, str]] = {
    "record": ("record", "the record contains what the harness needs, and is consistent"),
    "import_purity": ("imports", "importing the plugin loads no framework, prints nothing and changes no environment"),
    "builds": ("build", "it builds for 2 and for 10 classes, at its own size and at another"),
    "probabilities": ("build", "raw pixels give one float32 probability per class, in rows that sum to 1"),
    "raw_pixels": ("pixels", "pixels of 0..255 are normalised inside the model"),
    "same_seed_same_weights": ("determinism", "the seed determines the initial weights"),
    "global_state": ("determinism", "building does not change Keras's settings or the seed"),
    "overfits_one_batch": ("training", "one batch can be memorised"),
    "every_weight_moves": ("training", "training changes every trainable weight"),
    "frozen_weights_stay": ("training", "training does not change frozen layers"),
    "batch_independence": ("answers", "a prediction depends only on its own image, and is reproducible"),
    "answers_differ": ("answers", "different photos give different predictions"),
    "opens_without_the_plugin": ("saving", "a saved model opens in plain Keras, with the same predictions"),
    "nudged_weight": ("export", "verification detects one changed weight"),
    "training_step": ("cost", "memory and time of the smallest training step are bounded"),
    "backbone": ("backbone", "a declared backbone can be frozen and its features cached"),
}

_EXPORTER: Table = {
    "record": ("exporter_record", "the record contains what the harness needs, and is consistent"),
    "import_purity": ("imports", "importing the plugin loads no framework, prints nothing and changes no environment"),
    "contract_kept": ("exporter_file", "files have the tensors of the contract, and nothing else is written"),
    "same_bytes": ("exporter_file", "the same model gives the same file, byte for byte"),
    "batches": ("exporter_file", "any number of images can be predicted, independently of each other"),
    "refuses_other_pixels": ("exporter_file", "pixels of another shape or type are refused"),
    "float16": ("exporter_file", "float16 files store large tensors in 16 bits"),
    "int8": ("exporter_file", "int8 files compute in 8 bits, and the softmax in float"),
    "round_trip": ("exporter_metadata", "metadata is read as written, and does not change predictions"),
    "written_twice": ("exporter_metadata", "metadata replaces existing metadata, byte for byte"),
    "label_count": ("exporter_metadata", "a wrong number of labels is refused"),
    "damaged": ("exporter_metadata", "damaged, incomplete and missing files give an error that names them"),
    "any_name": ("exporter_metadata", "a file can be read and written in a folder with any name"),
    "runtime_isolation": ("exporter_runtime", "predicting loads no framework"),
    "runtime_on_device": ("exporter_runtime", "the runtime module predicts without zoo"),
}

_DATASET: Table = {
    "record": ("dataset", "the record contains what the harness needs"),
    "import_purity": ("imports", "importing the plugin loads no framework, prints nothing and changes no environment"),
    "usable": ("dataset", "its files can be used for training"),
    "same_files": ("dataset", "it writes the same files each time"),
}

_CALLBACKS: Table = {
    "import_purity": ("imports", "importing the plugin loads no framework, prints nothing and changes no environment"),
    "makes_callbacks": ("callbacks", "the hook returns Keras callbacks, new ones for every run"),
    "leaves_training_alone": ("callbacks", "training with them gives the same weights as without"),
    "state": ("callbacks", "the state of a callback for resuming is JSON, and can be restored"),
}

_TABLES: dict[str, Table] = {
    "architecture": _ARCHITECTURE,
    "exporter": _EXPORTER,
    "dataset": _DATASET,
    "callbacks": _CALLBACKS,
}


@dataclass(frozen=True)
class Check:
    """One check.

    Args:
        name: Name of the check.
        asks: What it requires, for tables and for unexpected errors.
        module: Module of its function.
        function: Name of the function in that module.
        arguments: Arguments of the function after the subject.
    """

    name: str
    asks: str
    module: str
    function: str
    arguments: tuple[str, ...] = ()

    def __call__(self, subject: Workspace) -> str:
        """Runs the check and returns what was measured. Raises ``CheckError`` or ``NothingToCheckError``."""
        function: Callable[..., str] = getattr(importlib.import_module(self.module), self.function)
        return function(subject, *self.arguments)


def all_checks(kind: str = "architecture") -> dict[str, Check]:
    """All checks of a type by name, in a logical order.

    For architectures, there is one export check for each installed format and precision. For exporters, there is one
    check of the predictions for each precision.
    """
    found: dict[str, Check] = {}
    for name, (module, asks) in _TABLES[kind].items():
        if name == "nudged_weight":
            found |= {check.name: check for check in _export_checks()}
        if name == "batches":
            found |= {check.name: check for check in _precision_checks()}
        found[name] = Check(name, asks, f"zoo.testing.checks.{module}", f"check_{name}")
    return found


def _export_checks() -> Iterator[Check]:
    for offer in exporters():
        if offer.record.variant_of:  # a variant writes the same file in another bundle
            continue
        for precision in offer.record.precisions:
            name, asks = offer.record.name, f"the {offer.record.name} {precision} file agrees with Keras"
            module = "zoo.testing.checks.export"
            yield Check(f"export_{name}_{precision}", asks, module, "check_export", (name, precision))


def _precision_checks() -> Iterator[Check]:
    for precision in PRECISIONS:
        asks, module = f"a {precision} file agrees with Keras", "zoo.testing.checks.exporter_file"
        yield Check(f"predicts_{precision}", asks, module, "check_predicts", (precision,))


def check_names(kind: str = "architecture") -> tuple[str, ...]:
    """Names of all checks of a kind (``architecture``, ``exporter``, ``dataset``, ``callbacks``).

    The export checks of an architecture are those of the installed exporters.
    """
    return tuple(all_checks(kind))


def choose_checks(names: Iterable[str] | None, kind: str = "architecture") -> list[Check]:
    """The checks of these names, or all if no name is given.

    Raises:
        UsageError: There is no check with a given name.
    """
    known = all_checks(kind)
    if names is None:
        return list(known.values())
    if isinstance(names, str):
        names = [names]
    chosen = list(names)
    for name in chosen:
        if name not in known:
            raise unknown_name("check", name, known)
    if not chosen:
        raise UsageError("No check is named.", f"Known: {', '.join(known)}.")
    return [known[name] for name in known if name in chosen]


def refuse_unknown(expected_failures: Iterable[str], kind: str = "architecture") -> None:
    """Refuses unknown names of checks. Export checks of formats that are not installed are accepted.

    Raises:
        UsageError: A name is unknown.
    """
    known = all_checks(kind)
    for name in expected_failures:
        of_export = name.startswith("export_") and name.endswith(tuple(f"_{precision}" for precision in PRECISIONS))
        if name not in known and not (of_export and kind == "architecture"):
            raise unknown_name("check", name, known)
