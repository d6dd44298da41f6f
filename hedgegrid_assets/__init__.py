"""Raw crypto market data in, NautilusTrader catalogs you can trust out."""

from importlib import import_module
from typing import TYPE_CHECKING, Any, Final

if TYPE_CHECKING:
    from hedgegrid_assets.inspect.validation import ValidationReport, validate_catalog
    from hedgegrid_assets.pipeline.run import run_pipeline
    from hedgegrid_assets.pipeline.summary import RunSummary
    from hedgegrid_assets.stages.catalog.reached import catalog_config
    from hedgegrid_assets.stages.readers import read_frame, scan_frame

__all__ = [
    "RunSummary",
    "ValidationReport",
    "catalog_config",
    "read_frame",
    "run_pipeline",
    "scan_frame",
    "validate_catalog",
]

_HOME: Final = {
    "catalog_config": "stages.catalog.reached",
    "RunSummary": "pipeline.summary",
    "ValidationReport": "inspect.validation",
    "read_frame": "stages.readers",
    "run_pipeline": "pipeline.run",
    "scan_frame": "stages.readers",
    "validate_catalog": "inspect.validation",
}


def __getattr__(name: str) -> Any:
    """Import on first use: ``import hedgegrid_assets`` itself costs nothing."""
    if name not in _HOME:
        raise AttributeError(f"module {__name__!r} has no attribute {name!r}")

    return getattr(import_module(f"{__name__}.{_HOME[name]}"), name)
