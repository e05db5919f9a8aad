"""The physics: where bodies are, how they move, and what forces that takes."""
