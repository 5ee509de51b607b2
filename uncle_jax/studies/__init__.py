"""The paper's studies as lists of runs: what differs from line to line, and what the paper says."""
