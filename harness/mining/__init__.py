"""What many runs of one thing have in common: instances cut out of traces, their order, and what differs."""
