"""Where bytes of a KD link go in and out: UDP ports, TCP ports, Unix sockets, named pipes, serial devices."""
