"""Many meters, one after another: route files, their check, the work, what is done of it."""
