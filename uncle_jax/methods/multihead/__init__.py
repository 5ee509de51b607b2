"""Baselines on one network with a head per task: DER++ with its buffer, LWSF."""
