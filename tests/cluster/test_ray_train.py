"""``zoo train --on ray`` on Ray nodes of this machine: the model of one process, although a node is killed."""

from __future__ import annotations

import signal
import subprocess
import time
from collections.abc import Callable
from pathlib import Path
from typing import Any

import pytest

import zoo as library
from tests.cluster.conftest import NODE
from tests.conftest import PhotoFolder, RunZoo, zoo_command, zoo_environment
from tests.training.test_hosts import assert_same
from zoo.errors import ClusterError
from zoo.run_folder import open_run

pytest.importorskip("ray", reason="Ray is not installed: pip install 'keras-edge-zoo[ray]'")
pytest.importorskip("jax", reason="jax is not installed")

pytestmark = pytest.mark.long

#: An augmentation that changes nothing, and takes long while a file exists in the folder of the command.
SLOWLY = """
import time
from pathlib import Path

def slow(images, random):
    time.sleep(0.3 if Path("slow").exists() else 0)
    return images
"""


@pytest.fixture
def command(photo_folder: PhotoFolder, tmp_path: Path) -> list[str]:
    (tmp_path / "slowly.py").write_text(SLOWLY)
    photo_folder({"a": 22, "b": 22, "c": 24})
    settings = ["--size", "32", "--precision", "float32", "--batch-size", "12", "--augmentation", "slowly:slow"]
    return ["train", "simple_cnn", "--data", "photos", *settings, "--epochs", "4", "--early-stopping-epochs", "0"]


@pytest.fixture
def in_first_epochs(tmp_path: Path, site: Path) -> Callable[..., tuple[int, str, float]]:
    """Starts a command, calls a function with its process after the first epoch, and returns the exit code, the
    messages and the seconds from then to its end."""

    def run(command: list[str], act: Callable[[subprocess.Popen[bytes]], object]) -> tuple[int, str, float]:
        (tmp_path / "slow").touch()
        messages = tmp_path / "messages.txt"
        with messages.open("w") as err:
            process = subprocess.Popen(
                zoo_command(*command), cwd=tmp_path, env=zoo_environment(site), stdout=subprocess.PIPE, stderr=err
            )
        deadline = time.monotonic() + 240
        while "\nepoch" not in messages.read_text():
            assert process.poll() is None, messages.read_text()
            assert time.monotonic() < deadline, messages.read_text()
            time.sleep(0.05)
        start = time.monotonic()
        act(process)
        process.communicate(timeout=120)
        (tmp_path / "slow").unlink()
        return process.returncode, messages.read_text(), time.monotonic() - start

    return run


def test_two_machines_give_the_model_of_one_also_after_one_was_killed_and_a_resume_on_three(
    cluster: Any,
    node: Any,
    command: list[str],
    run_zoo: RunZoo,
    in_first_epochs: Callable[..., tuple[int, str, float]],
    tmp_path: Path,
) -> None:
    one = run_zoo(*command, "--name", "one", env={"KERAS_BACKEND": "jax"})
    assert one.code == 0, one.err
    code, told, seconds = in_first_epochs(
        [*command, "--name", "several", "--on", "ray"], lambda _: cluster.remove_node(node, allow_graceful=False)
    )
    assert code == ClusterError.exit_code, told
    assert "One process on each of 2 machine(s): " in told
    assert "Every batch of 12 images is divided among 2 hosts with 1 device(s) each" in told
    assert "Error: " in told
    assert "2 of 2" in told.split("Error: ")[1]
    assert "Traceback" not in told
    assert seconds < 35
    run = tmp_path / "runs" / "several"
    assert 1 <= len(open_run(run).history["loss"]) < 4
    assert "--on ray" in open_run(run).info.command
    assert "--host" not in open_run(run).info.command

    more = [cluster.add_node(**NODE) for _ in range(2)]
    try:
        done = run_zoo("train", "--resume", "runs/several", "--on", "ray")
        assert done.code == 0, done.err
        assert "among 3 hosts" in done.err
        assert "report  runs/several/report.html" in done.out
        assert_same(tmp_path / "runs" / "one", run)
    finally:
        for each in more:
            cluster.remove_node(each)
    assert [path.name for path in (tmp_path / "runs").iterdir() if path.name.startswith(".zoo")] == []


def test_an_interrupted_training_says_how_to_continue_and_one_machine_completes_it(
    cluster: Any,
    node: Any,
    command: list[str],
    in_first_epochs: Callable[..., tuple[int, str, float]],
    tmp_path: Path,
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    code, told, _ = in_first_epochs(
        [*command, "--name", "several", "--on", "ray"], lambda process: process.send_signal(signal.SIGINT)
    )
    assert code == 130, told
    assert "To continue: zoo train --resume runs/several --on ray" in told
    assert "Interrupted." in told
    cluster.remove_node(node)
    monkeypatch.chdir(tmp_path)
    run = library.train(resume="runs/several", on="ray", quiet=True)
    assert run.metrics.n > 0
    assert len(run.history["loss"]) == 4
