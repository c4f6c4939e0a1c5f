"""The loop: observe, diagnose, propose, approve, deploy, measure. It knows nothing of chat."""
