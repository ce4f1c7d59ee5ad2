"""Who answers a chat message. A responder decides nothing about rules and sends nothing itself."""
