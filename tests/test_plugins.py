"""Discovery with real distributions on disk: one that fails costs nobody else anything."""

from __future__ import annotations

import json

import pytest

from tests.conftest import FakePlugin, RunZoo

GOOD = """
from zoo import Architecture, hookimpl

@hookimpl
def zoo_architectures():
    return [Architecture(name="tiny_net", summary="A tiny one", build=lambda input_shape, num_classes: None)]
"""

BROKEN = {
    "import error": ("import no_such_module_anywhere", "No module named 'no_such_module_anywhere'"),
    "system exit": ("raise SystemExit(7)", "SystemExit: 7"),
    "misspelt hook": (
        "from zoo import hookimpl\n@hookimpl\ndef zoo_architecture(): return []",
        "no hook 'zoo_architecture'",
    ),
    "wrong signature": ("from zoo import hookimpl\n@hookimpl\ndef zoo_architectures(what): return []", "what"),
    "no hook at all": ("x = 1", "implements no hook"),
    "garbage": (
        "from zoo import hookimpl\n@hookimpl\ndef zoo_architectures(): return ['resnet']",
        "it returned 'resnet'",
    ),
    "raises": ("from zoo import hookimpl\n@hookimpl\ndef zoo_architectures(): 1 / 0", "ZeroDivisionError"),
    "bad record": (GOOD.replace("tiny_net", "Tiny Net!"), "'Tiny Net!' is not valid"),
    "module gone": (None, "No module named"),
}


@pytest.mark.parametrize("case", BROKEN)
def test_a_broken_plugin_is_named_and_everything_else_works(
    case: str, run_zoo: RunZoo, fake_plugin: FakePlugin
) -> None:
    code, reason = BROKEN[case]
    fake_plugin("zoo-broken", code)
    fake_plugin("zoo-good", GOOD)
    listed = run_zoo("list")
    assert listed.code == 0
    assert "tiny_net" in listed.out
    assert "simple_cnn" in listed.out
    (line,) = listed.err.strip().splitlines()
    assert line.startswith("zoo: plugin 'zoo-broken' is not used: ")
    assert reason in line
    (row,) = [row for row in json.loads(run_zoo("plugins", "--json").out) if row["distribution"] == "zoo-broken"]
    assert row["status"] == "failed"
    assert reason in row["error"]


def test_strict_mode_stops_at_the_broken_one(run_zoo: RunZoo, fake_plugin: FakePlugin) -> None:
    fake_plugin("zoo-broken", "1 / 0")
    done = run_zoo("list", env={"ZOO_STRICT_PLUGINS": "1"})
    assert done.code == 3
    assert "Plugin 'zoo-broken' failed: ZeroDivisionError" in done.err
    assert "Traceback" not in done.err


def test_a_disabled_plugin_is_not_even_imported(run_zoo: RunZoo, fake_plugin: FakePlugin) -> None:
    fake_plugin("zoo-broken", "print('imported'); 1 / 0")
    done = run_zoo("plugins", env={"ZOO_DISABLE_PLUGINS": "Zoo_Broken"})  # names differ by case and dash alone
    assert done.code == 0
    assert done.err == ""
    assert "disabled" in done.out


def test_what_a_plugin_prints_stays_out_of_the_output(run_zoo: RunZoo, fake_plugin: FakePlugin) -> None:
    fake_plugin("zoo-chatty", "print('hello')\n" + GOOD)
    done = run_zoo("list", "--json")
    assert "tiny_net" in [row["name"] for row in json.loads(done.out)["architectures"]]


def test_a_name_offered_twice_belongs_to_neither(run_zoo: RunZoo, fake_plugin: FakePlugin) -> None:
    fake_plugin("zoo-first", GOOD)
    fake_plugin("zoo-second", GOOD, version="2.5")
    contested = run_zoo("train", "tiny_net")
    assert contested.code == 2
    assert "offered by zoo-first 1.0 and by zoo-second 2.5" in contested.err
    assert "ZOO_DISABLE_PLUGINS" in contested.err
    assert "(contested)" in run_zoo("list").out
    settled = run_zoo("list", env={"ZOO_DISABLE_PLUGINS": "zoo-second"})
    assert "(contested)" not in settled.out


def test_a_built_in_name_cannot_be_taken_over(run_zoo: RunZoo, fake_plugin: FakePlugin) -> None:
    fake_plugin("zoo-thief", GOOD.replace("tiny_net", "simple_cnn"))
    done = run_zoo("train", "simple_cnn")
    assert done.code == 2
    assert "keras-edge-zoo" in done.err
    assert "zoo-thief" in done.err


def test_every_hook_of_the_reference_exists_with_its_signature() -> None:
    import inspect
    import re
    from pathlib import Path

    from zoo import hookspecs

    page = (Path(__file__).parents[1] / "docs" / "reference" / "hooks.md").read_text()
    documented = dict(re.findall(r"^## `(zoo_\w+)(\([^`]*)`$", page, re.MULTILINE))
    real = {
        name: "(" + ", ".join(inspect.signature(function).parameters) + ")"
        for name, function in vars(hookspecs).items()
        if name.startswith("zoo_")
    }
    assert documented == real
