"""The files that ``zoo plugin new`` writes; ``$name`` and its like are filled in."""
