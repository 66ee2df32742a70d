"""The pages: each module has its routes, and the parts and streams that its pages consist of."""
