"""Work on several machines, with Ray. zoo has no scheduler of its own.

address.py  what `--on` accepts, and whether somebody listens there
spread.py   items of work in, results out, each once
driver.py   the process that talks to Ray
worker.py   what runs on the machines of the cluster
"""
