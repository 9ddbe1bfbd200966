"""Load generation: traces, workloads and hostile records. Knows nothing of AWS."""
