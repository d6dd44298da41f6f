"""How many bytes this process has received, for those who show it."""

from typing import Final


class Received:
    """A counter that only the loop of the client adds to."""

    def __init__(self) -> None:
        self.bytes = 0


RECEIVED: Final = Received()
