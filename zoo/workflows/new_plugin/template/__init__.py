"""Templates of the files that ``zoo plugin new`` writes. Placeholders such as ``$name`` are filled in."""
