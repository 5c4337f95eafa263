"""Callbacks seen by a debugger alone: which breakpoints it takes, what a stop at one means, what was called.

No I/O: a halted target's memory comes in through a function that reads it, stops come in as values, and what
to do about them goes out.
"""
