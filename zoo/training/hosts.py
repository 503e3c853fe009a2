"""Trains one model with several processes (hosts), with the data parallelism of Keras on JAX.

Only ``fit`` runs on all hosts together: its variables are distributed over the devices of all hosts, and each host
computes its rows of every batch. Everything else runs on the own device of a host.
"""

from __future__ import annotations

import io
import os
import sys
from collections.abc import Callable, Iterator, Sequence
from contextlib import ExitStack, contextmanager
from dataclasses import dataclass
from typing import Any

import numpy as np
from numpy.typing import NDArray

from zoo.array_files import open_arrays
from zoo.backend import hush
from zoo.errors import UsageError
from zoo.hosts import Group, Place
from zoo.hosts.meeting import connect_to_backend
from zoo.hosts.relay import reserve_port, start_relay
from zoo.keras_internals import lay_out_every_batch
from zoo.quiet import stderr_aside

#: Seconds in which JAX connects the hosts, after all have joined.
_CONNECT_S = 60
#: Seconds in which JAX disconnects the hosts when all are at the end of the training.
_DISCONNECT_S = 30


def refuse_other_backend(place: Place) -> None:
    """Raises ``UsageError`` if Keras does not run on JAX."""
    hush()
    with stderr_aside():
        import keras

    backend = keras.backend.backend()
    if backend != "jax":
        raise UsageError(
            f"--host {place} needs Keras on JAX; the backend is {backend}.",
            "Set KERAS_BACKEND=jax, or leave --host out to train with one process.",
        )


def start_jax(group: Group) -> None:
    """Connects JAX on all hosts. Called before the first computation.

    Raises:
        UsageError: JAX has computed in this process already.
        ClusterError: A host is lost.
    """
    import jax

    _refuse_used_jax()  # before the others wait for this host in JAX, which would abort them after a minute
    jax.config.update("jax_cpu_collectives_implementation", "gloo")
    # This service would replace the handler of SIGTERM, with which zoo ends a training.
    jax.config.update("jax_enable_preemption_service", False)
    place = group.place
    with ExitStack() as reserved, group.explaining():
        if place.first:
            group.backend_port, held = reserve_port("127.0.0.1")
            reserved.enter_context(held)
        port = group.backend_port or start_relay(lambda: connect_to_backend(place))
        group.gather("start of JAX")
        group.backend_started()  # JAX would abort this process if another host ends while the hosts are connected
        jax.distributed.initialize(
            f"127.0.0.1:{port}",
            num_processes=place.count,
            process_id=place.number - 1,
            cluster_detection_method="deactivate",  # on Slurm, it would choose one GPU for each process
            initialization_timeout=_CONNECT_S,
            shutdown_timeout_seconds=_DISCONNECT_S,
            coordinator_bind_address=f"127.0.0.1:{port}",
        )
        with _stdout_aside():
            from jax.experimental import multihost_utils

            multihost_utils.sync_global_devices("zoo")


def _refuse_used_jax() -> None:
    import jax

    before = jax.config.jax_num_cpu_devices
    try:
        jax.config.update("jax_num_cpu_devices", 1)  # JAX refuses this after its first computation
    except RuntimeError as error:
        raise UsageError(
            "Hosts cannot be connected, because JAX has computed in this process already.",
            "Call zoo.train(host=...) before anything else that uses Keras or JAX.",
        ) from error
    jax.config.update("jax_num_cpu_devices", before)


@contextmanager
def _stdout_aside() -> Iterator[None]:
    """Suppresses what Gloo prints to the standard output, which is for results: how many hosts are connected."""
    if sys.__stdout__ is None:  # the process was started without it
        yield
        return
    sys.stdout.flush()
    kept, nowhere = os.dup(1), os.open(os.devnull, os.O_WRONLY)
    os.dup2(nowhere, 1)
    try:
        yield
    finally:
        os.dup2(kept, 1)
        os.close(kept)
        os.close(nowhere)


@dataclass(frozen=True)
class Share:
    """The rows of each batch that this host computes.

    Args:
        number: Number of the host, from 1.
        hosts: Number of hosts.
        devices: Number of devices on all hosts together.
        mesh: The devices of all hosts, as a mesh of JAX with the axis ``batch``.
    """

    number: int
    hosts: int
    devices: int
    mesh: Any

    def rows(self, size: int) -> slice:
        """The rows of a batch of ``size`` images: an equal part, or all rows if it cannot be divided by the devices."""
        if size % self.devices:
            return slice(0, size)
        own = size // self.hosts
        return slice((self.number - 1) * own, self.number * own)

    def placed(self, arrays: tuple[NDArray[Any], ...], size: int) -> tuple[Any, ...]:
        """The batch on the devices of all hosts.

        Args:
            arrays: The rows of this host.
            size: Number of images of the whole batch.
        """
        import jax
        from jax.sharding import NamedSharding, PartitionSpec

        layout = NamedSharding(self.mesh, PartitionSpec("batch") if size % self.devices == 0 else PartitionSpec())
        return tuple(
            jax.make_array_from_process_local_data(layout, array, (size, *array.shape[1:])) for array in arrays
        )


class Hosts:
    """What the training of a model needs to know of the hosts.

    Args:
        group: The hosts.
        devices: Number of devices of each host, or ``"all"``. ``None``: one.
        batch_size: Images per step, on all hosts together.

    Raises:
        UsageError: ``devices`` is not possible, the hosts have different numbers or kinds of devices, or the batch
            cannot be divided.
    """

    def __init__(self, group: Group, devices: int | str | None, batch_size: int) -> None:
        import jax

        own = [device for device in jax.devices() if device.process_index == jax.process_index()]
        count = len(own) if devices == "all" else devices or 1
        if not isinstance(count, int) or not 1 <= count <= len(own):
            raise UsageError(
                f"--devices {devices} is not possible: JAX has {len(own)} device(s) on host {group.place.number}.",
                f"Give a number from 1 to {len(own)}, or all.",
            )
        group.refuse_differences(
            "devices",
            {"devices per host": str(count), "platform of the devices": own[0].platform},
            UsageError,
            "Give the same --devices N on all hosts, and use devices of the same kind.",
        )
        total = count * group.place.count
        if batch_size % total:
            raise UsageError(
                f"A batch of {batch_size} images cannot be divided among {group.place.count} hosts with {count}"
                " device(s) each.",
                f"Give a --batch-size that is a multiple of {total}, such as {-(-batch_size // total) * total}.",
            )
        chosen = [
            device
            for index in range(group.place.count)
            for device in [each for each in jax.devices() if each.process_index == index][:count]
        ]
        self.group = group
        self.devices_per_host = count
        self._names = [f"{device.platform}:{device.id}" for device in chosen]
        mesh = jax.sharding.Mesh(np.array(chosen), ("batch",))
        self.share = Share(group.place.number, group.place.count, total, mesh)

    @property
    def first(self) -> bool:
        """Whether this is host 1, which writes the run."""
        return self.group.place.first

    @contextmanager
    def distributed(self) -> Iterator[None]:
        """Variables that are created in the block are on the devices of all hosts."""
        import keras

        lay_out_every_batch()
        before = keras.distribution.distribution()
        keras.distribution.set_distribution(
            keras.distribution.DataParallel(devices=self._names, auto_shard_dataset=False)
        )
        try:
            yield
        finally:
            keras.distribution.set_distribution(before)

    def predict(self, predicted: Callable[[NDArray[np.int64]], NDArray[np.float32]], indices: NDArray[np.int64]) -> Any:
        """Predictions of images, of which each host computes a part.

        Args:
            predicted: Returns the probabilities of images, float32 ``(n, classes)``.
            indices: The images.
        """
        own = np.array_split(indices, self.share.hosts)[self.share.number - 1]
        parts = self.group.gather("predictions", predicted(own).tobytes())
        return np.frombuffer(b"".join(parts), np.float32).reshape(len(indices), -1)

    def arrays_of_first(self, what: str, arrays: Sequence[NDArray[Any]]) -> list[NDArray[Any]]:
        """The arrays that host 1 gives. Those of other hosts are not used.

        Args:
            what: Name of the exchange.
            arrays: The arrays of this host.
        """
        packed = io.BytesIO()
        if self.first:
            np.savez(packed, *arrays)
        received = io.BytesIO(self.group.from_first(what, packed.getvalue()))
        with open_arrays(received) as file:
            return [file.read(name) for name in file.names]

    def stops(self, requested: bool) -> bool:
        """Whether a callback on any host has requested the end of the training."""
        return self.group.any("end of an epoch", requested)

    def disconnect_jax(self) -> None:
        """Ends the connection of JAX. Host 1 then works alone, and the others may end."""
        import jax

        with self.group.explaining():
            self.group.gather("end of the training")
            jax.distributed.shutdown()
        self.group.disconnect()
