"""Machines that QEMU emulates: started here, controlled over QMP, reverted to a snapshot for every run."""
