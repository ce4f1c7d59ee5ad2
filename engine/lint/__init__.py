"""What rules say that is legal and cannot be meant. It reads rule sets and their text, and changes nothing."""
