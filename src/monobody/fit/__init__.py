"""Bodies fitted to landmarks and joints."""
