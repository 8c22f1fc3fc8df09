"""The real exporter in random trouble, with random traffic, and what must hold all the time."""
