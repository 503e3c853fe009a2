"""Spreads work over several machines, with Ray. zoo has no scheduler of its own.

address.py  checks the value of `--on`, and whether a server listens there
spread.py   yields the result of each item of work, exactly once
driver.py   the process that talks to Ray
worker.py   what runs on the machines of the cluster
"""
