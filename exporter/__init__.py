"""metric-filter-exporter: CloudWatch metric filters, evaluated outside AWS, as Prometheus counters."""

__version__ = "0.1.0"
