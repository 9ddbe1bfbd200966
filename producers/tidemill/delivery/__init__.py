"""The shared parts of both producers: the core, the threads that drive it, PutRecords calls and their observers."""
