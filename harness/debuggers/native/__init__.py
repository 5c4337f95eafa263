"""The native debugger: the KD session over a socket, a pipe or a recorded peer."""
