"""Several processes train one model together. In these tests, they run on one machine and are connected by loopback."""

from __future__ import annotations

import importlib
import json
import linecache
import os
import signal
import socket
import subprocess
import sys
import threading
import time
from collections.abc import Callable, Iterator
from concurrent.futures import ThreadPoolExecutor
from dataclasses import dataclass
from pathlib import Path
from types import SimpleNamespace
from typing import Any

import numpy as np
import pytest

from tests.clocks import wrong_clock
from tests.cluster.conftest import Notes
from tests.conftest import FakePlugin, PhotoFolder, Zoo, zoo_command, zoo_environment
from tests.training.test_devices import KILLER
from tests.training.test_transfer import weights
from zoo.errors import ClusterError, DataError, TrainingError, UsageError
from zoo.hosts import Group, Place, joined
from zoo.hosts.meeting import connect_to_backend
from zoo.hosts.relay import join, reserve_port
from zoo.hosts.wire import Wire
from zoo.recipe import Recipe
from zoo.reporter import Reporter
from zoo.run_folder import open_run
from zoo.training.hosts import Share
from zoo.workflows.hosts import code_of, refuse_idle_hosts
from zoo.workflows.planning import TrainRequest
from zoo.workflows.train import _refuse_other_backend, _telling_how_to_resume

MEMBER = """
import sys, time
from zoo.hosts import Place, joined
from zoo.reporter import Reporter

with joined(Place.parse(sys.argv[1]), Reporter()) as group:
    group.gather("hello", sys.argv[2].encode())
    print("joined", flush=True)
    time.sleep(60)
"""


def free_port() -> int:
    port, held = reserve_port("127.0.0.1")
    held.close()
    return port


@pytest.mark.parametrize(
    ("text", "told"),
    [
        ("2/2", "must have the form I/N@ADDRESS:PORT. Received: '2/2'"),
        ("2/2@:5000", "must have the form"),
        ("one/2@node:5000", "must have the form"),
        ("3/2@node:5000", "there is no host 3 of 2"),
        ("0/2@node:5000", "there is no host 0 of 2"),
        ("1/1@node:5000", "the number of hosts must be from 2"),
        ("1/2@node:70000", "the port must be from 1 to 65535. Received: 70000"),
        ("1/2@node..net:5000", "'node..net' is not the name of a machine"),
    ],
)
def test_places_that_are_not_possible(text: str, told: str, zoo: Zoo) -> None:
    with pytest.raises(UsageError) as error:
        Place.parse(text)
    assert told in error.value.message
    done = zoo("train", "simple_cnn", "--host", text)
    assert done.code == 2
    assert told in done.err


def test_a_place_is_written_as_it_is_read() -> None:
    assert str(Place.parse("2/3@node1:5000")) == "2/3@node1:5000"
    assert Place.parse("2/3@[::1]:5000") == Place(2, 3, "::1", 5000)
    assert str(Place(2, 3, "::1", 5000)) == "2/3@[::1]:5000"


def on_hosts(count: int, work: Callable[[Group], Any], wait_s: float = 20) -> list[Any]:
    """The result or the error of ``work`` on each host. The hosts are threads."""
    port = free_port()

    def host(number: int) -> Any:
        try:
            with joined(Place(number, count, "127.0.0.1", port), Reporter(), wait_s=wait_s) as group:
                found = work(group)
                group.disconnect()
                return found
        except Exception as error:
            return error

    with ThreadPoolExecutor(count) as pool:
        return list(pool.map(host, range(1, count + 1)))


@pytest.mark.skipif(sys.platform != "linux", reason="only on Linux, a server can start on a reserved port")
def test_only_a_server_that_starts_later_gets_a_reserved_port() -> None:
    port, held = reserve_port("127.0.0.1")
    place = ("127.0.0.1", port)
    with held:
        with socket.socket() as other, pytest.raises(OSError, match="in use"):
            other.bind(place)
        with pytest.raises(ConnectionRefusedError):
            socket.create_connection(place, timeout=5)
        with socket.create_server(place) as server, socket.create_connection(place, timeout=5):
            server.accept()[0].close()


def test_hosts_exchange_what_each_gives() -> None:
    large = os.urandom(3_000_000)

    def work(group: Group) -> Any:
        number = group.place.number
        return (
            group.gather("numbers", b"x" * number),
            group.from_first("large", large if group.place.first else b"not used"),
            group.any("nobody", False),
            group.any("one", number == 3),
        )

    assert on_hosts(3, work) == [([b"x", b"xx", b"xxx"], large, False, True)] * 3


def test_all_hosts_are_told_which_facts_differ() -> None:
    def work(group: Group) -> None:
        facts = {"seed": "0", "epochs": "3" if group.place.number != 2 else "4"}
        group.refuse_differences("settings", facts, DataError, "Give the same command.")

    found = on_hosts(3, work)
    assert all(isinstance(each, DataError) for each in found)
    assert {each.message for each in found} == {"The hosts differ. epochs: 3 on host 1, 4 on host 2."}


def test_hosts_that_do_not_do_the_same_are_told_so() -> None:
    found = on_hosts(2, lambda group: group.gather("predictions" if group.place.first else "end of an epoch"))
    assert isinstance(found[0], ClusterError)
    assert "this process is at 'predictions', host 2 at 'end of an epoch'" in found[0].message
    assert isinstance(found[1], ClusterError)


def test_another_source_of_an_augmentation_function_is_another_code(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    module = tmp_path / "own_weather.py"
    monkeypatch.syspath_prepend(tmp_path)
    recipe = Recipe(augmentation="own_weather:rain")
    codes = []
    for drops in (7, 70, 7):
        module.write_text(f"def rain(images, seed):\n    return images  # {drops} drops\n")
        sys.modules.pop("own_weather", None)
        linecache.clearcache()
        importlib.invalidate_caches()
        codes.append(code_of("simple_cnn", recipe))
    sys.modules.pop("own_weather")
    assert codes[0] == codes[2] != codes[1]
    assert list(codes[0]) == ["plugin", "source of own_weather:rain"]
    assert list(code_of("simple_cnn", Recipe())) == ["plugin"]


def test_an_error_of_one_host_ends_the_others() -> None:
    def work(group: Group) -> None:
        if group.place.number == 2:
            raise DataError("The disk of this host is empty.")
        group.gather("numbers")

    found = on_hosts(3, work)
    assert isinstance(found[1], DataError)
    for other in (found[0], found[2]):
        assert isinstance(other, ClusterError)
        assert other.message == "Host 2 of 3 ended: The disk of this host is empty."


def test_a_host_that_leaves_before_another_is_answered_is_not_lost(monkeypatch: pytest.MonkeyPatch) -> None:
    """On a slow network, host 2 has left before host 1 answers host 3."""
    send = Wire.send

    def slowly(wire: Wire, kind: str, payload: bytes = b"", **facts: Any) -> None:
        if kind == "all":
            time.sleep(0.3)
        send(wire, kind, payload, **facts)

    monkeypatch.setattr(Wire, "send", slowly)
    assert on_hosts(3, lambda group: group.place.number) == [1, 2, 3]

    def work(group: Group) -> None:
        group.refuse_differences("settings", {"seed": str(group.place.number)}, DataError, "Give the same command.")

    assert [type(each) for each in on_hosts(3, work)] == [DataError] * 3


def test_a_host_that_does_not_receive_is_lost_while_host_1_sends_to_it(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr("zoo.hosts.group.SILENCE_S", 3.0)
    port = free_port()
    frozen = []

    def other() -> None:
        wire = Wire(connected(port))
        wire.send("join", protocol=1, number=2, count=2)
        assert [wire.receive().kind, wire.receive().kind] == ["welcome", "start"]
        wire.send("give", what="large")
        frozen.append(wire)

    thread = threading.Thread(target=other)
    thread.start()
    with (
        pytest.raises(ClusterError, match="Host 2 of 2 has been silent for 3 s"),
        joined(Place(1, 2, "127.0.0.1", port), Reporter(), wait_s=10) as group,
    ):
        group.gather("large", bytes(50_000_000))
    thread.join()
    frozen[0].close()


def test_a_host_that_joins_after_the_start_is_refused() -> None:
    def work(group: Group) -> None:
        group.gather("start")
        if not group.place.first:
            with (
                pytest.raises(UsageError, match="The training has started already") as error,
                joined(group.place, Reporter(), wait_s=5),
            ):
                pass
            assert "another port" in str(error.value.hint)

    assert on_hosts(2, work) == [None, None]


@pytest.mark.skipif(sys.platform != "linux", reason="other systems have only one loopback address")
def test_host_1_listens_only_at_a_loopback_address_that_is_given() -> None:
    def work(group: Group) -> None:
        if group.place.first:
            with pytest.raises(ConnectionRefusedError):
                socket.create_connection(("127.0.0.2", group.place.port), timeout=5)
        group.gather("connected")

    assert on_hosts(2, work) == [None, None]


def test_jax_on_another_host_may_connect_before_host_1_listens() -> None:
    def work(group: Group) -> bytes:
        if not group.place.first:
            with connect_to_backend(group.place) as connection:
                return connection.recv(1)
        time.sleep(0.5)
        group.backend_port = free_port()
        time.sleep(0.5)
        with socket.create_server(("127.0.0.1", group.backend_port)) as server, server.accept()[0] as connection:
            connection.sendall(b"x")
        return b"x"

    assert on_hosts(2, work) == [b"x", b"x"]


@pytest.mark.parametrize("answered", [False, True])
def test_a_relay_keeps_a_lost_connection_open_only_after_an_answer(answered: bool) -> None:
    jax, near = socket.socketpair()
    far, host_1 = socket.socketpair()
    join(near, far, hold=True)
    jax.settimeout(1)
    if answered:
        host_1.sendall(b"x")
        assert jax.recv(1) == b"x"
    host_1.close()
    if answered:
        for _ in range(3):  # as JAX's signs of life
            jax.sendall(b"x")
        with pytest.raises(TimeoutError):
            jax.recv(1)
    else:
        assert jax.recv(1) == b""
    jax.close()


@pytest.fixture
def member() -> Iterator[Callable[..., subprocess.Popen[str]]]:
    """Starts a host in a process of its own, which joins and then sleeps."""
    started: list[subprocess.Popen[str]] = []

    def start(place: str, **environment: str) -> subprocess.Popen[str]:
        command = [sys.executable, "-c", MEMBER, place, "given"]
        started.append(subprocess.Popen(command, stdout=subprocess.PIPE, text=True, env={**os.environ, **environment}))
        return started[-1]

    yield start
    for process in started:
        process.kill()
        process.communicate()  # also closes the pipe


@pytest.mark.parametrize(
    ("number", "told"),
    [
        (signal.SIGKILL, "The connection to host 2 of 2"),
        (signal.SIGSTOP, "Host 2 of 2 has been silent for 3 s"),
    ],
)
def test_a_host_that_is_killed_or_frozen_is_noticed(
    member: Callable[[str], subprocess.Popen[str]], monkeypatch: pytest.MonkeyPatch, number: signal.Signals, told: str
) -> None:
    monkeypatch.setattr("zoo.hosts.group.SILENCE_S", 3.0)
    port = free_port()
    other = member(f"2/2@127.0.0.1:{port}")
    with joined(Place(1, 2, "127.0.0.1", port), Reporter()) as group:
        assert group.gather("hello") == [b"", b"given"]
        assert other.stdout
        assert other.stdout.readline() == "joined\n"
        os.kill(other.pid, number)
        start = time.monotonic()
        with pytest.raises(ClusterError) as error:
            group.gather("never")
    assert time.monotonic() - start < 15
    assert told in error.value.message
    assert "--resume" in str(error.value.hint)


def test_hosts_whose_clocks_differ_are_not_lost(
    member: Callable[..., subprocess.Popen[str]], monkeypatch: pytest.MonkeyPatch, tmp_path: Path
) -> None:
    monkeypatch.setattr("zoo.hosts.group.SILENCE_S", 3.0)
    port = free_port()
    other = member(f"2/2@127.0.0.1:{port}", **wrong_clock(tmp_path, -7200))
    with joined(Place(1, 2, "127.0.0.1", port), Reporter()) as group:
        assert group.gather("hello") == [b"", b"given"]
        time.sleep(5)
        assert group.lost is None
    assert other.poll() is None


STUCK = """
import sys, time
from zoo.hosts import Place, group, joined
from zoo.reporter import Reporter

group.GRACE_S, group.SILENCE_S = 1, 3
with joined(Place.parse(sys.argv[1]), Reporter()) as hosts:
    hosts.backend_started()
    hosts.before_exit(lambda: print("removed", flush=True))
    hosts.gather("hello")
    print("joined", flush=True)
    time.sleep(60)
"""


def test_hosts_that_are_suspended_together_continue_and_one_that_is_stuck_ends_after_a_loss() -> None:
    port = free_port()
    hosts = [
        subprocess.Popen(
            [sys.executable, "-c", STUCK, f"{number}/2@127.0.0.1:{port}"],
            stdout=subprocess.PIPE,
            stderr=subprocess.PIPE,
            text=True,
        )
        for number in (1, 2)
    ]
    try:
        for host in hosts:
            assert host.stdout
            assert host.stdout.readline() == "joined\n"
        for number in (signal.SIGSTOP, signal.SIGCONT):
            for host in hosts:
                os.kill(host.pid, number)
            time.sleep(5)  # longer than the silence after which a host is lost
        assert [host.poll() for host in hosts] == [None, None]
        hosts[1].kill()
        output, error = hosts[0].communicate(timeout=20)
        assert hosts[0].returncode == ClusterError.exit_code
        assert output == "removed\n"
        assert "Error: The connection to host 2 of 2" in error
    finally:
        for host in hosts:
            host.kill()
            host.communicate()


def test_nobody_listens() -> None:
    port = free_port()
    start = time.monotonic()
    with (
        pytest.raises(ClusterError, match=f"Host 1 could not be reached at 127.0.0.1:{port} within 1 s: Connection"),
        joined(Place(2, 2, "127.0.0.1", port), Reporter(), wait_s=1),
    ):
        pass
    assert time.monotonic() - start < 10


def test_another_program_listens() -> None:
    with socket.create_server(("127.0.0.1", 0)) as server:
        port = server.getsockname()[1]

        def answer() -> None:
            with server.accept()[0] as connection:
                connection.sendall(b"HTTP/1.1 400 Bad Request\r\n\r\n" + b"." * 100)

        threading.Thread(target=answer, daemon=True).start()
        with (
            pytest.raises(ClusterError, match="within 2 s"),
            joined(Place(2, 2, "127.0.0.1", port), Reporter(), wait_s=2),
        ):
            pass


def test_hosts_that_do_not_join_are_named() -> None:
    port = free_port()

    def host(number: int) -> str:
        try:
            with joined(Place(number, 4, "127.0.0.1", port), Reporter(), wait_s=2):
                return "joined"
        except ClusterError as error:
            return error.message

    with ThreadPoolExecutor(2) as pool:
        found = list(pool.map(host, (1, 3)))
    assert found == ["Host(s) 2, 4 of 4 did not join within 2 s."] * 2


def test_two_processes_with_the_same_number_or_another_count() -> None:
    port = free_port()
    place = Place(1, 3, "127.0.0.1", port)
    told = []

    def first() -> None:
        try:
            with joined(place, Reporter(), wait_s=4):
                pass
        except ClusterError as error:
            told.append(error.message)

    def second(number: int, count: int) -> None:
        with joined(Place(number, count, "127.0.0.1", port), Reporter(), wait_s=10):
            pass

    thread = threading.Thread(target=first)
    thread.start()
    waiting = Wire(connected(port))
    waiting.send("join", protocol=1, number=2, count=3)
    assert waiting.receive().kind == "welcome"
    with pytest.raises(UsageError, match="Another process is host 2 of 3; it runs at"):
        second(2, 3)
    with pytest.raises(UsageError, match="Host 1 was started as one of 3 hosts, this process as 2 of 2"):
        second(2, 2)
    with (
        pytest.raises(UsageError, match=f"Host 1 cannot listen on port {port}: Address already in use"),
        joined(place, Reporter(), wait_s=1),
    ):
        pass
    with connected(port) as scanner:
        scanner.sendall(b"GET / HTTP/1.1\r\n\r\n")  # does no harm
    waiting.close()
    thread.join(20)
    assert told == ["Host(s) 3 of 3 did not join within 4 s."]


def connected(port: int) -> socket.socket:
    deadline = time.monotonic() + 10
    while True:
        try:
            return socket.create_connection(("127.0.0.1", port), timeout=5)
        except OSError:
            assert time.monotonic() < deadline
            time.sleep(0.05)


def test_an_address_that_leads_to_another_host_1_or_to_none() -> None:
    with socket.create_server(("127.0.0.1", 0)) as server:  # listens only there, so that port is free on ::1

        def answer() -> None:
            try:
                wire = Wire(server.accept()[0])
            except OSError:  # the address was in use, so nobody connected before the server was closed
                return
            wire.receive()
            wire.send("token", token="of another")
            wire.close()

        threading.Thread(target=answer, daemon=True).start()
        port = server.getsockname()[1]
        with (
            pytest.raises(UsageError, match=r"host 1|Address already in use"),
            joined(Place(1, 2, "127.0.0.1", port), Reporter(), wait_s=1),
        ):
            pass
    with (
        pytest.raises(UsageError, match=r"The address of host 1, nowhere\.invalid, is unknown"),
        joined(Place(1, 2, "nowhere.invalid", free_port()), Reporter(), wait_s=1),
    ):
        pass


def test_what_hosts_cannot_help_with_is_refused_before_they_wait(zoo: Zoo, photo_folder: PhotoFolder) -> None:
    place = Place(1, 3, "node", 5000)
    with pytest.raises(UsageError, match="closed form and trains no epochs"):
        refuse_idle_hosts(place, Recipe(head="chosen", epochs=0, head_epochs=0, batch_size=30))
    with pytest.raises(UsageError, match="A batch of 32 images cannot be divided among 3 hosts") as error:
        refuse_idle_hosts(place, Recipe(epochs=2, batch_size=32))
    assert "such as 33" in str(error.value.hint)
    for number in (1, 2):
        host = f"{number}/2@127.0.0.1:{free_port()}"
        done = zoo("train", "simple_cnn", "--data", photo_folder({"a": 3, "b": 3}), "--host", host)
        assert done.code == 2
        assert f"--host {host} needs Keras on JAX; the backend is tensorflow." in done.err


@pytest.mark.parametrize(
    ("asked", "more"),
    [
        (TrainRequest(), ""),
        (TrainRequest(host=Place(1, 2, "node", 5000)), ", and leave --host out, which needs JAX"),
        (TrainRequest(on="ray"), ", and leave --on out, which needs JAX"),
    ],
)
def test_a_run_of_a_backend_that_hosts_cannot_use_is_resumed_without_them(asked: TrainRequest, more: str) -> None:
    run: Any = SimpleNamespace(path="runs/a", info=SimpleNamespace(backend="torch"))
    with pytest.raises(UsageError, match="was started with the Keras backend torch") as error:
        _refuse_other_backend(run, asked)
    assert error.value.hint == f"Set KERAS_BACKEND=torch{more}."


@pytest.mark.parametrize(
    ("asked", "more"),
    [
        (TrainRequest(), ""),
        (TrainRequest(host=Place(1, 2, "node", 5000)), " --host 1/2@node:5000"),
        (TrainRequest(on="ray", host=Place(1, 2, "10.0.0.1", 4711)), " --on ray"),
    ],
)
def test_an_interrupted_training_is_continued_on_the_same_machines(
    asked: TrainRequest, more: str, tmp_path: Path
) -> None:
    run: Any = SimpleNamespace(path=tmp_path, model_path=tmp_path / "model.keras")
    notes = Notes()
    with pytest.raises(KeyboardInterrupt), _telling_how_to_resume(run, asked, notes):
        raise KeyboardInterrupt
    (note,) = notes.told
    assert note.endswith(f"To start again: zoo train --resume {tmp_path}{more}")


def test_a_process_that_has_used_jax_is_refused() -> None:
    pytest.importorskip("jax", reason="jax is not installed")
    used = "import jax; jax.numpy.ones(3); from zoo.training.hosts import start_jax; start_jax(None)"
    done = subprocess.run([sys.executable, "-c", used], capture_output=True, text=True, timeout=120)
    assert "UsageError: Hosts cannot be connected, because JAX has computed in this process already." in done.stderr


def test_the_rows_of_all_hosts_are_the_batch() -> None:
    shares = [Share(number, 3, 6, None) for number in (1, 2, 3)]
    batch = np.arange(12)
    assert np.concatenate([batch[share.rows(12)] for share in shares]).tolist() == batch.tolist()
    assert [len(batch[share.rows(12)]) for share in shares] == [4, 4, 4]
    assert [len(batch[share.rows(8)]) for share in shares] == [8, 8, 8]  # computed by every device


@dataclass
class Trained:
    """The processes of one training.

    Args:
        codes: Exit code of each host.
        errors: Its messages.
        outputs: Its standard output.
        seconds_after_kill: Time from the kill to the end of the last process.
    """

    codes: list[int]
    errors: list[str]
    outputs: list[str]
    seconds_after_kill: float = 0.0


TrainOnHosts = Callable[..., Trained]


@pytest.fixture
def train_on_hosts(tmp_path: Path, site: Path) -> TrainOnHosts:
    """``train_on_hosts(2, "simple_cnn", ...)`` runs the real command once a host, each in an empty folder."""
    pytest.importorskip("jax", reason="jax is not installed")

    def run(
        count: int,
        *arguments: str | Path,
        killed: int = 0,
        own: dict[int, list[str]] | None = None,
        env: dict[str, str] | None = None,
    ) -> Trained:
        environment = zoo_environment(site) | {"KERAS_BACKEND": "jax", **(env or {})}
        port = free_port()
        processes, errors = [], []
        for number in range(1, count + 1):
            folder = tmp_path if number == 1 else tmp_path / f"host{number}"
            folder.mkdir(exist_ok=True)
            errors.append(folder / f"err{number}")
            words = [*map(str, arguments), *(own or {}).get(number, [])]
            words += ["--host", f"{number}/{count}@127.0.0.1:{port}"] if count > 1 else []
            with errors[-1].open("w") as err:
                processes.append(
                    subprocess.Popen(
                        zoo_command("train", *words), cwd=folder, env=environment, stdout=subprocess.PIPE, stderr=err
                    )
                )
        start = time.monotonic()
        if killed:
            # An epoch is shown before its checkpoint is written.
            while "\nepoch" not in errors[0].read_text() or not list(tmp_path.glob("runs/*/checkpoints/last.npz")):
                assert all(process.poll() is None for process in processes), [each.read_text() for each in errors]
                assert time.monotonic() - start < 300
                time.sleep(0.05)
            start = time.monotonic()
            processes[killed - 1].kill()
        outputs = [process.communicate(timeout=300)[0].decode() for process in processes]
        codes = [process.returncode for process in processes]
        return Trained(codes, [each.read_text() for each in errors], outputs, time.monotonic() - start)

    return run


def assert_same(one: Path, other: Path) -> None:
    expected, found = weights(one), weights(other)
    assert expected.keys() == found.keys()
    for name, value in expected.items():
        np.testing.assert_allclose(found[name], value, rtol=0, atol=1e-5, err_msg=name)
    for column in ("loss", "val_loss", "accuracy", "val_accuracy"):
        histories = [open_run(run).history[column] for run in (one, other)]
        np.testing.assert_allclose(histories[1], histories[0], rtol=1e-6, err_msg=column)


@pytest.mark.long
def test_two_hosts_give_the_weights_of_one_also_after_host_1_was_killed_and_a_resume_on_three(
    photo_folder: PhotoFolder,
    tiny_net: None,
    fake_plugin: FakePlugin,
    train_on_hosts: TrainOnHosts,
    tmp_path: Path,
) -> None:
    """A network with BatchNorm and dropout, trained on features, then in all layers. The last batch cannot be
    divided."""
    fake_plugin("zoo-killer", KILLER)
    photos = photo_folder({"a": 22, "b": 22, "c": 24})
    command = ["tiny_net", "--data", photos, "--head-epochs", "1", "--epochs", "3", "--early-stopping-epochs", "0"]
    command += ["--batch-size", "12"]
    one = train_on_hosts(1, *command, "--name", "one")
    assert one.codes == [0], one.errors
    killed = train_on_hosts(2, *command, "--name", "several", env={"KILL": "1"})
    assert killed.codes == [-signal.SIGKILL, ClusterError.exit_code], killed.errors
    assert "Every batch of 12 images is divided among 2 hosts with 1 device(s) each" in killed.errors[0]
    assert "Error: The connection to host 1 of 2" in killed.errors[1]
    one_run, run = (tmp_path / "runs" / name for name in ("one", "several"))
    assert len(open_run(run).history["loss"]) == 2

    done = train_on_hosts(3, "--resume", run, "--json")
    assert done.codes == [0, 0, 0], done.errors
    assert json.loads(done.outputs[0])["run"].endswith("several")
    assert done.outputs[1:] == ["", ""]
    assert [path.name for path in (tmp_path / "host2").iterdir()] == ["err2"]
    images = sum(open_run(run).info.data.counts["train"].values())
    assert images % 12 % 3  # the last batch cannot be divided among three hosts
    assert_same(one_run, run)
    again = train_on_hosts(2, "--resume", run)
    assert again.codes == [0, 0], again.errors
    assert "is finished; there is nothing to resume" in again.outputs[0]
    assert "there is nothing to do for this host" in again.errors[1]


#: A computer without an accelerator augments on the host. This plugin lets its processor act as an accelerator.
ON_DEVICE = """
import os

from zoo import hookimpl


@hookimpl
def zoo_architectures():
    import zoo.training.batches

    if "ON_DEVICE" in os.environ:
        zoo.training.batches.augments_on_device = lambda: True
    return []
"""


@pytest.mark.long
def test_images_that_devices_augment_train_the_same_model(
    photo_folder: PhotoFolder,
    tiny_net: None,
    fake_plugin: FakePlugin,
    train_on_hosts: TrainOnHosts,
    tmp_path: Path,
) -> None:
    """On one device, on two, and on two hosts. The last batch cannot be divided."""
    fake_plugin("zoo-on-device", ON_DEVICE)
    photos = photo_folder({"a": 22, "b": 22, "c": 23})
    command = ["tiny_net", "--data", photos, "--head-epochs", "0", "--epochs", "3", "--early-stopping-epochs", "0"]
    command += ["--batch-size", "12", "--augmentation", "strong", "--precision", "float32"]
    on_device = {"ON_DEVICE": "1"}
    two = on_device | {"XLA_FLAGS": "--xla_force_host_platform_device_count=2"}
    for done in (
        train_on_hosts(1, *command, "--name", "on-host"),
        train_on_hosts(1, *command, "--name", "one", env=on_device),
        train_on_hosts(1, *command, "--name", "devices", "--devices", "2", env=two),
        train_on_hosts(2, *command, "--name", "hosts", env=on_device),
    ):
        assert set(done.codes) == {0}, done.errors
    runs = {name: tmp_path / "runs" / name for name in ("on-host", "one", "devices", "hosts")}
    assert sum(open_run(runs["one"]).info.data.counts["train"].values()) % 12 % 2
    assert_same(runs["one"], runs["devices"])
    assert_same(runs["one"], runs["hosts"])
    losses = [open_run(runs[name]).history["loss"] for name in ("on-host", "one")]
    np.testing.assert_allclose(*losses, rtol=1e-2)
    assert losses[0] != losses[1]  # otherwise the host has augmented the images


@pytest.mark.long
def test_all_layers_behind_a_chosen_head_on_two_hosts(
    photo_folder: PhotoFolder, tiny_net: None, train_on_hosts: TrainOnHosts, tmp_path: Path
) -> None:
    """Host 1 alone chooses the head. Mixup depends on the whole batch."""
    photos = photo_folder({"a": 22, "b": 22})
    command = ["tiny_net", "--data", photos, "--head", "chosen", "--head-epochs", "0", "--epochs", "2"]
    command += ["--mixup-alpha", "0.2", "--unfreeze", "1"]
    assert train_on_hosts(1, *command, "--name", "one").codes == [0]
    two = train_on_hosts(2, *command, "--name", "two")
    assert two.codes == [0, 0], two.errors
    assert "Choosing a head" not in two.errors[1]
    assert_same(tmp_path / "runs" / "one", tmp_path / "runs" / "two")


@pytest.mark.long
def test_the_loss_of_another_host_ends_host_1_within_half_a_minute(
    photo_folder: PhotoFolder, train_on_hosts: TrainOnHosts, tmp_path: Path
) -> None:
    photos = photo_folder({"a": 12, "b": 12})
    command = ["simple_cnn", "--data", photos, "--size", "32", "--epochs", "4000", "--early-stopping-epochs", "0"]
    lost = train_on_hosts(2, *command, "--precision", "float32", "--batch-size", "8", killed=2)
    assert lost.codes == [ClusterError.exit_code, -signal.SIGKILL], lost.errors
    assert lost.seconds_after_kill < 30
    assert "Error: The connection to host 2 of 2" in lost.errors[0]
    assert "To continue: zoo train --resume" in lost.errors[0]
    assert "Check failure stack trace" not in lost.errors[0]
    (run,) = (path for path in (tmp_path / "runs").iterdir() if path.is_dir())
    assert (run / "checkpoints" / "last.npz").is_file()
    (run / "split.csv").unlink()
    refused = train_on_hosts(2, "--resume", run)
    assert refused.codes == [TrainingError.exit_code, ClusterError.exit_code], refused.errors
    assert "Host 1 of 2 ended:" in refused.errors[1]
    assert "it has no split.csv" in refused.errors[1]


@pytest.mark.long
def test_hosts_with_other_photos_or_another_seed_are_refused(
    photo_folder: PhotoFolder, train_on_hosts: TrainOnHosts, tmp_path: Path
) -> None:
    command = ["simple_cnn", "--size", "32", "--epochs", "2", "--data"]
    photos, others = photo_folder({"a": 12, "b": 12}), photo_folder({"a": 13, "b": 12}, name="others")
    differ = train_on_hosts(2, *command, own={1: [str(photos)], 2: [str(others)]})
    assert differ.codes == [DataError.exit_code] * 2, differ.errors
    for error in differ.errors:
        assert "The hosts differ." in error
        assert "digest of the photos" in error
    assert not any((tmp_path / "runs").glob("simple_cnn*"))
    seeds = train_on_hosts(2, *command, photos, own={2: ["--seed", "1"]})
    assert seeds.codes == [UsageError.exit_code] * 2
    assert all("The hosts differ. seed: 0 on host 1, 1 on host 2." in error for error in seeds.errors)
