"""The blocking front: links, ports and drivers for threads and scripts."""
