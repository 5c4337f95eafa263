"""Machines of type ``libvirt``: domains that somebody has defined with libvirt."""
