"""The NT kernel that a driver sees: loader, objects, pool, callbacks, bugchecks and exported routines."""
