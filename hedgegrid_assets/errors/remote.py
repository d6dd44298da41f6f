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


class ArchiveFileUnproven(RemoteFault):
    """A published file is not the one that the checksum file beside it was made of."""

    code = "checksum"

    def __init__(self, url: str, checksum_file: str, expected: str, found: str) -> None:
        said = (
            f"expected sha256 {expected} as in {checksum_file}" if expected else f"expected {checksum_file} beside it"
        )
        super().__init__(
            url,
            f"{said}, found {found}",
            hint="the archive may mend it later; if you have looked at the file and want it as it is, say "
            f"--accept-checksum {found} (feeds.yaml: accept_checksum under settings)",
            transient=False,
            details={"url": url, "expected": expected, "found": found},
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
