"""The value of ``--on``: ``ray``, or the address of a Ray cluster."""

from __future__ import annotations

import os
import re
import socket
from importlib.util import find_spec

from zoo.errors import ClusterError, UsageError

#: Seconds to wait for a connection.
_PATIENCE_S = 10.0


def check_cluster(on: str) -> str:
    """Checks that Ray is installed, and that a server listens at the address.

    Without this check, Ray would wait for minutes, and might end the process.

    Args:
        on: ``ray`` for the cluster that Ray finds (that of ``RAY_ADDRESS``, or one that runs on this machine, or a new
            one on this machine), or ``ray://HOST:PORT``, the Ray Client server of a cluster.

    Returns:
        ``on``, or ``RAY_ADDRESS`` instead of ``ray`` if it is the address of a Ray Client server.

    Raises:
        UsageError: The value has another form, or Ray is not installed.
        ClusterError: No server listens at the address.
    """
    if not re.fullmatch(r"ray(://[^/\s]+:\d{1,5})?", on):
        raise UsageError(
            f"--on must be ray or ray://HOST:PORT. Received: {on!r}.",
            "The port of Ray Client is 10001 by default. ray alone uses RAY_ADDRESS, or the cluster on this machine.",
        )
    address = on if "://" in on else os.environ.get("RAY_ADDRESS", "")
    _refuse_silent(address)
    missing = [name for name in ("ray", "pyarrow") if find_spec(name) is None]
    if missing:
        raise UsageError(f"'{missing[0]}' is not installed.", "python -m pip install 'keras-edge-zoo[ray]'")
    return address if address.startswith("ray://") else on


def _refuse_silent(address: str) -> None:
    found = re.fullmatch(r"(?:ray://)?\[?(.+?)\]?:(\d{1,5})", address)
    if not found:
        return  # Ray looks for a cluster
    try:
        socket.create_connection((found[1], int(found[2])), _PATIENCE_S).close()
    except (OSError, OverflowError, UnicodeError) as error:  # UnicodeError: a name like a..b
        raise ClusterError(
            f"No Ray cluster answers at {address}: {error}.",
            "On the first machine: ray start --head. On the others: ray start --address=HOST:6379.",
        ) from error
