"""What an installation brings is under licences that let it be used and passed on, and each of them is listed."""

import runpy
from pathlib import Path
from typing import Final

ROOT: Final = Path(__file__).parents[1]
KIND: Final = ("Apache", "BSD", "CC0", "ISC", "MIT", "MPL", "Mozilla", "PSF", "Python Software", "Zlib")
OF_LIBRARIES: Final = {"nautilus-trader", "portion", "psycopg2-binary"}
"""Under the LGPL, used as separate packages."""


def found() -> dict[str, str]:
    made = runpy.run_path(str(ROOT / "scripts/licences.py"))
    return dict(made["licences"]())


def test_every_package_that_an_installation_brings_has_a_licence_that_lets_it_be_passed_on() -> None:
    others = {
        name: licence
        for name, licence in found().items()
        if "GPL" in licence or not any(kind in licence for kind in KIND)
    }
    assert set(others) <= OF_LIBRARIES, others
    assert all("Lesser" in licence or "LGPL" in licence for licence in others.values()), others


def test_the_page_of_licences_lists_each_of_them_in_its_own_words() -> None:
    page = (ROOT / "docs/licences.md").read_text()
    lacking = [f"{name}: {licence}" for name, licence in found().items() if f"| {name} | {licence} |\n" not in page]
    assert lacking == [], "run `make licences`"
