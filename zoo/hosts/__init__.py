"""Several processes that train one model together, on one machine or on several.

``place`` parses ``--host``, ``wire`` sends messages, ``meeting`` lets the other hosts join host 1, ``group`` exchanges
data and detects lost hosts, ``ending`` ends the process after an error, and ``relay`` passes on the connections of JAX.
Nothing here imports JAX.
"""

from zoo.hosts.group import Group
from zoo.hosts.meeting import joined
from zoo.hosts.place import Place

__all__ = ["Group", "Place", "joined"]
