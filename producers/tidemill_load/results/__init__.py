"""What a load test measured: its file, its request tracker, its faults and the limits it must keep."""
