"""Private names of Keras: those that zoo uses exist, and only one file uses them."""

from __future__ import annotations

import ast
import re
from pathlib import Path

import keras
import pytest

from zoo import keras_internals

REPOSITORY = Path(__file__).resolve().parents[1]
ONE_FILE = "zoo/keras_internals.py"
#: Every private name of Keras that zoo reads, and the object that has it.
USED = {"_flatten_layers", "_inbound_nodes", "_keras_history", "_nodes_by_depth"}
#: Private names of Keras's trainer on JAX.
USED_OF_JAX = {"_distribute_data", "_get_distributed_iterator"}


def private_names(path: Path) -> set[str]:
    """Private attributes that a file reads from objects other than ``self``, including those read by ``getattr``."""
    found = set()
    for node in ast.walk(ast.parse(path.read_text())):
        if isinstance(node, ast.Attribute) and not (
            isinstance(node.value, ast.Name) and node.value.id in ("self", "cls")
        ):
            found.add(node.attr)
        elif isinstance(node, ast.Call) and isinstance(node.func, ast.Name) and node.func.id in ("getattr", "hasattr"):
            found |= {argument.value for argument in node.args if isinstance(argument, ast.Constant)}
    return {name for name in found if isinstance(name, str) and re.fullmatch(r"_[a-z]\w*", name)}


def names_of_keras() -> set[str]:
    """Private attributes of Keras's models, layers, optimizers, variables, symbolic tensors and nodes (calls)."""
    model = keras.Sequential([keras.Input((4,)), keras.layers.Dense(2)])
    model.compile("adam", "mse")
    functional = keras.Model(model.inputs, model.outputs)
    layer = model.layers[-1]
    things = [model, functional, layer, layer.kernel, layer.output, model.optimizer, *layer._inbound_nodes]
    names = {name for thing in things for name in dir(thing)}
    return {name for name in names if re.fullmatch(r"_[a-z]\w*", name)}


def test_each_private_name_is_there_and_does_what_is_relied_on() -> None:
    used = private_names(REPOSITORY / ONE_FILE)
    assert used == USED | USED_OF_JAX
    assert names_of_keras() >= USED
    inner = keras.Sequential([keras.Input((4,)), keras.layers.Dense(2, name="first")])
    image = keras.Input((4,))
    last = keras.layers.Dense(3, name="last")
    model = keras.Model(image, last(inner(image)))
    assert keras_internals.maker(model.outputs[0]) is last
    assert keras_internals.maker(keras.ops.zeros(3)) is None
    assert keras_internals.called_once(last)
    last(keras.Input((2,)))
    assert not keras_internals.called_once(last)
    assert {"first", "last"} <= {layer.name for layer in keras_internals.layers_of(model)}
    assert keras_internals.has_calls(model)
    assert not keras_internals.has_calls(last)
    calls = list(keras_internals.calls_of(model))
    assert [call.operation for call in calls] == [inner, last]
    assert calls[0].input_tensors == [image]
    assert calls[1].outputs[0] is model.outputs[0]
    assert calls[1].arguments.fill_in({id(calls[0].outputs[0]): 7}) == ((7,), {})


def test_the_private_names_of_the_trainer_on_jax_are_there() -> None:
    """tests/training/test_devices.py shows by training that they have the expected effect."""
    pytest.importorskip("jax", reason="jax is not installed")
    trainer = pytest.importorskip("keras.src.backend.jax.trainer")
    assert callable(trainer._distribute_data)
    assert callable(trainer.JAXEpochIterator._get_distributed_iterator)


def test_no_other_file_reads_a_private_name_of_keras() -> None:
    theirs = names_of_keras()
    files = [
        path
        for root in ("zoo", "plugins", "exports", "benchmarks", "tests")
        for path in (REPOSITORY / root).rglob("*.py")
    ]
    readers = [
        path
        for path in files
        if re.search(r"\bkeras\b", path.read_text()) and path not in (REPOSITORY / ONE_FILE, Path(__file__).resolve())
    ]
    assert len(readers) > 50
    offenders = {f"{path.relative_to(REPOSITORY)}: {name}" for path in readers for name in private_names(path) & theirs}
    assert not offenders, f"Use a public name, or add it to {ONE_FILE}: {sorted(offenders)}"


def test_the_next_release_of_keras_that_could_break_it_is_shut_out() -> None:
    packaging = pytest.importorskip("packaging.requirements")
    text = (REPOSITORY / "pyproject.toml").read_text()
    (line,) = re.findall(r'"(keras[><=][^"]*)"', text)
    specifier = packaging.Requirement(line).specifier
    assert specifier.contains(keras.__version__)
    assert not specifier.contains("4.0")
