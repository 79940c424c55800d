"""Delivery of notifications: from the change feed to the receivers, at least once and in order."""
