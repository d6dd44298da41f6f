"""What changes a catalog that stands: widen a precision, forget a day."""
