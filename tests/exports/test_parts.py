"""A format of two files passes all steps: export, bundle, archive, verification, prediction."""

from __future__ import annotations

import importlib
import json
import subprocess
import sys
import zipfile
from collections.abc import Callable, Iterator
from dataclasses import replace
from pathlib import Path

import pytest
from keras import layers

from tests.conftest import FakePlugin, PhotoFolder, Result
from tests.exporting.models import classifier
from zoo.edge.bundle import read_bundle
from zoo.errors import VerificationError
from zoo.exporting.staged import staged
from zoo.registry import plugin_manager
from zoo.testing import check_exporter, parametrize_with_checks

EXAMPLES = Path(__file__).parents[1] / "examples"
sys.path.append(str(EXAMPLES))

from zoo_halves import EXPORTER as HALVES  # noqa: E402

LABELS = ("apple", "lime", "plum", "sky")

#: For each example, the suffixes of its two files.
FORMATS = {"halves": (".head", ".tail"), "openvino": (".xml", ".bin")}


#: Checks that depend on the number of files.
CHECKS = ("record", "contract_kept", "same_bytes", "round_trip", "written_twice", "damaged", "any_name")


@parametrize_with_checks(
    [replace(HALVES, precisions=("float32",))], checks=[*CHECKS, "runtime_isolation", "runtime_on_device"]
)
def test_halves_conform(check: Callable[[], None]) -> None:
    check()


def test_openvino_conforms_in_150_lines() -> None:
    pytest.importorskip("openvino", reason="openvino takes 190 MB and is no test dependency: pip install it")
    exporter = importlib.import_module("zoo_openvino").EXPORTER
    assert {result.status for result in check_exporter(exporter)} == {"passed"}
    sources = list((EXAMPLES / "zoo_openvino").glob("*.py"))
    assert len(sources) == 2
    assert sum(len(path.read_text().splitlines()) for path in sources) <= 148  # and a test of two lines


@pytest.fixture(params=FORMATS)
def name(
    request: pytest.FixtureRequest, fake_plugin: FakePlugin, site: Path, monkeypatch: pytest.MonkeyPatch
) -> Iterator[str]:
    """Installs an example like any plugin, and yields its name."""
    if request.param == "openvino":
        pytest.importorskip("openvino", reason="openvino takes 190 MB and is no test dependency: pip install it")
    fake_plugin(f"zoo-{request.param}", None)
    monkeypatch.syspath_prepend(site)
    plugin_manager.cache_clear()
    yield request.param
    plugin_manager.cache_clear()


Command = Callable[..., Result]


@pytest.fixture
def small(tmp_path: Path, photo_folder: PhotoFolder) -> tuple[str, ...]:
    """Options for a single Keras file with photos for its verification."""
    photos = photo_folder(dict.fromkeys(LABELS, 4))
    classifier(lambda x: layers.Conv2D(8, 3, strides=2, activation="relu")(x)).save(tmp_path / "small.keras")
    (tmp_path / "labels.txt").write_text("".join(f"{label}\n" for label in LABELS))
    return ("--labels", "labels.txt", "--data", str(photos))


def test_every_part_goes_along(name: str, small: tuple[str, ...], zoo: Command, tmp_path: Path) -> None:
    head, tail = (f"small{suffix}" for suffix in FORMATS[name])
    done = zoo("export", "small.keras", *small, "--format", name, "--out", "out", "--json")
    assert done.code == 0, done.err
    folder = tmp_path / "out" / f"small-{name}-float32"
    sizes = {file: (folder / file).stat().st_size for file in (head, tail)}
    (row,) = json.loads(done.out)
    assert row["bytes"] == sum(sizes.values())

    verified = json.loads((folder / "verify.json").read_text())
    assert verified["file_bytes"] == sum(sizes.values())
    bundle = read_bundle(folder)
    assert (bundle.model, bundle.parts, bundle.altered()) == (head, (tail,), [])
    assert verified["parts"] == {tail: bundle.files[tail][1]}
    assert bundle.model_bytes == sum(sizes.values())
    assert tail in (folder / "README.md").read_text()
    assert tail in (folder / "verify.html").read_text().replace("<wbr>", "")
    with zipfile.ZipFile(f"{folder}.zip") as archive:
        assert {f"{folder.name}/{head}", f"{folder.name}/{tail}"} <= set(archive.namelist())

    photo = tmp_path / "photos" / "sky" / "photo_000.jpg"
    predictions = [zoo("predict", model, photo, "--json") for model in (folder, f"{folder}.zip", folder / head)]
    assert [done.code for done in predictions] == [0, 0, 0], predictions
    assert len({json.loads(done.out)["label"] for done in predictions}) == 1
    assert zoo("verify", folder / head, "--against", "small.keras", *small).code == 0
    with staged(folder) as place:
        assert {head, tail} <= {path.name for path in place.iterdir()}
    with staged(folder / head) as place:
        assert {head, tail} <= {path.name for path in place.iterdir()}
    device = subprocess.run(
        [sys.executable, "run.py", "--selftest"], cwd=folder, capture_output=True, text=True, check=False
    )
    assert device.returncode == 0, device.stdout + device.stderr

    (folder / tail).write_bytes((folder / tail).read_bytes() + b"more")
    assert read_bundle(folder).altered() == [f"{tail} has been changed."]
    with pytest.raises(VerificationError, match=f"{tail} has been changed"), staged(folder):
        pass
    (folder / tail).unlink()
    for arguments in (("predict", folder / head, photo), ("verify", folder / head, "--against", "small.keras", *small)):
        done = zoo(*arguments)
        assert done.code == 5
        assert f"{head} is incomplete: its part '{tail}' is missing." in done.err


@pytest.mark.parametrize("name", ["halves"], indirect=True)
def test_no_part_of_a_refused_file_is_left(name: str, small: tuple[str, ...], zoo: Command, tmp_path: Path) -> None:
    done = zoo("export", "small.keras", *small, "--format", name, "--out", "out", "--max-difference", "0")
    assert done.code == 6, done.err
    (folder,) = (tmp_path / "out").iterdir()
    assert folder.name == f"small-{name}-float32.refused"
    assert not {f"small{suffix}" for suffix in FORMATS[name]} & {path.name for path in folder.iterdir()}
