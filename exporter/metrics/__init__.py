"""Series as they are exposed, their text, and the exporter's own telemetry."""
