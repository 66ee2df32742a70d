"""What became of a route, for the files of a utility: CSV, JSON, a page for printing."""
