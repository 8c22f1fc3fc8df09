"""The ledger: checkpoints, counted matches and series totals, committed together."""
