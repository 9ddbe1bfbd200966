"""One log format a module: lines in, columns out. Pure."""
