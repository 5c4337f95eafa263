"""A private Wine prefix with a Windows CPython and pykd in it, so that DbgEng runs on Linux.

::

    setup ──▶ pieces (pypi, debian, or a folder of the user's) ──▶ stages (prefix, python, pykd, launcher)
                                                                      └──▶ verify: import pykd in the prefix

:mod:`harness.wine.prefix` says where things lie and how a program is started there; whoever only wants to run
pykd needs nothing else.
"""
