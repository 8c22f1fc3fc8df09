"""What tests of several parts share: real processes, a real Prometheus, a real browser."""
