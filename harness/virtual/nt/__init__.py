"""A deterministic, seeded model of NT's processes, threads, images and processors.

It decides *what happens in which thread at what time* and tells a
:class:`~harness.virtual.interfaces.NotifyRoutines`; it executes nothing itself and knows no debugger.
"""
