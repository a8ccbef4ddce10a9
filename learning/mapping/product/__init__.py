"""Files of a product: layers for a GIS, a map sheet, a report."""
