"""Discovery with real distributions on disk: one that fails or misbehaves does not affect others."""

from __future__ import annotations

import json
import signal
import subprocess
import sys
import time
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import pytest

from tests.conftest import FakePlugin, RunZoo, zoo_command, zoo_environment

GOOD = """
from zoo import Architecture, hookimpl

@hookimpl
def zoo_architectures():
    return [Architecture(name="tiny_net", summary="A tiny one", build=lambda input_shape, num_classes: None)]
"""

HOOK = "from zoo import Architecture, hookimpl\n@hookimpl\n"


def offering(name: str) -> str:
    return GOOD.replace("tiny_net", name)


@dataclass(frozen=True)
class Case:
    """A plugin that does something wrong.

    Args:
        code: Code of its module. ``None``: there is no module.
        reason: Part of the line on stderr.
        status: Status in ``zoo plugin list``.
        requires: Requirements of its distribution.
    """

    code: str | None
    reason: str
    status: str = "failed"
    requires: str = ""


CASES = {
    "import error": Case("import no_such_module_anywhere", "No module named 'no_such_module_anywhere'"),
    "syntax error": Case("def (", "SyntaxError: invalid syntax"),
    "system exit": Case("raise SystemExit(7)", "SystemExit: 7"),
    "not even an Exception": Case("class Odd(BaseException): pass\nraise Odd('at all')", "Odd: at all"),
    "endless recursion": Case("def again(): again()\nagain()", "RecursionError"),
    "misspelt hook": Case(f"{HOOK}def zoo_architecture(): return []", "there is no hook 'zoo_architecture'"),
    "wrong signature": Case(f"{HOOK}def zoo_architectures(what): return []", "what"),
    "no hook at all": Case("x = 1", "it implements no hook"),
    "returns nothing": Case(f"{HOOK}def zoo_architectures(): pass", "it returned None"),
    "returns garbage": Case(f"{HOOK}def zoo_architectures(): return ['resnet']", "it returned 'resnet'"),
    "returns a number": Case(f"{HOOK}def zoo_architectures(): return 42", "it returned 42"),
    "returns one record, not a list": Case(
        f"{HOOK}def zoo_architectures(): return Architecture(name='tiny', summary='', build=print)",
        "must return a list of Architecture records",
    ),
    "raises in the hook": Case(f"{HOOK}def zoo_architectures(): 1 / 0", "ZeroDivisionError"),
    "raises half-way": Case(
        f"{HOOK}def zoo_architectures():\n"
        "    yield Architecture(name='half_net', summary='', build=print)\n    raise ValueError('no more')",
        "ValueError: no more",
    ),
    "invalid name": Case(offering("Tiny Net!"), "'Tiny Net!' is not valid"),
    "summary that is no line": Case(GOOD.replace('"A tiny one"', "None"), "the summary of 'tiny_net'"),
    "offers a name twice": Case(
        GOOD.replace("return [", "return 2 * ["), "it offers the architecture 'tiny_net' twice"
    ),
    "module gone": Case(None, "No module named 'zoo_broken'"),
    "built against a newer zoo": Case(
        offering("late_net"), "it needs keras-edge-zoo>=97.1", requires="keras-edge-zoo>=97.1"
    ),
    "built against an older zoo": Case(
        offering("early_net"), "it needs keras-edge-zoo<0.0.9", requires="Keras_Edge.Zoo (<0.0.9)"
    ),
    "computes for a second": Case(
        f"import time\nwhile time.thread_time() < 1.2: pass\n{offering('slow_net')}",
        "s of CPU time to load",
        status="warned",
    ),
    "prints": Case(f"print('hello there')\n{offering('loud_net')}", "it printed 'hello there'", status="warned"),
    "prints from a child process": Case(
        f"import os\nos.system('echo hello')\n{offering('loud_net')}", "it printed 'hello'", status="warned"
    ),
    "warns": Case(
        f"import warnings\nwarnings.warn('old thing')\n{offering('old_net')}", "UserWarning: old thing", status="warned"
    ),
    "changes the backend": Case(
        f"import os\nos.environ['KERAS_BACKEND'] = 'jax'\n{offering('jax_net')}", "KERAS_BACKEND", status="warned"
    ),
    "changes the Keras policy": Case(
        f"import keras\nkeras.config.set_dtype_policy('mixed_float16')\n{offering('half_net')}",
        "it changed Keras's dtype_policy to mixed_float16",
        status="warned",
    ),
}


#: Cases that take the same way through zoo as another.
ALIKE = ("syntax error", "not even an Exception", "endless recursion", "returns garbage", "returns a number")
ALIKE += ("raises half-way", "summary that is no line", "built against an older zoo", "prints from a child process")


@pytest.mark.parametrize(
    "name", [pytest.param(name, marks=pytest.mark.long) if name in ALIKE else name for name in CASES]
)
def test_one_plugin_is_named_and_everything_else_works(
    name: str, run_zoo: RunZoo, fake_plugin: FakePlugin, site: Path
) -> None:
    case = CASES[name]
    fake_plugin("zoo-broken", case.code)
    declare(site, "zoo-broken", case.requires)
    fake_plugin("zoo-good", offering("good_net"))

    # On its lightest backend, Keras behaves the same and starts in half of the time.
    light = {"KERAS_BACKEND": "numpy"} if "import keras" in (case.code or "") else {}
    listed = run_zoo("list", "--json", env=light)
    assert listed.code == 0
    names = {row["name"] for row in json.loads(listed.out)["architectures"]}
    assert {"good_net", "simple_cnn", "mobilenetv2"} <= names
    assert "half_net" not in names or case.status == "warned"
    (line,) = listed.err.strip().splitlines()
    assert line.startswith("zoo: plugin 'zoo-broken' ")
    assert case.reason in line
    rows = {row["distribution"]: row for row in json.loads(run_zoo("plugin", "list", "--json", env=light).out)}
    assert rows["zoo-broken"]["status"] == case.status
    assert case.reason in rows["zoo-broken"]["reason"]
    assert bool(rows["zoo-broken"]["offers"]) == (case.status == "warned")
    assert rows["zoo-good"]["status"] == "ok"

    settled = run_zoo("list", "--json", env={"ZOO_DISABLE_PLUGINS": "Zoo_Broken"})  # differs only in case and dash
    assert (settled.code, settled.err) == (0, "")
    strict = run_zoo("list", env=light | {"ZOO_STRICT_PLUGINS": "1"})
    assert strict.code == 3
    assert "Plugin 'zoo-broken'" in strict.err
    assert case.reason in strict.err
    assert "Traceback" not in strict.err
    assert "good_net" not in strict.out


def declare(site: Path, distribution: str, requires: str) -> None:
    """Adds a requirement to a distribution's metadata, as pip writes it."""
    (info,) = site.glob(f"{distribution.replace('-', '_')}-*.dist-info")
    if requires:
        with (info / "METADATA").open("a") as file:
            file.write(f"Requires-Dist: {requires}\n")


@pytest.mark.parametrize(
    "requires",
    [
        "keras-edge-zoo>=0.1",
        "keras-edge-zoo[test]>=97; extra == 'dev'",
        "keras-edge-zoo",
        "numpy>=97",
        "keras-edge-zoo~=0.1",
    ],
)
def test_requirements_that_are_met_are_no_matter(
    requires: str, run_zoo: RunZoo, fake_plugin: FakePlugin, site: Path
) -> None:
    fake_plugin("zoo-good", GOOD)
    declare(site, "zoo-good", requires)
    listed = run_zoo("list")
    assert listed.err == ""
    assert "tiny_net" in listed.out


def test_an_optional_hook_of_a_newer_zoo_is_passed_over(run_zoo: RunZoo, fake_plugin: FakePlugin) -> None:
    fake_plugin("zoo-new", f"{GOOD}\n@hookimpl(optionalhook=True)\ndef zoo_hook_of_tomorrow(x): return []\n")
    listed = run_zoo("list")
    assert listed.err == ""
    assert "tiny_net" in listed.out


def test_settings_of_keras_are_put_back(run_zoo: RunZoo, fake_plugin: FakePlugin, site: Path) -> None:
    fake_plugin(
        "zoo-bold",
        "import keras, os\nkeras.config.set_dtype_policy('mixed_float16')\nkeras.config.set_epsilon(0.5)\n"
        f"keras.config.set_image_data_format('channels_first')\nos.environ['KERAS_HOME'] = '/nowhere'\n{GOOD}",
    )
    code = (
        "import os\nfrom zoo.registry import plugin_manager\nplugin_manager()\nimport keras\n"
        "print(keras.config.dtype_policy().name, keras.config.image_data_format(), keras.config.epsilon(), "
        "os.environ.get('KERAS_HOME'))"
    )
    environment = zoo_environment(site) | {"KERAS_BACKEND": "numpy"}
    done = subprocess.run(
        [sys.executable, "-c", code],
        env=environment,
        capture_output=True,
        text=True,
        check=True,
    )
    assert done.stdout == "float32 channels_last 1e-07 None\n"
    (line,) = [line for line in done.stderr.splitlines() if line.startswith("zoo: ")]
    assert all(name in line for name in ("dtype_policy", "epsilon", "image_data_format", "KERAS_HOME"))


def test_what_the_user_set_before_comes_back(fake_plugin: FakePlugin, site: Path) -> None:
    fake_plugin("zoo-bold", f"import keras\nkeras.config.set_dtype_policy('float64')\n{GOOD}")
    code = (
        "import keras\nkeras.config.set_dtype_policy('mixed_bfloat16')\n"
        "from zoo.registry import plugin_manager\nplugin_manager()\nprint(keras.config.dtype_policy().name)"
    )
    environment = zoo_environment(site) | {"KERAS_BACKEND": "numpy"}
    done = subprocess.run(
        [sys.executable, "-c", code],
        env=environment,
        capture_output=True,
        text=True,
        check=True,
    )
    assert done.stdout == "mixed_bfloat16\n"


def test_a_log_handler_made_while_loading_still_writes(fake_plugin: FakePlugin, site: Path) -> None:
    fake_plugin("zoo-logging", f"import logging\nlogging.basicConfig()\n{GOOD}")
    code = "from zoo.registry import plugin_manager\nplugin_manager()\nimport logging\nlogging.warning('still here')"
    done = subprocess.run(
        [sys.executable, "-c", code], env=zoo_environment(site), capture_output=True, text=True, check=True
    )
    assert "still here" in done.stderr


def test_a_name_offered_twice_belongs_to_neither(run_zoo: RunZoo, fake_plugin: FakePlugin) -> None:
    fake_plugin("zoo-first", GOOD)
    fake_plugin("zoo-second", GOOD, version="2.5")
    contested = run_zoo("train", "tiny_net")
    assert contested.code == 2
    assert "The architecture name 'tiny_net' is provided by zoo-first 1.0 and by zoo-second 2.5" in contested.err
    assert "ZOO_DISABLE_PLUGINS=zoo-second" in contested.err
    check_contested(run_zoo, "tiny_net", ["zoo-first", "zoo-second"], settled_by="zoo-second")


def test_a_built_in_name_cannot_be_taken_over(run_zoo: RunZoo, fake_plugin: FakePlugin) -> None:
    fake_plugin("aaa-thief", offering("simple_cnn"))  # sorted before ours in every order
    done = run_zoo("train", "simple_cnn")
    assert done.code == 2
    assert "provided by aaa-thief 1.0 and by keras-edge-zoo" in done.err
    check_contested(run_zoo, "simple_cnn", ["aaa-thief", "keras-edge-zoo"], settled_by="aaa-thief")


def check_contested(run_zoo: RunZoo, name: str, distributions: list[str], settled_by: str) -> None:
    listed = run_zoo("list")
    assert listed.code == 0
    (line,) = listed.err.strip().splitlines()
    assert f"architecture '{name}': provided by" in line
    assert all(distribution in line for distribution in distributions)
    assert f"(to resolve this, set ZOO_DISABLE_PLUGINS={settled_by})" in line
    assert listed.out.count("(contested)") == 2
    rows: list[dict[str, Any]] = json.loads(run_zoo("plugin", "list", "--json").out)
    for distribution in distributions:
        (row,) = [
            row for row in rows if f"architecture {name}" in row["offers"] and row["distribution"] == distribution
        ]
        assert row["status"] == "warned"
        assert name in row["reason"]
    settled = run_zoo("list", env={"ZOO_DISABLE_PLUGINS": settled_by})
    assert (settled.code, settled.err) == (0, "")
    assert name in settled.out
    assert "(contested)" not in settled.out
    strict = run_zoo("list", env={"ZOO_STRICT_PLUGINS": "1"})
    assert strict.code == 3
    assert all(distribution in strict.err for distribution in distributions)


def test_many_contested_names_are_one_line(run_zoo: RunZoo, fake_plugin: FakePlugin) -> None:
    many = (
        f"{HOOK}def zoo_architectures():\n"
        "    return [Architecture(name=f'net_{number}', summary='', build=print) for number in range(30)]"
    )
    fake_plugin("zoo-many", many)
    fake_plugin("zoo-fork", many)
    (line,) = run_zoo("list").err.strip().splitlines()
    assert "'net_0', 'net_1', 'net_2' and 27 more" in line


@pytest.mark.parametrize("content", [b"\xff\xfe[zo", b"[zoo]\nno value\n"], ids=["not text", "no value"])
def test_damaged_metadata_of_one_distribution(
    content: bytes, run_zoo: RunZoo, fake_plugin: FakePlugin, site: Path
) -> None:
    fake_plugin("zoo-good", GOOD)
    fake_plugin("zoo-torn", None)
    (site / "zoo_torn-1.0.dist-info" / "entry_points.txt").write_bytes(content)
    listed = run_zoo("list")
    assert listed.code == 0
    assert "tiny_net" in listed.out
    assert "simple_cnn" in listed.out
    (line,) = listed.err.strip().splitlines()
    assert line.startswith("zoo: plugin 'zoo-torn' is not used: its metadata cannot be read")
    assert str(site / "zoo_torn-1.0.dist-info") in line
    # Libraries that zoo uses search for their own plugins, such as scikit-learn through narwhals.
    code = (
        "from zoo.registry import plugin_manager; plugin_manager()\n"
        "from sklearn.metrics import precision_recall_fscore_support as measure\n"
        "print(measure([0, 1], [0, 1])[0].tolist())"
    )
    done = subprocess.run(
        [sys.executable, "-c", code], env=zoo_environment(site), capture_output=True, text=True, check=False
    )
    assert done.stdout == "[1.0, 1.0]\n", done.stderr
    assert run_zoo("list", env={"ZOO_DISABLE_PLUGINS": "zoo-torn"}).err == ""


def test_a_half_removed_distribution_still_has_a_name(run_zoo: RunZoo, fake_plugin: FakePlugin, site: Path) -> None:
    fake_plugin("zoo-gone", None)
    (site / "zoo_gone-1.0.dist-info" / "METADATA").unlink()
    listed = run_zoo("list")
    assert listed.code == 0
    assert "simple_cnn" in listed.out
    (line,) = listed.err.strip().splitlines()
    assert "zoo_gone" in line


@pytest.mark.parametrize(("sent", "code"), [(signal.SIGINT, 130), (signal.SIGTERM, 143)])
def test_who_is_being_waited_for_is_named_on_interruption(
    sent: signal.Signals, code: int, fake_plugin: FakePlugin, site: Path
) -> None:
    started = site / "started"
    fake_plugin("zoo-hangs", f"import pathlib, time\npathlib.Path({str(started)!r}).touch()\ntime.sleep(600)")
    process = subprocess.Popen(
        zoo_command("list"),
        env=zoo_environment(site),
        stdout=subprocess.PIPE,
        stderr=subprocess.PIPE,
        text=True,
        preexec_fn=lambda: signal.signal(signal.SIGINT, signal.SIG_DFL),  # a background shell ignores it
    )
    try:
        deadline = time.monotonic() + 60
        while not started.exists():
            assert time.monotonic() < deadline
            time.sleep(0.05)
        process.send_signal(sent)
        _, told = process.communicate(timeout=60)
    finally:
        process.kill()
    assert process.returncode == code
    assert "zoo: interrupted while plugin 'zoo-hangs' was being loaded" in told


def test_callbacks_that_are_none_are_left_out_of_a_run(
    tiny_net: None, run_zoo: RunZoo, fake_plugin: FakePlugin, tmp_path: Path
) -> None:
    fake_plugin("zoo-odd", f"{HOOK}def zoo_callbacks(recipe, run_dir): return ['not a callback']")
    fake_plugin(
        "zoo-even",
        f"import pathlib\n{HOOK}def zoo_callbacks(recipe, run_dir):\n"
        "    import keras\n"
        f"    mark = pathlib.Path({str(tmp_path / 'ended')!r})\n"
        "    return [keras.callbacks.LambdaCallback(on_train_end=lambda logs: mark.touch())]",
    )
    arguments = ("train", "tiny_net", "--head-epochs", "0", "--epochs", "1", "--precision", "float32")
    done = run_zoo(*arguments)
    assert done.code == 0, done.err
    assert (tmp_path / "ended").exists()
    (line,) = [line for line in done.err.splitlines() if line.startswith("zoo: plugin")]
    assert "'zoo-odd' is not used in this run: zoo_callbacks: it returned 'not a callback'" in line
    strict = run_zoo(*arguments, env={"ZOO_STRICT_PLUGINS": "1"})
    assert strict.code == 3


def test_stdout_may_be_closed(fake_plugin: FakePlugin, site: Path) -> None:
    fake_plugin("zoo-good", GOOD)
    command = 'exec "$0" "$@" >&-'
    done = subprocess.run(
        ["bash", "-c", command, *zoo_command("plugin", "list")],
        env=zoo_environment(site),
        capture_output=True,
        text=True,
        check=False,
    )
    assert "Traceback" not in done.stderr


def test_every_hook_of_the_reference_exists_with_its_signature() -> None:
    import inspect
    import re

    from zoo import hookspecs

    page = (Path(__file__).parents[1] / "docs" / "reference" / "hooks.md").read_text()
    documented = dict(re.findall(r"^## `(zoo_\w+)(\([^`]*)`$", page, re.MULTILINE))
    real = {
        name: "(" + ", ".join(inspect.signature(function).parameters) + ")"
        for name, function in vars(hookspecs).items()
        if name.startswith("zoo_")
    }
    assert documented == real
