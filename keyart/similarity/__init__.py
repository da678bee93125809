"""Look-alikes of a film: blending, hits, reasons and attribution."""
