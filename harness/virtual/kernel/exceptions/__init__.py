"""Structured exceptions of x64: unwind information, stack walks, and who handles an exception."""
