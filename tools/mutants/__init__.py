"""Single changes to the code that some test should notice: ``python -m tools.mutants``.

Two kinds of change. A *sample* draws single edits by chance (a seed tells which) from the files of the rooms
that are asked for. The *named* ones (:mod:`tools.mutants.named`) are changes that no test noticed once; each
is a text in a file and what it becomes. For every change the tests that are mapped to its file run in a copy
of the working tree, with a time limit; a change with which they all pass has survived, and its diff is shown.

This is no part of CI: a sample of fifty takes half an hour. Why a tool of our own: mutmut rewrites every
function of the package at once and cosmic-ray draws up a database of every possible change, and neither takes
a list of changes by name or a seeded sample over some rooms.
"""
