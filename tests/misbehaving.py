"""A model for tests of the server that crashes, hangs and raises; without torch, so that it starts at once."""

import os
import time
from typing import NoReturn

from monobody.errors import UserError
from monobody.image import Picture


class Misbehaving:
    """Does what the first pixel of a photo says."""

    def __call__(self, picture: Picture) -> NoReturn:
        what = int(picture.rgb[0, 0, 0])
        if what == 1:
            os._exit(3)  # As a crash in a library would.
        if what == 2:
            time.sleep(60)
        if what == 3:
            raise RuntimeError("secret")
        raise UserError("All is well.")


def load() -> Misbehaving:
    """What the server's process loads."""
    return Misbehaving()


def fail() -> Misbehaving:
    """What cannot be loaded."""
    raise UserError("There is no such model.")
