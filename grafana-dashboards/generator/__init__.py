"""Generates the Grafana dashboards beside this package; ``make dashboards`` runs it."""
