"""`roomkey`: mail and conversations from the command line, on the native host."""
