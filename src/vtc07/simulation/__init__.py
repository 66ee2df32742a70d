"""The whole under one seeded virtual clock: client, line, meter, store, and what goes wrong."""
