"""The KD stub: what the kernel reports to a debugger, and what a debugger asks of the target."""
