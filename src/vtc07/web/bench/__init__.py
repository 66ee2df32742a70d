"""The training bench: virtual meters with their front panels, a cable, a point of sale."""
