"""What a provider does not give."""

from hedgegrid_assets.errors.base import EnvironmentFault


class RemoteFault(EnvironmentFault):
    """A provider did not give what was asked for; nothing was published from it.

    ``transient``: it may well work later, and running again is all there is to do.
    """

    code = "remote"

    def __init__(
        self, what: str, why: str, *, hint: str, transient: bool, details: dict[str, object] | None = None
    ) -> None:
        super().__init__(f"cannot fetch {what}: {why}", hint=hint, details={"what": what} | (details or {}))
        self.transient = transient


class ProviderUnreachable(RemoteFault):
    """Nobody answers there. ``why``: what the last attempt has found, in words."""

    code = "unreachable"

    def __init__(self, what: str, why: str, attempts: int) -> None:
        super().__init__(
            what,
            f"{attempts} attempts failed, the last one with: {why}" if attempts > 1 else why,
            hint="check the network (and a proxy, if there is one); then run again: what is fetched already is kept",
            transient=True,
        )
        self.why = why


class WebPageReceived(RemoteFault):
    """A page for people came in the place of data: of a proxy, of a network that wants a sign-in, of a provider at rest."""

    code = "web_page"

    def __init__(self, what: str, url: str, words: str) -> None:
        super().__init__(
            what,
            f"a web page came in its place{f', which says: {words}' if words else ''}",
            hint="a proxy, or a network that wants a sign-in, answers for them: open the address in a browser on this "
            "machine and do what the page says (a proxy that is not for it: NO_PROXY), then run again; what is fetched "
            f"already is kept; the address: {url}",
            transient=True,
            details={"url": url},
        )


class ArchiveFileUnproven(RemoteFault):
    """A published file is not the one that the checksum file beside it was made of.

    ``instead``: what stands in the checksum file in the place of its sum.
    """

    code = "checksum"

    def __init__(self, url: str, checksum_file: str, expected: str, found: str, instead: str = "") -> None:
        if instead:
            said = f"expected its sha256 {found} in {checksum_file}, but {instead}"
        elif expected:
            said = f"expected sha256 {expected} as in {checksum_file}, found {found}"
        else:
            said = f"expected {checksum_file} beside it, found {found}"
        super().__init__(
            url,
            said,
            hint="the archive may mend it later; if you have looked at the file and want it as it is, say "
            f"--accept-checksum {found} (feeds.yaml: accept_checksum under settings)",
            transient=False,
            details={"url": url, "expected": expected, "found": found},
        )


class ArchiveFileDamaged(RemoteFault):
    """What comes, each time, is no whole file, and nothing says that it was published like this."""

    code = "damaged"

    def __init__(self, url: str, why: str) -> None:
        super().__init__(
            url,
            f"{why}, each time that it was asked for",
            hint="something on the way cuts or changes it, or it is on their side: try another network or none of its "
            "proxies (NO_PROXY), or run again later; what is fetched already is kept",
            transient=True,
            details={"url": url},
        )


class ArchiveFileForeign(RemoteFault):
    """What is published under the name of a file is something else.

    ``instead``: the period of other files with the same rows; empty: there are none.
    """

    code = "foreign"

    def __init__(self, url: str, why: str, sha256: str, instead: str) -> None:
        others = (
            f'take the {instead} files: {{"period": "{instead}"}} in the file of --config (feeds.yaml: period under '
            "settings)"
            if instead
            else "leave its days out (--start, --end)"
        )
        super().__init__(
            url,
            f"{why}; it came whole, as it is published (sha256 {sha256})",
            hint=f"asking again gives the same until the archive mends it: {others}",
            transient=False,
            details={"url": url, "found": sha256, "why": why},
        )


class KeyRequired(RemoteFault):
    """The provider gives this to holders of a key only."""

    code = "key_required"

    def __init__(self, what: str, why: str, variable: str) -> None:
        super().__init__(
            what,
            why,
            hint=f'export {variable}=..., or put {{"api_key": "..."}} into the file of --config; '
            "without a key, the first day of each month is free",
            transient=False,
        )
        self.message = f"Tardis API key required ({what}): {why}"


class RateLimited(RemoteFault):
    """The provider asks to wait for longer than a run should."""

    code = "rate_limited"

    def __init__(self, what: str, seconds: float | None, until: str) -> None:
        asked = (
            f"it asks to wait {seconds:,.0f} s, until {until}"
            if seconds is not None
            else "it does not say for how long"
        )
        super().__init__(
            what,
            f"rate limit reached (429): {asked}",
            hint="run again then: what is fetched already is kept; a larger plan has larger limits",
            transient=True,
            details={"retry_after_s": seconds, "until": until},
        )


class AlertsWait(EnvironmentFault):
    """Alerts could not be delivered. Its address is never named: who knows it may post there."""

    code = "alerts_wait"

    def __init__(self, variable: str, waiting: int, why: str) -> None:
        super().__init__(
            f"{waiting} alerts wait to be delivered to the address in ${{{variable}}} (notify): {why}",
            hint="they are kept and tried again; data are made all the same",
            details={"waiting": waiting, "variable": variable},
        )
