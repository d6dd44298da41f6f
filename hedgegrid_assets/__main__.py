"""``python -m hedgegrid_assets``: the same as ``hedgegrid``."""

import sys


def main() -> None:
    """Run the command line and exit with its code."""
    from hedgegrid_assets.cli import run

    sys.exit(run(sys.argv[1:]))


if __name__ == "__main__":
    main()
