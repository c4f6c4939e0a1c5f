"""What passes between the stages: frozen pydantic models, no I/O."""
