"""CloudWatch metric filters, evaluated outside AWS, exposed as Prometheus counters."""

__version__ = "0.1.0"
