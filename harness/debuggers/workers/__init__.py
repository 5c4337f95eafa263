"""Debuggers that live in a process of their own, and the link to it."""
