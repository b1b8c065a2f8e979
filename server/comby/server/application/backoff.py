"""How long to wait before the next try: longer each time, and never the same for all who wait for the same thing."""

import random


class Backoff:
    """Gives the seconds before each next try. With jitter: between half of the time and all of it."""

    def __init__(self, first: float, longest: float) -> None:
        self._first = first
        self._longest = longest
        self.tries = 0

    def next(self) -> float:
        """Count a failed try, and return how long to wait."""
        seconds = min(self._first * 2.0 ** min(self.tries, 16), self._longest)
        self.tries += 1
        return seconds * random.uniform(0.5, 1.0)

    def reset(self) -> None:
        """Begin anew, after a success."""
        self.tries = 0
