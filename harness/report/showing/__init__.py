"""A recording shown: as a tree of its processes, as a table of its events, and as a timeline of Perfetto."""
