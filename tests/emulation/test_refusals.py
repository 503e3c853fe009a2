"""``zoo verify --processor`` if something is missing or fails, with a program that replaces the emulator."""

from __future__ import annotations

import json
import shlex
import shutil
import time
import zipfile
from collections.abc import Callable
from concurrent.futures import ThreadPoolExecutor
from dataclasses import replace
from pathlib import Path

import pytest

from tests.conftest import Zoo
from tests.emulation.conftest import FakeEmulator
from zoo.cli.verify import command
from zoo.edge.bundle import fingerprint, read_bundle, seal
from zoo.emulation import EmulatedDevice, find_emulator
from zoo.emulation.place import find_program, folder
from zoo.errors import ExportError, UsageError
from zoo.exporting import processors
from zoo.exporting.place import replacing
from zoo.parity import Verification

#: Predicts another class: the last one instead of the first.
MIRRORED = """
import onnxruntime
right = onnxruntime.InferenceSession.run
onnxruntime.InferenceSession.run = lambda *given: [found[:, ::-1].copy() for found in right(*given)]
"""
READY = """{"machine": "aarch64", "python": "3.13", "inputs": [], "outputs": [], "arrays": []}"""


def fetching_line(said: str) -> list[str]:
    """The command in the last line of an error, as a shell splits it."""
    return shlex.split(said.strip().splitlines()[-1])


@pytest.mark.usefixtures("no_emulator")
def test_without_an_emulator_the_command_that_brings_it_is_told(zoo: Zoo, digits_run: Path, onnx_bundle: Path) -> None:
    spaced = onnx_bundle.rename(onnx_bundle.with_name("my bundle"))
    done = zoo("verify", spaced, "--against", digits_run, "--processor", "cortex-a72")
    assert done.code == 2
    assert "There is no emulator" in done.err
    assert f"(about 250 MB) to {folder()}" in done.err
    words = fetching_line(done.err)
    assert words[:2] == ["zoo", "verify"]
    given = command.make_context("verify", words[2:]).params
    assert (given["file"], given["against"], given["processor"], given["fetch"]) == (
        spaced,
        str(digits_run),
        "cortex-a72",
        True,
    )


def test_the_command_that_downloads_keeps_the_other_options(zoo: Zoo, digits_run: Path, onnx_bundle: Path) -> None:
    given = ("--threads", "2", "--min-agreement", "0.9", "--runs", "elsewhere", "--data", "digits")
    done = zoo("verify", onnx_bundle, "--against", digits_run, "--processor", "cortex-a72", *given)
    assert done.code == 2
    words = fetching_line(done.err)
    params = command.make_context("verify", words[2:]).params
    assert (params["threads"], params["min_agreement"], params["data"]) == (2, 0.9, "digits")
    assert (str(params["runs"]), params["fetch"]) == ("elsewhere", True)


@pytest.mark.parametrize("version", ["7.2.0", "6.1", "unknown"])
def test_an_emulator_that_is_too_old_is_refused_by_its_version(
    zoo: Zoo, digits_run: Path, onnx_bundle: Path, fake_emulator: FakeEmulator, version: str
) -> None:
    program = fake_emulator(onnx_bundle, version=version)
    done = zoo("verify", onnx_bundle, "--against", digits_run, "--processor", "cortex-a72")
    assert done.code == 2
    assert f"{program} is version {'0' if version == 'unknown' else version}" in done.err
    assert "Expected: 8.0 or later" in done.err
    assert fetching_line(done.err)[-1] == "--fetch"


def test_a_new_emulator_in_the_cache_is_used_instead_of_an_old_one(
    fake_emulator: FakeEmulator, onnx_bundle: Path
) -> None:
    newer = fake_emulator(onnx_bundle, version="10.0.2").rename(folder() / "qemu-aarch64")
    fake_emulator(onnx_bundle, version="7.2.0")
    found = find_emulator(read_bundle(onnx_bundle).requires, "")
    assert (found.program, found.version) == (newer, "10.0.2")


def test_an_emulator_that_cannot_start_is_passed_over(fake_emulator: FakeEmulator, onnx_bundle: Path) -> None:
    newer = fake_emulator(onnx_bundle).rename(folder() / "qemu-aarch64")
    broken = fake_emulator(onnx_bundle)
    broken.write_bytes(b"\x7fELF of another processor")
    assert find_emulator(read_bundle(onnx_bundle).requires, "").program == newer
    newer.unlink()
    with pytest.raises(UsageError, match=rf"The emulator {broken} does not run"):
        find_program()


def test_missing_wheels_are_named(zoo: Zoo, digits_run: Path, onnx_bundle: Path, fake_emulator: FakeEmulator) -> None:
    fake_emulator(onnx_bundle)
    for wheels in folder().glob("wheels-*"):
        wheels.rmdir()
    done = zoo("verify", onnx_bundle, "--against", digits_run, "--processor", "max")
    assert done.code == 2
    assert "onnxruntime>=1.23 are missing" in done.err
    assert fetching_line(done.err)[-1] == "--fetch"


def test_an_unknown_processor_is_refused_with_those_that_are_known(
    zoo: Zoo, digits_run: Path, onnx_bundle: Path, fake_emulator: FakeEmulator
) -> None:
    fake_emulator(onnx_bundle)
    done = zoo("verify", onnx_bundle, "--against", digits_run, "--processor", "cortex-a7")
    assert done.code == 2
    assert "Unknown processor 'cortex-a7'. Did you mean 'cortex-a7" in done.err
    assert "Known: cortex-a72, cortex-a76, max." in done.err


def test_a_file_outside_a_bundle_and_an_altered_bundle_are_refused(
    zoo: Zoo, digits_run: Path, onnx_bundle: Path, tmp_path: Path, fake_emulator: FakeEmulator
) -> None:
    fake_emulator(onnx_bundle)
    lone = tmp_path / "lone.onnx"
    lone.write_bytes((onnx_bundle / "simple_cnn.onnx").read_bytes())
    done = zoo("verify", lone, "--against", digits_run, "--processor", "max")
    assert (done.code, "is not in a bundle" in done.err) == (2, True)
    (onnx_bundle / "run.py").write_text("print('something else')")
    done = zoo("verify", onnx_bundle, "--against", digits_run, "--processor", "max")
    assert (done.code, "run.py has been changed" in done.err or "run.py is truncated" in done.err) == (6, True)
    done = zoo("verify", onnx_bundle, "--against", digits_run, "--fetch")
    assert (done.code, "--fetch requires --processor" in done.err) == (2, True)


def test_what_is_no_arm_processor_is_refused(onnx_bundle: Path, fake_emulator: FakeEmulator) -> None:
    fake_emulator(onnx_bundle, machine="x86_64")
    bundle = read_bundle(onnx_bundle)
    with pytest.raises(ExportError, match=r"The emulated system is x86_64"):
        EmulatedDevice(find_emulator(bundle.requires, ""), "cortex-a72", bundle)


def test_a_crash_is_an_error_that_says_so(onnx_bundle: Path, fake_emulator: FakeEmulator) -> None:
    crash = f'print("""{READY}""", flush=True); input(); import os, sys; print("qemu: uncaught", file=sys.stderr)'
    fake_emulator(onnx_bundle, code=f"{crash}; os.kill(os.getpid(), 11)")
    bundle = read_bundle(onnx_bundle)
    with (
        EmulatedDevice(find_emulator(bundle.requires, ""), "cortex-a72", bundle) as device,
        pytest.raises(ExportError, match=r"nothing is verified: its process was ended by SIGSEGV\.\n.*qemu: uncaught"),
    ):
        device.look("photo.jpg")


def test_a_self_test_without_a_result_is_an_error_that_says_so(onnx_bundle: Path, fake_emulator: FakeEmulator) -> None:
    end = 'if sys.argv[1].endswith("run.py"): print("Error: no golden vectors.", file=sys.stderr); sys.exit(6)'
    fake_emulator(onnx_bundle, fault=end)
    bundle = read_bundle(onnx_bundle)
    with (
        EmulatedDevice(find_emulator(bundle.requires, ""), "cortex-a72", bundle) as device,
        pytest.raises(ExportError, match=r"self-test on cortex-a72 ended early: .* with 6\.\n.*no golden vectors"),
    ):
        device.selftest()


def test_a_reply_that_does_not_come_is_an_error_that_says_so(onnx_bundle: Path, fake_emulator: FakeEmulator) -> None:
    fake_emulator(onnx_bundle, code="import time; time.sleep(60)")
    bundle = read_bundle(onnx_bundle)
    with pytest.raises(ExportError, match=r"cortex-a72 did not reply within 0\.2 s; nothing is verified"):
        EmulatedDevice(find_emulator(bundle.requires, ""), "cortex-a72", bundle, wait_s=0.2)


def test_a_crash_leaves_the_bundle_as_it_was(
    zoo: Zoo, digits_run: Path, onnx_bundle: Path, fake_emulator: FakeEmulator
) -> None:
    fake_emulator(onnx_bundle, fault='import os\nif sys.argv[1].endswith("run.py"): os.kill(os.getpid(), 11)')
    before = (onnx_bundle / "verify.json").read_bytes()
    done = zoo("verify", onnx_bundle, "--against", digits_run, "--processor", "cortex-a72")
    assert done.code == 5, done.err
    assert "The self-test on cortex-a72 ended early: its process was ended by SIGSEGV" in done.err
    assert "Verified" not in done.out
    assert (onnx_bundle / "verify.json").read_bytes() == before


def test_what_predicts_otherwise_fails_and_the_bundle_says_so(
    zoo: Zoo, digits_run: Path, onnx_bundle: Path, fake_emulator: FakeEmulator
) -> None:
    fake_emulator(onnx_bundle, fault=MIRRORED)
    done = zoo("verify", onnx_bundle, "--against", digits_run, "--processor", "cortex-a72")
    assert done.code == 6
    assert f"does not agree with {digits_run} on cortex-a72." in done.err
    assert "`run.py --selftest` fails on cortex-a72: model" in done.err
    proof = json.loads((onnx_bundle / "verify.json").read_text())
    assert proof["passed"] is True  # on this machine
    assert proof["processors"]["cortex-a72"]["passed"] is False
    assert "**not verified**" in (onnx_bundle / "README.md").read_text()
    assert not read_bundle(onnx_bundle).altered()


def test_what_predicts_alike_is_recorded_in_bundle_card_and_archive(
    zoo: Zoo, digits_run: Path, onnx_bundle: Path, fake_emulator: FakeEmulator, tmp_path: Path
) -> None:
    (onnx_bundle / "notes.txt").write_text("mine")
    fake_emulator(onnx_bundle)
    page = tmp_path / "page.html"
    for processor in ("cortex-a72", "max", "cortex-a72"):
        arguments = ("--against", digits_run, "--processor", processor, "--report", page)
        done = zoo("verify", onnx_bundle / "simple_cnn.onnx", *arguments)
        assert done.code == 0, done.err
        assert f"on {processor}, emulated by qemu-aarch64 10.0.2" in " ".join(done.out.split())
        assert done.out.splitlines()[-1].endswith(f"agrees with {digits_run} on {processor}.")
    assert "emulated by qemu-aarch64 10.0.2" in page.read_text()
    bundle = read_bundle(onnx_bundle)
    assert not bundle.altered()
    proof = json.loads((onnx_bundle / "verify.json").read_text())
    assert sorted(proof["processors"]) == ["cortex-a72", "max"]
    assert proof["processors"]["max"]["processor"]["machine"] == "aarch64"
    assert proof["processors"]["max"]["n"] == proof["n"]
    card = (onnx_bundle / "README.md").read_text()
    assert card.count("## On other processors") == 1
    assert card.count("emulated by qemu-aarch64") == 2
    assert card.index("## Verification") < card.index("## On other processors") < card.index("## Photos")
    assert (onnx_bundle / "notes.txt").read_text() == "mine"
    with zipfile.ZipFile(f"{onnx_bundle}.zip") as archive:
        names = {name.partition("/")[2] for name in archive.namelist()}
        assert names == {*bundle.files, "spec.json"}
        assert archive.read(f"{onnx_bundle.name}/verify.json") == (onnx_bundle / "verify.json").read_bytes()
    assert not [path for path in onnx_bundle.parent.iterdir() if path.name.startswith(".simple_cnn")]


def export_again(bundle: Path) -> None:
    values = read_bundle(bundle).values
    (bundle / "labels.txt").write_text("another\n")
    changed = {**values, "files": {**values["files"], "labels.txt": fingerprint(bundle / "labels.txt")}}
    (bundle / "spec.json").write_text(json.dumps(seal(changed)))


@pytest.mark.parametrize(
    ("change", "said"),
    [
        (lambda bundle: (bundle / "simple_cnn.onnx").write_bytes(b"another"), "simple_cnn.onnx is truncated"),
        (lambda bundle: (bundle / "verify.json").write_text("{}"), "verify.json is truncated"),
        (export_again, "It is another export."),
        (shutil.rmtree, "spec.json is missing"),
    ],
)
def test_a_bundle_that_changes_during_its_verification_records_nothing(
    zoo: Zoo,
    digits_run: Path,
    onnx_bundle: Path,
    fake_emulator: FakeEmulator,
    monkeypatch: pytest.MonkeyPatch,
    change: Callable[[Path], object],
    said: str,
) -> None:
    fake_emulator(onnx_bundle)
    selftest = EmulatedDevice.selftest

    def slow(device: EmulatedDevice) -> list[str]:
        found = selftest(device)
        change(onnx_bundle)
        return found

    monkeypatch.setattr(EmulatedDevice, "selftest", slow)
    archive = Path(f"{onnx_bundle}.zip").read_bytes()
    done = zoo("verify", onnx_bundle, "--against", digits_run, "--processor", "cortex-a72")
    assert done.code == 5, done.err
    assert f"was changed during the verification, so the result was not recorded: {said}" in done.err
    assert "agrees with" not in done.out
    if onnx_bundle.exists():
        assert "processors" not in json.loads((onnx_bundle / "verify.json").read_text())
    assert Path(f"{onnx_bundle}.zip").read_bytes() == archive


def test_two_verifications_at_once_are_both_recorded(
    zoo: Zoo, digits_run: Path, onnx_bundle: Path, fake_emulator: FakeEmulator, monkeypatch: pytest.MonkeyPatch
) -> None:
    fake_emulator(onnx_bundle)
    bundle = read_bundle(onnx_bundle)
    kept: list[Verification] = []
    monkeypatch.setattr(processors, "record_processor", lambda bundle, found: kept.append(found))
    done = zoo("verify", onnx_bundle, "--against", digits_run, "--processor", "cortex-a72")
    assert done.code == 0, done.err
    (found,) = kept
    monkeypatch.undo()
    assert found.processor is not None
    other = replace(found, processor=replace(found.processor, name="max"))
    with ThreadPoolExecutor(2) as pool, replacing(onnx_bundle):
        done_both = [pool.submit(processors.record_processor, bundle, one) for one in (found, other)]
        time.sleep(0.3)
        assert not read_bundle(onnx_bundle).altered()
        assert "processors" not in json.loads((onnx_bundle / "verify.json").read_text())
    for one in done_both:
        one.result()
    assert sorted(json.loads((onnx_bundle / "verify.json").read_text())["processors"]) == ["cortex-a72", "max"]
    assert not read_bundle(onnx_bundle).altered()
