"""The asyncio front: links, ports and drivers with the names of `vtc07.links.blocking`."""
