"""Tools for the people who work on procnotify; not installed with it."""
