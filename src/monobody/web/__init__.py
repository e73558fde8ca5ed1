"""Pages: the offline viewer of a result, and the server that makes results of what is dropped on it."""
