"""What both producers run: their shared core, the threads that drive it, PutRecords calls and who is told of them."""
