"""What a hand-held unit writes down: deliveries, everything sent and learnt, in a chain."""
