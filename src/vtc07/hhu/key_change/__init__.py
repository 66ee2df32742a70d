"""A key change, delivered whole, or how far it has come in a meter."""
