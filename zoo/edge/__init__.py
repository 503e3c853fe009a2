"""The runner: predicts images with an exported file, on a device and in ``zoo``.

    run.py      started by `python run.py` in the root of a bundle
    main.py     its command line
    bundle.py   metadata of a bundle, and the check of its files
    classify.py from an image to a prediction
    explain.py  from an image to its evidence map; explanation.py draws it
    sources.py  images by path, in folders, or on standard input
    watch.py    images as they appear in a folder
    camera.py   frames of a camera or a video
    drawing.py  draws the prediction onto an image, and shows the image in a window
    wording.py  the text of a prediction
    serve.py    predictions over HTTP; http_connection.py limits clients, http_request.py parses requests,
                origins.py refuses foreign web pages
    deploy/     a unit for systemd and a Dockerfile
    selftest.py compares this device with the golden vectors

The runner needs the standard library, NumPy, OpenCV and one runtime. It is copied into every bundle unchanged, with
``zoo.errors``, ``zoo.image_spec``, ``zoo.exported`` and ``zoo.images``. Large packages are imported only when they are
needed, because the start of Python is a large part of the time to a single prediction.
"""
