"""The structures of Windows that drivers and debuggers read in memory: one module, and one owner, for each.

An owner writes when the model changes, and never because somebody looks.
"""
