"""What must hold whatever users do: checking it on what happened, and trying to break it with made-up streams."""
