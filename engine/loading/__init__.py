"""Text to rules, or every reason why not. Opens no file: `engine.folder` reads, this understands."""
