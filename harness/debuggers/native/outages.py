"""The times in which a connection was closed, as far as the target's silence after one is concerned."""

from __future__ import annotations

__all__ = ["Outages"]


class Outages:
    """Told of everything that concerns them."""

    def __init__(self) -> None:
        self.silent = False
        """The connection is back, and nothing has come from the target since."""
        self._heard = True
        """Something came since the outage before, or it is the first."""

    def begin(self) -> bool:
        """The connection was closed. False: nothing came since the outage before, so that it goes on."""
        goes_on, self._heard, self.silent = not self._heard, False, False
        return not goes_on

    def end(self) -> None:
        """The connection is back."""
        self.silent = True

    def hear(self) -> None:
        """Something came from the target."""
        self._heard, self.silent = True, False
