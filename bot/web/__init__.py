"""The HTTP face: webhooks in. What is acknowledged stands in the database first; the work comes after."""
