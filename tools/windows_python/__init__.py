"""A Windows CPython under Wine, in which the project's own tests run: Windows as far as this machine has it.

::

    setup ──▶ pieces (pypi, debian, or a folder) ──▶ stages (prefix, python, packages, launcher) ──▶ proof
    run   ──▶ the project's metadata ──▶ python.exe, its output passed on, its exit code handed back

It stands on :mod:`harness.wine`, which makes the prefix for pykd in the same way. What makes it another one:
the Python is 3.11 and a whole installation, programs in it see the machine's files (drive Z:), and nothing of
the process is redirected.
"""
