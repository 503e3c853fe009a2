"""A Ray cluster of two nodes on this machine."""

from __future__ import annotations

from collections.abc import Iterator
from typing import Any

import pytest

from zoo.reporter import Reporter

#: A node with one core, and little memory for objects.
NODE = {"num_cpus": 1, "object_store_memory": 80 * 2**20}


@pytest.fixture(scope="module")
def cluster() -> Iterator[Any]:
    """A cluster with one node. A test may kill it if it is the last one."""
    cluster_utils = pytest.importorskip("ray.cluster_utils")
    started = cluster_utils.Cluster(initialize_head=True, head_node_args={**NODE, "include_dashboard": False})
    yield started
    started.shutdown()


@pytest.fixture
def node(cluster: Any, monkeypatch: pytest.MonkeyPatch) -> Iterator[Any]:
    """A second node."""
    monkeypatch.setenv("RAY_ADDRESS", cluster.address)
    added = cluster.add_node(**NODE)
    yield added
    if added in cluster.list_all_nodes():
        cluster.remove_node(added)


class Notes(Reporter):
    def __init__(self) -> None:
        self.told: list[str] = []

    def note(self, text: str) -> None:
        self.told.append(text)

    stage = note
