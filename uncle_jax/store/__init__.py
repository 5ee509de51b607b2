"""Persistence: checkpoints, ledger, certificates, recovery. It knows no method."""
