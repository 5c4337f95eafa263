"""The same run of the virtual target once more, stopped in a debugger before any of its events.

A run of the virtual target repeats itself. What its kernel tells a debugger is numbered (*positions*), so a
run that is played back can be stopped before any of them. To go back is to play back from a *checkpoint* that
lies before: a process that was forked from the run there and waits. The debugger's link does not travel: it
lies in a process of its own, which hands the debugger's requests to the one that stands where it looks.

::

    debugger ──KDNET──▶ process (the link) ◀──requests── player (stands at a position)
                           │ "play to ..."                ▲ forked
                           └───────────────────────▶ checkpoint
"""
