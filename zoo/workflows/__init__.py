"""What zoo does, a verb a file: a frozen request in, a frozen result out, and a ``Reporter`` that hears of the way.

Nothing here prints, reads ``sys.argv`` or knows of the command line; ``zoo.train()`` and ``zoo train`` come here alike.
"""
