"""The runner: an exported file answers about pictures, on a device as in ``zoo``.

    run.py      what `python run.py` starts: stands in the root of a bundle
    main.py     its command line
    bundle.py   what a bundle says about itself, and whether its files are as they were made
    classify.py from a picture to an answer
    explain.py  from a picture to where the evidence lies in it; explanation.py draws it
    sources.py  pictures that are named, in folders, on standard input
    watch.py    pictures as they appear in a folder
    camera.py   frames of a camera or a video
    drawing.py  the answer drawn into a picture; a window for it
    wording.py  what is said of an answer
    serve.py    answers over HTTP; http_connection.py bounds what clients do, http_request.py reads, origins.py refuses
    deploy/     a unit for systemd and a Dockerfile
    selftest.py does this device answer as the files say

It needs the standard library, NumPy, OpenCV and the one runtime it is given, and is copied into every bundle as it
stands, with ``zoo.errors``, ``zoo.image_spec``, ``zoo.exported`` and ``zoo.images``. Nothing heavy is imported before
it is needed: starting Python is a good part of the time to one answer.
"""
