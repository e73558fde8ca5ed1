"""Protocols that turn predictions into published numbers."""
