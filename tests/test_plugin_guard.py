"""Every error of a plugin at work names the plugin, the action and the cause."""

from __future__ import annotations

import errno
import inspect
from collections.abc import Callable
from dataclasses import fields, is_dataclass, replace
from pathlib import Path
from typing import Any

import pytest

import zoo
from tests.conftest import FakePlugin, RunZoo
from zoo import App, Architecture, Dataset, Exporter, Metadata, Weights
from zoo.errors import DataError, ExportError, PluginCodeError, PluginError, Terminated, UsageError
from zoo.registry import Offer, Registry, architectures, exporters

PUBLIC = [getattr(zoo, name) for name in zoo.__all__]
RECORDS = [thing for thing in PUBLIC if isinstance(thing, type) and is_dataclass(thing)]


def nothing(*arguments: Any, **options: Any) -> Any:
    raise AssertionError("not in this test")


APP = App(files=nothing, start="", manual="")
WEIGHTS = Weights(name="own", summary="Own", labels=nothing, load=nothing, aliases=nothing)
ARCHITECTURE = Architecture(name="frail_net", summary="Frail", build=nothing, weights=(WEIGHTS,))
DATASET = Dataset(name="frail_set", summary="Frail", write=nothing)
EXPORTER = Exporter(
    name="frail",
    summary="Frail",
    suffix=".frail",
    precisions=("float32",),
    convert=nothing,
    write_metadata=nothing,
    read_metadata=nothing,
    load=nothing,
    stored=nothing,
    float_operators=nothing,
    requires=("frail-runtime>=1.2", "other>=1"),
    app=APP,
)
FILE = Path("model.frail")


def handed_out(record: Any) -> Any:
    """The record as the registry returns it."""
    return Registry("record", [Offer(record, "zoo-frail", "1.0")]).get(record.name)


#: For each function of a plugin, how it is called, and the description of the action.
CALLS: dict[str, tuple[Callable[[Any], Any], str]] = {
    "build": (
        lambda raises: handed_out(replace(ARCHITECTURE, build=raises)).build((8, 8, 3), 2),
        "building 'frail_net'",
    ),
    "weights.load": (
        lambda raises: of_weights(load=raises).load(None, True),
        "loading the weights 'own' of 'frail_net'",
    ),
    "weights.labels": (
        lambda raises: of_weights(labels=raises).labels(),
        "naming the classes of the weights 'own' of 'frail_net'",
    ),
    "weights.aliases": (
        lambda raises: of_weights(aliases=raises).aliases(),
        "returning other class names of the weights 'own' of 'frail_net'",
    ),
    "write": (
        lambda raises: handed_out(replace(DATASET, write=raises)).write(Path("folder")),
        "writing the dataset 'frail_set'",
    ),
    "convert": (
        lambda raises: of_exporter(convert=raises).convert(None, FILE, "int8"),
        "converting to frail int8",
    ),
    "write_metadata": (
        lambda raises: of_exporter(write_metadata=raises).write_metadata(FILE, None),
        "writing metadata into model.frail",
    ),
    "read_metadata": (
        lambda raises: of_exporter(read_metadata=raises).read_metadata(FILE),
        "reading the metadata of model.frail",
    ),
    "load": (lambda raises: of_exporter(load=raises).load(FILE, 1), "loading model.frail"),
    "parts": (lambda raises: of_exporter(parts=raises).files(FILE), "naming the parts of model.frail"),
    "stored": (lambda raises: of_exporter(stored=raises).stored(FILE), "counting what model.frail stores"),
    "float_operators": (
        lambda raises: of_exporter(float_operators=raises).float_operators(FILE),
        "counting the float operators of model.frail",
    ),
    "predict": (lambda raises: loading(predict=raises).predict(None), "predicting with model.frail"),
    "inputs": (lambda raises: loading(inputs=property(raises)).inputs, "predicting with model.frail"),
    "outputs": (lambda raises: loading(outputs=property(raises)).outputs, "predicting with model.frail"),
    "app.files": (
        lambda raises: of_exporter(app=replace(APP, files=raises)).app.files(),
        "gathering the files of its app",
    ),
}


def of_weights(**changes: Any) -> Any:
    return handed_out(replace(ARCHITECTURE, weights=(replace(WEIGHTS, **changes),))).weights[0]


def of_exporter(**changes: Any) -> Any:
    return handed_out(replace(EXPORTER, **changes))


def loading(**members: Any) -> Any:
    return of_exporter(load=lambda path, threads: type("Runtime", (), members)()).load(FILE, 1)


def raising(error: BaseException) -> Callable[..., Any]:
    def call(*arguments: Any, **options: Any) -> Any:
        raise error

    return call


@pytest.mark.parametrize("name", CALLS)
@pytest.mark.parametrize("cause", [KeyError("no such\nlayer"), SystemExit(7)], ids=["error", "exit"])
def test_the_plugin_its_work_and_the_cause_are_named(name: str, cause: BaseException) -> None:
    call, doing = CALLS[name]
    with pytest.raises(PluginCodeError) as told:
        call(raising(cause))
    what = "KeyError: 'no such\\nlayer'" if isinstance(cause, KeyError) else "SystemExit: 7"
    assert str(told.value) == (
        f"The plugin 'zoo-frail' failed {doing}: {what}\n  To disable the plugin, set ZOO_DISABLE_PLUGINS=zoo-frail."
    )
    assert told.value.exit_code == 3
    assert told.value.__cause__ is cause
    assert told.value.cause is cause


@pytest.mark.parametrize("name", CALLS)
@pytest.mark.parametrize(
    "passing", [ExportError("no operator"), UsageError("too small"), Terminated(143), KeyboardInterrupt()], ids=repr
)
def test_errors_for_the_user_and_interruptions_pass(name: str, passing: BaseException) -> None:
    with pytest.raises(type(passing)) as told:
        CALLS[name][0](raising(passing))
    assert told.value is passing


def test_no_function_of_a_record_is_left_out() -> None:
    """A field with a function but without a description of its action would be called without a guard."""
    functions = {
        f"{record.__name__}.{field.name}": field
        for record in RECORDS
        for field in fields(record)
        if str(field.type).startswith("Callable")
    }
    assert len(functions) >= 11
    assert [name for name, field in functions.items() if "does" not in field.metadata] == []
    asked = {name.rpartition(".")[2] for name in CALLS}
    assert {name.rpartition(".")[2] for name in functions} <= asked


@pytest.mark.parametrize(
    ("call", "told"),
    [
        (
            lambda: of_exporter(read_metadata=lambda path: {}).read_metadata(FILE),
            "it returned {}, not Metadata or None",
        ),
        (lambda: of_exporter(stored=lambda path: None).stored(FILE), "it returned None, not Mapping"),
        (lambda: of_weights(labels=lambda: "cat").labels(), "it returned 'cat', not tuple"),
        (lambda: of_exporter(app=replace(APP, files=lambda: [])).app.files(), "it returned [], not Mapping"),
    ],
)
def test_what_is_returned_is_of_the_type_that_the_record_names(call: Callable[[], Any], told: str) -> None:
    with pytest.raises(PluginError, match=r"^The plugin 'zoo-frail' failed ") as raised:
        call()
    assert told in raised.value.message


def test_what_is_loaded_and_cannot_predict_is_named() -> None:
    with pytest.raises(PluginCodeError, match=r"failed predicting with model\.frail: AttributeError"):
        _ = of_exporter(load=lambda path, threads: None).load(FILE, 1).inputs


def test_a_package_that_is_not_installed_is_named_with_the_command() -> None:
    missing = ModuleNotFoundError("No module named 'frail_runtime'", name="frail_runtime.session")
    with pytest.raises(UsageError) as told:
        of_exporter(load=raising(missing)).load(FILE, 1)
    assert (
        str(told.value) == "'frail_runtime.session' is not installed.\n  python -m pip install \"frail-runtime>=1.2\""
    )
    own = ModuleNotFoundError("No module named 'tests.gone'", name="tests.gone")
    with pytest.raises(PluginCodeError, match=r"No module named 'tests\.gone'"):
        of_exporter(load=raising(own)).load(FILE, 1)


def test_a_full_disk_is_not_the_plugins_fault() -> None:
    full = OSError(errno.ENOSPC, "No space left on device")
    with pytest.raises(DataError, match="Could not finish writing the dataset 'frail_set': No space left on device"):
        CALLS["write"][0](raising(full))
    with pytest.raises(ExportError, match="Could not finish converting to frail int8"):
        CALLS["convert"][0](raising(full))


def test_a_record_of_the_registry_equals_the_one_that_the_plugin_returned() -> None:
    for record in (ARCHITECTURE, DATASET, EXPORTER):
        given = handed_out(record)
        assert given == record
        assert handed_out(given) == record
        assert hash(given.name) == hash(record.name)
    build = architectures().get("simple_cnn").build
    assert list(inspect.signature(build).parameters)[:2] == ["input_shape", "num_classes"]
    assert build.__module__ == "zoo_simple_cnn.model"
    assert exporters().get("onnx") == exporters().get("onnx")


def test_a_function_may_be_named_and_is_found_when_it_is_called(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    (tmp_path / "frail_model.py").write_text("def build(input_shape, num_classes): return input_shape, num_classes\n")
    record = replace(ARCHITECTURE, build="frail_model:build")
    assert record == replace(ARCHITECTURE, build="frail_model:build")
    assert record != ARCHITECTURE
    given = handed_out(record)  # nothing is imported yet, because the module does not exist
    monkeypatch.syspath_prepend(tmp_path)
    assert given.build((8, 8, 3), 2) == record.build((8, 8, 3), 2) == ((8, 8, 3), 2)
    assert list(inspect.signature(given.build).parameters) == ["input_shape", "num_classes"]


@pytest.mark.parametrize(
    ("name", "reason"),
    [
        ("frail.modl:build", "could not import 'frail.modl': ModuleNotFoundError: No module named 'frail'"),
        ("zoo_simple_cnn.model:bulid", "'zoo_simple_cnn.model' has no 'bulid'. Did you mean 'build'?"),
        ("zoo.interfaces:PRECISIONS", "'zoo.interfaces:PRECISIONS' is tuple, which cannot be called"),
    ],
)
@pytest.mark.parametrize("place", ["build", "weights.labels", "write", "app.files", "convert"])
def test_a_name_that_leads_to_nothing_says_of_which_record(name: str, reason: str, place: str) -> None:
    call, doing = CALLS[place]
    with pytest.raises(PluginError, match=r"^The plugin 'zoo-frail' failed") as told:
        call(name)
    assert told.value.message == f"The plugin 'zoo-frail' failed {doing}: {reason}"


def test_a_package_that_a_named_module_needs_is_not_the_plugins_fault(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    (tmp_path / "frail_convert.py").write_text("import frail_runtime\ndef convert(*about): pass\n")
    monkeypatch.syspath_prepend(tmp_path)
    with pytest.raises(UsageError, match=r"'frail_runtime' is not installed\.\n.*\"frail-runtime>=1.2\""):
        CALLS["convert"][0]("frail_convert:convert")


@pytest.mark.parametrize("name", ["frail_model.build", "build", ":build", "frail model:build"])
def test_a_text_that_names_no_function_is_refused(name: str) -> None:
    with pytest.raises(PluginError, match=r"Architecture has build=.*\n.*package\.module:function"):
        replace(ARCHITECTURE, build=name)


def test_metadata_that_is_fine_comes_through() -> None:
    said = Metadata(
        labels=("a", "b"), image=zoo.ImageSpec(), precision="float32", architecture="x", source="x", model_digest="0"
    )
    assert of_exporter(read_metadata=lambda path: said).read_metadata(FILE) is said
    assert of_exporter(read_metadata=lambda path: None).read_metadata(FILE) is None


PLUGIN = """
from zoo import Dataset, Exporter, hookimpl


def fail(*arguments):
    raise LookupError("a bad day")


@hookimpl
def zoo_datasets():
    return [Dataset(name="frail_set", summary="Frail", write=fail)]


@hookimpl
def zoo_exporters():
    functions = dict(convert=fail, write_metadata=fail, read_metadata=fail, load=fail)
    return [Exporter(name="frail", summary="Frail", suffix=".frail", precisions=("float32",), **functions)]
"""


def test_the_commands_name_it_too(run_zoo: RunZoo, fake_plugin: FakePlugin, tmp_path: Path) -> None:
    fake_plugin("zoo-frail", PLUGIN)
    (tmp_path / "model.frail").write_bytes(b"anything")
    for arguments, doing in (
        (("data", "check", "frail_set"), "writing the dataset 'frail_set'"),
        (("predict", "model.frail", "photo.jpg"), "reading the metadata of model.frail"),
    ):
        done = run_zoo(*arguments)
        assert done.code == 3, done.err
        assert f"Error: The plugin 'zoo-frail' failed {doing}: LookupError: a bad day" in done.err
        assert done.err.count("Traceback") == 1  # the traceback of the plugin
        assert "zoo_frail.py" in done.err
