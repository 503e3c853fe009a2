"""The workflows of zoo, one verb per file. Each takes a frozen request, returns a frozen result, and reports its
progress to a ``Reporter``.

Nothing here prints, reads ``sys.argv`` or depends on the command line. ``zoo.train()`` and ``zoo train`` both call the
same workflow.
"""
