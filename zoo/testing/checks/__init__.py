"""The checks by name. A module of them is imported when one of its checks is run."""

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

#: Check of an architecture to what it asks. The function of the same name is in the module of the same line.
_ARCHITECTURE: dict[str, tuple[str, str]] = {
    "record": ("record", "the record says what the harness needs, and says it consistently"),
    "import_purity": ("imports", "importing the plugin loads no framework, prints nothing and changes no environment"),
    "builds": ("build", "it builds for 2 and for 10 classes, at its own size and at another"),
    "probabilities": ("build", "raw pixels give one float32 probability a class, rows summing to 1"),
    "raw_pixels": ("pixels", "pixels of 0..255 are normalised inside the model"),
    "same_seed_same_weights": ("determinism", "the seed decides the first weights"),
    "global_state": ("determinism", "building leaves Keras's settings and the seed alone"),
    "overfits_one_batch": ("training", "one batch can be learnt by heart"),
    "every_weight_moves": ("training", "training changes every trainable weight"),
    "frozen_weights_stay": ("training", "training leaves frozen layers alone"),
    "batch_independence": ("answers", "an answer depends on its own image alone, and is the same twice"),
    "answers_differ": ("answers", "different photos are answered differently"),
    "opens_without_the_plugin": ("saving", "a saved model opens in plain Keras, and answers the same"),
    "nudged_weight": ("export", "verification notices one weight that is another"),
    "training_step": ("cost", "memory and time of the smallest training step are bounded"),
    "backbone": ("backbone", "a declared backbone can be frozen and its features cached"),
}

_EXPORTER: Table = {
    "record": ("exporter_record", "the record says what the harness needs, and says it consistently"),
    "import_purity": ("imports", "importing the plugin loads no framework, prints nothing and changes no environment"),
    "contract_kept": ("exporter_file", "files hold the tensors that every format has, and nothing else is written"),
    "same_bytes": ("exporter_file", "the same model gives the same file, byte for byte"),
    "batches": ("exporter_file", "any number of pictures is predicted, each by itself"),
    "refuses_other_pixels": ("exporter_file", "pixels of another shape or type are refused"),
    "float16": ("exporter_file", "float16 files store large tensors in 16 bits"),
    "int8": ("exporter_file", "int8 files compute in 8 bits, and the softmax in float"),
    "round_trip": ("exporter_metadata", "metadata comes back as it was written, and changes no prediction"),
    "written_twice": ("exporter_metadata", "metadata takes the place of what was there, to the byte"),
    "label_count": ("exporter_metadata", "labels of another number than the outputs are refused"),
    "damaged": ("exporter_metadata", "files that are damaged, not whole or not there are named"),
    "any_name": ("exporter_metadata", "a file is read and written whatever its folder is called"),
    "runtime_isolation": ("exporter_runtime", "predicting loads no framework"),
    "runtime_on_device": ("exporter_runtime", "the runtime module predicts alone, without zoo"),
}

_DATASET: Table = {
    "record": ("dataset", "the record says what the harness needs"),
    "import_purity": ("imports", "importing the plugin loads no framework, prints nothing and changes no environment"),
    "usable": ("dataset", "what it writes can be trained on"),
    "same_files": ("dataset", "it writes the same files each time"),
}

_CALLBACKS: Table = {
    "import_purity": ("imports", "importing the plugin loads no framework, prints nothing and changes no environment"),
    "makes_callbacks": ("callbacks", "the hook returns callbacks of Keras, of its own for every run"),
    "leaves_training_alone": ("callbacks", "a training with them gives the same weights as one without"),
    "state": ("callbacks", "what a callback keeps for a resumed run is JSON, and comes back"),
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
        name: Of the check.
        asks: What it asks, for tables and for errors that are not its own.
        module: Of its function.
        function: In that module.
        arguments: Of the function, after the subject.
    """

    name: str
    asks: str
    module: str
    function: str
    arguments: tuple[str, ...] = ()

    def __call__(self, subject: Workspace) -> str:
        """Runs it and returns what was measured; raises ``CheckError`` or ``NothingToCheckError``."""
        function: Callable[..., str] = getattr(importlib.import_module(self.module), self.function)
        return function(subject, *self.arguments)


def all_checks(kind: str = "architecture") -> dict[str, Check]:
    """Every check of a kind by name, in the order in which they are best read.

    Of architectures there is one for each installed format and precision, of exporters one for each precision.
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
        if offer.record.variant_of:  # the same file in another bundle
            continue
        for precision in offer.record.precisions:
            name, asks = offer.record.name, f"the {offer.record.name} {precision} file answers like Keras"
            module = "zoo.testing.checks.export"
            yield Check(f"export_{name}_{precision}", asks, module, "check_export", (name, precision))


def _precision_checks() -> Iterator[Check]:
    for precision in PRECISIONS:
        asks, module = f"a {precision} file predicts like Keras", "zoo.testing.checks.exporter_file"
        yield Check(f"predicts_{precision}", asks, module, "check_predicts", (precision,))


def check_names(kind: str = "architecture") -> tuple[str, ...]:
    """Names of all checks of a kind (``architecture``, ``exporter``, ``dataset``, ``callbacks``).

    Those of an architecture's exports are of the exporters that are installed.
    """
    return tuple(all_checks(kind))


def choose_checks(names: Iterable[str] | None, kind: str = "architecture") -> list[Check]:
    """The checks of these names; all where none are named.

    Raises:
        UsageError: There is no check of a name.
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
    """Refuses names of checks that there are nowhere; a format that is installed elsewhere only may be named.

    Raises:
        UsageError: Such a name.
    """
    known = all_checks(kind)
    for name in expected_failures:
        of_export = name.startswith("export_") and name.endswith(tuple(f"_{precision}" for precision in PRECISIONS))
        if name not in known and not (of_export and kind == "architecture"):
            raise unknown_name("check", name, known)
