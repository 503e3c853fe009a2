"""Spreads work over several machines, with Ray. zoo has no scheduler of its own.

address.py     checks the value of `--on`, and whether a server listens there
spread.py      yields the result of each item of work, exactly once
together.py    runs one process on each machine, which work together
connection.py  starts the driver, and receives its messages
driver.py      the process that talks to Ray
worker.py      what runs on the machines of the cluster for `spread`
hosts.py       starts the processes of `together`, and ends all of them if one is lost
host.py        what runs on the machines of the cluster for `together`
reports.py     passes the progress of a process to the command
"""
