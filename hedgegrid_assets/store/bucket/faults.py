"""What a server says to a request, in one line of ours, with what to do; what passes is asked again."""

import re
import time
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from typing import Final

from obstore.exceptions import AlreadyExistsError, BaseError, GenericError, PreconditionError

from hedgegrid_assets.errors import StoreConflict, StoreUnreachable

KEYS: Final = "check AWS_ACCESS_KEY_ID, AWS_SECRET_ACCESS_KEY, AWS_REGION and what they may do in this bucket"
ADDRESS: Final = "check AWS_ENDPOINT_URL, AWS_REGION and the bucket's name, and run again: what is published is whole"
_MACHINE: Final = "169.254.169.254"
_CODE: Final = re.compile(r"<Code>(\w+)</Code>")
_BROKEN: Final = "HTTP error"
_REDIRECT: Final = "redirect without LOCATION"
_STATUS: Final = re.compile(r"\b([45]\d\d) [A-Z][a-z]+")
_KNOWN: Final = {
    "NoSuchBucket": (
        "there is no such bucket",
        "make it, or correct its name or AWS_ENDPOINT_URL; nothing was written",
    ),
    "AccessDenied": ("these keys may not do this (AccessDenied)", KEYS),
    "InvalidAccessKeyId": ("the server does not know this key (InvalidAccessKeyId)", KEYS),
    "SignatureDoesNotMatch": ("the secret is not the one of this key (SignatureDoesNotMatch)", KEYS),
    "ExpiredToken": ("these keys have run out (ExpiredToken)", "get new ones into the environment, and run again"),
    "RequestTimeTooSkewed": (
        "this machine's clock is not the server's (RequestTimeTooSkewed)",
        "set the clock (timedatectl set-ntp true), and run again",
    ),
    "AuthorizationHeaderMalformed": (
        "the bucket is in another region (AuthorizationHeaderMalformed)",
        "set AWS_REGION to the region of the bucket",
    ),
    "PermanentRedirect": ("the bucket is in another region (PermanentRedirect)", "set AWS_REGION to its region"),
    "SlowDown": ("the server asks for fewer requests (SlowDown)", "run again later, with fewer workers or --jobs"),
}
"""Code of an error -> what it means, and what to do."""


_PAUSES: Final = (0.1, 0.5, 2.0)
"""Seconds before a request is sent again whose connection broke: the client itself does that for answers alone."""


def again[T](work: Callable[[], T]) -> T:
    """What a request gives, which is sent again where its connection breaks: it may be done twice."""
    for pause in _PAUSES:
        try:
            return work()
        except GenericError as error:
            if _CODE.search(str(error)) or _STATUS.search(str(error)) or _BROKEN not in str(error):
                raise
        time.sleep(pause)
    return work()


@contextmanager
def asking(root: str, conflict: str = "") -> Iterator[None]:
    """What the server refuses in the block becomes an error of ours; ``conflict``: the object that may have changed."""
    try:
        yield
    except (AlreadyExistsError, PreconditionError):
        raise StoreConflict(conflict, "what was read before", "another content") from None
    except FileNotFoundError as error:
        found = _known(str(error))
        if found is None:
            raise
        raise StoreUnreachable(root, *found) from None
    except BaseError as error:
        raise StoreUnreachable(root, *_told(str(error))) from None


def _told(text: str) -> tuple[str, str]:
    if _MACHINE in text:  # it was asked for keys, as a machine of Amazon's has them
        return "no keys: expected some in the environment", KEYS
    found = _KNOWN["PermanentRedirect"] if _REDIRECT in text else _known(text)
    if found is not None:
        return found
    status = _STATUS.search(text)
    return _why(text), KEYS if status is not None and status[1] in {"401", "403"} else ADDRESS


def _known(text: str) -> tuple[str, str] | None:
    code = _CODE.search(text)
    return None if code is None else _KNOWN.get(code[1])


def _why(text: str) -> str:
    """The first words of what a library says of a request, without what it adds for its own makers."""
    return " ".join(text.split("Debug source")[0].split())[:300]
